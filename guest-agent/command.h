/* SPDX-License-Identifier: MIT */
/* guest-agent/command.h - the commands the host asked for, from EXEC to EXITED. */
#ifndef GUEST_AGENT_COMMAND_H
#define GUEST_AGENT_COMMAND_H

#include <stdbool.h>
#include <sys/types.h>

#include "common/util.h"
#include "guest-agent/link.h"
#include "guest-agent/messages.h"
#include "guest-agent/users.h"
#include "guest-agent/watch.h"

enum { COMMANDS_MAX = 256 };

struct command;

struct commands {
	int epfd;
	struct link *link;
	const struct user *invoker;
	struct command *list[COMMANDS_MAX];
	struct watch reads; /* an inotify: some command has read of its stdin; fd -1: none */
	bool untold; /* something was read that the host does not know yet */
	unsigned int running;
	int error; /* first failure to tell the host something; nothing matters after it */
};

void commands_init(struct commands *c, int epfd, struct link *link, const struct user *invoker);
void commands_fini(struct commands *c);

/*
 * Starts a command and reports STARTED, or EXEC_FAILED. -EEXIST: the id is in
 * use; no other error is returned: they are the host's to hear.
 */
int commands_exec(struct commands *c, uint32_t id, const struct exec_request *req) MUST_CHECK;

/*
 * Whether commands have read of their stdin what the host was not told, as it was little; who
 * waits for nothing else tells it then: the writer there may wait for that little room.
 */
bool commands_untold(const struct commands *c);
void commands_tell(struct commands *c);

/* Whether there is one. */
bool commands_running(const struct commands *c);

/*
 * To the command's process group. With a terminal too: a key such as ^C comes
 * as a byte and the terminal signals the job in the foreground; what arrives
 * here is meant for the command as a whole, often a shell, which tells its
 * jobs. A command that ended meanwhile is not an error.
 */
void commands_signal(struct commands *c, uint32_t id, int sig);
void commands_winsize(struct commands *c, uint32_t id, const struct winsize_request *w);

/*
 * Collects every child that ended, also those that processes left to pid 1.
 * A command's EXITED is sent when its output has been.
 */
void commands_reap(struct commands *c);

#endif
