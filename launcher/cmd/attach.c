/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>

#include "common/job.h"
#include "common/log.h"
#include "common/signal_fd.h"
#include "common/terminal.h"
#include "launcher/commands.h"
#include "launcher/control_call.h"
#include "launcher/options.h"

enum { DETACH_KEY = 0x1d, PIECE = 4096 };

struct attach {
	struct call call;
	struct client *client;
	struct terminal terminal;
	bool tty;
	bool input_over;
	bool detached;
	int console; /* our end of the stream */
	int signal_fd;
	char typed[PIECE]; /* not sent yet */
	size_t typed_len;
};

static int watch_signals(struct attach *a)
{
	static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGWINCH, SIGTSTP, SIGCONT};

	return signal_fd_open(signals, ARRAY_SIZE(signals), 0, NULL, &a->signal_fd);
}

/* Its reply is of no interest. */
static void send_winsize(struct attach *a)
{
	uint16_t rows, columns;
	int64_t id;

	if (a->tty && terminal_size(STDIN_FILENO, &rows, &columns) && rows > 0)
		(void)!client_send(a->client,
				   json_pack("{s:s, s:b, s:i, s:i}", "op", "winsize", "console", 1,
					     "rows", rows, "columns", columns),
				   NULL, 0, &id);
}

static int request(struct attach *a)
{
	const char *term = a->tty ? getenv("TERM") : NULL;
	json_t *reply = NULL;
	int ends[2], r;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0) {
		log_error("cannot make a socket: %s", strerror(errno));
		return -errno;
	}
	a->console = ends[0];
	r = client_call(a->client,
			json_pack("{s:s, s:s}", "op", "attach", "term", term ? term : "dumb"),
			&ends[1], 1, &reply);
	close(ends[1]);
	if (r == -EREMOTEIO)
		log_error("%s: %s", client_name(a->client), json_text(reply, "message"));
	else if (r < 0)
		log_error("cannot speak with the sandbox '%s': %s", client_name(a->client),
			  strerror(-r));
	json_decref(reply);
	return r;
}

/* Keys of a terminal that find no room are lost, so that the one that detaches is not. */
static void read_input(struct attach *a)
{
	char piece[PIECE];
	const char *key;
	ssize_t n = read(STDIN_FILENO, piece, sizeof(piece));
	size_t len;

	if (n < 0 && errno == EINTR)
		return;
	if (n <= 0) {
		a->input_over = true;
		return;
	}
	len = (size_t)n;
	key = a->tty ? memchr(piece, DETACH_KEY, len) : NULL;
	if (key) {
		a->detached = true;
		len = (size_t)(key - piece);
	}
	len = min_size(len, sizeof(a->typed) - a->typed_len);
	memcpy(a->typed + a->typed_len, piece, len);
	a->typed_len += len;
}

