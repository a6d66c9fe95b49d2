/* SPDX-License-Identifier: MIT */
/* desktop/view.h - keeps what the sandbox said, after checking it: it may be hostile. */
#ifndef DESKTOP_VIEW_H
#define DESKTOP_VIEW_H

#include <stdbool.h>

#include "common/window_wire.h"
#include "desktop/canvas.h"

/* The pictures of one scanout; mapped read-only. */
struct picture {
	const uint8_t *map; /* NULL: the guest shows nothing there */
	size_t map_len;
	int width, height;
	size_t stride;
	bool drawn; /* a frame has come: `buffer` may be shown */
	uint32_t buffer;
};

/* Zeroed is a view to which nothing was said yet. */
struct view {
	bool greeted;
	struct window_hello hello;
	struct window_state state;
	struct picture pictures[WINDOW_SCANOUTS];
	struct window_cursor cursor;
	struct window_cursor_at cursor_at;
	uint32_t lights; /* of the guest's keyboard, as in struct window_leds */
};

/*
 * Takes one message that window_wire_receive() brought, and fd, also on failure. -EPROTO: it may
 * not come now, or what it says of the descriptor is not so; the connection is to be ended.
 */
int view_take(struct view *v, const union window_message *m, int fd) MUST_CHECK;
/* Unmaps everything; v is as zeroed. */
void view_fini(struct view *v);

/* What is to be shown of a picture that is drawn. */
struct source picture_source(const struct picture *p);

#endif
