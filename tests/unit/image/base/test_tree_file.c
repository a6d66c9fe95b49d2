/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "image/base/tree_file.h"
#include "tests/unit/image/image_files.h"

static char *tree, *outside;
static int root;

static void set_up(void)
{
	tree = tree_new();
	outside = tree_new();
	root = open(tree, O_PATH | O_DIRECTORY | O_CLOEXEC);
	cr_assert_geq(root, 0);
	tree_write_text(tree, "etc/file", "inside");
	tree_write_text(outside, "file", "outside");
	tree_write_text(outside, "etc/file", "outside");
}

static void tear_down(void)
{
	close(root);
	tree_remove(tree);
	tree_remove(outside);
}

TestSuite(tree_file, .init = set_up, .fini = tear_down);

static void expect_text(const char *path, enum tree_links links, const char *text)
{
	char got[16] = "";
	struct stat st;
	int fd = tree_open(root, path, links, &st);

	cr_assert_geq(fd, 0, "%s: %s", path, strerror(-fd));
	cr_assert_eq(read(fd, got, sizeof(got) - 1), st.st_size);
	cr_assert_str_eq(got, text);
	close(fd);
}

Test(tree_file, links_lead_into_the_tree)
{
	char out[256];
	struct stat st;

	cr_assert_eq(symlinkat("/etc/file", root, "absolute"), 0);
	cr_assert_eq(symlinkat("../../../../../../etc", root, "above"), 0);
	snprintf(out, sizeof(out), "%s/file", outside);
	cr_assert_eq(symlinkat(out, root, "out"), 0);
	cr_assert_eq(symlinkat(outside, root, "dir"), 0);
	cr_assert_eq(symlinkat("/proc/self/root/etc/passwd", root, "magic"), 0);
	expect_text("etc/file", TREE_INSIDE, "inside");
	expect_text("etc/file", TREE_NONE, "inside");
	expect_text("absolute", TREE_INSIDE, "inside");
	expect_text("above/file", TREE_INSIDE_BUT_LAST, "inside");
	cr_assert_eq(tree_open(root, "out", TREE_INSIDE, NULL), -ENOENT);
	cr_assert_eq(tree_open(root, "dir/file", TREE_INSIDE, NULL), -ENOENT);
	cr_assert_eq(tree_open_dir(root, "dir", TREE_INSIDE), -ENOENT);
	cr_assert_eq(tree_look(root, "dir/file", TREE_INSIDE_BUT_LAST, &st), -ENOENT);
	cr_assert_eq(tree_open(root, "magic", TREE_INSIDE, NULL), -ENOENT);
	cr_assert_eq(tree_open(root, "above/file", TREE_NONE, NULL), -ELOOP);
	cr_assert_eq(tree_open(root, "absolute", TREE_INSIDE_BUT_LAST, NULL), -EINVAL);
	cr_assert_eq(tree_look(root, "absolute", TREE_INSIDE_BUT_LAST, &st), 0);
	cr_assert(S_ISLNK(st.st_mode));
}

Test(tree_file, only_files_are_opened)
{
	int watch = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	struct inotify_event event;
	char path[256];
	struct stat st = {.st_size = 77};

	cr_assert_eq(mkfifoat(root, "fifo", 0644), 0);
	snprintf(path, sizeof(path), "%s/fifo", tree);
	cr_assert_geq(inotify_add_watch(watch, path, IN_OPEN), 0);
	cr_assert_eq(tree_open(root, "fifo", TREE_INSIDE, &st), -EINVAL);
	cr_assert_eq(tree_open(root, "fifo", TREE_NONE, &st), -EINVAL);
	cr_assert_eq(tree_open(root, "etc", TREE_NONE, &st), -EINVAL);
	cr_assert_eq(tree_open(root, "nothing", TREE_NONE, &st), -ENOENT);
	cr_assert_eq(tree_open_dir(root, "fifo", TREE_INSIDE), -ENOTDIR);
	cr_assert_eq(st.st_size, 77);
	cr_assert_eq(read(watch, &event, sizeof(event)), -1);
	/* A file is, as the kernel would have said. */
	close(openat(root, "fifo", O_RDONLY | O_NONBLOCK | O_CLOEXEC));
	cr_assert_gt(read(watch, &event, sizeof(event)), 0);
	close(watch);
}
