/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "guest-agent/files.h"

/* Each test runs in its own process, so in its own directory too. */
static void enter_scratch(void)
{
	char dir[] = "/tmp/sandcastle-test-XXXXXX";

	cr_assert_not_null(mkdtemp(dir));
	cr_assert_eq(chdir(dir), 0);
}

static void leave_scratch(void)
{
	char *dir = getcwd(NULL, 0);

	cr_assert_not_null(dir);
	cr_assert_eq(chdir("/"), 0);
	cr_assert_eq(rmdir(dir), 0);
	free(dir);
}

Test(files, read_back, .init = enter_scratch, .fini = leave_scratch)
{
	char *text = NULL;
	size_t len = 9;

	cr_assert_eq(file_replace("f", "hello\n"), 0);
	cr_assert_eq(file_read(AT_FDCWD, "f", 6, &text, &len), 0);
	cr_assert_eq(len, 6);
	cr_assert_arr_eq(text, "hello\n", 6);
	free(text);
	cr_assert_eq(file_read(AT_FDCWD, "f", 5, &text, &len), -EFBIG);
	cr_assert_eq(file_replace("f", ""), 0);
	cr_assert_eq(file_read(AT_FDCWD, "f", 6, &text, &len), 0);
	cr_assert_eq(len, 0);
	free(text);
	cr_assert_eq(unlink("f"), 0);
	cr_assert_eq(file_read(AT_FDCWD, "f", 6, &text, &len), -ENOENT);
}

Test(files, a_link_is_replaced_not_followed, .init = enter_scratch, .fini = leave_scratch)
{
	struct stat st;

	cr_assert_eq(file_replace("target", "old"), 0);
	cr_assert_eq(symlink("target", "link"), 0);
	cr_assert_eq(file_replace("link", "new text"), 0);
	cr_assert_eq(stat("target", &st), 0);
	cr_assert_eq(st.st_size, 3);
	cr_assert_eq(lstat("link", &st), 0);
	cr_assert(S_ISREG(st.st_mode));
	cr_assert_eq(unlink("target") | unlink("link"), 0);
}

Test(files, directories, .init = enter_scratch, .fini = leave_scratch)
{
	struct stat st;

	cr_assert_eq(make_dirs("a/b/c"), 0);
	cr_assert_eq(make_dirs("a/b/c"), 0);
	cr_assert_eq(stat("a/b/c", &st), 0);
	cr_assert(S_ISDIR(st.st_mode));
	cr_assert_eq(rmdir("a/b/c") | rmdir("a/b"), 0);
	cr_assert_eq(file_replace("a/b", ""), 0);
	cr_assert_eq(make_dirs("a/b/c"), -ENOTDIR);
	cr_assert_eq(unlink("a/b") | rmdir("a"), 0);
}
