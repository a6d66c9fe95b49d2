/* SPDX-License-Identifier: MIT */
/*
 * A process that holds what a sandbox does, over folders of the test, is confined by the real code
 * and then does what one that was taken over would try.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <linux/capability.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/own_fd.h"
#include "tests/support/poor_host.h"
#include "vmm/confine/confine.h"
#include "vmm/confine/landlock.h"

enum { GOOD = 0, BAD = 1, NOT_CONFINED = 2, NOT_HERE = 3 };

/* How the process begins. */
enum how { AS_USER, AS_ROOT, ON_A_POOR_HOST };

static char top[] = "/tmp/sc-confine.XXXXXX";

/* What the child holds: descriptors of these below top. */
static int ro, rw, file, runs, box;
static struct confinement got;

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static void make_top(void)
{
	cr_assert_not_null(mkdtemp(top));
	/* For whoever the child becomes. */
	cr_assert_eq(chmod(top, 0777), 0);
}

static void remove_top(void)
{
	(void)nftw(top, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

TestSuite(confine, .init = make_top, .fini = remove_top, .timeout = 60);

/* ---- the sandbox's process ---- */

static void put(const char *path, const char *text)
{
	const int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		_exit(NOT_HERE);
	close(fd);
}

static void make_folders(void)
{
	static const char *const folders[] = {"ro", "rw", "secret", "runs", "runs/box", "ro/below"};

	if (chdir(top) < 0)
		_exit(NOT_HERE);
	for (size_t i = 0; i < ARRAY_SIZE(folders); i++)
		if (mkdir(folders[i], 0700) < 0)
			_exit(NOT_HERE);
	put("ro/file", "read");
	put("ro/below/file", "below");
	put("rw/file", "written");
	put("secret/file", "secret");
}

static bool become_sandbox(bool weak)
{
	const int folder = O_DIRECTORY | O_CLOEXEC;
	int writable[3];
	struct confine_setup setup = {.writable = writable, .n_writable = 3, .weak = weak};

	make_folders();
	ro = open("ro", O_PATH | folder);
	rw = open("rw", O_PATH | folder);
	file = open("ro/file", O_PATH | O_CLOEXEC);
	runs = open("runs", O_RDONLY | folder);
	box = open("runs/box", O_RDONLY | folder);
	writable[0] = rw;
	writable[1] = setup.guard = runs;
	writable[2] = setup.locked = box;
	return own_fd_folder() >= 0 && flock(box, LOCK_EX | LOCK_NB) == 0 &&
	       confine(&setup, &got) == 0;
}

/* What becomes of a process that does `act` once it is confined: true is GOOD. */
static int confined(enum how how, bool (*act)(void))
{
	const pid_t pid = fork();
	int status = 0;

	cr_assert_geq(pid, 0);
	if (pid == 0) {
		if (how != AS_ROOT && !leave_root())
			_exit(NOT_HERE);
		if (how == ON_A_POOR_HOST && !enter_poor_host())
			_exit(NOT_HERE);
		if (!become_sandbox(false) || got.mounts != (how != ON_A_POOR_HOST))
			_exit(NOT_CONFINED);
		_exit(act() ? GOOD : BAD);
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	remove_top();
	cr_assert_eq(mkdir(top, 0777), 0);
	cr_assert_eq(chmod(top, 0777), 0);
	return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

/* As a user, and as root where the test is run by it. */
static void expect_good(bool (*act)(void))
{
	if (!host_has_namespaces())
		cr_skip_test("this host lets nobody make namespaces");
	cr_expect_eq(confined(AS_USER, act), GOOD);
	if (geteuid() == 0)
		cr_expect_eq(confined(AS_ROOT, act), GOOD);
}

static void expect_good_by_landlock(bool (*act)(void))
{
	if (!host_has_namespaces() || landlock_abi() == 0)
		cr_skip_test("this host has no Landlock, or cannot be made one without namespaces");
	cr_expect_eq(confined(ON_A_POOR_HOST, act), GOOD);
}

/* ---- what it may do ---- */

static bool reads(int dir, const char *path, const char *text)
{
	char buf[16] = "";
	const int fd = openat(dir, path, O_RDONLY | O_CLOEXEC);

	return fd >= 0 && read(fd, buf, sizeof(buf) - 1) >= 0 && close(fd) == 0 &&
	       strcmp(buf, text) == 0;
}

static bool fails(long r, int error)
{
	return r < 0 && errno == error;
}

static bool what_was_given_is_there(void)
{
	char buf[16] = "";
	int fd = openat(rw, "new", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	struct stat st;

	return reads(ro, "file", "read") && reads(ro, "below/file", "below") && fd >= 0 &&
	       write(fd, "x", 1) == 1 && fstat(fd, &st) == 0 && st.st_uid == geteuid() &&
	       mkdirat(rw, "folder", 0700) == 0 && renameat(rw, "new", rw, "folder/new") == 0 &&
	       reads(rw, "folder/new", "x") && fchmodat(rw, "folder/new", 0640, 0) == 0 &&
	       (fd = own_fd_reopen(file, O_RDONLY)) >= 0 && read(fd, buf, 4) == 4 &&
	       strcmp(buf, "read") == 0;
}

Test(confine, what_was_given_is_there)
{
	expect_good(what_was_given_is_there);
	expect_good_by_landlock(what_was_given_is_there);
}

static bool its_folder_is_its_own(void)
{
	const int other = openat(runs, "box", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	/* Whoever looks whether it lives finds the lock, and its end finds the folder. */
	return other >= 0 && fails(flock(other, LOCK_EX | LOCK_NB), EWOULDBLOCK) &&
	       flock(runs, LOCK_EX) == 0 && unlinkat(runs, "box", AT_REMOVEDIR) == 0;
}

Test(confine, its_folder_stays_locked_and_can_be_removed)
{
	expect_good(its_folder_is_its_own);
	expect_good_by_landlock(its_folder_is_its_own);
}

static bool mends_nothing_that_is_a_program(void)
{
	uint8_t *page =
		mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	/* Linux 6.3. */
	return prctl(66, 0, 0, 0, 0) < 0 ||
	       fails(mprotect(page, 4096, PROT_READ | PROT_EXEC), EACCES);
}

Test(confine, what_was_written_is_no_program)
{
	expect_good(mends_nothing_that_is_a_program);
	expect_good_by_landlock(mends_nothing_that_is_a_program);
}

/* ---- what it may not ---- */

static bool host_is_gone(void)
{
	struct statvfs fs;
	struct stat st;

	return fails(open("/etc/passwd", O_PATH | O_CLOEXEC), ENOENT) &&
	       fails(stat("/etc/shadow", &st), ENOENT) && fails(stat(top, &st), ENOENT) &&
	       fails(open("/new", O_WRONLY | O_CREAT | O_CLOEXEC, 0600), EROFS) &&
	       fails(mkdir("/new", 0700), EROFS) && fails(stat("/proc", &st), ENOENT) &&
	       stat("/..", &st) == 0 && statvfs("/", &fs) == 0 && (fs.f_flag & ST_RDONLY);
}

Test(confine, the_host_is_gone)
{
	expect_good(host_is_gone);
}

static bool read_only_is_the_kernels_word(void)
{
	const struct timespec now[2] = {{.tv_nsec = UTIME_NOW}, {.tv_nsec = UTIME_NOW}};
	char name[16];

	snprintf(name, sizeof(name), "%d", file);
	return fails(openat(ro, "file", O_RDWR | O_CLOEXEC), EROFS) &&
	       fails(openat(ro, "new", O_WRONLY | O_CREAT | O_CLOEXEC, 0600), EROFS) &&
	       fails(fchmodat(ro, "file", 0600, 0), EROFS) &&
	       fails(utimensat(ro, "file", now, 0), EROFS) &&
	       fails(unlinkat(ro, "file", 0), EROFS) &&
	       fails(renameat(ro, "file", rw, "file"), EXDEV) &&
	       fails(linkat(ro, "file", rw, "link", 0), EXDEV) &&
	       fails(openat(own_fd_folder(), name, O_WRONLY | O_CLOEXEC), EROFS);
}

Test(confine, read_only_is_the_kernels_word)
{
	expect_good(read_only_is_the_kernels_word);
}

static bool is_itself_above(int fd)
{
	struct stat self, above;

	return fstat(fd, &self) == 0 && fstatat(fd, "..", &above, 0) == 0 &&
	       self.st_dev == above.st_dev && self.st_ino == above.st_ino;
}

/* Of all that is open, found by trying as there is no list any more. */
static bool nothing_is_above_what_is_held(void)
{
	unsigned int folders = 0;
	struct stat st;

	for (int fd = 0; fd < 1000; fd++) {
		if (fstat(fd, &st) < 0 || !S_ISDIR(st.st_mode))
			continue;
		folders++;
		if (!is_itself_above(fd))
			return false;
	}
	return folders >= 5 && fails(openat(ro, "../secret/file", O_RDONLY | O_CLOEXEC), ENOENT) &&
	       fails(openat(rw, "../../../../../../etc/passwd", O_RDONLY | O_CLOEXEC), ENOENT) &&
	       fails(openat(own_fd_folder(), "../mem", O_RDONLY | O_CLOEXEC), ENOENT) &&
	       openat(own_fd_folder(), "../../1/environ", O_RDONLY | O_CLOEXEC) < 0;
}

Test(confine, nothing_is_above_what_is_held)
{
	expect_good(nothing_is_above_what_is_held);
}

/* A link that was planted where it may write leads nowhere. */
static bool links_lead_nowhere(void)
{
	return symlinkat("/etc/passwd", rw, "link") == 0 &&
	       symlinkat("../secret/file", rw, "near") == 0 &&
	       fails(openat(rw, "link", O_RDONLY | O_CLOEXEC), ENOENT) &&
	       fails(openat(rw, "near", O_RDONLY | O_CLOEXEC), ENOENT);
}

Test(confine, links_lead_nowhere)
{
	expect_good(links_lead_nowhere);
}

static bool has_no_privileges(void)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct caps[2];
	struct rlimit core;

	if (syscall(SYS_capget, &head, caps) < 0 || caps[0].permitted || caps[1].permitted ||
	    caps[0].effective || caps[1].effective || caps[0].inheritable || caps[1].inheritable)
		return false;
	return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 &&
	       prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0 && getrlimit(RLIMIT_CORE, &core) == 0 &&
	       core.rlim_max == 0 && fails(chown("/", 0, 0), EROFS) &&
	       fails(syscall(SYS_mount, "none", "/", "tmpfs", 0, NULL), EPERM) &&
	       fails(syscall(SYS_pivot_root, ".", "."), EPERM);
}

Test(confine, has_no_privileges)
{
	expect_good(has_no_privileges);
}

static bool has_no_bounding_set(void)
{
	for (unsigned long cap = 0; cap <= CAP_LAST_CAP; cap++)
		if (prctl(PR_CAPBSET_READ, cap, 0, 0, 0) > 0)
			return false;
	return true;
}

Test(confine, has_no_bounding_set)
{
	expect_good(has_no_bounding_set);
}

static bool has_no_network(void)
{
	const struct sockaddr_in outside = {
		.sin_family = AF_INET, .sin_port = htons(53), .sin_addr = {htonl(0x0a000001)}};
	const int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	return got.network &&
	       fails(connect(s, (const struct sockaddr *)&outside, sizeof(outside)), ENETUNREACH);
}

Test(confine, has_no_network)
{
	expect_good(has_no_network);
}

/* A program, or a device, in a folder where it may write. */
static bool makes_no_devices_or_programs(void)
{
	static const char script[] = "#!/bin/sh\n";
	char *const argv[] = {"program", NULL}, *const env[] = {NULL};
	const int fd = openat(rw, "program", O_WRONLY | O_CREAT | O_CLOEXEC, 0755);

	if (fd < 0 || write(fd, script, sizeof(script) - 1) < 0 || close(fd) < 0)
		return false;
	return fails(execveat(rw, "program", argv, env, 0), EACCES) &&
	       mknodat(rw, "device", S_IFCHR | 0600, makedev(1, 1)) < 0 &&
	       mknodat(rw, "block", S_IFBLK | 0600, makedev(8, 0)) < 0;
}

Test(confine, makes_no_devices_or_programs)
{
	expect_good(makes_no_devices_or_programs);
	expect_good_by_landlock(makes_no_devices_or_programs);
}

/* ---- by Landlock alone ---- */

static bool host_is_closed(void)
{
	char path[64];

	snprintf(path, sizeof(path), "%s/secret/file", top);
	return fails(open("/etc/passwd", O_RDONLY | O_CLOEXEC), EACCES) &&
	       fails(open(path, O_RDONLY | O_CLOEXEC), EACCES) &&
	       fails(openat(rw, "../secret/file", O_RDONLY | O_CLOEXEC), EACCES) &&
	       fails(openat(ro, "file", O_WRONLY | O_CLOEXEC), EACCES) &&
	       fails(openat(ro, "new", O_WRONLY | O_CREAT | O_CLOEXEC, 0600), EACCES) &&
	       fails(unlinkat(ro, "file", 0), EACCES) && renameat(ro, "file", rw, "stolen") < 0;
}

Test(confine, landlock_closes_the_host)
{
	expect_good_by_landlock(host_is_closed);
}
