/* SPDX-License-Identifier: MIT */
#include "library/client/rundir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "common/control_protocol.h"
#include "common/units.h"

/* As many as there can be: of a sandbox that accepts none, `stop --force` still asks which process it is. */
enum { LISTEN_BACKLOG = SOMAXCONN };

char *rundir_top(void)
{
	const char *base = getenv("XDG_RUNTIME_DIR");
	char *top = NULL;
	struct stat st;
	int r;

	if (base && base[0] == '/') {
		r = asprintf(&top, "%s/sandcastle", base);
	} else {
		r = asprintf(&top, "/run/user/%u", getuid());
		if (r >= 0 && stat(top, &st) == 0 && st.st_uid == getuid()) {
			free(top);
			r = asprintf(&top, "/run/user/%u/sandcastle", getuid());
		} else if (r >= 0) {
			free(top);
			r = asprintf(&top, "/tmp/sandcastle-%u", getuid());
		}
	}
	return r < 0 ? NULL : top;
}

/* Opens a folder of ours that nobody else can look into, or reach through. */
static int open_private(int at, const char *path)
{
	AUTO_CLOSE int fd = openat(at, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (st.st_uid != geteuid() || (st.st_mode & 077) != 0)
		return -EPERM;
	return steal_fd(&fd);
}

/*
 * TOP, made if it is missing and `create`, with its lock held, which closing it
 * gives back. -ENOENT: there is none.
 */
static int lock_top(const char *top, bool create)
{
	for (;;) {
		AUTO_CLOSE int fd = -1;
		struct stat st;

		if (create && mkdir(top, 0700) < 0 && errno != EEXIST)
			return -errno;
		fd = open_private(AT_FDCWD, top);
		if (fd == -ENOENT && create)
			continue;
		if (fd < 0)
			return fd;
		while (flock(fd, LOCK_EX) < 0)
			if (errno != EINTR)
				return -errno;
		/* The last user of TOP may have removed it while we waited for the lock. */
		if (fstat(fd, &st) < 0)
			return -errno;
		if (st.st_nlink > 0)
			return steal_fd(&fd);
		if (!create)
			return -ENOENT;
	}
}

/* With TOP locked. True if a sandbox lives there; what a dead one left is removed. */
static bool is_alive(int top_fd, const char *name)
{
	AUTO_CLOSE int fd = open_private(top_fd, name);

	if (fd < 0)
		return fd != -ENOENT;
	if (flock(fd, LOCK_EX | LOCK_NB) < 0)
		return true;
	(void)unlinkat(fd, CONTROL_SOCKET, 0);
	return unlinkat(top_fd, name, AT_REMOVEDIR) < 0;
}

/* The address of the socket in a folder, however long the folder's path is. */
static struct sockaddr_un socket_address(int dir_fd)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};

	snprintf(addr.sun_path, sizeof(addr.sun_path), "/proc/self/fd/%d/" CONTROL_SOCKET, dir_fd);
	return addr;
}

static int listen_in(int dir_fd)
{
	struct sockaddr_un addr = socket_address(dir_fd);
	AUTO_CLOSE int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 ||
	    fchmodat(dir_fd, CONTROL_SOCKET, 0600, 0) < 0 || listen(fd, LISTEN_BACKLOG) < 0)
		return -errno;
	return steal_fd(&fd);
}

