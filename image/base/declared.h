/* SPDX-License-Identifier: MIT */
/* image/base/declared.h - what packages declare rather than ship: sysusers.d(5), tmpfiles.d(5). */
#ifndef IMAGE_BASE_DECLARED_H
#define IMAGE_BASE_DECLARED_H

#include "common/util.h"
#include "image/base/packages.h"

/*
 * DOC: what is read
 *
 * /usr/lib/sysusers.d and /usr/lib/tmpfiles.d, and there the files that packages
 * own: what an administrator declares (in /etc) is this host's, not a fresh
 * installation's. Of tmpfiles.d it is what can be there before a machine
 * starts: directories (d D v q Q), files (f F), links (L) and copies (C) below
 * /etc and /var, and modes and owners of what is there (z Z e). Lines of removing
 * and cleaning (r R x X) are passed over: at boot what is removed is so before
 * anything is made, and a fresh image is not old. So is a line that needs what only a
 * running system knows (%b %H %l %m %v, credentials), what an image has not
 * (attributes, devices), and one that is malformed. Where two lines name one thing the
 * first counts, in the order of the files' names.
 */

enum {
	DECLARED_MAX = 4096, /* of each kind; what is beyond is passed over */
	DECLARED_CHANGE_MAX = 256,
	DECLARED_WORD = 1024, /* bytes of one word */
	DECLARED_OS_FIELDS = 6,
};

#define DECLARED_NO_ID	 UINT32_MAX
#define DECLARED_NO_MODE UINT16_MAX

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
	bool implied; /* by a path below it, which needs the directory; no line names it */
	uint16_t mode; /* permissions; of copies also DECLARED_NO_MODE: as it is */
	char *user, *group; /* names or numbers; NULL: root; of copies: as it is */
	char *argument; /* a file's bytes, a link's target, what is copied; "" for nothing */
};

/* A line "z", "Z" or "e", of what is there. */
struct declared_change {
	char *pattern; /* a path as above with the shell's wildcards */
	bool below; /* and of all that is in it */
	bool only_dirs;
	bool masked; /* the mode gives no kind of permission that nobody had */
	uint16_t mode; /* DECLARED_NO_MODE: it stays */
	char *user, *group; /* NULL: they stay */
};

struct declared {
	char *os[DECLARED_OS_FIELDS]; /* of os-release(5), for specifiers; NULL: not known */
	struct declared_account *users, *groups;
	struct declared_member *members;
	struct declared_path *paths; /* after declared_finish(): sorted */
	struct declared_change *changes; /* in the order they happen */
	size_t n_users, n_groups, n_members, n_paths, n_changes;
};

/* Everything; *d is zeroed before and the caller's to fini. -ENOMEM. */
int declared_read(const struct packages *p, struct declared *d) MUST_CHECK;
void declared_fini(struct declared *d); /* zeroed is fine */

/* os-release(5), which the other two expand specifiers by. Once. -ENOMEM. */
int declared_parse_os(struct declared *d, const char *text, size_t len) MUST_CHECK;
/* The readers alone; they may be called again for more text. -ENOMEM. */
int declared_parse_sysusers(struct declared *d, const char *text, size_t len) MUST_CHECK;
int declared_parse_tmpfiles(struct declared *d, const char *text, size_t len) MUST_CHECK;
/* Sorts the paths, with the directories above each that nothing declares. -ENOMEM. */
int declared_finish(struct declared *d) MUST_CHECK;

/* The line that declares a path, or NULL. */
const struct declared_path *declared_find(const struct declared *d, const char *path);

/* Whether the line changes that path, which is a directory or is not. */
bool declared_concerns(const struct declared_change *c, const char *path, bool dir);
/* The mode, with its type, that it leaves of one. */
uint16_t declared_mode(const struct declared_change *c, uint16_t mode);

#endif
