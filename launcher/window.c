/* SPDX-License-Identifier: MIT */
#include "launcher/window.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/beside.h"
#include "common/log.h"

#define WINDOW "sandcastle-window"

enum { NAME_SIZE = 256 };

void window_become(const char *name)
{
	char path[PATH_MAX];

	program_beside(WINDOW, path, sizeof(path));
	execlp(path, WINDOW, name, (char *)NULL);
	if (errno == ENOENT)
		log_error("the window is a program of its own, which is not installed: apt install "
			  "sandcastle-desktop");
	else
		log_error("cannot start %s: %s", path, strerror(errno));
}

static bool host_has_screen(void)
{
	const char *x11 = getenv("DISPLAY"), *wayland = getenv("WAYLAND_DISPLAY");

	return (x11 && *x11) || (wayland && *wayland);
}

/* Whoever reads our standard output waits for the command's, not for the window's. */
static _Noreturn void await_name(int fd)
{
	const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	char name[NAME_SIZE];
	ssize_t n;

	if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0)
		_exit(1);
	do
		n = read(fd, name, sizeof(name) - 1);
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		_exit(1);
	name[n] = '\0';
	window_become(name);
	_exit(1);
}

int window_prepare(int *fd)
{
	int ends[2];
	pid_t pid;

	*fd = -1;
	if (!host_has_screen()) {
		log_warn("no window, as neither DISPLAY nor WAYLAND_DISPLAY is set; `sandcastle "
			 "screenshot NAME` shows what there is");
		return 0;
	}
	if (pipe2(ends, O_CLOEXEC) < 0 || (pid = fork()) < 0) {
		log_error("cannot start a process: %s", strerror(errno));
		return -errno;
	}
	if (pid == 0) {
		close(ends[1]);
		await_name(ends[0]);
	}
	close(ends[0]);
	*fd = ends[1];
	return 0;
}

void window_tell(const char *name, void *fd)
{
	int *told = fd;

	if (*told < 0)
		return;
	(void)!write(*told, name, strlen(name));
	close(*told);
	*told = -1;
}
