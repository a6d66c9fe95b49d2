/* SPDX-License-Identifier: MIT */
/* launcher/open/mimeapps.h - which applications are for a type, the first one first. */
#ifndef LAUNCHER_OPEN_MIMEAPPS_H
#define LAUNCHER_OPEN_MIMEAPPS_H

#include "common/text.h"
#include "common/util.h"

enum { APP_ID_MAX = 128, APPS_MAX = 32 };

/* Desktop ids ("org.gnome.Evince.desktop"), each once. Zeroed is empty. */
struct apps {
	char ids[APPS_MAX][APP_ID_MAX];
	size_t n;
};

enum mimeapps_part {
	MIMEAPPS_DEFAULT, /* the user's word, or the desktop's */
	MIMEAPPS_ADDED,
	MIMEAPPS_REMOVED,
	MIMEAPPS_CACHE, /* mimeinfo.cache: what applications say of themselves */
};

/*
 * Adds what a mimeapps.list or mimeinfo.cache (`text`) has of that part for `type`, in its order.
 * What is no desktop id, is there already or in `not` (NULL: nothing), or beyond APPS_MAX, is left
 * out.
 */
void mimeapps_read(struct slice text, enum mimeapps_part part, const char *type,
		   const struct apps * not, struct apps *out);

#endif
