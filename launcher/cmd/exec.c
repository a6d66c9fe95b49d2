/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/stat.h>

#include "common/control_protocol.h"
#include "common/job.h"
#include "common/log.h"
#include "common/signal_fd.h"
#include "common/terminal.h"
#include "launcher/commands.h"
#include "launcher/control_call.h"
#include "launcher/options.h"

struct exec {
	struct call call;
	json_t *env;
	const char *workdir, *user;
	bool detach, no_stdin;

	struct client *client;
	json_t *request;
	struct terminal terminal;
	bool tty;
	int signal_fd;
	int keys_fd; /* an epoll: readable once for each time that something was typed; -1: none */
	json_int_t command; /* its number, 0: it does not run yet */
	int64_t id; /* of the request */
	uint64_t pending; /* bit n-1: signal n came before there was a number */
	int end_signal; /* the first one that asked to end */
	const char *name; /* of the command, for messages */
};

static int add_env(struct exec *x, const char *arg)
{
	const char *value = getenv(arg);
	AUTO_FREE char *entry = NULL;

	if (arg[0] == '\0' || arg[0] == '=') {
		log_error("--env '%s': a variable's name is missing; write NAME=VALUE", arg);
		return -EINVAL;
	}
	if (!x->env)
		x->env = json_array();
	if (strchr(arg, '='))
		return json_array_append_new(x->env, control_bytes_new(arg)) < 0 ? -ENOMEM : 0;
	if (!value)
		return 0;
	if (asprintf(&entry, "%s=%s", arg, value) < 0) {
		entry = NULL;
		return -ENOMEM;
	}
	return json_array_append_new(x->env, control_bytes_new(entry)) < 0 ? -ENOMEM : 0;
}

static int set_env(struct call *call, const char *value)
{
	return add_env(CONTAINER_OF(call, struct exec, call), value);
}

static int set_workdir(struct call *call, const char *value)
{
	if (value[0] == '/')
		return option_text(call, value);
	log_error("--workdir '%s': write an absolute path of the sandbox", value);
	return -EINVAL;
}

static int set_user(struct call *call, const char *value)
{
	if (value[0])
		return option_text(call, value);
	log_error("--user must not be empty; leave it out for the default");
	return -EINVAL;
}

static const struct option_row options[] = {
	{"env", 'e', "K[=V]", set_env, 0, 0,
	 "set a variable; without =V to its value here;\n"
	 "may repeat"},
	{"workdir", 'w', "DIR", set_workdir, offsetof(struct exec, workdir), 0,
	 "where COMMAND starts, an absolute path in the\n"
	 "sandbox (default: as at `sandcastle start`)"},
	{"user", 'u', "NAME|UID", set_user, offsetof(struct exec, user), 0,
	 "who COMMAND runs as (default: as at the start)"},
	{"no-stdin", 'n', NULL, option_flag, offsetof(struct exec, no_stdin), 0,
	 "give COMMAND nothing to read, and no terminal"},
	{"detach", 'd', NULL, option_flag, offsetof(struct exec, detach), 0,
	 "do not wait for it; its output goes to the\n"
	 "sandbox's log, its number is printed"},
	{0},
};

/* What the user's terminal is to programs. */
static int add_terminal(struct exec *x)
{
	uint16_t rows = 0, columns = 0;

	(void)terminal_size(STDIN_FILENO, &rows, &columns);
	if (json_object_set_new(x->request, "tty", json_true()) < 0 ||
	    json_object_set_new(x->request, "rows", json_integer(rows)) < 0 ||
	    json_object_set_new(x->request, "columns", json_integer(columns)) < 0)
		return -ENOMEM;
	return getenv("TERM") ? add_env(x, "TERM") : 0;
}

static int compose(struct exec *x, int argc, char **argv)
{
	json_t *list = json_array();

	x->request = json_pack("{s:s, s:o, s:O*, s:b}", "op", "exec", "argv", list, "env", x->env,
			       "detach", (int)x->detach);
	if (!x->request)
		return -ENOMEM;
	for (int i = 0; i < argc; i++)
		if (json_array_append_new(list, control_bytes_new(argv[i])) < 0)
			return -ENOMEM;
	if (x->workdir &&
	    json_object_set_new(x->request, "workdir", control_bytes_new(x->workdir)) < 0)
		return -ENOMEM;
	if (x->user && json_object_set_new(x->request, "user", json_string(x->user)) < 0)
		return -EINVAL;
	return x->tty ? add_terminal(x) : 0;
}

/*
 * A descriptor for the sandbox to read or write: a pipe or terminal on a file
 * description of its own that does not block; anything else as it is.
 */
static int open_anew(int fd)
{
	struct stat st;
	char path[32];
	int own = -1;

	if (fstat(fd, &st) == 0 && (S_ISFIFO(st.st_mode) || isatty(fd))) {
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		own = open(path, (fd == STDIN_FILENO ? O_RDONLY : O_WRONLY) | O_NONBLOCK |
					 O_NOCTTY | O_CLOEXEC);
	}
	return own >= 0 ? own : fcntl(fd, F_DUPFD_CLOEXEC, 3);
}

