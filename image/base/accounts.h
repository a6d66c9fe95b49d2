/* SPDX-License-Identifier: MIT */
/* image/base/accounts.h - the system accounts of the image. */
#ifndef IMAGE_BASE_ACCOUNTS_H
#define IMAGE_BASE_ACCOUNTS_H

#include "common/text.h"
#include "common/util.h"
#include "image/base/declared.h"
#include "image/base/packages.h"

/*
 * DOC: which accounts
 *
 * Those of the tree's passwd and group with numbers below 1000, and nobody:
 * files of packages belong to these numbers. Then what base-passwd's masters and
 * packages' sysusers.d have and the tree lacks. Home and shell are the master's,
 * else those of sysusers.d, else the tree's. Groups have the members
 * that sysusers.d declares; nobody has a password or a person's name.
 */

struct account {
	char *name;
	uint32_t id, gid; /* gid: users */
	char *home, *shell; /* users */
	struct buffer members; /* groups: "a,b" without a terminator */
};

struct account_list {
	struct account *list;
	size_t n;
};

struct accounts {
	struct account_list users, groups;
};

/* Reads below p->root. -ENOMEM. *a is zeroed before and the caller's to fini. */
int accounts_read(const struct packages *p, const struct declared *d,
		  struct accounts *a) MUST_CHECK;
void accounts_fini(struct accounts *a); /* zeroed is fine */

/* The number of a name or of digits; root's for NULL and for what is not known. */
uint32_t accounts_id(const struct account_list *list, const char *name);

/* The files' texts, put behind what is in *out. -ENOMEM. */
int accounts_passwd(const struct accounts *a, struct buffer *out) MUST_CHECK;
int accounts_shadow(const struct accounts *a, struct buffer *out) MUST_CHECK;
int accounts_group(const struct accounts *a, struct buffer *out) MUST_CHECK;
int accounts_gshadow(const struct accounts *a, struct buffer *out) MUST_CHECK;

#endif
