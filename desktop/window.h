/* SPDX-License-Identifier: MIT */
/* desktop/window.h - one window on the host's screen, which shows one scanout or a card with text. */
#ifndef DESKTOP_WINDOW_H
#define DESKTOP_WINDOW_H

#include <SDL.h>
#include <stdbool.h>

#include "desktop/view.h"

enum { WINDOW_RESIZE_MS = 100 }; /* a size counts when no other came for that long */

/* What stands over the picture, or in its place. */
struct card {
	const char *heading;
	const char *text;
	bool asks; /* with the two buttons of the question before closing */
};

struct window {
	SDL_Window *sdl; /* NULL: not open */
	SDL_Surface *own; /* drawn on in place of the screen; NULL: the screen itself is */
	SDL_Renderer *renderer; /* what brings it there; NULL: SDL's surface of the screen */
	SDL_Texture *texture; /* as large as `own` */
	unsigned int id; /* of its scanout */
	struct box box; /* where the picture is, in pixels of the window */
	struct box damage; /* of the picture, not yet shown */
	bool stale; /* all has to be drawn again */
	bool owed; /* a frame waits for its SHOWN */
	uint32_t owed_seq;
	uint64_t resize_at; /* SDL_GetTicks64() when the size is to be told; 0: not */
	int told_width, told_height; /* what the guest was told last, or showed first */
	uint64_t banner_until; /* SDL_GetTicks64(); the line on how to leave full screen */
	struct box discard, keep; /* the buttons, in pixels */
	struct box pointer; /* where the guest's pointer was drawn */
};

int window_open(struct window *w, unsigned int id, const char *title) MUST_CHECK;
void window_close(struct window *w);

/* In pixels, which on a HiDPI screen are not the units of SDL's events. */
void window_pixels(const struct window *w, int *width, int *height);
/* From units of SDL's mouse events to pixels. */
void window_to_pixels(const struct window *w, int *x, int *y);

/* Makes the window as large as the picture; false: the screen has no room for it. */
bool window_adopt(struct window *w, int width, int height);
/* The size that the guest should have now. */
void window_size(const struct window *w, struct window_size *out);

/*
 * Draws what is stale or damaged; nothing if nothing is. `card` may be NULL where there is a
 * picture. `pointer`: the guest's pointer is part of what is drawn.
 */
void window_draw(struct window *w, const struct view *view, const struct card *card, bool pointer);

#endif
