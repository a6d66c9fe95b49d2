/* SPDX-License-Identifier: MIT */
#include "launcher/open/mimeapps.h"

#include <ctype.h>

#include "launcher/open/keyfile.h"

/* It becomes part of a path. */
static bool id_is_good(struct slice id)
{
	static const char suffix[] = ".desktop";
	const size_t tail = sizeof(suffix) - 1;

	if (id.len <= tail || id.len >= APP_ID_MAX || *id.p == '.' ||
	    memcmp(id.p + id.len - tail, suffix, tail) != 0)
		return false;
	for (size_t i = 0; i < id.len; i++)
		if (!isalnum((unsigned char)id.p[i]) && !memchr("._-+", id.p[i], 4))
			return false;
	return true;
}

static bool has(const struct apps *apps, struct slice id)
{
	for (size_t i = 0; i < apps->n; i++)
		if (slice_is(id, apps->ids[i]))
			return true;
	return false;
}

static void add_all(struct slice list, const struct apps * not, struct apps *out)
{
	struct slice id;

	while (out->n < APPS_MAX && keyfile_entry(&list, &id)) {
		if (!id_is_good(id) || has(out, id) || (not &&has(not, id)))
			continue;
		memcpy(out->ids[out->n], id.p, id.len);
		out->ids[out->n++][id.len] = '\0';
	}
}

void mimeapps_read(struct slice text, enum mimeapps_part part, const char *type,
		   const struct apps * not, struct apps *out)
{
	static const char *const groups[] = {
		[MIMEAPPS_DEFAULT] = "Default Applications",
		[MIMEAPPS_ADDED] = "Added Associations",
		[MIMEAPPS_REMOVED] = "Removed Associations",
		[MIMEAPPS_CACHE] = "MIME Cache",
	};
	struct keyfile k = {.rest = text};

	while (keyfile_next(&k))
		if (slice_is(k.group, groups[part]) && slice_is(k.key, type))
			add_all(k.value, not, out);
}
