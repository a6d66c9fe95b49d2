/* SPDX-License-Identifier: MIT */
/* desktop/cursor.h - gives the host's own pointer the picture that the guest's has. */
#ifndef DESKTOP_CURSOR_H
#define DESKTOP_CURSOR_H

#include <SDL.h>

#include "common/window_wire.h"

/* Zeroed: the host's arrow. */
struct cursor {
	SDL_Cursor *guest; /* NULL: the guest has set none yet */
};

void cursor_set(struct cursor *c, const struct window_cursor *picture);
/* The host's arrow, such as for a question of ours; cursor_set() ends it. */
void cursor_arrow(void);
void cursor_fini(struct cursor *c);

#endif
