/* SPDX-License-Identifier: MIT */
/* A small system with a dpkg database, and the image that is made of it. */
#include <criterion/criterion.h>
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <nettle/md5.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"
#include "image/base/base.h"
#include "image/base/packages.h"
#include "tests/unit/image/image_files.h"

static char *tree;
static struct base_image image;

static const char *md5_of(const char *text)
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

static void in_tree(const char *path, char *out)
{
	snprintf(out, 4096, "%s/%s", tree, path);
}

static void set_mode(const char *path, mode_t mode)
{
	char full[4096];

	in_tree(path, full);
	cr_assert_eq(chmod(full, mode), 0, "%s", full);
}

static void link_to(const char *target, const char *path)
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

static void make_tree(void)
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

static void remove_tree(void)
{
	base_image_fini(&image);
	tree_remove(tree);
}

TestSuite(base, .init = make_tree, .fini = remove_tree);

static void open_image(enum base_want want)
{
	base_image_fini(&image);
	cr_assert_eq(base_image_open(tree, want, &image), 0);
}

static const struct index_entry *find(const char *path)
{
	uint32_t e;

	return index_lookup_path(image.index, path, &e) == 0 ? &image.index->entries[e] : NULL;
}

static void expect_bytes(const char *path, const char *bytes)
{
	const struct index_entry *e = find(path);

	cr_assert_not_null(e, "%s", path);
	cr_expect_eq(e->kind, INDEX_PRISTINE, "%s", path);
	cr_expect(e->size == strlen(bytes) &&
			  memcmp(image.index->blob + e->where, bytes, e->size) == 0,
		  "%s is: %.*s", path, (int)e->size, (const char *)image.index->blob + e->where);
}

/* How an entry that no name finds is noted. */
static int left_out(const char *dir, const char *name)
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

Test(base, what_is_shared_and_what_is_not)
{
	open_image(BASE_CURRENT);
	cr_assert_eq(index_check_names(image.index), 0);
	cr_assert(image.current);
	cr_assert_not_null(find("usr/bin/tool"));
	cr_expect_eq(find("usr/bin/tool")->kind, INDEX_SHARED);
	cr_expect_eq(find("usr/bin/tool")->mode, S_IFREG | 04755);
	cr_expect_eq(find("usr/bin/alias")->kind, INDEX_LINK);
	cr_expect_eq(find("lib")->kind, INDEX_LINK);
	cr_expect_eq(find("usr/lib/libs.so")->kind, INDEX_SHARED);
	cr_expect_not_null(find("usr/lib64/ld.so"), "listed by another name of its directory");
	cr_expect_not_null(find("usr/local/bin/mine"));
	cr_expect_not_null(find("opt/app/run"));
	cr_expect_eq(left_out("opt/app", "notes"), INDEX_LEFT_UNOWNED);
	cr_expect_eq(left_out("usr/bin", "hidden"), INDEX_LEFT_UNREADABLE);
	cr_expect_eq(left_out("usr/bin", "stranger"), INDEX_LEFT_UNOWNED);
	cr_expect_eq(left_out("usr/local", "etc"), INDEX_LEFT_DENIED);
	cr_expect_eq(left_out("opt/app", ".env"), INDEX_LEFT_DENIED);
	cr_expect_eq(left_out("", "home"), INDEX_LEFT_DENIED);
	cr_expect_eq(left_out("etc/ssl", "private"), INDEX_LEFT_DENIED);
	cr_expect_eq(left_out("etc", "stranger.conf"), INDEX_LEFT_UNOWNED);
	cr_expect_eq(left_out("etc", "changed.conf"), INDEX_LEFT_CHANGED);
	cr_expect_eq(left_out("etc", "secret.conf"), INDEX_LEFT_UNREADABLE);
	cr_expect_not_null(find("var/log"));
	cr_expect_null(find("var/log/tool"));
}

Test(base, pristine_files)
{
	open_image(BASE_CURRENT);
	expect_bytes("etc/kept.conf", "as packaged\n");
	expect_bytes("etc/passwd", "root:x:0:0::/root:/bin/bash\ndaemon:x:1:1::/:/bin/false\n");
	expect_bytes("etc/group", "root:x:0:\nshadow:x:77:\n");
	expect_bytes("etc/shadow", "root:*:19000:0:99999:7:::\ndaemon:*:19000:0:99999:7:::\n");
	expect_bytes("etc/gshadow", "root:*::\nshadow:*::\n");
	cr_expect_eq(find("etc/shadow")->mode, S_IFREG | 0640);
	cr_expect_eq(find("etc/shadow")->gid, 77);
	expect_bytes("etc/machine-id", "");
	expect_bytes("etc/hosts",
		     "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n");
	cr_expect_not_null(find("var/lib/dpkg/status"));
	for (size_t i = 0; i + 6 <= image.index->head->blob_len; i++)
		cr_assert(memcmp(image.index->blob + i, "secret", 6) != 0 ||
				  memcmp(image.index->blob + i, "secret.conf", 11) == 0,
			  "a secret is in the image");
}

/* A Debian package with one file, as apt keeps it. */
static void write_deb(const char *name, const char *path, const char *text)
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

Test(base, a_changed_file_is_replaced_by_the_packages)
{
	write_deb("var/cache/apt/archives/tool_1%3a2-3_amd64.deb", "./etc/changed.conf",
		  "original\n");
	open_image(BASE_CURRENT);
	expect_bytes("etc/changed.conf", "original\n");
	cr_expect_eq(find("etc/changed.conf")->how, INDEX_FROM_PACKAGE);
}

Test(base, a_package_that_is_none_does_no_harm)
{
	tree_write_text(tree, "var/cache/apt/archives/tool_1%3a2-3_amd64.deb", "!<arch>\ngarbage");
	open_image(BASE_CURRENT);
	cr_expect_eq(left_out("etc", "changed.conf"), INDEX_LEFT_CHANGED);
}

