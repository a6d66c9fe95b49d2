/* SPDX-License-Identifier: MIT */
/* desktop/link.h - the connections to one sandbox: its control socket, and the wire of its display. */
#ifndef DESKTOP_LINK_H
#define DESKTOP_LINK_H

#include <SDL.h>
#include <stdbool.h>

#include "common/window_wire.h"

/*
 * SDL waits for its own events only. A thread waits for the sockets beside it, pushes an SDL event
 * of `event_type` when one has something, and waits for link_resume() before it looks again. All
 * else runs on the main thread. Nothing here waits for the sandbox except link_open().
 */
struct link {
	struct client *client; /* NULL: that end is closed */
	int wire; /* -1: that end is closed */
	uint32_t event_type;
	bool unheard; /* a message from the user found no room: keys may hang */
	SDL_Thread *thread;
	SDL_sem *resume;
	int stop_fd; /* eventfd: ends the thread */
};

/* What link_control() may find. */
enum link_news { LINK_NOTHING, LINK_ENDED };

/*
 * Connects to the running sandbox `name` and asks for its display; `l` is link_close()d by the
 * caller, also on failure. why[] is a line for the user then. event_type is SDL's.
 */
int link_open(struct link *l, const char *name, uint32_t event_type, char *why,
	      size_t why_size) MUST_CHECK;
void link_close(struct link *l);
/* After an event of event_type was handled. */
void link_resume(struct link *l);

/* The next message, as window_wire_receive(). Any failure but -EAGAIN closes the wire. */
int link_receive(struct link *l, union window_message *m, int *fd) MUST_CHECK;
void link_end_wire(struct link *l);
/*
 * Sends what the user did. What finds no room is dropped, and before the next one goes the sandbox
 * hears that nothing is held any more. False: it was dropped.
 */
bool link_send(struct link *l, const union window_message *m);

/*
 * Reads what the control socket says, and waits wait_ms for it; LINK_ENDED: why[] is the reason,
 * empty if there is none to tell.
 */
enum link_news link_control(struct link *l, int wait_ms, char *why, size_t why_size);
/* Asks the sandbox to end and to throw everything away. */
void link_stop(struct link *l);

#endif
