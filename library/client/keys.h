/* SPDX-License-Identifier: MIT */
/* library/client/keys.h - composes the events of an "input" request (docs/control.md). */
#ifndef LIBRARY_CLIENT_KEYS_H
#define LIBRARY_CLIENT_KEYS_H

#include <jansson.h>

#include "common/util.h"

/*
 * DOC: by which layout
 *
 * A keyboard sends which key was pressed, not what is printed on it; the guest's layout makes
 * characters of that. What types text has to know that layout, and this one takes it to be the
 * US one, which a guest has that nobody set up. Characters without a key of their own there are
 * refused, not guessed.
 *
 * The functions add to `events`, a JSON array, and leave it as it was when they fail. -ENOMEM;
 * -EINVAL: see each.
 */

enum {
	KEYS_CHAR_EVENTS = 4, /* of a character, at most */
	KEYS_CHORD_EVENTS = 16, /* of a chord, at most */
	KEYS_CLICK_EVENTS = 3,
};

/*
 * Presses what `chord` names, "ctrl+alt+t", in that order, and lets go in the opposite one. A name
 * is a character that needs no Shift, or a word ("enter", "f5"); capitals count as small ones.
 * -EINVAL: *bad, of *bad_len bytes within chord, is no key, or there are more than eight.
 */
int keys_add_chord(json_t *events, const char *chord, const char **bad, size_t *bad_len) MUST_CHECK;

/* Types one character of ASCII; '\n' is Enter, '\t' Tab. -EINVAL: the US layout has no key for it. */
int keys_add_char(json_t *events, char c) MUST_CHECK;

/*
 * Points at pixel x, y of monitor `monitor`, from 1 on, and clicks button "left", "middle" or
 * "right" there. -EINVAL: there is no such button.
 */
int keys_add_click(json_t *events, unsigned int monitor, unsigned int x, unsigned int y,
		   const char *button) MUST_CHECK;

/* Turns the wheel by notches; up is positive. */
int keys_add_wheel(json_t *events, int notches) MUST_CHECK;

/*
 * A request with the events from *at on, as many as one may hold and cut where no key is down, for
 * the sandbox lets go of all keys behind each. Moves *at behind them. NULL: out of memory.
 */
json_t *keys_request(const json_t *events, size_t *at) MUST_CHECK;

#endif