Test(base, rules_of_the_users_own)
{
	tree_write_text(tree, "cache/sandcastle/image.rules", "deny /opt/** # mine\n");
	open_image(BASE_CURRENT);
	cr_expect_eq(left_out("", "opt"), INDEX_LEFT_DENIED);
	tree_write_text(tree, "cache/sandcastle/image.rules", "nonsense\n");
	base_image_fini(&image);
	cr_expect_eq(base_image_open(tree, BASE_CURRENT, &image), -EINVAL);
}

static void touch(const char *name, time_t when)
{
	const struct timespec times[2] = {{.tv_sec = when}, {.tv_sec = when}};
	char path[4096];

	in_tree(name, path);
	cr_assert_eq(utimensat(AT_FDCWD, path, times, 0), 0);
}

/* A further package, that owns these paths and has these checksums. */
static void own(const char *list, const char *sums)
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

/* Makes the database look written to at another time. */
static void touch_database(time_t when)
{
	touch("var/lib/dpkg/status", when);
}

Test(base, it_is_kept_until_the_packages_change)
{
	ino_t first;
	struct stat st;

	open_image(BASE_CURRENT);
	cr_assert_eq(stat(image.path, &st), 0);
	first = st.st_ino;
	open_image(BASE_CURRENT);
	cr_assert_eq(stat(image.path, &st), 0);
	cr_expect_eq(st.st_ino, first, "made again");

	tree_write_text(tree, "usr/bin/new", "new");
	tree_write_text(tree, "var/lib/dpkg/info/libs:amd64.list",
			"/lib\n/lib/libs.so\n/lib64/ld.so\n/usr/bin/new\n");
	touch_database(1000);
	open_image(BASE_EXISTING);
	cr_expect_not(image.current);
	open_image(BASE_CURRENT);
	cr_expect(image.current);
	cr_expect_not_null(find("usr/bin/new"));
	cr_expect_not_null(find("usr/lib/libs.so"));
	cr_expect_not_null(find("opt/app/run"));
	cr_expect_eq(left_out("opt/app", ".env"), INDEX_LEFT_DENIED);
	expect_bytes("etc/kept.conf", "as packaged\n");
}

static bool same_entry(const struct index *x, const struct index *y, uint32_t i)
{
	const struct index_entry *a = &x->entries[i], *b = &y->entries[i];
	/* What is made for the image is as old as the image. */
	bool as_found = a->how != INDEX_MADE && a->kind != INDEX_PRISTINE;

	if (a->name_len != b->name_len ||
	    memcmp(x->strings + a->name, y->strings + b->name, a->name_len) != 0 ||
	    a->kind != b->kind || a->how != b->how || a->mode != b->mode || a->uid != b->uid ||
	    a->gid != b->gid || a->parent != b->parent || (as_found && a->mtime != b->mtime))
		return false;
	switch (a->kind) {
	case INDEX_LINK:
		return index_count(a) == index_count(b) &&
		       memcmp(x->strings + index_first(a), y->strings + index_first(b),
			      index_count(a)) == 0;
	case INDEX_PRISTINE:
		return a->size == b->size &&
		       memcmp(x->blob + a->where, y->blob + b->where, a->size) == 0;
	default:
		return a->size == b->size && a->where == b->where;
	}
}

/* Brought up to date, it is what is made anew. */
static void expect_as_made_anew(void)
{
	struct base_image updated;

	open_image(BASE_CURRENT);
	updated = image;
	image = (struct base_image){.root = -1};
	open_image(BASE_ANEW);
	cr_assert_eq(updated.index->n, image.index->n);
	for (uint32_t i = 0; i < image.index->n; i++) {
		char path[4096] = "";
		uint32_t top;

		cr_assert_eq(index_path(image.index, i, path, sizeof(path), &top), 0);
		cr_expect(same_entry(updated.index, image.index, i), "/%s", path);
	}
	base_image_fini(&updated);
}

Test(base, brought_up_to_date_it_is_as_made_anew)
{
	static const char *const dirs[] = {
		"usr",		 "usr/bin",	   "usr/share",	    "usr/share/kept",
		"usr/share/old", "usr/share/here", "usr/share/was",
	};
	char path[4096];

	tree_write_text(tree, "var/lib/dpkg/info/libs:amd64.list",
			"/lib\n/lib/libs.so\n/lib64/ld.so\n/usr/share/kept/below/file\n"
			"/usr/share/old/file\n/usr/share/was/file\n");
	tree_write_text(tree, "usr/share/kept/below/file", "");
	tree_write_text(tree, "usr/share/old/file", "");
	tree_write_text(tree, "usr/share/old/mine", "");
	tree_write_text(tree, "usr/share/was/file", "");
	tree_write_text(tree, "usr/share/here/file", "");
	tree_write_text(tree, "usr/share/here/below/file", "");
	link_to("kept", "usr/share/alias");
	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++)
		touch(dirs[i], 500);
	expect_as_made_anew();
	cr_expect_not_null(find("usr/share/old/file"));
	cr_expect_eq(left_out("usr/share", "here"), INDEX_LEFT_UNOWNED);

	/* A package gets a directory that was there, and loses one where something stays. */
	tree_write_text(tree, "var/lib/dpkg/info/libs:amd64.list",
			"/lib\n/lib/libs.so\n/lib64/ld.so\n/usr/share/kept/below/file\n"
			"/usr/share/kept/below/more/file\n/usr/share/here/file\n"
			"/usr/share/here/below\n/usr/share/alias\n/usr/share/was/file\n");
	tree_write_text(tree, "usr/share/kept/below/more/file", "");
	tree_write_text(tree, "etc/kept.conf", "changed\n");
	in_tree("usr/share/old/file", path);
	cr_assert_eq(unlink(path), 0);
	/* A directory that became a link, though the one above does not show it. */
	in_tree("usr/share/was/file", path);
	cr_assert_eq(unlink(path), 0);
	in_tree("usr/share/was", path);
	cr_assert_eq(rmdir(path), 0);
	link_to("kept", "usr/share/was");
	touch("usr/share", 500);
	touch_database(1000);
	expect_as_made_anew();
	cr_expect_not_null(find("usr/share/here/file"));
	cr_expect_not_null(find("usr/share/kept/below/more/file"));
	cr_expect_eq(find("usr/share/alias")->kind, INDEX_LINK);
	cr_expect_eq(left_out("usr/share", "old"), INDEX_LEFT_UNOWNED);
	cr_expect_eq(left_out("etc", "kept.conf"), INDEX_LEFT_CHANGED);
}

