/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "guest-agent/files.h"
#include "guest-agent/home.h"

static char dir[] = "/tmp/sandcastle-test-XXXXXX";

static void setup(void)
{
	cr_assert_not_null(mkdtemp(dir));
	cr_assert_eq(chdir(dir), 0);
	cr_assert_eq(make_dirs("skel/.config/app"), 0);
	cr_assert_eq(make_dirs("home"), 0);
	cr_assert_eq(file_replace("skel/.profile", "profile"), 0);
	cr_assert_eq(file_replace("skel/.config/app/rc", "rc"), 0);
	cr_assert_eq(chmod("skel/.config/app/rc", 04711), 0);
	cr_assert_eq(symlink("/etc/passwd", "skel/link"), 0);
	cr_assert_eq(mkfifo("skel/fifo", 0644), 0);
}

static void teardown(void)
{
	char command[64];

	cr_assert_eq(chdir("/"), 0);
	snprintf(command, sizeof(command), "rm -r %s", dir);
	cr_assert_eq(system(command), 0);
}

TestSuite(home, .init = setup, .fini = teardown);

static bool holds(const char *path, const char *text)
{
	char *got = NULL;
	size_t len = 0;
	int r = file_read(AT_FDCWD, path, 100, &got, &len);
	bool same = r == 0 && len == strlen(text) && memcmp(got, text, len) == 0;

	free(got);
	return same;
}

Test(home, is_filled_for_its_owner)
{
	uid_t uid = geteuid() == 0 ? 1234 : geteuid();
	struct stat st;

	home_fill("skel", "home", uid, getegid());
	cr_assert(holds("home/.profile", "profile"));
	cr_assert(holds("home/.config/app/rc", "rc"));
	cr_assert_eq(stat("home/.config/app/rc", &st), 0);
	cr_assert_eq(st.st_mode, S_IFREG | 0711);
	cr_assert_eq(st.st_uid, uid);
	cr_assert(stat("home/.config/app", &st) == 0 && st.st_uid == uid);
	cr_assert(lstat("home/link", &st) == 0 && S_ISLNK(st.st_mode) && st.st_uid == uid);
	cr_assert_neq(lstat("home/fifo", &st), 0);
}

Test(home, what_is_there_stays)
{
	cr_assert_eq(file_replace("home/.profile", "mine"), 0);
	cr_assert_eq(symlink("/nonexistent/elsewhere", "home/.config"), 0);
	home_fill("skel", "home", geteuid(), getegid());
	cr_assert(holds("home/.profile", "mine"));
	cr_assert_neq(access("/nonexistent/elsewhere", F_OK), 0);
	home_fill("none", "home", geteuid(), getegid());
	home_fill("skel", "none", geteuid(), getegid());
}
