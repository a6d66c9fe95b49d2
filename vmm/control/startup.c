/* SPDX-License-Identifier: MIT */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "vmm/config/config.h"
#include "vmm/control/control_priv.h"
#include "vmm/session/guest_log.h"

/*
 * DOC: commands that are the sandbox's own
 *
 * A file that describes a sandbox may name commands for its start. They run one
 * after the other, each by a shell of its own, as clients' detached commands do:
 * seen by "info", heard of by watchers, signalled by "stop", their output in the
 * log. The first that fails is the last. The sandbox goes on in either case.
 */
static PRINTF_LIKE(2, 3) void say(struct control *ctl, const char *fmt, ...)
{
	char line[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	/* Lines stand in the order in which things happened. */
	control_collect_log(ctl);
	guest_log_line(ctl->setup.log, line);
}

static const char *not_run(const struct control *ctl)
{
	return ctl->setup.config->commands[ctl->startup_next] ? "; those after it are not run" : "";
}

static void run_next(struct control *ctl);

static void ended(struct control *ctl, const struct command_result *res)
{
	const unsigned int number = ctl->startup_next;

	switch (res->kind) {
	case COMMAND_EXITED:
		if (res->code == 0) {
			run_next(ctl);
			return;
		}
		say(ctl, "sandcastle: command %u failed with exit code %d%s", number, res->code,
		    not_run(ctl));
		return;
	case COMMAND_SIGNALED:
		say(ctl, "sandcastle: command %u was ended by signal %d%s", number, res->signal,
		    not_run(ctl));
		return;
	case COMMAND_EXEC_FAILED:
	case COMMAND_AGENT_FAILED:
	case COMMAND_LOST:
		say(ctl, "sandcastle: command %u: %s%s", number, res->text, not_run(ctl));
		return;
	}
}

static void run_next(struct control *ctl)
{
	char *line = ctl->setup.config->commands[ctl->startup_next];
	char sh[] = "sh", dash_c[] = "-c", *argv[] = {sh, dash_c, line, NULL};
	const struct control_own own = {.argv = argv, .ended = ended};
	int r;

	if (ctl->state != CONTROL_RUNNING)
		return;
	if (!line) {
		say(ctl, "sandcastle: all commands have run");
		return;
	}
	ctl->startup_next++;
	say(ctl, "sandcastle: command %u: %s", ctl->startup_next, line);
	r = control_exec_own(ctl, &own);
	if (r < 0)
		say(ctl, "sandcastle: command %u cannot be run: %s%s", ctl->startup_next,
		    strerror(-r), not_run(ctl));
}

void control_startup(struct control *ctl)
{
	if (ctl->setup.config->commands)
		run_next(ctl);
}
