/* SPDX-License-Identifier: MIT */
#include "common/mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/mount.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/pass_fd.h"

/* Flags of open_tree(2) that <linux/mount.h> knows under names that clash with <sys/mount.h>. */
enum { WHOLE_TREE = 0x8000 };

/* ---- namespaces ---- */

static int write_text(const char *path, const char *text)
{
	AUTO_CLOSE int fd = open(path, O_WRONLY | O_CLOEXEC);
	const ssize_t len = (ssize_t)strlen(text);

	return fd >= 0 && write(fd, text, (size_t)len) == len ? 0 : -errno;
}

/* Files have owners, and nothing is written as somebody unknown: the namespace knows us. */
static int map_ourselves(uid_t uid, gid_t gid)
{
	char map[32];
	int r;

	snprintf(map, sizeof(map), "%u %u 1", uid, uid);
	r = write_text("/proc/self/uid_map", map);
	if (r == 0)
		r = write_text("/proc/self/setgroups", "deny");
	snprintf(map, sizeof(map), "%u %u 1", gid, gid);
	return r < 0 ? r : write_text("/proc/self/gid_map", map);
}

int mounts_enter(void)
{
	const uid_t uid = geteuid();
	const gid_t gid = getegid();
	int r = 0;

	/* Root needs no user namespace, and would see who owns what no longer. */
	if (uid == 0 && unshare(CLONE_NEWNS) == 0) {
		/* What happens here is not to happen on the host. */
		if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
			return -errno;
	} else if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0) {
		return -errno;
	} else {
		r = map_ourselves(uid, gid);
	}
	/* There is nothing in these that it would need; a kernel may lack one. */
	if (r == 0)
		(void)!unshare(CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP);
	return r;
}

/* ---- detaching ---- */

/* What fd is open for, opened by its path, which leads through the mounts of this namespace. */
static int find_again(int fd)
{
	AUTO_CLOSE int again = -1;
	char link[32], path[PATH_MAX];
	struct stat was, is;
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, path, sizeof(path) - 1);
	if (n < 0 || fstat(fd, &was) < 0)
		return -errno;
	path[n] = '\0';
	again = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (again < 0)
		return errno == ENOENT ? -ESTALE : -errno;
	if (fstat(again, &is) < 0)
		return -errno;
	if (is.st_dev != was.st_dev || is.st_ino != was.st_ino)
		return -ESTALE;
	return steal_fd(&again);
}