static int send_request(struct exec *x)
{
	int fds[4] = {-1, -1, -1, -1}, n = x->detach ? 0 : 3, r = 0;

	for (int i = 0; i < 3 && !x->detach && r == 0; i++) {
		fds[i] = i == 0 && x->no_stdin ? open("/dev/null", O_RDONLY | O_CLOEXEC)
					       : open_anew(i);
		r = fds[i] < 0 ? -errno : 0;
	}
	/* So that nothing is read of our terminal while we are in the background there. */
	if (n == 3 && isatty(STDIN_FILENO) &&
	    (fds[3] = open("/proc/self/stat", O_RDONLY | O_CLOEXEC)) >= 0)
		n = 4;
	if (r == 0)
		r = client_send(x->client, json_incref(x->request), fds, (unsigned int)n, &x->id);
	for (int i = 0; i < 4; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	if (r == -E2BIG)
		log_error("the arguments and environment are too long: at most %d bytes",
			  CONTROL_FILE_MAX);
	else if (r < 0)
		log_error("cannot ask the sandbox: %s", strerror(-r));
	return r;
}

/* Replies to these are of no interest: the command may have ended. */
static void send_signal(struct exec *x, int signo)
{
	int64_t id;

	(void)!client_send(x->client,
			   json_pack("{s:s, s:I, s:i}", "op", "signal", "command", x->command,
				     "signal", signo),
			   NULL, 0, &id);
}

static void send_winsize(struct exec *x)
{
	uint16_t rows, columns;
	int64_t id;

	if (x->tty && x->command && terminal_size(STDIN_FILENO, &rows, &columns))
		(void)!client_send(x->client,
				   json_pack("{s:s, s:I, s:i, s:i}", "op", "winsize", "command",
					     x->command, "rows", rows, "columns", columns),
				   NULL, 0, &id);
}

/* In the foreground, perhaps: again, or for the first time. */
static void take_terminal(struct exec *x)
{
	if (x->tty && terminal_raw(&x->terminal, STDIN_FILENO) == 0)
		send_winsize(x);
}

/*
 * The shell is to see a job that stops, so the command has to stop as well. Its process group has
 * nobody in the guest who could continue it: SIGTSTP would pass it by.
 */
static void stop(struct exec *x)
{
	if (x->command)
		send_signal(x, SIGSTOP);
	terminal_restore(&x->terminal);
	job_stop();
	if (x->command)
		send_signal(x, SIGCONT);
	take_terminal(x);
}

/* A shell does not tell a job that runs already that it came to the foreground; keys do. */
static void keys_typed(struct exec *x)
{
	struct epoll_event event;

	(void)epoll_wait(x->keys_fd, &event, 1, 0);
	if (!x->terminal.raw)
		take_terminal(x);
}

static int watch_keys(struct exec *x)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLET};

	x->keys_fd = epoll_create1(EPOLL_CLOEXEC);
	return x->keys_fd < 0 || epoll_ctl(x->keys_fd, EPOLL_CTL_ADD, STDIN_FILENO, &event) < 0
		       ? -errno
		       : 0;
}

/* The exit code if this ends us, else -1. */
static int take_signal(struct exec *x)
{
	struct signalfd_siginfo info;
	int signo;

	if (read(x->signal_fd, &info, sizeof(info)) != sizeof(info))
		return -1;
	signo = (int)info.ssi_signo;
	if (signo == SIGWINCH) {
		send_winsize(x);
		return -1;
	}
	if (signo == SIGTSTP) {
		stop(x);
		return -1;
	}
	if (signo == SIGCONT)
		take_terminal(x);
	if (signo == SIGINT || signo == SIGTERM || signo == SIGHUP || signo == SIGQUIT) {
		/* Asked twice: go, which hangs up on the command. */
		if (x->end_signal)
			return exit_code_of_signal(signo);
		x->end_signal = signo;
	}
	if (x->command)
		send_signal(x, signo);
	else
		x->pending |= 1ull << (signo - 1);
	return -1;
}

static int take_reply(struct exec *x, const json_t *m)
{
	const char *error = json_text(m, "error");

	if (json_integer_value(json_object_get(m, "id")) != x->id)
		return -1;
	if (!json_is_true(json_object_get(m, "ok"))) {
		if (strcmp(error, CONTROL_E_EXEC_FAILED) != 0) {
			log_error("%s: %s", client_name(x->client), json_text(m, "message"));
			return EXIT_SANDCASTLE_FAILED;
		}
		log_error("%s", json_text(m, "message"));
		return exit_code_of_message(m);
	}
	x->command = json_integer_value(json_object_get(m, "command"));
	if (x->detach) {
		printf("%lld\n", (long long)x->command);
		return fflush(stdout) == 0 ? 0 : EXIT_SANDCASTLE_FAILED;
	}
	for (int n = 1; n <= 64; n++)
		if (x->pending & 1ull << (n - 1))
			send_signal(x, n);
	send_winsize(x);
	return -1;
}