static void send_input(struct attach *a)
{
	ssize_t n = send(a->console, a->typed, a->typed_len, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (n <= 0)
		return;
	a->typed_len -= (size_t)n;
	memmove(a->typed, a->typed + n, a->typed_len);
}

/* False: it is over. */
static bool show_output(const struct attach *a)
{
	struct pollfd out = {.fd = STDOUT_FILENO, .events = POLLOUT};
	char piece[PIECE];
	ssize_t n = recv(a->console, piece, sizeof(piece), 0), done = 0;

	if (n < 0 && errno == EINTR)
		return true;
	while (n > 0 && done < n) {
		ssize_t part = write(STDOUT_FILENO, piece + done, (size_t)(n - done));

		if (part < 0 && errno == EAGAIN)
			(void)poll(&out, 1, -1);
		else if (part < 0 && errno != EINTR)
			return false;
		done += part > 0 ? part : 0;
	}
	return n > 0;
}

/* It is of no use in the background, and stops there as whoever reads a terminal does. */
static int take_terminal(struct attach *a)
{
	int r;

	if (!a->tty)
		return 0;
	if (!job_has_terminal(STDIN_FILENO, 0))
		(void)raise(SIGTTIN);
	r = terminal_raw(&a->terminal, STDIN_FILENO);
	if (r == 0)
		send_winsize(a);
	return r;
}

/* The exit code if the signal ends us, else -1. */
static int take_signal(struct attach *a)
{
	struct signalfd_siginfo info;

	if (read(a->signal_fd, &info, sizeof(info)) != sizeof(info))
		return -1;
	switch (info.ssi_signo) {
	case SIGWINCH:
		send_winsize(a);
		return -1;
	case SIGTSTP:
		terminal_restore(&a->terminal);
		job_stop();
		(void)!take_terminal(a);
		return -1;
	case SIGCONT:
		(void)!take_terminal(a);
		return -1;
	default:
		return exit_code_of_signal((int)info.ssi_signo);
	}
}

static int serve(struct attach *a)
{
	while (!a->detached || a->typed_len > 0) {
		const bool reads = !a->input_over && !a->detached &&
				   (a->tty || a->typed_len < sizeof(a->typed));
		struct pollfd fds[] = {
			{.fd = a->signal_fd, .events = POLLIN},
			{.fd = a->console,
			 .events = (short)(POLLIN | (a->typed_len > 0 ? POLLOUT : 0))},
			{.fd = reads ? STDIN_FILENO : -1, .events = POLLIN},
		};
		int code = -1;

		if (poll(fds, ARRAY_SIZE(fds), -1) < 0 && errno != EINTR)
			return EXIT_SANDCASTLE_FAILED;
		if (fds[0].revents)
			code = take_signal(a);
		if (code >= 0)
			return code;
		if (fds[2].revents)
			read_input(a);
		if (a->typed_len > 0)
			send_input(a);
		/* One that takes no input is left all the same. */
		if (a->detached)
			return 0;
		if (fds[1].revents & (POLLIN | POLLHUP | POLLERR) && !show_output(a))
			return 0;
	}
	return 0;
}

static int attach(struct attach *a, const char *name)
{
	int code;

	a->tty = isatty(STDIN_FILENO);
	if (control_open(name, &a->client) < 0 || request(a) < 0)
		return EXIT_SANDCASTLE_FAILED;
	if (watch_signals(a) < 0 || take_terminal(a) < 0) {
		log_error("cannot set the terminal up");
		return EXIT_SANDCASTLE_FAILED;
	}
	if (a->tty)
		fprintf(stderr, "attached to %s; Ctrl-] detaches\r\n", client_name(a->client));
	code = serve(a);
	terminal_restore(&a->terminal);
	if (a->tty)
		fprintf(stderr, "\n%s %s\n", a->detached ? "detached from" : "the console is left:",
			client_name(a->client));
	return code;
}

static int run(struct call *call)
{
	struct attach *a = CONTAINER_OF(call, struct attach, call);

	return attach(a, call->argv[0]);
}

static void fini(struct call *call)
{
	struct attach *a = CONTAINER_OF(call, struct attach, call);

	client_free(a->client);
	if (a->console >= 0)
		close(a->console);
	if (a->signal_fd >= 0)
		close(a->signal_fd);
}

static const struct attach defaults = {.console = -1, .signal_fd = -1};

const struct command cmd_attach = {
	.name = "attach",
	.brief = "a terminal at its console",
	.usage = "NAME",
	.about = "Connects this terminal to the console of a sandbox: shows the last of its log,\n"
		 "then what the console shows, and types there. On the console is a shell of\n"
		 "root's, which is started for the first who attaches and stays until it is left\n"
		 "with `exit`. Ctrl-] detaches. Several may attach at once.\n"
		 "\n"
		 "Without a terminal, standard input is typed and then the console is shown until\n"
		 "its shell, or the sandbox, has ended.\n",
	.min = 1,
	.max = 1,
	.wants = "takes one name; write `sandcastle attach NAME`",
	.defaults = &defaults.call,
	.size = sizeof(struct attach),
	.run = run,
	.fini = fini,
};
