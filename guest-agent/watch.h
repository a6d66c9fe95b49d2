/* SPDX-License-Identifier: MIT */
/* guest-agent/watch.h - the descriptors the agent waits for. One thread. */
#ifndef GUEST_AGENT_WATCH_H
#define GUEST_AGENT_WATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "common/util.h"

struct watch;
typedef void (*watch_fn)(struct watch *w, uint32_t events);

/*
 * Embed one per fd and get back to the owner with CONTAINER_OF(). The fd and
 * the memory stay the owner's. One event is fetched at a time, so a callback
 * may free any watch, its own too: no later event of a batch can name it.
 */
struct watch {
	int epfd;
	int fd;
	watch_fn fn;
	bool on;
	uint32_t events;
};

void watch_init(struct watch *w, int epfd, int fd, watch_fn fn);
/* Waits for `events`; 0 for errors and hang-ups only, which epoll always reports. */
int watch_set(struct watch *w, uint32_t events) MUST_CHECK;
/* Waits for nothing. Before its fd is closed; fine while off or zeroed. */
void watch_off(struct watch *w);

/*
 * Waits for one event, at most timeout_ms (-1: for ever), and calls its watch; 0, 1 when
 * the time was up, or -errno if epoll itself failed.
 */
int watch_run_one(int epfd, int timeout_ms) MUST_CHECK;

#endif