/* Makes it in a process of its own, which says on `fd` if it did the work. */
static void make_one(int fd)
{
	const pid_t pid = fork();

	if (pid != 0)
		return;
	(void)dup2(fd, STDERR_FILENO);
	log_set_level(LOG_LEVEL_INFO);
	open_image(BASE_CURRENT);
	_exit(image.current ? 0 : 1);
}

Test(base, eight_at_once_on_a_cold_cache_do_the_work_once)
{
	char said[4096];
	unsigned int made = 0;
	int ends[2];
	ssize_t n;

	cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
	for (int i = 0; i < 8; i++)
		make_one(ends[1]);
	for (int i = 0; i < 8; i++) {
		int status = -1;

		wait(&status);
		cr_assert_eq(status, 0);
	}
	close(ends[1]);
	n = read(ends[0], said, sizeof(said) - 1);
	cr_assert_gt(n, 0);
	said[n] = '\0';
	for (const char *at = said; (at = strstr(at, "making the index")); at++)
		made++;
	cr_assert_eq(made, 1, "%s", said);
	close(ends[0]);
}

Test(base, a_damaged_one_is_made_again)
{
	struct stat st;
	char *path;
	int fd;

	open_image(BASE_CURRENT);
	path = strdup(image.path);
	cr_assert_eq(stat(path, &st), 0);
	base_image_fini(&image);
	cr_assert_eq(truncate(path, st.st_size / 2), 0);
	cr_expect_eq(base_image_open(tree, BASE_EXISTING, &image), -ENOENT);
	open_image(BASE_CURRENT);
	cr_expect_not_null(find("usr/bin/tool"));
	base_image_fini(&image);
	fd = open(path, O_WRONLY);
	cr_assert_eq(pwrite(fd, "x", 1, st.st_size / 2), 1);
	close(fd);
	open_image(BASE_CURRENT);
	cr_expect_not_null(find("usr/bin/tool"));
	free(path);
}

/* Opens it until there is a note that it was checked; of a young file there is none. */
static void open_until_noted(const char *note)
{
	const struct timespec a_moment = {.tv_nsec = 50000000};
	char text[128];

	while (readlink(note, text, sizeof(text)) < 0) {
		nanosleep(&a_moment, NULL);
		open_image(BASE_CURRENT);
		base_image_fini(&image);
	}
}

Test(base, a_sound_index_is_noted_and_a_change_is_seen, .timeout = 60)
{
	char note[512], text[128];
	struct stat st;
	char *path;
	int fd;

	open_image(BASE_CURRENT);
	path = strdup(image.path);
	base_image_fini(&image);
	snprintf(note, sizeof(note), "%s.sound", path);
	open_until_noted(note);
	open_image(BASE_CURRENT);
	cr_expect_not_null(find("usr/bin/tool"));
	base_image_fini(&image);
	unlink(note);
	open_image(BASE_EXISTING);
	base_image_fini(&image);
	cr_expect_lt(readlink(note, text, sizeof(text)), 0, "asked not to write");
	open_until_noted(note);

	cr_assert_eq(stat(path, &st), 0);
	fd = open(path, O_WRONLY);
	cr_assert_eq(pwrite(fd, "x", 1, st.st_size / 2), 1);
	cr_assert_eq(futimens(fd, (struct timespec[]){st.st_atim, st.st_mtim}), 0);
	close(fd);
	cr_expect_eq(base_image_open(tree, BASE_EXISTING, &image), -ENOENT);
	open_image(BASE_CURRENT);
	cr_expect_not_null(find("usr/bin/tool"));
	cr_expect_eq(base_image_clean(tree), 0);
	cr_expect_lt(readlink(note, text, sizeof(text)), 0);
	free(path);
}

Test(base, without_a_place_to_keep_it)
{
	setenv("XDG_CACHE_HOME", "/proc/nonexistent", 1);
	open_image(BASE_CURRENT);
	cr_expect_null(image.path);
	cr_expect_not_null(find("usr/bin/tool"));
}

Test(base, clean_and_a_tree_without_packages)
{
	open_image(BASE_CURRENT);
	cr_expect_eq(base_image_clean(tree), 0);
	cr_expect_eq(base_image_clean(tree), -ENOENT);
	base_image_fini(&image);
	tree_write_text(tree, "var/lib/dpkg/status", "garbage\n\n\n");
	cr_expect_eq(base_image_open(tree, BASE_CURRENT, &image), -EBADMSG);
}

Test(base, what_is_special_is_left_out)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	char path[4096];
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	in_tree("usr/bin/socket", path);
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%.100s", path);
	cr_assert_eq(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	close(fd);
	open_image(BASE_CURRENT);
	cr_expect_eq(left_out("usr/bin", "socket"), INDEX_LEFT_SPECIAL);
}

