/* SPDX-License-Identifier: MIT */
#include "guest-agent/users.h"

#include <errno.h>
#include <string.h>

#include "common/text.h"

/* Cuts what comes before `sep` off the front of s; false once s is used up. */
static bool cut(struct slice *s, char sep, struct slice *out)
{
	const char *end;

	if (!s->p)
		return false;
	end = s->len ? memchr(s->p, sep, s->len) : NULL;
	*out = (struct slice){.p = s->p, .len = end ? (size_t)(end - s->p) : s->len};
	if (end)
		*s = (struct slice){.p = end + 1, .len = s->len - out->len - 1};
	else
		*s = (struct slice){.p = NULL};
	return true;
}

/* Exactly n fields separated by colons. */
static bool cut_fields(struct slice line, struct slice *out, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (!cut(&line, ':', &out[i]))
			return false;
	return !line.p;
}

static bool slice_copy(struct slice s, char *out, size_t size)
{
	if (s.len >= size || memchr(s.p, '\0', s.len))
		return false;
	memcpy(out, s.p, s.len);
	out[s.len] = '\0';
	return true;
}

static bool slice_id(struct slice s, uint32_t *out)
{
	uint64_t v = 0;

	if (s.len == 0 || s.len > 10)
		return false;
	for (size_t i = 0; i < s.len; i++) {
		if (s.p[i] < '0' || s.p[i] > '9')
			return false;
		v = v * 10 + (uint64_t)(s.p[i] - '0');
	}
	if (v >= UINT32_MAX)
		return false;
	*out = (uint32_t)v;
	return true;
}

enum { PW_NAME, PW_PASSWORD, PW_UID, PW_GID, PW_GECOS, PW_HOME, PW_SHELL, PW_FIELDS };

static bool parse_passwd_line(struct slice line, struct user *out)
{
	struct slice f[PW_FIELDS];

	return cut_fields(line, f, PW_FIELDS) && f[PW_NAME].len > 0 &&
	       slice_copy(f[PW_NAME], out->name, sizeof(out->name)) &&
	       slice_id(f[PW_UID], &out->uid) && slice_id(f[PW_GID], &out->gid) &&
	       slice_copy(f[PW_HOME], out->home, sizeof(out->home)) &&
	       slice_copy(f[PW_SHELL], out->shell, sizeof(out->shell));
}

int passwd_find_name(const char *text, size_t len, const char *name, struct user *out)
{
	struct slice rest = {.p = text, .len = len}, line;
	struct user u;

	while (cut(&rest, '\n', &line))
		if (parse_passwd_line(line, &u) && strcmp(u.name, name) == 0) {
			*out = u;
			return 0;
		}
	return -ENOENT;
}

int passwd_find_uid(const char *text, size_t len, uint32_t uid, struct user *out)
{
	struct slice rest = {.p = text, .len = len}, line;
	struct user u;

	while (cut(&rest, '\n', &line))
		if (parse_passwd_line(line, &u) && u.uid == uid) {
			*out = u;
			return 0;
		}
	return -ENOENT;
}

enum { GR_NAME, GR_PASSWORD, GR_GID, GR_MEMBERS, GR_FIELDS };

static bool parse_group_line(struct slice line, uint32_t *gid, struct slice *members)
{
	struct slice f[GR_FIELDS];

	if (!cut_fields(line, f, GR_FIELDS) || !slice_id(f[GR_GID], gid))
		return false;
	*members = f[GR_MEMBERS];
	return true;
}

bool group_has_gid(const char *text, size_t len, uint32_t gid)
{
	struct slice rest = {.p = text, .len = len}, line, members;
	uint32_t g;

	while (cut(&rest, '\n', &line))
		if (parse_group_line(line, &g, &members) && g == gid)
			return true;
	return false;
}

static bool lists(struct slice members, const char *name)
{
	struct slice m;

	while (cut(&members, ',', &m))
		if (slice_is(m, name))
			return true;
	return false;
}

size_t group_list(const char *text, size_t len, const char *name, uint32_t gid, uint32_t *out,
		  size_t max)
{
	struct slice rest = {.p = text, .len = len}, line, members;
	size_t n = 0;
	uint32_t g;

	out[n++] = gid;
	while (n < max && cut(&rest, '\n', &line))
		if (parse_group_line(line, &g, &members) && g != gid && lists(members, name))
			out[n++] = g;
	return n;
}

int uid_parse(const char *s, uint32_t *out)
{
	return slice_id((struct slice){.p = s, .len = strlen(s)}, out) ? 0 : -EINVAL;
}
