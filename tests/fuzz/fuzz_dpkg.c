/* SPDX-License-Identifier: MIT */
/* A package database of hostile text: status, then one text for list, md5sums, diversions, ucf. */
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "image/base/packages.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int root = -1;
static char top[] = "/dev/shm/sandcastle-fuzz-dpkg-XXXXXX";

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static void remove_tree(void)
{
	nftw(top, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void make_tree(void)
{
	if (!mkdtemp(top) || atexit(remove_tree))
		abort();
	root = open(top, O_RDONLY | O_DIRECTORY);
	if (root < 0 || mkdirat(root, "var", 0755) || mkdirat(root, "var/lib", 0755) ||
	    mkdirat(root, "var/lib/dpkg", 0755) || mkdirat(root, "var/lib/dpkg/info", 0755) ||
	    mkdirat(root, "var/lib/ucf", 0755) || mkdirat(root, "usr", 0755) ||
	    symlinkat("usr/lib", root, "lib") || symlinkat("loop", root, "loop"))
		abort();
}

static void put(const char *path, const uint8_t *data, size_t len)
{
	int fd = openat(root, path, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	if (fd < 0 || write(fd, data, len) != (ssize_t)len)
		abort();
	close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char first[] = "Package: a\nStatus: install ok installed\nVersion: 1\n"
				    "Architecture: all\n";
	const uint8_t *cut = size ? memchr(data, 0xff, size) : NULL;
	size_t n = cut ? (size_t)(cut - data) : size;
	struct buffer status = {NULL, 0, 0}, stamp = {NULL, 0, 0};
	struct packages *p = NULL;
	uint8_t md5[PACKAGES_MD5];

	if (root < 0)
		make_tree();
	/* What stands before the first 0xff byte goes into status, behind a package that is sound. */
	if (buffer_add(&status, first, sizeof(first) - 1) < 0 || buffer_add(&status, data, n) < 0)
		abort();
	put("var/lib/dpkg/status", (const uint8_t *)status.data, status.len);
	put("var/lib/dpkg/info/a.list", data + n, size - n);
	put("var/lib/dpkg/info/a.md5sums", data + n, size - n);
	put("var/lib/dpkg/diversions", data + n, size - n);
	put("var/lib/ucf/registry", data + n, size - n);
	put("var/lib/ucf/hashfile", data + n, size - n);
	if (packages_read(root, &p) == 0) {
		(void)!packages_owner(p, "/usr/lib/x");
		(void)!packages_conffile(p, "/etc/x");
		(void)!p->kind->md5(p, 0, "/etc/x", md5);
		for (size_t i = 0; i < p->n_conffiles; i++)
			if (p->conffiles[i].made)
				(void)!p->kind->original(p, p->conffiles[i].package,
							 p->conffiles[i].path, 4096, &stamp);
		stamp.len = 0;
		packages_free(p);
	}
	(void)!package_kind_dpkg.stamp(root, &stamp);
	free(status.data);
	free(stamp.data);
	return 0;
}
