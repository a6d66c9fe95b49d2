/* SPDX-License-Identifier: MIT */
#include "tests/unit/image/base/base_tree.h"

#include <criterion/criterion.h>
#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <nettle/md5.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/image/image_files.h"

char *tree;
struct base_image image;

const char *md5_of(const char *text)
{
	static char hex[33];
	uint8_t digest[MD5_DIGEST_SIZE];
	struct md5_ctx ctx;

	md5_init(&ctx);
	md5_update(&ctx, strlen(text), (const uint8_t *)text);
	md5_digest(&ctx, sizeof(digest), digest);
	for (size_t i = 0; i < sizeof(digest); i++)
		snprintf(hex + 2 * i, 3, "%02x", digest[i]);
	return hex;
}

void in_tree(const char *path, char *out)
{
	snprintf(out, 4096, "%s/%s", tree, path);
}

void set_mode(const char *path, mode_t mode)
{
	char full[4096];

	in_tree(path, full);
	cr_assert_eq(chmod(full, mode), 0, "%s", full);
}

void link_to(const char *target, const char *path)
{
	char full[4096];

	in_tree(path, full);
	cr_assert_eq(symlink(target, full), 0, "%s", full);
}

static void write_status(const char *kept_md5, const char *changed_md5)
{
	char status[4096];

	snprintf(
		status, sizeof(status),
		"Package: tool\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1:2-3\n"
		"Conffiles:\n /etc/kept.conf %s\n /etc/changed.conf %s\n"
		" /etc/secret.conf 00000000000000000000000000000000\n"
		" /etc/old.conf 00000000000000000000000000000000 obsolete\n"
		"Description: a tool\n Conffiles: not here\n\n"
		"Package: libs\nStatus: install ok installed\nArchitecture: amd64\n"
		"Multi-Arch: same\nVersion: 5\n\n"
		"Package: gone\nStatus: deinstall ok config-files\nArchitecture: amd64\nVersion: "
		"1\n",
		kept_md5, changed_md5);
	tree_write_text(tree, "var/lib/dpkg/status", status);
}

void make_tree(void)
{
	char kept[33], cache[4096];

	tree = tree_new();
	snprintf(kept, sizeof(kept), "%s", md5_of("as packaged\n"));
	write_status(kept, md5_of("original\n"));
	tree_write_text(
		tree, "var/lib/dpkg/info/tool.list",
		"/.\n/usr\n/usr/bin\n/usr/bin/tool\n/usr/bin/hidden\n/usr/bin/socket\n/etc\n"
		"/etc/kept.conf\n/etc/changed.conf\n/etc/secret.conf\n/etc/old.conf\n"
		"/var/lib\n/var/lib/dpkg\n/etc/fixed\n/etc/ssl\n/etc/ssl/private\n/var\n/var/log\n/"
		"var/log/tool\n"
		"no path\n/\n/usr/share/missing\n");
	tree_write_text(tree, "var/lib/dpkg/info/tool.md5sums", "garbage\n0123\n");
	tree_write_text(tree, "var/lib/dpkg/info/libs:amd64.list",
			"/lib\n/lib/libs.so\n/lib64/ld.so\n");
	tree_write_text(tree, "var/lib/dpkg/info/gone.list", "/usr/bin/stranger\n");
	tree_write_text(tree, "usr/bin/tool", "#!/bin/sh\n");
	set_mode("usr/bin/tool", 04755);
	tree_write_text(tree, "usr/bin/hidden", "not for everyone");
	set_mode("usr/bin/hidden", 0750);
	tree_write_text(tree, "usr/bin/stranger", "nobody's");
	tree_write_text(tree, "usr/lib/libs.so", "library");
	tree_write_text(tree, "usr/lib64/ld.so", "loader");
	link_to("usr/lib", "lib");
	link_to("usr/lib64", "lib64");
	link_to("tool", "usr/bin/alias");
	tree_write_text(tree, "usr/local/bin/mine", "mine");
	tree_write_text(tree, "usr/local/etc/token", "secret");
	tree_write_text(tree, "opt/app/.env", "secret");
	tree_write_text(tree, "opt/app/run", "#!/bin/run\n");
	set_mode("opt/app/run", 0755);
	tree_write_text(tree, "opt/app/notes", "run");
	tree_write_text(tree, "etc/kept.conf", "as packaged\n");
	tree_write_text(tree, "etc/changed.conf", "password=secret\n");
	tree_write_text(tree, "etc/secret.conf", "secret");
	set_mode("etc/secret.conf", 0600);
	tree_write_text(tree, "etc/stranger.conf", "secret");
	tree_write_text(tree, "etc/passwd",
			"root:x:0:0:Jane Root:/root:/bin/bash\n"
			"daemon:x:1:1:d:/:/bin/false\n"
			"jane:x:1000:1000:Jane:/home/jane:/bin/bash\n"
			"broken\n+nis\n");
	tree_write_text(tree, "etc/group", "root:x:0:jane\nshadow:x:77:jane\njane:x:1000:\n");
	tree_write_text(tree, "etc/shadow", "root:secret:1::::::\n");
	tree_write_text(tree, "etc/hosts", "10.1.2.3 secret\n");
	tree_write_text(tree, "etc/machine-id", "secret\n");
	tree_write_text(tree, "etc/ssl/private/a.key", "secret");
	tree_write_text(tree, "var/log/tool/log", "secret");
	tree_write_text(tree, "home/jane/secret", "secret");
	in_tree("cache", cache);
	setenv("XDG_CACHE_HOME", cache, 1);
	setenv("XDG_CONFIG_HOME", cache, 1);
}

