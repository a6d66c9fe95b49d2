/* SPDX-License-Identifier: MIT */
/* A shell in a sandbox, on the terminal this is run in. shell [COMMAND [ARG...]] */
#include <poll.h>
#include <sandcastle.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

static struct winsize window(void)
{
	struct winsize ws = {.ws_row = 0};

	(void)ioctl(STDIN_FILENO, TIOCGWINSZ, &ws);
	return ws;
}

/* What there is to do for the terminal while the command runs. */
static int serve(struct sandcastle_sandbox *sb, struct sandcastle_command *cmd, int signals,
		 int *code)
{
	struct pollfd fds[] = {{.fd = sandcastle_fd(sb), .events = POLLIN},
			       {.fd = signals, .events = POLLIN}};
	struct signalfd_siginfo info;
	int r;

	while ((r = sandcastle_command_wait(cmd, 0, code)) == SANDCASTLE_E_TIMEOUT) {
		struct sandcastle_event event = SANDCASTLE_EVENT_INIT;

		(void)poll(fds, 2, -1);
		while (sandcastle_next_event(sb, 0, &event) == SANDCASTLE_OK)
			if (event.type == SANDCASTLE_EVENT_PRESSURE)
				fprintf(stderr, "%s\r\n",
					event.code ? "the host is short of memory" : "it has room");
		if (fds[1].revents && read(signals, &info, sizeof(info)) == sizeof(info))
			(void)sandcastle_command_winsize(cmd, window().ws_row, window().ws_col);
	}
	return r;
}

static int run(struct sandcastle_sandbox *sb, const char *const *argv, int signals, int *code)
{
	static const char *const env[] = {"TERM=vt100", NULL};
	struct sandcastle_options options = SANDCASTLE_OPTIONS_INIT;
	struct sandcastle_exec_options command = SANDCASTLE_EXEC_OPTIONS_INIT;
	struct sandcastle_command *cmd = NULL;
	int r;

	options.pressure_events = 1;
	command.argv = argv;
	command.env = env;
	command.tty = 1;
	command.rows = window().ws_row;
	command.columns = window().ws_col;
	command.stdio[0] = (struct sandcastle_stdio){SANDCASTLE_STDIO_FD, STDIN_FILENO};
	command.stdio[1] = (struct sandcastle_stdio){SANDCASTLE_STDIO_FD, STDOUT_FILENO};
	r = sandcastle_start(sb, &options);
	if (r == SANDCASTLE_OK)
		r = sandcastle_exec(sb, &command, &cmd);
	return r == SANDCASTLE_OK ? serve(sb, cmd, signals, code) : r;
}

int main(int argc, char **argv)
{
	static const char *const bash[] = {"bash", NULL};
	struct termios before, raw;
	struct sandcastle_sandbox *sb;
	char message[512] = "";
	int code = 125, signals;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGWINCH);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signals = signalfd(-1, &set, SFD_CLOEXEC);
	if (tcgetattr(STDIN_FILENO, &before) < 0 || sandcastle_new(&sb) != SANDCASTLE_OK)
		return 125;
	raw = before;
	cfmakeraw(&raw);
	tcsetattr(STDIN_FILENO, TCSADRAIN, &raw);
	if (run(sb, argc > 1 ? (const char *const *)&argv[1] : bash, signals, &code) !=
	    SANDCASTLE_OK)
		sandcastle_message(sb, message, sizeof(message));
	sandcastle_free(sb);
	tcsetattr(STDIN_FILENO, TCSADRAIN, &before);
	if (message[0])
		fprintf(stderr, "shell: %s\n", message);
	return code;
}
