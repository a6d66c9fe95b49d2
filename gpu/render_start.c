/* SPDX-License-Identifier: MIT */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/beside.h"
#include "gpu/gpu.h"
#include "gpu/render.h"

#define PROGRAM "sandcastle-gpu"
#define NODES	"/dev/dri"

enum { SOCKET_ROOM = 212992 }; /* bytes, of messages with what the kernel adds to each */

/*
 * Only what chooses a GPU gets through. No shader cache: a guest's programs would fill it,
 * and be found there by others.
 */
static int spawn(const char *program, int socket, pid_t *pid)
{
	const char *prime = getenv("DRI_PRIME");
	char choice[64];
	char *const argv[] = {PROGRAM, NULL};
	char *env[] = {"MESA_SHADER_CACHE_DISABLE=true", "MESA_GLSL_CACHE_DISABLE=true", NULL,
		       NULL};
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	int r = posix_spawn_file_actions_init(&actions);

	if (r != 0)
		return -r;
	if (prime &&
	    (size_t)snprintf(choice, sizeof(choice), "DRI_PRIME=%s", prime) < sizeof(choice))
		env[2] = choice;
	r = posix_spawnattr_init(&attr);
	if (r != 0)
		goto out_actions;
	/* Ctrl-C at the terminal is for the sandbox; it ends with that. */
	r = posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETPGROUP);
	for (int fd = STDIN_FILENO; r == 0 && fd <= STDERR_FILENO; fd++)
		r = posix_spawn_file_actions_addopen(&actions, fd, "/dev/null", O_RDWR, 0);
	if (r == 0)
		r = posix_spawn_file_actions_adddup2(&actions, socket, RENDER_SOCKET);
	if (r == 0)
		r = posix_spawnp(pid, program, &actions, &attr, argv, env);
	posix_spawnattr_destroy(&attr);
out_actions:
	posix_spawn_file_actions_destroy(&actions);
	return -r;
}

/* The area, whose size nobody can change. */
static int make_area(struct render *r, int *out)
{
	AUTO_CLOSE int fd = memfd_create("sandcastle-gpu", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	void *map;

	if (fd < 0 || ftruncate(fd, RENDER_AREA_SIZE) < 0 ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		return -errno;
	map = mmap(NULL, RENDER_AREA_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		return -errno;
	r->area = map;
	*out = steal_fd(&fd);
	return 0;
}

static int send_setup(int socket, const struct render_host *host, int area)
{
	struct render_message m = {
		.type = RENDER_SETUP,
		.setup = {.ram_size = host->ram_size, .software = host->software},
	};
	const int fds[2] = {host->ram_fd, area};
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(fds))];
	} control = {0};
	struct iovec iov = {&m, sizeof(m)};
	struct msghdr mh = {.msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = control.bytes,
			    .msg_controllen = sizeof(control.bytes)};
	struct cmsghdr *c = CMSG_FIRSTHDR(&mh);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(sizeof(fds));
	memcpy(CMSG_DATA(c), fds, sizeof(fds));
	return sendmsg(socket, &mh, MSG_NOSIGNAL) == sizeof(m) ? 0 : -errno;
}

static int start(struct render *r, const struct render_host *host, const char *program)
{
	AUTO_CLOSE int area = -1, theirs = -1;
	const int room = SOCKET_ROOM;
	int ends[2], err = make_area(r, &area);

	if (err < 0)
		return err;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return -errno;
	r->src.fd = ends[0];
	theirs = ends[1];
	if (setsockopt(r->src.fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room)) < 0)
		return -errno;
	err = send_setup(r->src.fd, host, area);
	return err < 0 ? err : spawn(program, theirs, &r->pid);
}

int render_start(struct render *r, const struct render_host *host)
{
	char path[PATH_MAX];
	int err;

	if (host->program)
		snprintf(path, sizeof(path), "%s", host->program);
	else
		program_beside(PROGRAM, path, sizeof(path));
	r->ram = host->ram;
	err = start(r, host, path);
	if (err == 0) {
		r->state = RENDER_STARTING;
		return 0;
	}
	render_fini(r);
	if (err == -ENOENT)
		snprintf(r->why, sizeof(r->why),
			 PROGRAM " is not installed; it comes with sandcastle-desktop");
	else
		snprintf(r->why, sizeof(r->why), PROGRAM " does not start: %s", strerror(-err));
	return err;
}