int mount_detach(int fd, bool writable, int *out)
{
	struct mount_attr attr = {
		.attr_set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC |
			    (writable ? 0 : MOUNT_ATTR_RDONLY),
		.propagation = MS_PRIVATE,
	};
	const unsigned int all = AT_EMPTY_PATH | WHOLE_TREE;
	AUTO_CLOSE int here = find_again(fd), mnt = -1;

	if (here < 0)
		return here;
	/* What is mounted below covers what is not to be seen, so it comes along. */
	mnt = (int)syscall(SYS_open_tree, here, "", all | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (mnt < 0 || syscall(SYS_mount_setattr, mnt, "", all, &attr, sizeof(attr)) < 0)
		return -errno;
	*out = steal_fd(&mnt);
	return 0;
}

/* A lock belongs to what was opened, not to the folder, so the new one has to take it. */
static int move_lock(int from, int to, int guard)
{
	int r = 0;

	if (guard >= 0 && flock(guard, LOCK_EX) < 0)
		return -errno;
	if (flock(from, LOCK_UN) < 0 || flock(to, LOCK_EX | LOCK_NB) < 0)
		r = -errno;
	if (guard >= 0 && flock(guard, LOCK_UN) < 0)
		r = -errno;
	return r;
}

int mount_replace(int fd, bool writable, int guard)
{
	AUTO_CLOSE int mnt = -1, opened = -1;
	const int flags = fcntl(fd, F_GETFL);
	int r = flags < 0 ? -errno : mount_detach(fd, writable, &mnt);

	if (r == 0 && !(flags & O_PATH)) {
		opened = openat(mnt, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		r = opened < 0 ? -errno : 0;
	}
	if (r == 0 && opened >= 0 && guard >= 0)
		r = move_lock(fd, opened, guard);
	if (r == 0 && dup3(opened >= 0 ? opened : mnt, fd, O_CLOEXEC) < 0)
		r = -errno;
	return r;
}

/* Of a program with threads, so nothing here takes a lock. */
static int detach_and_send(int fd, bool writable, int socket)
{
	int mnt = -1;
	int r = mounts_enter();

	if (r == 0)
		r = mount_detach(fd, writable, &mnt);
	return r < 0 ? r : pass_fd(socket, mnt);
}

int mount_detach_elsewhere(int fd, bool writable, int *out)
{
	AUTO_CLOSE int ours = -1;
	int ends[2], status = 0, got;
	pid_t child;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
		return -errno;
	ours = ends[0];
	child = fork();
	if (child == 0)
		_exit(-detach_and_send(fd, writable, ends[1]));
	close(ends[1]);
	if (child < 0)
		return -EAGAIN;
	got = take_fd(ours);
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	if (got < 0)
		return WIFEXITED(status) && WEXITSTATUS(status) ? -WEXITSTATUS(status) : got;
	*out = got;
	return 0;
}

/* ---- what others send ---- */

static bool is_its_own_parent(int fd)
{
	struct stat self, above;

	return fstat(fd, &self) == 0 && fstatat(fd, "..", &above, AT_NO_AUTOMOUNT) == 0 &&
	       self.st_dev == above.st_dev && self.st_ino == above.st_ino;
}

int mount_check(int fd, bool writable)
{
	const int flags = fcntl(fd, F_GETFL);
	struct statvfs fs;
	struct stat st;

	if (flags < 0 || fstat(fd, &st) < 0 || fstatvfs(fd, &fs) < 0)
		return -errno;
	if (!(flags & O_PATH) || (S_ISDIR(st.st_mode) && !is_its_own_parent(fd)) ||
	    (!writable && !(fs.f_flag & ST_RDONLY)))
		return -EPERM;
	return 0;
}

/* ---- an empty root ---- */

int mount_nothing(void)
{
	static const char *const options[][2] = {
		{"size", "4k"}, {"nr_inodes", "2"}, {"mode", "0555"}};
	AUTO_CLOSE int fs = (int)syscall(SYS_fsopen, "tmpfs", FSOPEN_CLOEXEC);
	int mnt;

	for (size_t i = 0; fs >= 0 && i < ARRAY_SIZE(options); i++)
		if (syscall(SYS_fsconfig, fs, FSCONFIG_SET_STRING, options[i][0], options[i][1],
			    0) < 0)
			return -errno;
	if (fs < 0 || syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return -errno;
	mnt = (int)syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC,
			   MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV |
				   MOUNT_ATTR_NOEXEC);
	return mnt < 0 ? -errno : mnt;
}

/* Where AppArmor has a say, the namespaces can be made and nothing be done in them. */
static int probe(void)
{
	int r = mounts_enter();

	if (r == 0)
		r = mount_nothing();
	return r < 0 ? r : 0;
}

int mounts_probe(void)
{
	const pid_t child = fork();
	int status = 0;

	if (child == 0)
		_exit(-probe());
	if (child < 0)
		return -EAGAIN;
	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return WIFEXITED(status) ? -WEXITSTATUS(status) : -EIO;
}

int mount_as_root(int mount)
{
	/* Both are "/" for pivot_root(2): the old root comes to lie on the new one, and goes. */
	if (syscall(SYS_move_mount, mount, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH) < 0 ||
	    fchdir(mount) < 0 || syscall(SYS_pivot_root, ".", ".") < 0 ||
	    umount2(".", MNT_DETACH) < 0)
		return -errno;
	return 0;
}