void remove_tree(void)
{
	base_image_fini(&image);
	tree_remove(tree);
}

void open_image(enum base_want want)
{
	base_image_fini(&image);
	cr_assert_eq(base_image_open(tree, want, &image), 0);
}

const struct index_entry *find_entry(const char *path)
{
	uint32_t e;

	return index_lookup_path(image.index, path, &e) == 0 ? &image.index->entries[e] : NULL;
}

void expect_bytes(const char *path, const char *bytes)
{
	const struct index_entry *e = find_entry(path);

	cr_assert_not_null(e, "%s", path);
	cr_expect_eq(e->kind, INDEX_PRISTINE, "%s", path);
	cr_expect(e->size == strlen(bytes) &&
			  memcmp(image.index->blob + e->where, bytes, e->size) == 0,
		  "%s is: %.*s", path, (int)e->size, (const char *)image.index->blob + e->where);
}

int left_out(const char *dir, const char *name)
{
	uint32_t d = 0;

	cr_assert_eq(index_lookup_path(image.index, dir, &d), 0);
	for (uint32_t i = index_first(&image.index->entries[d]);
	     i < index_first(&image.index->entries[d]) + index_count(&image.index->entries[d]);
	     i++) {
		const struct index_entry *e = &image.index->entries[i];

		if (e->name_len == strlen(name) &&
		    memcmp(image.index->strings + e->name, name, e->name_len) == 0)
			return e->kind == INDEX_LEFT_OUT ? e->how : -1;
	}
	return -2;
}

void write_deb(const char *name, const char *path, const char *text)
{
	static char tar[65536], deb[131072];
	size_t tar_len = 0, deb_len = 0;
	struct archive *a = archive_write_new();
	struct archive_entry *e = archive_entry_new();

	archive_write_set_format_ustar(a);
	archive_write_add_filter_xz(a);
	archive_write_set_bytes_per_block(a, 0);
	archive_write_open_memory(a, tar, sizeof(tar), &tar_len);
	archive_entry_set_pathname(e, path);
	archive_entry_set_filetype(e, AE_IFREG);
	archive_entry_set_perm(e, 0644);
	archive_entry_set_size(e, (la_int64_t)strlen(text));
	archive_write_header(a, e);
	archive_write_data(a, text, strlen(text));
	archive_write_free(a);
	archive_entry_clear(e);
	a = archive_write_new();
	archive_write_set_format_ar_svr4(a);
	archive_write_set_bytes_per_block(a, 0);
	archive_write_open_memory(a, deb, sizeof(deb), &deb_len);
	archive_entry_set_pathname(e, "data.tar.xz");
	archive_entry_set_filetype(e, AE_IFREG);
	archive_entry_set_size(e, (la_int64_t)tar_len);
	archive_write_header(a, e);
	archive_write_data(a, tar, tar_len);
	archive_write_free(a);
	archive_entry_free(e);
	tree_write(tree, name, deb, deb_len);
}

void touch_file(const char *name, time_t when)
{
	const struct timespec times[2] = {{.tv_sec = when}, {.tv_sec = when}};
	char path[4096];

	in_tree(name, path);
	cr_assert_eq(utimensat(AT_FDCWD, path, times, 0), 0);
}

void own_files(const char *list, const char *sums)
{
	FILE *f;
	char path[4096];

	in_tree("var/lib/dpkg/status", path);
	f = fopen(path, "ae");
	cr_assert_not_null(f);
	fputs("\nPackage: extra\nStatus: install ok installed\nArchitecture: all\nVersion: 1\n", f);
	fclose(f);
	tree_write_text(tree, "var/lib/dpkg/info/extra.list", list);
	tree_write_text(tree, "var/lib/dpkg/info/extra.md5sums", sums);
}

void touch_database(time_t when)
{
	touch_file("var/lib/dpkg/status", when);
}

void expect_no_mark(void)
{
	cr_expect(!memmem(image.index->blob, image.index->head->blob_len, "SECRET-MARK", 11));
	for (uint32_t i = 0; i < image.index->n; i++) {
		char path[4096], text[64] = "";
		uint32_t top;
		int fd;

		if (image.index->entries[i].kind != INDEX_SHARED)
			continue;
		cr_assert_eq(index_path(image.index, i, path, sizeof(path), &top), 0);
		fd = openat(image.root, path, O_RDONLY | O_NOFOLLOW);
		cr_assert_geq(fd, 0, "%s", path);
		cr_assert_geq(read(fd, text, sizeof(text) - 1), 0);
		close(fd);
		cr_expect_null(strstr(text, "SECRET-MARK"), "/%s is in the image", path);
	}
}

bool may_mount(void)
{
	return unshare(CLONE_NEWNS) == 0 && mount("", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
}
