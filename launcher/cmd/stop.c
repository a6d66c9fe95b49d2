/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/log.h"
#include "common/units.h"
#include "launcher/commands.h"
#include "launcher/control_call.h"
#include "launcher/options.h"
#include "library/client/rundir.h"

enum {
	HEAR_MS = 2000, /* for a sandbox to say that it is one */
	END_MS = 6000, /* for it to end; its own watchdog has 5 s */
	INSIST_MS = 500, /* between the first SIGTERM and the second, after which it has a second */
	KILL_MS = 2000,
};

struct stop {
	struct call call;
	uint64_t timeout_ms;
	bool force, all;
};

static int set_time(struct call *call, const char *value)
{
	struct stop *s = CONTAINER_OF(call, struct stop, call);

	s->timeout_ms = 0;
	if (strcmp(value, "0") == 0 || parse_duration(value, &s->timeout_ms) == 0)
		return 0;
	log_error("--time '%s' is not a time; write 10s, 5m or 0", value);
	return -EINVAL;
}

static const struct stop defaults = {.timeout_ms = 10 * 1000};

static const struct option_row options[] = {
	{"time", 't', "TIME", set_time, 0, 0,
	 "how long its commands may take to end (default: 10s);\n"
	 "0 does not wait"},
	{"force", 'f', NULL, option_flag, offsetof(struct stop, force), 0,
	 "end it at once, as pulling the plug does"},
	{"all", 'a', NULL, option_flag, offsetof(struct stop, all), 0, "all that are running"},
	{0},
};

static int stop_one(const struct stop *s, const char *name)
{
	struct client *c = NULL;
	char reason[64], message[64];
	json_t *reply = NULL;
	int r = control_open(name, &c);

	if (r == -ETIMEDOUT)
		log_info("`sandcastle stop --force %s` ends its process", name);
	if (r == 0)
		r = control_ask(c,
				json_pack("{s:s, s:I}", "op", "stop", "timeout_ms",
					  (json_int_t)s->timeout_ms),
				&reply);
	json_decref(reply);
	if (r == 0)
		control_await_end(c, reason, message, sizeof(reason));
	client_free(c);
	return r;
}

/*
 * The process of the sandbox in that folder, as a pidfd. Once the folder is seen to be taken
 * after the pidfd was opened, the number cannot have become somebody else's before.
 */
static int find_process(const char *top, const char *name, int dir_fd, const struct client *c)
{
	AUTO_CLOSE int process = client_process(c), again = -1;
	struct stat then, now;

	if (process < 0)
		return process;
	again = rundir_open(top, name);
	if (again < 0)
		return again;
	if (fstat(dir_fd, &then) < 0 || fstat(again, &now) < 0)
		return -errno;
	if (then.st_dev != now.st_dev || then.st_ino != now.st_ino)
		return -ENOENT;
	return steal_fd(&process);
}

static bool ends_within(int process, int ms)
{
	struct pollfd p = {.fd = process, .events = POLLIN};
	int r;

	do
		r = poll(&p, 1, ms);
	while (r < 0 && errno == EINTR);
	return r == 1;
}

/* Asks the sandbox itself. False: it does not answer, or does not end. */
static bool ends_when_asked(struct client *c, int process)
{
	int64_t id;

	return client_greet(c, HEAR_MS) == 0 &&
	       client_send(c, json_pack("{s:s, s:b}", "op", "stop", "force", 1), NULL, 0, &id) ==
		       0 &&
	       ends_within(process, END_MS);
}

/*
 * Its handlers put terminal and folder in order, at once with the second signal; SIGKILL nothing.
 * A process that was stopped (Ctrl-Z, SIGSTOP) hears them when it goes on.
 */
static bool ends_by_signal(int process)
{
	static const struct {
		int signo, ms;
	} steps[] = {{SIGTERM, INSIST_MS}, {SIGTERM, KILL_MS}, {SIGKILL, KILL_MS}};

	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		(void)syscall(SYS_pidfd_send_signal, process, steps[i].signo, NULL, 0);
		(void)syscall(SYS_pidfd_send_signal, process, SIGCONT, NULL, 0);
		if (ends_within(process, steps[i].ms))
			return true;
	}
	return false;
}

static int end_process(const char *top, const char *name)
{
	AUTO_CLOSE int dir_fd = rundir_open(top, name), process = -1;
	struct client *c = NULL;
	int r = dir_fd < 0 ? dir_fd : client_connect(dir_fd, &c);

	if (r == 0) {
		process = find_process(top, name, dir_fd, c);
		r = process < 0 ? process : 0;
	}
	if (r == 0 && !ends_when_asked(c, process)) {
		log_warn("the sandbox '%s' does not answer; its process is ended", name);
		r = ends_by_signal(process) ? 0 : -EBUSY;
	}
	client_free(c);
	return r;
}

/* The folder of one that was killed is removed by whoever looks for it. */
static void clear_up(const char *top, const char *name)
{
	AUTO_CLOSE int dir_fd = rundir_open(top, name);

	if (dir_fd >= 0)
		log_debug("another sandbox has taken the name '%s'", name);
}

/* Also if nobody listens to what is asked. */
static int force_one(const char *name)
{
	AUTO_FREE char *top = rundir_top();
	int r = top ? end_process(top, name) : -ENOMEM;

	if (r == -ENOENT || r == -ECONNREFUSED)
		log_error(
			"no sandbox named '%s' is running; `sandcastle list` shows those that are",
			name);
	else if (r == -EBUSY)
		log_error("the process of the sandbox '%s' does not end: the host's kernel holds "
			  "it, as it does for a file system that does not answer",
			  name);
	else if (r < 0 && !control_tell_foreign(top, r))
		log_error("cannot find the process of the sandbox '%s': %s", name, strerror(-r));
	if (r == 0)
		clear_up(top, name);
	return r;
}

static int end_one(const struct stop *s, const char *name)
{
	return s->force ? force_one(name) : stop_one(s, name);
}

static int stop_all(const struct stop *s)
{
	char **names = NULL;
	int code = 0;

	if (control_names(&names) < 0)
		return EXIT_SANDCASTLE_FAILED;
	for (char **name = names; *name; name++)
		if (end_one(s, *name) < 0)
			code = EXIT_SANDCASTLE_FAILED;
	rundir_list_free(names);
	return code;
}

static int run(struct call *call)
{
	const struct stop *s = CONTAINER_OF(call, struct stop, call);
	int code = 0;

	if (s->all == (call->argc > 0)) {
		log_error("%s",
			  s->all ? "--all and a name: give one of them"
				 : "no sandbox named; write `sandcastle stop NAME`, or --all");
		return EXIT_SANDCASTLE_FAILED;
	}
	if (s->all)
		return stop_all(s);
	for (int i = 0; i < call->argc; i++)
		if (end_one(s, call->argv[i]) < 0)
			code = EXIT_SANDCASTLE_FAILED;
	return code;
}

const struct command cmd_stop = {
	.name = "stop",
	.brief = "end some of them",
	.usage = "[OPTIONS] NAME...",
	.about = "Ends sandboxes. Their commands get SIGTERM and the time to end, then what was\n"
		 "written to shared folders is put there, and the machine is gone.\n",
	.options = options,
	.max = COMMAND_ANY,
	.defaults = &defaults.call,
	.size = sizeof(struct stop),
	.run = run,
};
