/* SPDX-License-Identifier: MIT */
#include "image/defaults.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "image/packages.h"

enum {
	SYSTEM_ID_END = 1000, /* people's numbers begin here, on every distribution of note */
	NOBODY = 65534,
	SHADOW_GID = 42, /* where there is no group of that name; Debian's */
	ACCOUNTS_MAX = 1 << 20,
	FIELDS = 7,
};

static const char minimal_passwd[] = "root:x:0:0::/root:/bin/sh\n"
				     "nobody:x:65534:65534::/nonexistent:/bin/false\n";
static const char minimal_group[] = "root:x:0:\ntty:x:5:\nnogroup:x:65534:\n";

/* One line, cut at its colons in place. */
struct account {
	char *field[FIELDS];
	unsigned int n;
	uint32_t id;
};

static bool parse(char *line, unsigned int fields, struct account *out)
{
	char *end;
	unsigned long id;

	out->n = 0;
	for (char *p = line; p && out->n < FIELDS; out->n++)
		out->field[out->n] = strsep(&p, ":");
	if (out->n != fields || !out->field[0][0] || out->field[0][0] == '+')
		return false;
	id = strtoul(out->field[2], &end, 10);
	out->id = (uint32_t)id;
	return *end == '\0' && end != out->field[2] && (id < SYSTEM_ID_END || id == NOBODY);
}

typedef int (*account_fn)(const struct account *a, struct buffer *out);

static int add_format(struct buffer *out, const char *format, const char *a, uint32_t b,
		      const char *c, const char *d, const char *e)
{
	AUTO_FREE char *line = NULL;
	int n = asprintf(&line, format, a, b, c, d, e);

	return n < 0 ? -ENOMEM : buffer_add(out, line, (size_t)n);
}

static int passwd_line(const struct account *a, struct buffer *out)
{
	return add_format(out, "%s:x:%u:%s::%s:%s\n", a->field[0], a->id, a->field[3], a->field[5],
			  a->field[6]);
}

static int shadow_line(const struct account *a, struct buffer *out)
{
	return add_format(out, "%s:*:%u:0:99999:7:::%s%s%s\n", a->field[0], 19000, "", "", "");
}

static int group_line(const struct account *a, struct buffer *out)
{
	return add_format(out, "%s:x:%u:%s%s%s\n", a->field[0], a->id, "", "", "");
}

static int gshadow_line(const struct account *a, struct buffer *out)
{
	return add_format(out, "%s:*::%.0u%s%s%s\n", a->field[0], 0, "", "", "");
}

/* Each system account of a file (or of the minimal text) through fn. */
static int for_accounts(int root, const char *path, const char *minimal, unsigned int fields,
			account_fn fn, struct buffer *out)
{
	struct buffer text = {NULL, 0, 0};
	struct account account;
	int r = packages_slurp(root, path, ACCOUNTS_MAX, &text);

	if (r < 0) {
		text.len = 0;
		r = buffer_add(&text, minimal, strlen(minimal) + 1);
	}
	out->len = 0;
	for (char *rest = text.data, *line; r == 0 && (line = strsep(&rest, "\n"));)
		if (parse(line, fields, &account))
			r = fn(&account, out);
	free(text.data);
	return r;
}

static int make_text(const char *text, struct buffer *out)
{
	out->len = 0;
	return buffer_add(out, text, strlen(text));
}

static int find_gid(const struct account *a, struct buffer *out)
{
	return strcmp(a->field[0], "shadow") == 0 ? buffer_add(out, &a->id, sizeof(a->id)) : 0;
}

static uint32_t shadow_gid(int root)
{
	struct buffer ids = {NULL, 0, 0};
	uint32_t gid = SHADOW_GID;

	if (for_accounts(root, "etc/group", minimal_group, 4, find_gid, &ids) == 0 &&
	    ids.len >= sizeof(gid))
		memcpy(&gid, ids.data, sizeof(gid));
	free(ids.data);
	return gid;
}

static const struct {
	const char *name, *text;
	uint16_t mode;
} texts[] = {
	{"empty", "", 0644},
	{"hostname", "sandcastle\n", 0644},
	{"hosts", "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n", 0644},
	{"resolv", "# A sandbox has the resolver that its network gives it.\n", 0644},
	{"fstab", "# A sandbox mounts nothing of its own.\n", 0644},
	{"sudoers", "Defaults\tenv_reset\nroot\tALL=(ALL:ALL) ALL\n", 0440},
};

int default_make(int root, const char *name, struct buffer *out, struct default_file *file)
{
	*file = (struct default_file){.mode = 0644};
	if (strcmp(name, "passwd") == 0)
		return for_accounts(root, "etc/passwd", minimal_passwd, 7, passwd_line, out);
	if (strcmp(name, "group") == 0)
		return for_accounts(root, "etc/group", minimal_group, 4, group_line, out);
	if (strcmp(name, "shadow") == 0 || strcmp(name, "gshadow") == 0) {
		*file = (struct default_file){.mode = 0640, .gid = shadow_gid(root)};
		if (name[0] == 's')
			return for_accounts(root, "etc/passwd", minimal_passwd, 7, shadow_line,
					    out);
		return for_accounts(root, "etc/group", minimal_group, 4, gshadow_line, out);
	}
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		if (strcmp(name, texts[i].name) == 0) {
			file->mode = texts[i].mode;
			return make_text(texts[i].text, out);
		}
	}
	return -ENOENT;
}