int rundir_create(const char *top, const char *name, struct rundir *out)
{
	struct rundir rd = {.top_fd = -1, .dir_fd = -1, .listen_fd = -1};
	int r = 0;

	rd.name = strdup(name);
	rd.top = strdup(top);
	rd.top_fd = rd.name && rd.top ? lock_top(top, true) : -ENOMEM;
	if (rd.top_fd < 0)
		r = rd.top_fd;
	else if (is_alive(rd.top_fd, name))
		r = -EEXIST;
	else if (mkdirat(rd.top_fd, name, 0700) < 0)
		r = -errno;
	if (r == 0) {
		rd.dir_fd = open_private(rd.top_fd, name);
		r = rd.dir_fd < 0 ? rd.dir_fd : 0;
	}
	if (r == 0 && flock(rd.dir_fd, LOCK_EX | LOCK_NB) < 0)
		r = -errno;
	if (r == 0) {
		rd.listen_fd = listen_in(rd.dir_fd);
		r = rd.listen_fd < 0 ? rd.listen_fd : 0;
	}
	if (r < 0) {
		rundir_remove(&rd);
		return r;
	}
	(void)flock(rd.top_fd, LOCK_UN);
	*out = rd;
	return 0;
}

/* Removes TOP itself if it is empty; a confined sandbox cannot, as nothing is above it. TOP is locked. */
static void remove_top(int top_fd, const char *top)
{
	AUTO_CLOSE int above = openat(top_fd, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);

	(void)unlinkat(above, strrchr(top, '/') + 1, AT_REMOVEDIR);
}

void rundir_remove(struct rundir *rd)
{
	/* Lock TOP, so that nobody comes upon a folder whose socket is gone. */
	if (rd->top_fd >= 0)
		(void)flock(rd->top_fd, LOCK_EX);
	if (rd->listen_fd >= 0)
		close(rd->listen_fd);
	if (rd->dir_fd >= 0) {
		(void)unlinkat(rd->dir_fd, CONTROL_SOCKET, 0);
		(void)unlinkat(rd->top_fd, rd->name, AT_REMOVEDIR);
		close(rd->dir_fd);
	}
	if (rd->top_fd >= 0) {
		remove_top(rd->top_fd, rd->top);
		close(rd->top_fd);
	}
	free(rd->top);
	free(rd->name);
	*rd = (struct rundir){.top_fd = -1, .dir_fd = -1, .listen_fd = -1};
}

int rundir_open(const char *top, const char *name)
{
	AUTO_CLOSE int top_fd = lock_top(top, false);
	int fd;

	if (top_fd < 0)
		return top_fd;
	if (!is_host_name(name) || !is_alive(top_fd, name)) {
		remove_top(top_fd, top);
		return -ENOENT;
	}
	fd = openat(top_fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

void rundir_list_free(char **names)
{
	for (char **name = names; name && *name; name++)
		free(*name);
	free(names);
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Appends a copy of `name`. */
static int add_name(char ***names, size_t *n, const char *name)
{
	char **grown = reallocarray(*names, *n + 2, sizeof(*grown));

	if (!grown)
		return -ENOMEM;
	*names = grown;
	grown[*n] = strdup(name);
	if (!grown[*n])
		return -ENOMEM;
	grown[++*n] = NULL;
	return 0;
}

static int scan(int top_fd, DIR *dir, char ***names, size_t *n)
{
	const struct dirent *entry;

	while ((entry = readdir(dir))) {
		int r;

		if (!is_host_name(entry->d_name) || !is_alive(top_fd, entry->d_name))
			continue;
		r = add_name(names, n, entry->d_name);
		if (r < 0)
			return r;
	}
	return 0;
}

int rundir_list(const char *top, char ***names)
{
	char **list = calloc(1, sizeof(*list));
	AUTO_CLOSE int top_fd = lock_top(top, false);
	size_t n = 0;
	DIR *dir;
	int r;

	if (!list)
		return -ENOMEM;
	if (top_fd < 0 && top_fd != -ENOENT) {
		rundir_list_free(list);
		return top_fd;
	}
	dir = top_fd < 0 ? NULL : fdopendir(dup(top_fd));
	r = dir ? scan(top_fd, dir, &list, &n) : 0;
	if (dir)
		closedir(dir);
	if (top_fd >= 0 && n == 0)
		remove_top(top_fd, top);
	if (r < 0) {
		rundir_list_free(list);
		return r;
	}
	qsort(list, n, sizeof(*list), compare_names);
	*names = list;
	return 0;
}