static int take_event(struct exec *x, const json_t *m)
{
	const char *event = json_text(m, "event");

	if (strcmp(event, "ended") == 0) {
		const char *message = json_text(m, "message");

		log_error("the sandbox '%s' ended before '%s' did: %s", client_name(x->client),
			  x->name, message[0] ? message : json_text(m, "reason"));
		return EXIT_SANDCASTLE_FAILED;
	}
	if (strcmp(event, "exited") != 0 ||
	    json_integer_value(json_object_get(m, "command")) != x->command)
		return -1;
	/* Without a code the sandbox is about to say more about its end. */
	return exit_code_of_message(m);
}

static int take_message(struct exec *x)
{
	json_t *m = NULL;
	int r = client_receive(x->client, -1, &m), code = -1;

	if (r == -EPIPE) {
		log_error("the sandbox '%s' was killed before '%s' had ended",
			  client_name(x->client), x->name);
		return EXIT_SANDCASTLE_FAILED;
	}
	if (r < 0) {
		log_error("cannot understand the sandbox: %s", strerror(-r));
		return EXIT_SANDCASTLE_FAILED;
	}
	if (strcmp(json_text(m, "type"), "reply") == 0)
		code = take_reply(x, m);
	else if (strcmp(json_text(m, "type"), "event") == 0)
		code = take_event(x, m);
	json_decref(m);
	return code;
}

static int watch_signals(struct exec *x)
{
	static const int signals[] = {SIGINT,  SIGTERM,	 SIGHUP,  SIGQUIT, SIGUSR1,
				      SIGUSR2, SIGWINCH, SIGTSTP, SIGCONT};

	return signal_fd_open(signals, ARRAY_SIZE(signals), 0, NULL, &x->signal_fd);
}

static int serve(struct exec *x)
{
	int code = -1;

	while (code < 0) {
		struct pollfd fds[] = {
			{.fd = client_fd(x->client), .events = POLLIN},
			{.fd = x->signal_fd, .events = POLLIN},
			{.fd = x->keys_fd, .events = POLLIN},
		};

		if (poll(fds, ARRAY_SIZE(fds), -1) < 0 && errno != EINTR)
			return EXIT_SANDCASTLE_FAILED;
		if (fds[1].revents)
			code = take_signal(x);
		if (fds[2].revents)
			keys_typed(x);
		if (code < 0 && fds[0].revents)
			code = take_message(x);
	}
	return code;
}

static int exec(struct exec *x, const char *sandbox, int argc, char **argv)
{
	int r, code;

	x->name = argv[0];
	x->tty = !x->detach && !x->no_stdin && isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
	r = compose(x, argc, argv);
	if (r == 0)
		r = watch_signals(x);
	if (r < 0) {
		log_error("cannot prepare the command: %s", strerror(-r));
		return EXIT_SANDCASTLE_FAILED;
	}
	if (control_open(sandbox, &x->client) < 0)
		return EXIT_SANDCASTLE_FAILED;
	if (x->tty && (watch_keys(x) < 0 || terminal_raw(&x->terminal, STDIN_FILENO) < 0)) {
		log_error("cannot set the terminal up");
		return EXIT_SANDCASTLE_FAILED;
	}
	code = send_request(x) < 0 ? EXIT_SANDCASTLE_FAILED : serve(x);
	terminal_restore(&x->terminal);
	return code;
}

static int run(struct call *call)
{
	struct exec *x = CONTAINER_OF(call, struct exec, call);
	const int skip = call->argc > 2 && strcmp(call->argv[1], "--") == 0 ? 2 : 1;

	return exec(x, call->argv[0], call->argc - skip, call->argv + skip);
}

static void fini(struct call *call)
{
	struct exec *x = CONTAINER_OF(call, struct exec, call);

	client_free(x->client);
	json_decref(x->request);
	json_decref(x->env);
	if (x->signal_fd >= 0)
		close(x->signal_fd);
	if (x->keys_fd >= 0)
		close(x->keys_fd);
}

static const struct exec defaults = {.signal_fd = -1, .keys_fd = -1};

const struct command cmd_exec = {
	.name = "exec",
	.brief = "run a command in one of them",
	.usage = "[OPTIONS] NAME COMMAND [ARG...]",
	.about = "Runs COMMAND in the running sandbox NAME. Its input, output, signals and exit\n"
		 "code are those of a command run here, its terminal too if there is one.\n",
	.after = "Exit code: COMMAND's own; 125 Sandcastle failed, or the sandbox ended before;\n"
		 "126 COMMAND cannot be executed; 127 it was not found; 128+N signal N ended it.\n",
	.options = options,
	.min = 2,
	.max = COMMAND_ANY,
	.wants = "needs a sandbox and a command; write `sandcastle exec NAME COMMAND`",
	.defaults = &defaults.call,
	.size = sizeof(struct exec),
	.run = run,
	.fini = fini,
};
