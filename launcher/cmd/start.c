/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "common/log.h"
#include "launcher/commands.h"
#include "launcher/config/settings.h"
#include "launcher/launch.h"
#include "vmm/config/timeline.h"

/*
 * DOC: how it is detached
 *
 * The command forks. The child becomes the sandbox, in a session of its own,
 * with its messages still going to our stderr. When the guest is set up it
 * writes its name into a pipe and lets go of stderr; the command prints the name
 * and ends. A sandbox that ends before has said why, and its exit code is passed
 * on. Until then it dies with the command, so that ^C leaves nothing.
 */
struct starter {
	int told_fd; /* the pipe's write end */
	int null_fd;
};

static void on_ready(const char *name, void *owner)
{
	struct starter *st = owner;

	(void)prctl(PR_SET_PDEATHSIG, 0);
	(void)dup2(st->null_fd, STDERR_FILENO);
	(void)!write(st->told_fd, name, strlen(name));
	close(st->told_fd);
	st->told_fd = -1;
}

static int become_sandbox(struct sandbox_config *cfg, int tie_fd, struct starter *st, pid_t parent)
{
	struct timeline tl;

	timeline_init(&tl);
	(void)setsid();
	(void)prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent)
		return EXIT_SANDCASTLE_FAILED;
	/* Whoever reads our standard output is waiting for its end. */
	if (dup2(st->null_fd, STDIN_FILENO) < 0 || dup2(st->null_fd, STDOUT_FILENO) < 0)
		return EXIT_SANDCASTLE_FAILED;
	return launch(cfg, tie_fd, &tl, on_ready, st);
}

/* The name, when it is there; else the exit code of the child. */
static int await_name(int fd, pid_t child)
{
	char name[256];
	size_t len = 0;
	int status;
	ssize_t n;

	while (len < sizeof(name) - 1) {
		n = read(fd, name + len, sizeof(name) - 1 - len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		len += (size_t)n;
	}
	name[len] = '\0';
	if (len > 0)
		return puts(name) < 0 || fflush(stdout) != 0 ? EXIT_SANDCASTLE_FAILED : 0;
	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			return EXIT_SANDCASTLE_FAILED;
	if (!WIFEXITED(status)) {
		log_error("the sandbox's process was killed before it was ready");
		return EXIT_SANDCASTLE_FAILED;
	}
	/* Powered off before it was ready is not what was asked for. */
	return WEXITSTATUS(status) ? WEXITSTATUS(status) : EXIT_SANDCASTLE_FAILED;
}

static int start(struct sandbox_config *cfg)
{
	struct starter st = {.told_fd = -1, .null_fd = open("/dev/null", O_RDWR | O_CLOEXEC)};
	AUTO_CLOSE int tie_fd = -1;
	const pid_t self = getpid();
	int ends[2], code;
	pid_t child;

	if (launch_tie(cfg, &tie_fd) < 0)
		return EXIT_SANDCASTLE_FAILED;
	if (st.null_fd < 0 || pipe2(ends, O_CLOEXEC) < 0 || (child = fork()) < 0) {
		log_error("cannot start a process: %s", strerror(errno));
		return EXIT_SANDCASTLE_FAILED;
	}
	if (child == 0) {
		close(ends[0]);
		st.told_fd = ends[1];
		return become_sandbox(cfg, tie_fd, &st, self);
	}
	close(ends[1]);
	code = await_name(ends[0], child);
	close(ends[0]);
	close(st.null_fd);
	return code;
}

static int run(struct call *call)
{
	struct sandbox_config cfg;
	int r, code = EXIT_SANDCASTLE_FAILED;

	launch_prepare();
	r = launch_parse(call, &cfg);
	if (r == 0)
		code = start(&cfg);
	else if (r > 0)
		code = 0;
	sandbox_config_fini(&cfg);
	return code;
}

const struct command cmd_start = {
	.name = "start",
	.brief = "a sandbox that stays until it is stopped",
	.usage = "[OPTIONS]",
	.about =
		"Starts a throw-away Linux machine that stays until it is stopped, and prints its\n"
		"name when it is ready. `sandcastle exec NAME COMMAND` runs commands in it, as "
		"many\n"
		"at once as you like, `sandcastle stop NAME` ends it. --env, --workdir and --user\n"
		"are for those commands that do not say otherwise.\n"
		"\n"
		"  box=$(sandcastle start --map .:rw)\n"
		"  sandcastle exec $box make\n"
		"  sandcastle stop $box\n",
	.after = "The current directory is mapped as `sandcastle run` does. The\n"
		 "commands of a --config file run once it is ready;\n"
		 "`sandcastle logs NAME` shows what they say.\n"
		 "\n"
		 "Exit code: 0 it is ready; 125 Sandcastle failed.\n",
	.options = settings_rows,
	.flags = COMMAND_PARSES,
	.size = sizeof(struct call),
	.run = run,
};
