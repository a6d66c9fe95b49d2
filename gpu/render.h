/* SPDX-License-Identifier: MIT */
/* gpu/render.h - the device's end of the process that renders for it. */
#ifndef GPU_RENDER_H
#define GPU_RENDER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/loop.h"
#include "gpu/render_wire.h"

enum {
	/* Messages that the renderer has not said to be done; the socket has room for them. */
	RENDER_MAX_OUT = 256,
	/* What one command of a guest may need of that, and of the ring. */
	RENDER_COMMAND_MESSAGES = 16,
	RENDER_COMMAND_BYTES = (1 << 20) + (64 << 10),
	/* A renderer that does nothing for so long, or is not done, counts as hung. */
	RENDER_IDLE_S = 10,
	RENDER_BUSY_S = 30,
};

enum render_state {
	RENDER_OFF, /* there is none; `why` says why */
	RENDER_STARTING,
	RENDER_ON,
	RENDER_LOST, /* there was one; `why` */
};

struct render_capset {
	uint32_t version, size;
	uint8_t *data;
};

/* Zeroes with fd -1 are one that is off: render_init(). Under the device's lock, all of it. */
struct render {
	enum render_state state;
	char driver[128]; /* printable; what GL calls it */
	char why[192]; /* not ON: for the user, printable */
	struct loop_source src; /* the socket; fd -1: none */
	pid_t pid; /* 0: none */
	uint8_t *area;
	const uint8_t *ram; /* where the file of guest RAM is mapped here; borrowed */
	struct render_capset capsets[RENDER_CAPSETS];

	uint32_t sent, done; /* messages */
	uint64_t head; /* of the ring: bytes since the beginning */
	uint64_t heads[RENDER_MAX_OUT]; /* where it was after each message */
	uint64_t tail;
	uint32_t fence, fenced; /* the last one asked for, and done */
	bool unfenced; /* something of the guest's was sent since the last fence */
	unsigned int reads; /* pictures that are not there yet */
	uint32_t failed; /* messages that virglrenderer refused */
	bool broken; /* the socket took no message: it is over */

	/* The watchdog's: seconds without a reply, and the renderer's CPU time when they began. */
	unsigned int silent_s;
	uint64_t cpu_ms;
	uint32_t seen_done, seen_fenced;
};

struct render_host {
	const char *program; /* NULL: sandcastle-gpu beside our own program */
	int ram_fd; /* borrowed */
	const uint8_t *ram; /* its mapping, borrowed for the renderer's life */
	uint64_t ram_size;
	bool software; /* also where the host's GL is software */
};

void render_init(struct render *r);
/* Starts the process, which begins to look for a GPU. -errno: r->why says why not. */
int render_start(struct render *r, const struct render_host *host) MUST_CHECK;
/*
 * Waits until it has found one, is sealed and takes messages; for limit_ms at most. Before
 * its socket is watched. -ENODEV: it said that it has none, -EIO: it did not say anything that
 * makes sense; r->why says why, and nothing is left of it.
 */
int render_wait(struct render *r, unsigned int limit_ms) MUST_CHECK;
/* Ends the process; what r->state, driver and why say stays. */
void render_end(struct render *r);
/* The same because of `why`: it is LOST. */
void render_lose(struct render *r, const char *why);
/* What is left of one that has ended. */
void render_fini(struct render *r);

/* True if there is room for all that a command of the guest may send. */
bool render_has_room(const struct render *r);
/* len bytes of the ring for the next message, at *off; only with room, and for one message. */
void *render_reserve(struct render *r, size_t len, uint32_t *off);
/* Without room in the socket, which render_has_room() rules out, the renderer is broken. */
void render_send(struct render *r, const struct render_message *m);
/* A fence behind all that was sent: its number, never 0. */
uint32_t render_fence(struct render *r);
/* True if fence n is done, or nobody is there to do it. */
bool render_passed(const struct render *r, uint32_t n);

/* The next reply, checked and taken into account. -EAGAIN: none; -EPROTO, -EPIPE: it is over. */
int render_receive(struct render *r, struct render_message *out) MUST_CHECK;

/* Once a second while something is expected. False: it hangs. */
bool render_watch(struct render *r);
/* True if a reply is to come whatever the guest does. */
static inline bool render_busy(const struct render *r)
{
	return r->state == RENDER_ON &&
	       (r->fence != r->fenced || r->reads > 0 || !render_has_room(r));
}

/* Where slot i is mapped here. */
static inline uint8_t *render_slot(const struct render *r, unsigned int i)
{
	return r->area + render_slot_off(i);
}

#endif
