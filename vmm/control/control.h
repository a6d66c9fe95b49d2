/* SPDX-License-Identifier: MIT */
/* vmm/control/control.h - the sandbox's end of the control channel (docs/control.md). */
#ifndef VMM_CONTROL_CONTROL_H
#define VMM_CONTROL_CONTROL_H

#include <stdbool.h>
#include <stdint.h>

#include "common/util.h"

struct balloon_observer;
struct confinement;
struct command;
struct console;
struct display;
struct control;
struct device;
struct fs_server;
struct guest_log;
struct loop;
struct net_device;
struct ports;
struct sandbox_config;
struct session;
struct shares;

/*
 * DOC: clients are not trusted to be right
 *
 * A client is this user's (SO_PEERCRED), but it may be any program. A packet
 * that is not a request, or answers that are not read, cost it its connection
 * and nothing else. What it can make grow is limited: clients, commands, bytes
 * that wait for it. Descriptors it sends are closed when its request is done.
 *
 * All on the loop thread, never within a vsock callback.
 */

/* What a request needs the sandbox for. */
struct control_ops {
	/* "stop": signal the commands, wait for them at most timeout_ms, end. force: end now. */
	void (*stop)(void *owner, uint64_t timeout_ms, bool force);
	/* The last of the clients' commands has ended. */
	void (*idle)(void *owner);
};

struct control_setup {
	struct loop *loop;
	struct session *session;
	struct shares *shares; /* whose done() is control_shared(); needed until control_free() */
	struct ports *ports; /* may be gone after control_end() */
	const struct sandbox_config *config;
	struct guest_log
		*log; /* what the console and commands without a reader say; "logs" come from it */
	/* The machine's, of which control_new() becomes the listener; none is used after its end. */
	struct console *console;
	struct balloon_observer *keeper;
	struct device *battery;
	struct display *display; /* the machine's; NULL: it has none */
	struct net_device *card; /* likewise */
	const struct fs_server *base_files, *map_files; /* for their figures */
	const char *kernel; /* its release */
	const struct confinement
		*confinement; /* what is in force by the time of the first request */
	bool tied; /* for "info" */
	bool cloned; /* of a template; for "stats" */
	const struct control_ops *ops;
	void *owner;
};

/*
 * What setup points to is borrowed, and the machine is gone before control_free(). listen_fd is a listening, non-blocking
 * SOCK_SEQPACKET socket, borrowed; -1: clients come by control_add_client() only.
 */
int control_new(const struct control_setup *setup, int listen_fd, struct control **out) MUST_CHECK;

/*
 * The sandbox is at its end: tells the clients why, forgets their commands and
 * hears no more requests. Before the session is freed; at most once.
 */
void control_end(struct control *ctl, const char *reason, const char *message);
/* Hangs up. After control_end() if it was ever served; NULL is fine. */
void control_free(struct control *ctl);

/* A client's connection, taken over also on failure. -EBUSY: CONTROL_MAX_CLIENTS are there. */
int control_add_client(struct control *ctl, int fd) MUST_CHECK;

/* The command of `run`; NULL: none, or no more. Borrowed. */
void control_set_main(struct control *ctl, struct command *main);

/* What is to be told to watchers, and by "info". */
void control_ready(struct control *ctl);
void control_stopping(struct control *ctl);

/* What became of a request of a client to the shares (vmm/session/shares.h). */
void control_shared(void *client, int64_t id, int error, const char *text);

/* Sends a signal to every command of the clients'. Returns how many there are. */
unsigned int control_signal_all(struct control *ctl, int signo);

#endif
