/* SPDX-License-Identifier: MIT */
/* launcher/open/applications.h - the application that the user opens a kind of file with. */
#ifndef LAUNCHER_OPEN_APPLICATIONS_H
#define LAUNCHER_OPEN_APPLICATIONS_H

#include "launcher/open/entry.h"
#include "launcher/open/globs.h"

/*
 * DOC: what is looked at
 *
 * The file's bytes never are, nor is anything beside it: its name gives the type, by the globs of
 * shared-mime-info, as the host's user has them. Which application is the user's choice stands in
 * mimeapps.list, in the order of the MIME Applications specification. What that application runs
 * is read of the system the sandbox is made of, which has the packages' .desktop files and none of
 * the user's own.
 */

/* Where things are; borrowed. The base directories may be lists, separated by colons. */
struct app_places {
	const char *config_home, *config_dirs; /* XDG_CONFIG_HOME, XDG_CONFIG_DIRS */
	const char *data_home, *data_dirs; /* XDG_DATA_HOME, XDG_DATA_DIRS */
	const char *desktops; /* XDG_CURRENT_DESKTOP */
	const char *root; /* the system of the sandbox, "" for this host */
};

/*
 * This process's, for a user with that home directory; *block is what to free. root NULL: this
 * host. -ENOMEM.
 */
int app_places_init(struct app_places *p, const char *home, const char *root,
		    char **block) MUST_CHECK;

/* The type of a file by its name; "" if it is unknown. */
void app_type(const struct app_places *p, const char *name, char type[MIME_TYPE_MAX]);

/*
 * The command of the first application for the type, or for what the type is a kind of, that the
 * sandbox has. `file` is the path of what it opens, in the sandbox. -ENOENT: there is none.
 */
int app_for_type(const struct app_places *p, const char *type, const char *file,
		 struct entry *out) MUST_CHECK;

/*
 * The command of a file manager that shows `folder`, or else of a terminal, which starts where the
 * sandbox does. -ENOENT: there is neither.
 */
int app_for_folder(const struct app_places *p, const char *folder, struct entry *out) MUST_CHECK;

/* The Debian package that opens such files; NULL: not known. */
const char *app_package(const char *type);

#endif
