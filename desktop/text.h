/* SPDX-License-Identifier: MIT */
/* desktop/text.h - writes lines of ASCII into 32-bit pixels, with a font of its own. */
#ifndef DESKTOP_TEXT_H
#define DESKTOP_TEXT_H

#include <stdint.h>

#include "desktop/canvas.h"

/* One character is 6 x 9 dots with the space around it; a dot is `scale` pixels wide and high. */
enum { TEXT_ADVANCE = 6, TEXT_LINE = 10 };

int text_width(const char *text, int scale);
/*
 * Writes `text` with its upper left corner at x, y; what lies outside of the canvas is cut off.
 * A character that is not printable ASCII is shown as '?'.
 */
void text_draw(const struct canvas *c, int x, int y, const char *text, int scale, uint32_t colour);
/*
 * Writes it centred around x, from y down, in lines of at most `width` pixels that are broken at
 * spaces where there are any; returns the y below the last one.
 */
int text_wrap(const struct canvas *c, int x, int y, int width, const char *text, int scale,
	      uint32_t colour);

#endif
