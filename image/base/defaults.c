/* SPDX-License-Identifier: MIT */
#include "image/base/defaults.h"

#include <errno.h>
#include <string.h>

enum { SHADOW_GID = 42 }; /* where there is no group of that name; Debian's */

static int make_text(const char *text, struct buffer *out)
{
	out->len = 0;
	return buffer_add(out, text, strlen(text));
}

static const struct {
	const char *name, *text;
	uint16_t mode;
} texts[] = {
	{"empty", "", 0644},
	{"hostname", "sandcastle\n", 0644},
	{"hosts", "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n", 0644},
	{"networks", "default\t\t0.0.0.0\nloopback\t127.0.0.0\nlink-local\t169.254.0.0\n", 0644},
	{"resolv", "# A sandbox has the resolver that its network gives it.\n", 0644},
	{"fstab", "# A sandbox mounts nothing of its own.\n", 0644},
	{"sudoers", "Defaults\tenv_reset\nroot\tALL=(ALL:ALL) ALL\n", 0440},
};

static const struct {
	const char *name;
	int (*make)(const struct accounts *a, struct buffer *out);
	bool secret;
} account_files[] = {
	{"passwd", accounts_passwd, false},
	{"group", accounts_group, false},
	{"shadow", accounts_shadow, true},
	{"gshadow", accounts_gshadow, true},
};

int default_make(const struct accounts *accounts, const char *name, struct buffer *out,
		 struct default_file *file)
{
	uint32_t shadow = accounts_id(&accounts->groups, "shadow");

	*file = (struct default_file){.mode = 0644};
	for (size_t i = 0; i < ARRAY_SIZE(account_files); i++) {
		if (strcmp(name, account_files[i].name) != 0)
			continue;
		if (account_files[i].secret)
			*file = (struct default_file){
				.mode = 0640,
				.gid = shadow ? shadow : SHADOW_GID,
			};
		out->len = 0;
		return account_files[i].make(accounts, out);
	}
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		if (strcmp(name, texts[i].name) == 0) {
			file->mode = texts[i].mode;
			return make_text(texts[i].text, out);
		}
	}
	return -ENOENT;
}
