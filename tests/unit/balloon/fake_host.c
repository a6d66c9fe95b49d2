/* SPDX-License-Identifier: MIT */
#include "tests/unit/balloon/fake_host.h"

#include <criterion/criterion.h>
#include <ftw.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void fake_host_init(struct fake_host *h)
{
	strcpy(h->root, "/tmp/sandcastle-host-XXXXXX");
	cr_assert_not_null(mkdtemp(h->root));
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

void fake_host_fini(struct fake_host *h)
{
	cr_assert_eq(nftw(h->root, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
}

void fake_host_write(const struct fake_host *h, const char *path, const char *text)
{
	char full[256];
	FILE *f;

	snprintf(full, sizeof(full), "%s%s", h->root, path);
	for (char *slash = full + strlen(h->root) + 1; (slash = strchr(slash, '/')); slash++) {
		*slash = '\0';
		(void)mkdir(full, 0755);
		*slash = '/';
	}
	f = fopen(full, "we");
	cr_assert_not_null(f, "%s", full);
	fputs(text, f);
	fclose(f);
}

void fake_host_memory(const struct fake_host *h, uint64_t total_mib, uint64_t available_mib)
{
	char text[256];

	snprintf(text, sizeof(text),
		 "MemTotal:       %8" PRIu64 " kB\nMemFree:         1024 kB\n"
		 "MemAvailable:   %8" PRIu64 " kB\nBuffers:          100 kB\n",
		 total_mib << 10, available_mib << 10);
	fake_host_write(h, "/proc/meminfo", text);
}