static void declare(void)
{
	tree_write_text(tree, "var/lib/dpkg/info/libs:amd64.list",
			"/lib\n/lib/libs.so\n/lib64/ld.so\n/usr/lib/sysusers.d/libs.conf\n"
			"/usr/lib/tmpfiles.d/libs.conf\n/usr/share/base-passwd/passwd.master\n"
			"/usr/share/base-passwd/group.master\n/usr/share/libs/copied\n");
	tree_write_text(tree, "usr/share/base-passwd/passwd.master",
			"root:*:0:0:root:/root:/bin/bash\nsync:*:4:65534:s:/bin:/bin/sync\n"
			"taken:*:77:1:s:/bin:/bin/sync\ndaemon:*:1:1:d:/usr/sbin:/bin/no\n");
	tree_write_text(tree, "usr/share/base-passwd/group.master", "root:*:0:\ntape:*:26:\n");
	tree_write_text(tree, "usr/lib/sysusers.d/libs.conf",
			"u libsd - \"The libs\" /var/lib/libs\nu fixed 77:tape\ng disk 6\n"
			"m libsd disk\nu other 4:77 - /nowhere /bin/other\n");
	tree_write_text(tree, "usr/lib/sysusers.d/mine.conf", "u stranger 5\n");
	tree_write_text(tree, "usr/share/libs/copied", "copied");
	tree_write_text(tree, "usr/share/libs/unowned", "secret");
	tree_write_text(
		tree, "usr/lib/tmpfiles.d/libs.conf",
		"d /var/lib/libs 0750 libsd disk 10d\nf /var/log/libs 0640 root 6 - a%%b\\n\n"
		"L+ /etc/libs/link - - - - ../target\nC /etc/copied 0600 - - - "
		"/usr/share/libs/copied\n"
		"C /etc/unowned - - - - /usr/share/libs/unowned\nf /etc/kept.conf - - - - "
		"declared\n"
		"f /etc/stranger.conf\nf /etc/ssl/private/x\nf /etc/passwd - - - - no\n"
		"d /run/libs\nf /etc/%m\nd /var/lib/libs 0777\nd /var/cache/deep/er\n");
	tree_write_text(tree, "var/lib/libs/data", "secret");
}

Test(base, what_packages_declare_is_there)
{
	const struct index_entry *e;

	declare();
	open_image(BASE_CURRENT);
	cr_assert_eq(index_check_names(image.index), 0);
	e = find("var/lib/libs");
	cr_assert(e && e->mode == (S_IFDIR | 0750) && e->uid == 999 && e->gid == 6);
	cr_expect_eq(left_out("var/lib/libs", "data"), INDEX_LEFT_UNOWNED);
	expect_bytes("var/log/libs", "a%b\n");
	cr_expect_eq(find("var/log/libs")->mode, S_IFREG | 0640);
	cr_expect_eq(find("var/log/libs")->gid, 6);
	cr_expect_eq(find("etc/libs")->mode, S_IFDIR | 0755);
	cr_expect_eq(find("etc/libs/link")->kind, INDEX_LINK);
	expect_bytes("etc/copied", "copied");
	cr_expect_null(find("etc/unowned"));
	expect_bytes("etc/kept.conf", "as packaged\n");
	expect_bytes("etc/stranger.conf", "");
	cr_expect_null(find("etc/ssl/private"));
	cr_expect_null(find("run"));
	cr_expect_not_null(find("var/cache/deep/er"));
	expect_bytes("etc/passwd", "root:x:0:0::/root:/bin/bash\ndaemon:x:1:1::/usr/sbin:/bin/no\n"
				   "libsd:x:999:999::/var/lib/libs:/usr/sbin/nologin\n"
				   "fixed:x:77:998::/:/usr/sbin/nologin\n"
				   "other:x:4:77::/nowhere:/bin/other\n");
	expect_bytes("etc/group", "root:x:0:\nshadow:x:77:\ndisk:x:6:libsd\nlibsd:x:999:\n"
				  "tape:x:998:\n");
	expect_bytes("etc/gshadow", "root:*::\nshadow:*::\ndisk:*::libsd\nlibsd:*::\ntape:*::\n");
}

/* A package's tree for copies, and lines of it that are about what is there. */
static void declare_copies(void)
{
	tree_write_text(
		tree, "var/lib/dpkg/info/libs:amd64.list",
		"/lib\n/lib/libs.so\n/lib64/ld.so\n/usr/lib/tmpfiles.d/libs.conf\n"
		"/usr/share/factory/etc/app/a.conf\n/usr/share/factory/etc/app/sub/b.conf\n"
		"/usr/share/factory/etc/app/hidden\n/usr/share/factory/etc/app/link\n"
		"/usr/share/factory/etc/app/made\n/usr/share/factory/etc/app/x.key\n"
		"/usr/share/factory/etc/app/shut/c.conf\n/usr/share/factory/etc/app/denied\n"
		"/usr/share/factory/etc/passwd\n/etc/there\n/usr/..\n");
	tree_write_text(tree, "usr/share/factory/etc/app/a.conf", "a");
	set_mode("usr/share/factory/etc/app/a.conf", 0664);
	tree_write_text(tree, "usr/share/factory/etc/app/sub/b.conf", "b");
	tree_write_text(tree, "usr/share/factory/etc/app/unowned", "HIDDEN");
	tree_write_text(tree, "usr/share/factory/etc/app/hidden", "HIDDEN");
	set_mode("usr/share/factory/etc/app/hidden", 0640);
	link_to("../../stranger.conf", "usr/share/factory/etc/app/link");
	tree_write_text(tree, "usr/share/factory/etc/app/made", "copied");
	tree_write_text(tree, "usr/share/factory/etc/app/x.key", "HIDDEN");
	tree_write_text(tree, "usr/share/factory/etc/app/denied", "HIDDEN");
	tree_write_text(tree, "usr/share/factory/etc/app/shut/c.conf", "HIDDEN");
	set_mode("usr/share/factory/etc/app/shut", 0711);
	tree_write_text(tree, "usr/share/factory/etc/passwd", "HIDDEN");
	tree_write_text(tree, "cache/sandcastle/image.rules",
			"deny /usr/share/factory/etc/app/denied # mine\n"
			"default /etc/again/a.conf = /usr/share/factory/etc/app/made # mine\n");
	set_mode("usr/share/factory/etc/app/sub", 0775);
	tree_write_text(tree, "usr/lib/os-release", "ID=debian\n");
	tree_write_text(tree, "etc/there/own", "HIDDEN");
	tree_write_text(tree, "usr/lib/tmpfiles.d/libs.conf",
			"C /etc/app - daemon\n"
			"C /etc/again 0700 - - - /usr/share/factory/etc/app\n"
			"f /etc/app/made 0600 - - - declared\n"
			"d /etc/app/sub 0750\n"
			"f /etc/app/sub/deep/x\n"
			"f /etc/third/sub/x\nC /etc/third - - - - /usr/share/factory/etc/app\n"
			"C /etc/passwd\nC /etc/there\nC /etc/up - - - - /usr/..\n"
			"C /etc/upper - - - - /usr/share/factory/../..\n"
			"C /etc/root - - - - /etc\n"
			"C /etc/alone - - - - /usr/share/factory/etc/app/link\n"
			"C /var/lib/%o - - - - /usr/share/factory/etc/app/sub\n"
			"z /etc/kept.conf 0640 daemon shadow\n"
			"Z /etc/again/sub ~0770\n"
			"z /usr/bin/tool 0777\nz /etc/app/link 0777\n");
}

