/* SPDX-License-Identifier: MIT */
/* image/declared.h - what packages declare rather than ship: sysusers.d(5), tmpfiles.d(5). */
#ifndef IMAGE_DECLARED_H
#define IMAGE_DECLARED_H

#include "image/packages.h"
#include "vmm/util.h"

/*
 * DOC: what is read
 *
 * /usr/lib/sysusers.d and /usr/lib/tmpfiles.d, and there the files that packages
 * own: what an administrator declares (in /etc) is this host's, not a fresh
 * installation's. Of tmpfiles.d it is what can be there before a machine
 * starts: directories (d D v q Q), files (f F), links (L) and copies of files
 * (C) below /etc and /var. A line that needs what only a running system knows
 * (specifiers other than %%, credentials) is passed over, and so is one that is
 * malformed. Where two lines name one thing the first counts, in the order of
 * the files' names.
 */

enum {
	DECLARED_MAX = 4096, /* of each kind; what is beyond is passed over */
	DECLARED_WORD = 1024, /* bytes of one word */
};

#define DECLARED_NO_ID UINT32_MAX

/* A line "u" or "g". */
struct declared_account {
	char *name;
	uint32_t id; /* DECLARED_NO_ID: any that is free */
	uint32_t gid; /* users: of the group if it is not their own; else DECLARED_NO_ID */
	char *group; /* users: its name instead, or NULL */
	char *home, *shell; /* users; NULL: what is usual */
};

/* A line "m". */
struct declared_member {
	char *user, *group;
};

enum declared_kind { DECLARED_DIR, DECLARED_FILE, DECLARED_LINK, DECLARED_COPY };

struct declared_path {
	char *path; /* absolute, without "." and ".." */
	enum declared_kind kind;
	uint16_t mode; /* permissions */
	char *user, *group; /* names or numbers; NULL: root */
	char *argument; /* a file's bytes, a link's target, what is copied; "" for nothing */
};

struct declared {
	struct declared_account *users, *groups;
	struct declared_member *members;
	struct declared_path *paths; /* after declared_finish(): sorted */
	size_t n_users, n_groups, n_members, n_paths;
};

/* Everything; *d is zeroed before and the caller's to fini. -ENOMEM. */
int declared_read(const struct packages *p, struct declared *d) MUST_CHECK;
void declared_fini(struct declared *d); /* zeroed is fine */

/* The readers alone; they may be called again for more text. -ENOMEM. */
int declared_parse_sysusers(struct declared *d, const char *text, size_t len) MUST_CHECK;
int declared_parse_tmpfiles(struct declared *d, const char *text, size_t len) MUST_CHECK;
/* Sorts the paths, with the directories above each that nothing declares. -ENOMEM. */
int declared_finish(struct declared *d) MUST_CHECK;

/* The line that declares a path, or NULL. */
const struct declared_path *declared_find(const struct declared *d, const char *path);

#endif
