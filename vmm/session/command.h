/* SPDX-License-Identifier: MIT */
/* vmm/session/command.h - one command in the guest and its stdio. */
#ifndef VMM_SESSION_COMMAND_H
#define VMM_SESSION_COMMAND_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/agent_protocol.h"
#include "common/util.h"
#include "vmm/session/agent_wire.h"

struct command;
struct session;

/*
 * DOC: states
 *
 *   ASKED -> STARTED    the command runs in the guest
 *         -> ENDED      its end is known; bytes of its output may still wait for the host
 *
 * ENDED can follow either; a command ends with its session, too. started() and
 * ended() are called once each at most, the latter when all output that had
 * arrived was written or its reader has gone.
 *
 * All on the loop thread, and not from within a vsock callback. The process
 * must ignore SIGPIPE.
 */

enum command_state { COMMAND_ASKED, COMMAND_STARTED, COMMAND_ENDED };

enum command_end {
	COMMAND_EXITED, /* code */
	COMMAND_SIGNALED, /* signal */
	COMMAND_EXEC_FAILED, /* error; text says what could not be done */
	COMMAND_AGENT_FAILED, /* text: the agent gave up, or broke the protocol */
	COMMAND_LOST, /* the guest went away without a word */
};

struct command_result {
	enum command_end kind;
	int code; /* 0 to 255 */
	int signal; /* 1 to 64 */
	int error; /* a Linux errno, positive */
	struct agent_usage usage; /* EXITED, SIGNALED; by the guest's word */
	/* One line; printable ASCII whatever the guest sent. Empty for EXITED and SIGNALED. */
	char text[256];
};

/* What to run; all borrowed until command_new() returns. */
struct command_spec {
	char *const *argv; /* NULL-terminated, at least one */
	char *const *env; /* NULL-terminated "K=V", or NULL */
	const char *workdir; /* in the guest; NULL: the home directory */
	const char *run_as; /* name or uid; NULL: the invoking user */
	bool session; /* shown on the display, in a session made for it */
	bool tty;
	uint16_t rows, columns; /* with tty */
	uint64_t limits[SC_LIMITS]; /* 0: none */
	/* /proc/PID/stat of whose terminal stdio[0] may be, borrowed; 0: this process. */
	int job;
};

/* On the loop thread without a lock: the command may be freed here, the session may not. */
struct command_ops {
	void (*started)(struct command *cmd, void *owner); /* optional */
	void (*ended)(struct command *cmd, void *owner);
};

/*
 * Asks the guest to run it, as soon as there is an agent to ask. stdio[0..2] are
 * borrowed until command_free(); their file status flags stay as they are. Of stdio[0]
 * only what the command reads is taken (vmm/session/stdio_stream.h), unless there is a tty.
 * -E2BIG: arguments and environment do not fit into a message; -ENOTCONN: the
 * session has ended.
 */
int command_new(struct session *s, const struct command_spec *spec, const int stdio[3],
		const struct command_ops *ops, void *owner, struct command **out) MUST_CHECK;
/*
 * Before its session. One that runs goes on in the guest, with its input ended
 * and its output closed. NULL is fine.
 */
void command_free(struct command *cmd);

/* Kept until the command has started, then sent on; each number at most once at a time. */
void command_signal(struct command *cmd, int signo);
/* With a tty. */
void command_winsize(struct command *cmd, uint16_t rows, uint16_t columns);

/* Its number in the session, from 1. */
uint32_t command_id(const struct command *cmd);
/* The guest's process id; 0 before STARTED. */
uint32_t command_pid(const struct command *cmd);
enum command_state command_state(const struct command *cmd);
/* Whether STARTED was ever reached. */
bool command_started(const struct command *cmd);
/* Valid from ENDED on. */
const struct command_result *command_result(const struct command *cmd);

#endif