Test(base, folders_that_packages_declare_as_copies)
{
	declare_copies();
	open_image(BASE_CURRENT);
	cr_assert_eq(index_check_names(image.index), 0);
	expect_bytes("etc/app/a.conf", "a");
	cr_expect(find("etc/app/a.conf")->mode == (S_IFREG | 0664) &&
		  find("etc/app/a.conf")->uid == 1);
	expect_bytes("etc/app/sub/b.conf", "b");
	cr_expect_eq(find("etc/app/sub")->mode, S_IFDIR | 0750);
	cr_expect_eq(find("etc/app/sub")->uid, 0);
	expect_bytes("etc/app/sub/deep/x", "");
	expect_bytes("etc/app/made", "copied");
	cr_expect_eq(find("etc/app/made")->mode, S_IFREG | 0600);
	cr_expect_eq(find("etc/app/link")->kind, INDEX_LINK);
	cr_expect_null(find("etc/app/unowned"));
	cr_expect_null(find("etc/app/hidden"));
	cr_expect_null(find("etc/app/denied"));
	cr_expect_null(find("etc/app/x.key"));
	cr_expect_null(find("etc/app/shut"));
	cr_expect_eq(find("etc/again")->mode, S_IFDIR | 0700);
	expect_bytes("etc/again/a.conf", "copied");
	expect_bytes("etc/third/sub/x", "");
	cr_expect_eq(find("etc/third/sub")->mode, S_IFDIR | 0775);
	expect_bytes("var/lib/debian/b.conf", "b");
	cr_expect_null(find("etc/up"));
	cr_expect_null(find("etc/upper"));
	cr_expect_null(find("etc/root"));
	cr_expect_eq(find("etc/alone")->kind, INDEX_LINK, "it leads to what is not the package's");
	cr_expect_not_null(find("etc/there"));
	cr_expect(!memmem(image.index->blob, image.index->head->blob_len, "HIDDEN", 6) &&
		  !find("etc/there/own"));
}

Test(base, copies_that_packages_declare_have_a_limit)
{
	char lines[4096] = "", path[4096];

	declare();
	in_tree("usr/share/libs/copied", path);
	cr_assert_eq(truncate(path, 4 << 20), 0);
	for (int i = 0; i < 30; i++)
		sprintf(lines + strlen(lines), "C /etc/big%d - - - - /usr/share/libs/copied\n", i);
	tree_write_text(tree, "usr/lib/tmpfiles.d/libs.conf", lines);
	open_image(BASE_CURRENT);
	cr_expect_not_null(find("etc/big0"));
	cr_expect_not_null(find("etc/kept.conf"));
	cr_expect_gt(image.index->head->blob_len, 60 << 20);
	cr_expect_lt(image.index->head->blob_len, 70 << 20);
}

Test(base, changes_that_packages_declare)
{
	const struct index_entry *e;

	declare_copies();
	open_image(BASE_CURRENT);
	e = find("etc/kept.conf");
	cr_assert(e && e->mode == (S_IFREG | 0640) && e->uid == 1 && e->gid == 77);
	cr_expect_eq(find("etc/again/sub")->mode, S_IFDIR | 0770);
	cr_expect_eq(find("etc/again/sub/b.conf")->mode, S_IFREG | 0660);
	cr_expect_eq(find("etc/again/made")->mode, S_IFREG | 0644);
	cr_expect_eq(find("usr/bin/tool")->mode, S_IFREG | 04755);
	cr_expect_eq(find("etc/app/link")->mode, S_IFLNK | 0777);
}