/* Text of the renderer's, which is not believed to be any. */
static void copy_text(char *dst, size_t size, const char *text, size_t max)
{
	size_t n = 0;

	for (; n + 1 < size && n < max && text[n]; n++)
		dst[n] = text[n] >= ' ' && text[n] <= '~' ? text[n] : '?';
	dst[n] = '\0';
}

static int take_capset(struct render *r, unsigned int i, const struct render_hello *hello)
{
	struct render_capset *c = &r->capsets[i];

	c->version = hello->capsets[i].version;
	c->size = hello->capsets[i].size;
	if (c->size == 0 || c->size > RENDER_CAPSET_MAX)
		return -EIO;
	c->data = malloc(c->size);
	/* For which the GPU is not to blame. */
	if (!c->data)
		return -ENODEV;
	memcpy(c->data, hello->capsets[i].data, c->size);
	return 0;
}

static int take_hello(struct render *r, uint32_t type)
{
	const struct render_hello *hello = (const struct render_hello *)(const void *)r->area;
	int err = type == RENDER_READY ? 0 : type == RENDER_REFUSED ? -ENODEV : -EIO;

	copy_text(r->driver, sizeof(r->driver), hello->driver, sizeof(hello->driver));
	if (type == RENDER_REFUSED)
		copy_text(r->why, sizeof(r->why), hello->why, sizeof(hello->why));
	for (unsigned int i = 0; err == 0 && i < RENDER_CAPSETS; i++)
		err = take_capset(r, i, hello);
	return err;
}

/* How a process that said nothing ended; it ends soon, its socket is closed. */
static int say_end(struct render *r)
{
	int status = 0;
	const pid_t pid = waitpid(r->pid, &status, 0);

	if (pid == r->pid)
		r->pid = 0;
	if (pid >= 0 && WIFSIGNALED(status)) {
		snprintf(r->why, sizeof(r->why), "the host's driver ended by signal %d when tried",
			 WTERMSIG(status));
		return -EIO;
	}
	snprintf(r->why, sizeof(r->why),
		 PROGRAM " does not start; is libvirglrenderer1 installed?");
	return -ENODEV;
}

int render_wait(struct render *r, unsigned int limit_ms)
{
	struct pollfd ready = {.fd = r->src.fd, .events = POLLIN};
	struct render_message m;
	int err = poll(&ready, 1, (int)limit_ms) > 0 ? 0 : -EIO;
	ssize_t n = 0;
	char driver[sizeof(r->driver)], why[sizeof(r->why)];

	if (err < 0)
		snprintf(r->why, sizeof(r->why), "the host's GPU was not ready within %u s",
			 limit_ms / 1000);
	else if ((n = recv(r->src.fd, &m, sizeof(m), MSG_DONTWAIT)) <= 0)
		err = say_end(r);
	else
		err = n == sizeof(m) ? take_hello(r, m.type) : -EIO;
	if (err == 0) {
		r->state = RENDER_ON;
		return 0;
	}
	memcpy(driver, r->driver, sizeof(driver));
	memcpy(why, r->why, sizeof(why));
	render_fini(r);
	memcpy(r->driver, driver, sizeof(driver));
	snprintf(r->why, sizeof(r->why), "%s", why[0] ? why : "the renderer says nonsense");
	return err;
}

int gpu_render_try(unsigned int limit_ms, char *says, size_t size)
{
	AUTO_CLOSE int fd = memfd_create("sandcastle-gpu-try", MFD_CLOEXEC);
	const struct render_host host = {.ram_fd = fd, .ram_size = 2 << 20};
	struct render r;
	int err;

	if (fd < 0 || ftruncate(fd, (off_t)host.ram_size) < 0) {
		snprintf(says, size, "no memory to try it: %s", strerror(errno));
		return -ENODEV;
	}
	render_init(&r);
	err = render_start(&r, &host) == 0 ? render_wait(&r, limit_ms) : -ENODEV;
	snprintf(says, size, "%s", err < 0 ? r.why : r.driver);
	render_fini(&r);
	return err;
}

bool gpu_host_has_one(char *why, size_t size)
{
	DIR *dir = opendir(NODES);
	bool there = false, ours = false;

	for (const struct dirent *e = dir ? readdir(dir) : NULL; e; e = readdir(dir))
		if (strncmp(e->d_name, "renderD", strlen("renderD")) == 0) {
			there = true;
			ours |= faccessat(dirfd(dir), e->d_name, R_OK | W_OK, 0) == 0;
		}
	if (dir)
		closedir(dir);
	if (!ours)
		snprintf(why, size, "%s",
			 there ? "the host's GPU may not be used; its users are in group 'render'"
			       : "the host has no GPU");
	return ours;
}
