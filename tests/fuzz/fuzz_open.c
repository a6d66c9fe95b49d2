/* SPDX-License-Identifier: MIT */
/*
 * What `open` reads of the user's and the system's files; the first byte says which. No result leaves
 * its arrays, and none is a path.
 */
#include <stdint.h>
#include <stdlib.h>

#include "launcher/open/entry.h"
#include "launcher/open/globs.h"
#include "launcher/open/mimeapps.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_entry(struct slice text)
{
	static struct entry e;

	if (entry_read(text, "/usr/share/applications/a.desktop", "/home/k/a b.pdf", &e) < 0)
		return;
	if (e.n == 0 || e.n > ENTRY_WORDS_MAX || e.argv[e.n] || e.len > sizeof(e.text))
		abort();
	for (size_t i = 0; i < e.n; i++)
		if (e.argv[i] < e.text || e.argv[i] + strlen(e.argv[i]) >= e.text + e.len)
			abort();
}

static void fuzz_globs(struct slice text)
{
	struct globs_match best = {.weight = 0};
	char parent[MIME_TYPE_MAX];

	globs_find(text, "some.tar.gz", &best);
	if (best.type[0] && !mime_type_is_good((struct slice){best.type, strlen(best.type)}))
		abort();
	if (globs_parent(text, "text/x-csrc", parent) &&
	    !mime_type_is_good((struct slice){parent, strlen(parent)}))
		abort();
}

static void fuzz_mimeapps(struct slice text)
{
	static struct apps not, apps;

	not .n = apps.n = 0;
	mimeapps_read(text, MIMEAPPS_REMOVED, "application/pdf", NULL, &not );
	for (unsigned int part = MIMEAPPS_DEFAULT; part <= MIMEAPPS_CACHE; part++)
		mimeapps_read(text, (enum mimeapps_part)part, "application/pdf", &not, &apps);
	for (size_t i = 0; i < apps.n; i++)
		if (strchr(apps.ids[i], '/') || apps.ids[i][0] == '.')
			abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct slice text = {(const char *)data + 1, size - 1};

	if (size == 0)
		return 0;
	switch (data[0] % 3) {
	case 0:
		fuzz_entry(text);
		break;
	case 1:
		fuzz_globs(text);
		break;
	default:
		fuzz_mimeapps(text);
		break;
	}
	return 0;
}
