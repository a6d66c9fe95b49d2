/* SPDX-License-Identifier: MIT */
#include "desktop/cursor.h"

enum { BITS = 32 };

void cursor_arrow(void)
{
	SDL_SetCursor(SDL_GetDefaultCursor());
	SDL_ShowCursor(SDL_ENABLE);
}

void cursor_set(struct cursor *c, const struct window_cursor *picture)
{
	SDL_Surface *surface;
	SDL_Cursor *made;

	if (picture->kind != WINDOW_POINTER_HOST) {
		SDL_ShowCursor(SDL_DISABLE);
		return;
	}
	/* SDL only reads the pixels, though it does not say so. */
	surface = SDL_CreateRGBSurfaceWithFormatFrom(
		(void *)(uintptr_t)picture->pixels, WINDOW_CURSOR_SIDE, WINDOW_CURSOR_SIDE, BITS,
		WINDOW_CURSOR_SIDE * 4, SDL_PIXELFORMAT_ARGB8888);
	made = surface ? SDL_CreateColorCursor(surface, (int)picture->hot_x, (int)picture->hot_y)
		       : NULL;
	SDL_FreeSurface(surface);
	if (!made)
		return;
	SDL_SetCursor(made);
	SDL_ShowCursor(SDL_ENABLE);
	if (c->guest)
		SDL_FreeCursor(c->guest);
	c->guest = made;
}

void cursor_fini(struct cursor *c)
{
	if (c->guest)
		SDL_FreeCursor(c->guest);
	c->guest = NULL;
}
