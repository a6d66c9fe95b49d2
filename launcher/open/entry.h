/* SPDX-License-Identifier: MIT */
/* launcher/open/entry.h - what a .desktop file says is to be run. */
#ifndef LAUNCHER_OPEN_ENTRY_H
#define LAUNCHER_OPEN_ENTRY_H

#include <stdbool.h>

#include "common/text.h"
#include "common/util.h"

enum { ENTRY_WORDS_MAX = 64, ENTRY_TEXT_MAX = 8192 };

/* A command line. */
struct entry {
	char *argv[ENTRY_WORDS_MAX + 1]; /* ends with NULL; strings lie in text */
	size_t n;
	bool terminal; /* it has to be run in one */
	char text[ENTRY_TEXT_MAX];
	size_t len;
};

/*
 * Reads the .desktop file `text` and fills in the file to open, by its path in the sandbox (NULL:
 * none); `desktop` is what %k stands for. Fills *out, which points into itself: do not copy it.
 * -EINVAL: it is no application, hidden, or its Exec is not as the Desktop Entry Specification has
 * it; -E2BIG.
 */
int entry_read(struct slice text, const char *desktop, const char *file,
	       struct entry *out) MUST_CHECK;

#endif
