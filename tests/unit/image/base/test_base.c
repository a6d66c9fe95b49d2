/* SPDX-License-Identifier: MIT */
/* Of a small system: the image that is made of it, kept, and brought up to date. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"
#include "tests/unit/image/base/base_tree.h"
#include "tests/unit/image/image_files.h"

TestSuite(base, .init = make_tree, .fini = remove_tree);

Test(base, what_is_shared_and_what_is_not)
{
	open_image(BASE_CURRENT);
	cr_assert_eq(index_check_names(image.index), 0);
	cr_assert(image.current);
	cr_assert_not_null(find_entry("usr/bin/tool"));
	cr_expect_eq(find_entry("usr/bin/tool")->kind, INDEX_SHARED);
	cr_expect_eq(find_entry("usr/bin/tool")->mode, S_IFREG | 04755);
	cr_expect_eq(find_entry("usr/bin/alias")->kind, INDEX_LINK);
	cr_expect_eq(find_entry("lib")->kind, INDEX_LINK);
	cr_expect_eq(find_entry("usr/lib/libs.so")->kind, INDEX_SHARED);
	cr_expect_not_null(find_entry("usr/lib64/ld.so"),
			   "listed by another name of its directory");
	cr_expect_not_null(find_entry("usr/local/bin/mine"));
	cr_expect_not_null(find_entry("opt/app/run"));
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
	cr_expect_not_null(find_entry("var/log"));
	cr_expect_null(find_entry("var/log/tool"));
}

Test(base, pristine_files)
{
	open_image(BASE_CURRENT);
	expect_bytes("etc/kept.conf", "as packaged\n");
	expect_bytes("etc/passwd", "root:x:0:0::/root:/bin/bash\ndaemon:x:1:1::/:/bin/false\n");
	expect_bytes("etc/group", "root:x:0:\nshadow:x:77:\n");
	expect_bytes("etc/shadow", "root:*:19000:0:99999:7:::\ndaemon:*:19000:0:99999:7:::\n");
	expect_bytes("etc/gshadow", "root:*::\nshadow:*::\n");
	cr_expect_eq(find_entry("etc/shadow")->mode, S_IFREG | 0640);
	cr_expect_eq(find_entry("etc/shadow")->gid, 77);
	expect_bytes("etc/machine-id", "");
	expect_bytes("etc/hosts",
		     "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n");
	cr_expect_not_null(find_entry("var/lib/dpkg/status"));
	for (size_t i = 0; i + 6 <= image.index->head->blob_len; i++)
		cr_assert(memcmp(image.index->blob + i, "secret", 6) != 0 ||
				  memcmp(image.index->blob + i, "secret.conf", 11) == 0,
			  "a secret is in the image");
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
	cr_expect_not_null(find_entry("usr/bin/new"));
	cr_expect_not_null(find_entry("usr/lib/libs.so"));
	cr_expect_not_null(find_entry("opt/app/run"));
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
		touch_file(dirs[i], 500);
	expect_as_made_anew();
	cr_expect_not_null(find_entry("usr/share/old/file"));
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
	touch_file("usr/share", 500);
	touch_database(1000);
	expect_as_made_anew();
	cr_expect_not_null(find_entry("usr/share/here/file"));
	cr_expect_not_null(find_entry("usr/share/kept/below/more/file"));
	cr_expect_eq(find_entry("usr/share/alias")->kind, INDEX_LINK);
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
	cr_expect_not_null(find_entry("usr/bin/tool"));
	base_image_fini(&image);
	fd = open(path, O_WRONLY);
	cr_assert_eq(pwrite(fd, "x", 1, st.st_size / 2), 1);
	close(fd);
	open_image(BASE_CURRENT);
	cr_expect_not_null(find_entry("usr/bin/tool"));
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
	cr_expect_not_null(find_entry("usr/bin/tool"));
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
	cr_expect_not_null(find_entry("usr/bin/tool"));
	cr_expect_eq(base_image_clean(tree), 0);
	cr_expect_lt(readlink(note, text, sizeof(text)), 0);
	free(path);
}

Test(base, without_a_place_to_keep_it)
{
	setenv("XDG_CACHE_HOME", "/proc/nonexistent", 1);
	open_image(BASE_CURRENT);
	cr_expect_null(image.path);
	cr_expect_not_null(find_entry("usr/bin/tool"));
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
	cr_expect_eq(find_entry("usr/bin/tool")->uid, 0);
	cr_expect_eq(find_entry("usr/bin/tool")->mode, S_IFREG | 04755);
	cr_expect_eq(find_entry("usr/lib")->gid, 0);
	if (geteuid() == 0) {
		cr_expect_eq(find_entry("usr/bin/tool")->gid, 7);
		cr_expect_eq(find_entry("usr/lib")->uid, 8);
	}
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
	cr_expect_not_null(find_entry("etc/passwd"));
	for (int i = 0; i < 2000; i++)
		n += (size_t)sprintf(text + n, "deny /nowhere/%d # mine\n", i);
	tree_write_text(tree, "cache/sandcastle/image.rules", text);
	base_image_fini(&image);
	cr_expect_eq(base_image_open(tree, BASE_CURRENT, &image), -E2BIG);
}

static mode_t mode_of(const char *path)
{
	struct stat st;

	cr_assert_eq(stat(path, &st), 0, "%s", path);
	return st.st_mode & 07777;
}

/* As `XDG_CACHE_HOME=/var/cache sandcastle image build` of an administrator with a strict umask makes it. */
Test(base, the_index_for_everybody_is_everybodys_to_read)
{
	if (!may_mount() || mount("none", "/var/cache", "tmpfs", 0, "mode=755") < 0) {
		remove_tree();
		cr_skip("mounting needs root");
	}
	cr_assert_eq(setenv("XDG_CACHE_HOME", "/var/cache", 1), 0);
	umask(077);
	open_image(BASE_CURRENT);
	cr_expect_eq(mode_of("/var/cache/sandcastle"), 0755);
	cr_expect_eq(mode_of("/var/cache/sandcastle/base"), 0755);
	cr_assert_eq(strncmp(image.path, "/var/cache/sandcastle/base/", 27), 0);
	cr_expect_eq(mode_of(image.path), 0644);
}
