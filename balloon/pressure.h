/* SPDX-License-Identifier: MIT */
/* balloon/pressure.h - how short of memory the host is, for us. */
#ifndef BALLOON_PRESSURE_H
#define BALLOON_PRESSURE_H

#include <stdint.h>

#include "common/util.h"

/*
 * DOC: three sources
 *
 * PSI triggers on /proc/pressure/memory and on our own cgroup's memory.pressure:
 * an event when somebody stalled. The kernel grants them to root, and on newer
 * kernels to everyone.
 *
 * memory.events of our cgroup and of those above it: an event when a limit was
 * met. Open to everyone. A limit that is lowered under a group that asks for
 * nothing meets nobody: the files that hold the limits are watched for writes.
 *
 * MemAvailable, and what is left below the cgroups' limits: no event, a look.
 * The look says how short; without a PSI trigger it must be taken regularly.
 *
 * Everything is opened and read once at the start, and no name is looked up later.
 * That is what makes a squeeze by memory.high possible at all: above the limit the
 * kernel lets each thread that is charged a page sleep for up to 2 s, and an open
 * file is charged, as is the buffer of its first read. Reading again is not. The
 * program's own pages are another reason: balloon/pin.h.
 */

enum { PRESSURE_MAX_GROUPS = 8, PRESSURE_MAX_TRIGGERS = 2 };

/* What is read of a group: names are in pressure.c. */
enum pressure_file {
	PRESSURE_EVENTS,
	PRESSURE_HIGH,
	PRESSURE_MAX,
	PRESSURE_CURRENT,
	PRESSURE_STAT,
	PRESSURE_N_FILES
};

struct pressure_group {
	int fds[PRESSURE_N_FILES]; /* -1: it has none */
	uint64_t events;
};

/* Owns its fds. */
struct pressure {
	int triggers[PRESSURE_MAX_TRIGGERS]; /* watch for EPOLLPRI */
	unsigned int n_triggers;
	/* Watch fds[PRESSURE_EVENTS] for EPOLLPRI. */
	struct pressure_group groups[PRESSURE_MAX_GROUPS];
	unsigned int n_groups;
	int changes_fd; /* inotify on the limits: watch for EPOLLIN; -1: none */
	int meminfo_fd;
};

/* The tightest of the host and the cgroups we are in; bytes. */
struct pressure_sample {
	uint64_t total; /* of the host, or the limit */
	uint64_t available;
	uint64_t reserve; /* less available than this is short */
};

/*
 * `root` comes before /proc and /sys; "" but for tests. -errno if not even
 * /proc/meminfo can be read; triggers and groups may be none.
 */
int pressure_init(struct pressure *p, const char *root) MUST_CHECK;
/* After pressure_init(), also when it failed. */
void pressure_fini(struct pressure *p);

int pressure_sample(const struct pressure *p, struct pressure_sample *out) MUST_CHECK;

/*
 * The RAM a guest may have so that the memory.max of our cgroup and of those above
 * it holds all of it and ourselves: who is alone in there is then never killed.
 * UINT64_MAX: no limit. `root` as above.
 */
uint64_t pressure_ram_limit(const char *root);

/* A group's memory.events fired: 1 if a limit was met since the last call, else 0. Rearms the fd. */
int pressure_group_met_limit(struct pressure *p, unsigned int group) MUST_CHECK;

/* changes_fd fired: somebody wrote a limit. Rearms the fd. */
void pressure_limits_changed(struct pressure *p);

#endif