/* What ucf put into place counts as a conffile; its original may be kept, or be the package's. */
Test(base, configuration_that_scripts_made)
{
	char registry[512], hashes[1024];

	snprintf(registry, sizeof(registry),
		 "tool \t /etc/ucf-kept\ntool /etc/ucf-changed\nlibs /etc/ucf-shared\n"
		 "tool /etc/ucf-lost\nunknown /etc/ucf-unknown\ntool /etc/kept.conf\n");
	tree_write_text(tree, "var/lib/ucf/registry", registry);
	sprintf(hashes, "%s  /etc/ucf-kept\n", md5_of("kept"));
	sprintf(hashes + strlen(hashes), "%s  /etc/ucf-changed\n", md5_of("cached"));
	sprintf(hashes + strlen(hashes), "%s  /etc/ucf-shared\n", md5_of("the package's"));
	sprintf(hashes + strlen(hashes), "%s  /etc/ucf-lost\n", md5_of("lost"));
	sprintf(hashes + strlen(hashes), "%s  /etc/ucf-unknown\n", md5_of("secret"));
	sprintf(hashes + strlen(hashes), "%s  /etc/kept.conf\n", md5_of("secret"));
	tree_write_text(tree, "var/lib/ucf/hashfile", hashes);
	tree_write_text(tree, "var/lib/ucf/cache/:etc:ucf-changed", "cached");
	tree_write_text(tree, "var/lib/ucf/cache/:etc:ucf-lost", "secret");
	tree_write_text(tree, "usr/share/libs/master", "the package's");
	sprintf(hashes, "%s  usr/share/libs/master\n", md5_of("the package's"));
	tree_write_text(tree, "var/lib/dpkg/info/libs:amd64.md5sums", hashes);
	tree_write_text(tree, "etc/ucf-kept", "kept");
	tree_write_text(tree, "etc/ucf-changed", "secret");
	tree_write_text(tree, "etc/ucf-shared", "secret");
	tree_write_text(tree, "etc/ucf-lost", "secret");
	tree_write_text(tree, "etc/ucf-unknown", "secret");
	open_image(BASE_CURRENT);
	expect_bytes("etc/ucf-kept", "kept");
	expect_bytes("etc/ucf-changed", "cached");
	expect_bytes("etc/ucf-shared", "the package's");
	expect_bytes("etc/kept.conf", "as packaged\n");
	cr_expect_eq(left_out("etc", "ucf-lost"), INDEX_LEFT_CHANGED);
	cr_expect_eq(left_out("etc", "ucf-unknown"), INDEX_LEFT_UNOWNED);
	/* A master that not everyone may read is none. */
	set_mode("var/lib/ucf/cache/:etc:ucf-changed", 0600);
	open_image(BASE_ANEW);
	cr_expect_eq(left_out("etc", "ucf-changed"), INDEX_LEFT_CHANGED);
}

Test(base, a_tree_of_an_ordinary_users_is_roots_in_the_image)
{
	char path[4096];

	if (geteuid() == 0) {
		cr_assert_eq(chown(tree, 1234, 1235), 0);
		in_tree("usr/bin/tool", path);
		cr_assert_eq(chown(path, 1234, 7), 0);
		set_mode("usr/bin/tool", 04755);
		in_tree("usr/lib", path);
		cr_assert_eq(chown(path, 8, 1235), 0);
	}
	open_image(BASE_CURRENT);
	cr_expect_eq(find("usr/bin/tool")->uid, 0);
	cr_expect_eq(find("usr/bin/tool")->mode, S_IFREG | 04755);
	cr_expect_eq(find("usr/lib")->gid, 0);
	if (geteuid() == 0) {
		cr_expect_eq(find("usr/bin/tool")->gid, 7);
		cr_expect_eq(find("usr/lib")->uid, 8);
	}
}

/* The places a real machine has them, the same as in the guest tests; the third word is what a package ships. */
static void plant_secrets(void)
{
	FILE *f = fopen(SC_SECRETS_FILE, "re");
	char text[512], path[256], owned[16], list[8192] = "", sums[8192] = "";
	unsigned int mode, n = 0;

	cr_assert_not_null(f);
	for (; fgets(text, sizeof(text), f); n++) {
		int words = sscanf(text, "%o %255s %15s", &mode, path, owned);

		cr_assert_geq(words, 2, "%s", text);
		tree_write_text(tree, path + 1, "SECRET-MARK\n");
		set_mode(path + 1, mode);
		if (words < 3)
			continue;
		sprintf(list + strlen(list), "%s\n", path);
		sprintf(sums + strlen(sums), "%s  %s\n", md5_of("as packaged"), path + 1);
		touch(path + 1, 2000000000);
	}
	fclose(f);
	cr_assert_geq(n, 140);
	own(list, sums);
	link_to("/home/jane/.ssh/id_rsa", "usr/bin/leak");
	link_to("../../home/jane", "usr/share/leak");
}

static void expect_no_mark(void)
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

Test(base, no_secret_is_in_the_image)
{
	plant_secrets();
	open_image(BASE_CURRENT);
	expect_no_mark();
}

Test(base, a_packages_file_that_somebody_edited)
{
	char sums[512];

	own("/usr/share/app/same\n/usr/share/app/edited\n/usr/share/app/restored\n"
	    "/lib/unit.service\n/usr/share/app/unknown\n",
	    "");
	tree_write_text(tree, "usr/share/app/same", "packaged");
	tree_write_text(tree, "usr/share/app/edited", "SECRET-MARK");
	tree_write_text(tree, "usr/share/app/restored", "packaged");
	tree_write_text(tree, "usr/share/app/unknown", "SECRET-MARK");
	tree_write_text(tree, "usr/lib/unit.service", "SECRET-MARK");
	sprintf(sums, "%s  usr/share/app/same\n", md5_of("packaged"));
	sprintf(sums + strlen(sums), "%s  usr/share/app/edited\n", md5_of("packaged"));
	sprintf(sums + strlen(sums), "%s  usr/share/app/restored\n", md5_of("packaged"));
	sprintf(sums + strlen(sums), "%s  lib/unit.service\n", md5_of("packaged"));
	own("/usr/share/app/same\n/usr/share/app/edited\n/usr/share/app/restored\n"
	    "/lib/unit.service\n/usr/share/app/unknown\n",
	    sums);
	touch("usr/share/app/same", 1000);
	touch("usr/share/app/edited", 2000000000);
	touch("usr/share/app/restored", 2000000000);
	touch("usr/share/app/unknown", 2000000000);
	touch("usr/lib/unit.service", 2000000000);
	open_image(BASE_CURRENT);
	cr_expect_eq(find("usr/share/app/same")->kind, INDEX_SHARED);
	cr_expect_eq(find("usr/share/app/restored")->kind, INDEX_SHARED, "its bytes are the same");
	cr_expect_eq(left_out("usr/share/app", "edited"), INDEX_LEFT_CHANGED);
	cr_expect_eq(left_out("usr/share/app", "unknown"), INDEX_LEFT_CHANGED);
	cr_expect_eq(left_out("usr/lib", "unit.service"), INDEX_LEFT_CHANGED,
		     "its package spells it by a link");
	/* A user's own rule vouches for it. */
	tree_write_text(tree, "cache/sandcastle/image.rules", "share /usr/share/app/** # mine\n");
	open_image(BASE_CURRENT);
	cr_expect_eq(find("usr/share/app/edited")->kind, INDEX_SHARED);
}

