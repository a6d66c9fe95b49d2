/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/support/poor_host.h"
#include "common/mounts.h"

static char top[] = "/tmp/sc-mounts.XXXXXX";

static void make_top(void)
{
	cr_assert_not_null(mkdtemp(top));
	cr_assert_eq(chmod(top, 0777), 0);
}

static void remove_top(void)
{
	char path[64];

	snprintf(path, sizeof(path), "%s/folder", top);
	(void)rmdir(path);
	snprintf(path, sizeof(path), "%s/moved", top);
	(void)rmdir(path);
	(void)rmdir(top);
}

TestSuite(mounts, .init = make_top, .fini = remove_top, .timeout = 60);

static int in_namespaces(bool (*fn)(void))
{
	pid_t pid;
	int status = 0;

	if (!host_has_namespaces())
		cr_skip_test("this host lets nobody make namespaces");
	pid = fork();
	if (pid == 0)
		_exit(leave_root() && chdir(top) == 0 && mkdir("folder", 0700) == 0 && fn() ? 0
											    : 1);
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	return status;
}

static int open_folder(void)
{
	return open("folder", O_PATH | O_DIRECTORY | O_CLOEXEC);
}

static bool detaches(void)
{
	const int fd = open_folder();
	int ours = -1, theirs = -1;

	return mounts_enter() == 0 && mount_detach(fd, true, &ours) == 0 &&
	       mount_detach(fd, false, &theirs) == 0 && mount_check(ours, true) == 0 &&
	       mount_check(ours, false) == -EPERM && mount_check(theirs, false) == 0 &&
	       mount_check(theirs, true) == 0 && mkdirat(ours, "new", 0700) == 0 &&
	       mkdirat(theirs, "other", 0700) < 0 && errno == EROFS &&
	       unlinkat(ours, "new", AT_REMOVEDIR) == 0;
}

Test(mounts, a_folder_is_detached)
{
	cr_expect_eq(in_namespaces(detaches), 0);
}

static bool finds_no_folder_that_moved(void)
{
	const int fd = open_folder();
	int out = -1;

	if (mounts_enter() < 0 || rename("folder", "moved") < 0)
		return false;
	/* It is found under its new name, as the kernel knows it. */
	if (mount_detach(fd, false, &out) < 0 || rmdir("moved") < 0)
		return false;
	close(out);
	out = -1;
	return mount_detach(fd, false, &out) == -ESTALE && out == -1;
}

Test(mounts, a_folder_that_is_gone_is_not_found)
{
	cr_expect_eq(in_namespaces(finds_no_folder_that_moved), 0);
}

static bool checks_others(void)
{
	const int folder = open_folder(), readable = open("folder", O_RDONLY | O_CLOEXEC),
		  file = open("/etc/passwd", O_PATH | O_CLOEXEC);

	return mount_check(folder, true) == -EPERM && mount_check(folder, false) == -EPERM &&
	       mount_check(readable, true) == -EPERM && mount_check(file, false) == -EPERM &&
	       mount_check(file, true) == 0 && mount_check(-1, true) == -EBADF;
}

Test(mounts, what_others_send_is_checked)
{
	cr_expect_eq(in_namespaces(checks_others), 0);
}

static bool detaches_elsewhere(void)
{
	int out = -1, gone = open_folder();

	/* Nothing changes here. */
	return mount_detach_elsewhere(gone, false, &out) == 0 && mount_check(out, false) == 0 &&
	       mkdirat(out, "new", 0700) < 0 && errno == EROFS && mkdir("new", 0700) == 0 &&
	       rmdir("new") == 0 && rmdir("folder") == 0 && close(out) == 0 &&
	       mount_detach_elsewhere(gone, false, &out) == -ESTALE && enter_poor_host() &&
	       mkdir("folder", 0700) == 0 &&
	       mount_detach_elsewhere(open_folder(), false, &out) == -ENOSPC;
}

Test(mounts, a_child_detaches_for_who_stays)
{
	cr_expect_eq(in_namespaces(detaches_elsewhere), 0);
}

static bool forbidden(void)
{
	int out = -1;

	return mounts_probe() == 0 && enter_poor_host() && mounts_probe() == -ENOSPC &&
	       mounts_enter() < 0 && mount_detach(open_folder(), false, &out) < 0 &&
	       mount_nothing() < 0;
}

Test(mounts, a_host_that_allows_none)
{
	cr_expect_eq(in_namespaces(forbidden), 0);
}

static bool becomes_root(void)
{
	const int fd = open_folder();
	int out = -1, nothing;

	if (mounts_enter() < 0 || (nothing = mount_nothing()) < 0 ||
	    mount_detach(fd, true, &out) < 0 || mount_as_root(nothing) < 0)
		return false;
	return access("/etc", F_OK) < 0 && errno == ENOENT && mkdirat(out, "x", 0700) == 0 &&
	       unlinkat(out, "x", AT_REMOVEDIR) == 0;
}

Test(mounts, nothing_becomes_the_root)
{
	cr_expect_eq(in_namespaces(becomes_root), 0);
}
