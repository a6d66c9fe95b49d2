/* SPDX-License-Identifier: MIT */
/* launcher/open/keyfile.h - the lines of freedesktop.org's key files, one after the other. */
#ifndef LAUNCHER_OPEN_KEYFILE_H
#define LAUNCHER_OPEN_KEYFILE_H

#include <stdbool.h>

#include "common/text.h"

/*
 * Reads .desktop files, mimeapps.list and mimeinfo.cache. Zeroed but for `rest`, it stands before
 * the first line. Slices lie in the text.
 */
struct keyfile {
	struct slice rest;
	struct slice group; /* without the brackets */
	struct slice key, value; /* without blanks around = */
};

/* The next line that has a key; false at the end. Lines that are none are passed over. */
bool keyfile_next(struct keyfile *k);

/* Cuts the next entry off a list "a;b;c;"; false at its end. Empty ones are passed over. */
bool keyfile_entry(struct slice *list, struct slice *entry);

#endif