Test(base, an_edited_file_is_replaced_if_the_archive_has_it)
{
	char sums[128];

	write_deb("var/cache/apt/archives/extra_1_all.deb", "./usr/share/app/unit", "packaged");
	tree_write_text(tree, "usr/share/app/unit", "SECRET-MARK");
	sprintf(sums, "%s  usr/share/app/unit\n", md5_of("packaged"));
	own("/usr/share/app/unit\n", sums);
	touch("usr/share/app/unit", 2000000000);
	open_image(BASE_CURRENT);
	expect_bytes("usr/share/app/unit", "packaged");
	/* What the archive has is compared, too. */
	sprintf(sums, "%s  usr/share/app/unit\n", md5_of("other"));
	own("/usr/share/app/unit\n", sums);
	open_image(BASE_ANEW);
	cr_expect_eq(left_out("usr/share/app", "unit"), INDEX_LEFT_CHANGED);
}

Test(base, a_file_that_was_moved_aside)
{
	char sums[256];

	sprintf(sums, "%s  usr/bin/moved\n", md5_of("packaged"));
	own("/usr/bin/moved\n", sums);
	tree_write_text(tree, "var/lib/dpkg/diversions",
			"/usr/bin/moved\n/usr/bin/moved.distrib\n:\n");
	tree_write_text(tree, "usr/bin/moved", "SECRET-MARK");
	touch("usr/bin/moved", 1000);
	tree_write_text(tree, "usr/bin/moved.distrib", "packaged");
	touch("usr/bin/moved.distrib", 2000000000);
	open_image(BASE_CURRENT);
	cr_expect_eq(left_out("usr/bin", "moved"), INDEX_LEFT_UNOWNED);
	cr_expect_eq(find("usr/bin/moved.distrib")->kind, INDEX_SHARED);
	tree_write_text(tree, "var/lib/dpkg/diversions",
			"/usr/bin/moved\n/usr/bin/moved.distrib\nlibs\n");
	touch_database(1000);
	open_image(BASE_ANEW);
	cr_expect_eq(find("usr/bin/moved")->kind, INDEX_SHARED, "another package's");
}

Test(base, compiled_python_is_there_if_its_source_is)
{
	own("/usr/lib/python3/dist-packages/a/here.py\n/usr/lib/python3/dist-packages/a/link.py\n"
	    "/usr/lib/python3/dist-packages/a/edited.py\n/usr/lib/python3/dist-packages/a/"
	    "gone.py\n",
	    "");
	tree_write_text(tree, "etc/settings.py", "SECRET-MARK");
	tree_write_text(tree, "usr/lib/python3/dist-packages/a/here.py", "x");
	tree_write_text(tree, "usr/lib/python3/dist-packages/a/edited.py", "SECRET-MARK");
	touch("usr/lib/python3/dist-packages/a/edited.py", 2000000000);
	link_to("/etc/settings.py", "usr/lib/python3/dist-packages/a/link.py");
	tree_write_text(tree, "usr/lib/python3/dist-packages/a/__pycache__/here.cpython-311.pyc",
			"x");
	tree_write_text(tree,
			"usr/lib/python3/dist-packages/a/__pycache__/here.cpython-311.opt-1.pyc",
			"x");
	tree_write_text(tree, "usr/lib/python3/dist-packages/a/__pycache__/link.cpython-311.pyc",
			"SECRET-MARK");
	tree_write_text(tree, "usr/lib/python3/dist-packages/a/__pycache__/edited.cpython-311.pyc",
			"SECRET-MARK");
	tree_write_text(tree, "usr/lib/python3/dist-packages/a/__pycache__/gone.cpython-311.pyc",
			"SECRET-MARK");
	tree_write_text(tree, "usr/lib/python3/dist-packages/a/__pycache__/other", "SECRET-MARK");
	open_image(BASE_CURRENT);
	expect_no_mark();
	cr_expect_not_null(
		find("usr/lib/python3/dist-packages/a/__pycache__/here.cpython-311.pyc"));
	cr_expect_not_null(
		find("usr/lib/python3/dist-packages/a/__pycache__/here.cpython-311.opt-1.pyc"));
}

