/* SPDX-License-Identifier: MIT */
/* guest-agent/session.h - the agent at work: the host's requests, one after another. */
#ifndef GUEST_AGENT_SESSION_H
#define GUEST_AGENT_SESSION_H

#include <stdbool.h>

#include "common/util.h"
#include "guest-agent/clock.h"
#include "guest-agent/command.h"
#include "guest-agent/connect.h"
#include "guest-agent/datagrams.h"
#include "guest-agent/link.h"
#include "guest-agent/messages.h"
#include "guest-agent/text.h"
#include "guest-agent/watch.h"

struct session;
typedef void (*session_fn)(struct session *s);
/* Mounts a map, or detaches it; -errno, and why. */
typedef int (*session_map_fn)(struct session *s, const struct setup_map *map, bool remove,
			      struct text *why);

struct session {
	int epfd;
	struct link *link;
	struct commands commands;
	struct connections connections;
	struct datagrams datagrams;
	struct watch control, children;
	struct clock *clock; /* NULL: the clock is left alone */
	struct watch clock_watch;
	session_fn started; /* optional: after the first EXEC was answered */
	session_map_fn map; /* for MAP and UNMAP, which are refused without it */
	bool over; /* SHUTDOWN came */
	int error;
};

/*
 * Blocks SIGCHLD, which is from then on read from a descriptor, and ignores
 * SIGPIPE. `link`, `invoker` and `network` are borrowed; network NULL: there is none.
 */
int session_init(struct session *s, struct link *link, const struct user *invoker,
		 const struct sc_network *network) MUST_CHECK;
void session_fini(struct session *s);

/* To keep the clock right from here on; borrowed. */
int session_keep_clock(struct session *s, struct clock *clock) MUST_CHECK;

/* Serves the host. 0: it sent SHUTDOWN; -EPIPE: it has gone; others as link_receive(). */
int session_run(struct session *s) MUST_CHECK;

#endif
