/* SPDX-License-Identifier: MIT */
/*
 * guest-agent/users.h - passwd(5) and group(5), read by ourselves: the C
 * library's getpwnam() loads plug-ins, which a static program cannot.
 */
#ifndef GUEST_AGENT_USERS_H
#define GUEST_AGENT_USERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/util.h"

enum {
	USER_NAME_MAX = 256,
	USER_PATH_MAX = 4096,
	USER_GROUPS_MAX = 1024,
};

struct user {
	char name[USER_NAME_MAX];
	uint32_t uid, gid;
	char home[USER_PATH_MAX];
	char shell[USER_PATH_MAX];
};

/*
 * `text` is a file's content, not terminated. Lines that are malformed, or
 * longer than a struct user holds, are passed over. -ENOENT: no such entry.
 */
int passwd_find_name(const char *text, size_t len, const char *name, struct user *out) MUST_CHECK;
int passwd_find_uid(const char *text, size_t len, uint32_t uid, struct user *out) MUST_CHECK;

bool group_has_gid(const char *text, size_t len, uint32_t gid);
/* `gid` first, then every group that lists `name`, at most max (>= 1). Returns how many. */
size_t group_list(const char *text, size_t len, const char *name, uint32_t gid, uint32_t *out,
		  size_t max);

/* Digits only, and a valid uid (not the -1 that chown and setuid take for "leave it"). */
int uid_parse(const char *s, uint32_t *out) MUST_CHECK;

#endif