Test(base, what_is_copied_holds_no_secret)
{
	tree_write_text(
		tree, "etc/apt/sources.list",
		"# SECRET-MARK\n"
		"deb [arch=amd64 signed-by=/k.gpg] https://user:SECRET-MARK@host/x y main\n"
		"deb https://host/0123456789abcdef0123456789SECRET/x y main\nSECRET-MARK\n");
	tree_write_text(
		tree, "etc/apt/sources.list.d/a.sources",
		"Types: deb\nURIs: https://SECRET-MARK@host/x\nSuites: y\nX-Note: SECRET-MARK\n");
	tree_write_text(tree, "etc/ssl/certs/ca-certificates.crt",
			"-----BEGIN PRIVATE KEY-----\nSECRET-MARK\n");
	tree_write_text(tree, "etc/ssl/certs/haproxy.pem", "SECRET-MARK");
	tree_write_text(tree, "etc/default/locale", "LANG=C\nDB_PASSWORD=SECRET-MARK\n");
	tree_write_text(tree, "etc/shells", "/bin/sh\n");
	tree_write_text(tree, "etc/pam.d/common-auth",
			"# comment\nauth\t[success=1 default=ignore]\tpam_unix.so nullok\n"
			"auth requisite pam_deny.so\n");
	tree_write_text(tree, "etc/pam.d/common-account",
			"account required pam_mysql.so passwd=SECRET-MARK\n");
	tree_write_text(tree, "usr/share/pam-configs/unix",
			"Auth:\n\t[success=end default=ignore]\tpam_unix.so  nullok\n");
	own("/usr/share/pam-configs/unix\n/etc/apt/sources.list.d/a\n/etc/default/a\n/etc/pam.d/a\n"
	    "/etc/ssl/certs/a\n",
	    "");
	open_image(BASE_CURRENT);
	expect_no_mark();
	expect_bytes("etc/apt/sources.list",
		     "deb [arch=amd64 signed-by=/k.gpg] https://host/x y main\n");
	expect_bytes("etc/apt/sources.list.d/a.sources",
		     "Types: deb\nURIs: https://host/x\nSuites: y\n");
	expect_bytes("etc/shells", "/bin/sh\n");
	expect_bytes("etc/pam.d/common-auth",
		     "auth\t[success=1 default=ignore]\tpam_unix.so nullok\n"
		     "auth requisite pam_deny.so\n");
	expect_bytes("etc/pam.d/common-account", "account required pam_unix.so\n");
	cr_expect_eq(left_out("etc/ssl/certs", "ca-certificates.crt"), INDEX_LEFT_SECRET);
	cr_expect_eq(left_out("etc/default", "locale"), INDEX_LEFT_SECRET);
	cr_expect_eq(left_out("etc/ssl/certs", "haproxy.pem"), INDEX_LEFT_UNOWNED);
}

Test(base, links_are_there_where_a_rule_speaks_of_links)
{
	tree_write_text(tree, "etc/systemd/system/multi-user.target.wants/mine.service",
			"SECRET-MARK");
	link_to("/usr/lib/systemd/system/a.service",
		"etc/systemd/system/multi-user.target.wants/a.service");
	own("/etc/systemd/system\n", "");
	open_image(BASE_CURRENT);
	expect_no_mark();
	cr_assert_not_null(find("etc/systemd/system/multi-user.target.wants/a.service"));
	cr_expect_eq(left_out("etc/systemd/system/multi-user.target.wants", "mine.service"),
		     INDEX_LEFT_UNOWNED);
}

Test(base, programs_of_opt_and_nothing_else)
{
	tree_write_text(tree, "opt/app/conf/x.conf", "SECRET-MARK");
	set_mode("opt/app/conf/x.conf", 0755);
	tree_write_text(tree, "opt/app/lib/part.so", "part");
	tree_write_text(tree, "opt/app/lib/PassWords.txt", "SECRET-MARK");
	tree_write_text(tree, "opt/app/lib/notes.txt",
			"SECRET-MARK\n-----BEGIN OPENSSH PRIVATE KEY-----\nb3\n");
	tree_write_text(tree, "opt/app/lib/mod.py", "x = '-----BEGIN PRIVATE KEY-----'\n");
	tree_write_text(tree, "opt/app/lib/__pycache__/mod.cpython-311.pyc", "x");
	tree_write_text(tree, "opt/app/lib/__pycache__/settings.cpython-311.pyc", "SECRET-MARK");
	tree_write_text(tree, "usr/local/sbin/backup.sh", "#!/bin/sh\nSECRET-MARK");
	set_mode("usr/local/sbin/backup.sh", 0755);
	open_image(BASE_CURRENT);
	expect_no_mark();
	cr_expect_not_null(find("opt/app/lib/part.so"));
	cr_expect_not_null(find("opt/app/lib/mod.py"), "it speaks of keys only");
	cr_expect_not_null(find("opt/app/lib/__pycache__/mod.cpython-311.pyc"));
	cr_expect_eq(left_out("opt/app/lib", "notes.txt"), INDEX_LEFT_SECRET);
	cr_expect_eq(left_out("opt/app/lib", "PassWords.txt"), INDEX_LEFT_DENIED);
}

/* A link in another's tree leads nowhere but into it. */
Test(base, an_archive_outside_the_tree_is_not_read)
{
	char path[4096];

	write_deb("outside.deb", "./etc/changed.conf", "original\n");
	in_tree("outside.deb", path);
	tree_write_text(tree, "var/cache/apt/archives/x", "");
	link_to(path, "var/cache/apt/archives/tool_1%3a2-3_amd64.deb");
	open_image(BASE_CURRENT);
	cr_expect_eq(left_out("etc", "changed.conf"), INDEX_LEFT_CHANGED);
}

/* As tests of rules that are too many have it: a user's own beyond what once fitted. */
Test(base, all_rules_count_or_it_is_an_error)
{
	static char text[200000];
	size_t n = 0;

	for (int i = 0; i < 520; i++)
		n += (size_t)sprintf(text + n, "deny /nowhere/%d # mine\n", i);
	sprintf(text + n, "deny /usr/bin/tool # mine\n");
	tree_write_text(tree, "cache/sandcastle/image.rules", text);
	open_image(BASE_CURRENT);
	cr_expect_eq(left_out("usr/bin", "tool"), INDEX_LEFT_DENIED);
	cr_expect_not_null(find("etc/passwd"));
	for (int i = 0; i < 2000; i++)
		n += (size_t)sprintf(text + n, "deny /nowhere/%d # mine\n", i);
	tree_write_text(tree, "cache/sandcastle/image.rules", text);
	base_image_fini(&image);
	cr_expect_eq(base_image_open(tree, BASE_CURRENT, &image), -E2BIG);
}
