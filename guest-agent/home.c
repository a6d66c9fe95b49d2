/* SPDX-License-Identifier: MIT */
#include "guest-agent/home.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/util.h"

enum { DEPTH_MAX = 8, FILE_MAX_BYTES = 16 << 20 };

struct owner {
	uid_t uid;
	gid_t gid;
};

static void copy_file(int from_dir, int to_dir, const char *name, mode_t mode, struct owner owner)
{
	AUTO_CLOSE int from = openat(from_dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	AUTO_CLOSE int to = -1;
	ssize_t n = 1;

	if (from < 0)
		return;
	to = openat(to_dir, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (to < 0)
		return;
	for (size_t done = 0; n > 0 && done < FILE_MAX_BYTES; done += (size_t)n)
		n = sendfile(to, from, NULL, 1 << 16);
	/* The mode last: a change of owner takes bits away. */
	if (n < 0 || fchown(to, owner.uid, owner.gid) < 0 || fchmod(to, mode & 0777) < 0)
		(void)unlinkat(to_dir, name, 0);
}

static void copy_link(int from_dir, int to_dir, const char *name, struct owner owner)
{
	char target[PATH_MAX];
	ssize_t n = readlinkat(from_dir, name, target, sizeof(target) - 1);

	if (n < 0)
		return;
	target[n] = '\0';
	if (symlinkat(target, to_dir, name) == 0)
		(void)!fchownat(to_dir, name, owner.uid, owner.gid, AT_SYMLINK_NOFOLLOW);
}

static void copy_all(int from_fd, int to_fd, struct owner owner, unsigned int depth);

static void copy_dir(int from_dir, int to_dir, const char *name, mode_t mode, struct owner owner,
		     unsigned int depth)
{
	enum { FLAGS = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC };
	AUTO_CLOSE int to = -1;
	int from;

	if (depth == DEPTH_MAX || mkdirat(to_dir, name, mode & 0777) < 0)
		return;
	to = openat(to_dir, name, FLAGS);
	if (to < 0 || fchown(to, owner.uid, owner.gid) < 0)
		return;
	from = openat(from_dir, name, FLAGS);
	if (from >= 0)
		copy_all(from, to, owner, depth + 1);
}

/* Takes from_fd over. */
static void copy_all(int from_fd, int to_fd, struct owner owner, unsigned int depth)
{
	DIR *dir = fdopendir(from_fd);
	const struct dirent *e;

	if (!dir) {
		close(from_fd);
		return;
	}
	while ((e = readdir(dir)) != NULL) {
		struct stat st;

		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 ||
		    fstatat(from_fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		if (S_ISREG(st.st_mode))
			copy_file(from_fd, to_fd, e->d_name, st.st_mode, owner);
		else if (S_ISLNK(st.st_mode))
			copy_link(from_fd, to_fd, e->d_name, owner);
		else if (S_ISDIR(st.st_mode))
			copy_dir(from_fd, to_fd, e->d_name, st.st_mode, owner, depth);
	}
	closedir(dir);
}

void home_fill(const char *skel, const char *home, uid_t uid, gid_t gid)
{
	AUTO_CLOSE int to = open(home, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int from = to < 0 ? -1 : open(skel, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (from >= 0)
		copy_all(from, to, (struct owner){uid, gid}, 0);
}
