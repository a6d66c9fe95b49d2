/* SPDX-License-Identifier: MIT */
#include "vmm/net/keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vmm/config/network.h"

/* The cable that comes with a message; -1: the line is closed, or what came is no request. */
static int take_cable(int line)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	char word;
	struct iovec iov = {&word, 1};
	struct msghdr mh = {.msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = control.bytes,
			    .msg_controllen = sizeof(control.bytes)};
	const struct cmsghdr *c;
	int fd = -1;

	if (recvmsg(line, &mh, MSG_CMSG_CLOEXEC) != 1)
		return -1;
	c = CMSG_FIRSTHDR(&mh);
	if (c && c->cmsg_type == SCM_RIGHTS && c->cmsg_len == CMSG_LEN(sizeof(fd)))
		memcpy(&fd, CMSG_DATA(c), sizeof(fd));
	return fd;
}

/* It may be stuck, or not quite dead. */
static void end_process(pid_t pid)
{
	if (pid <= 0)
		return;
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
}

static bool take_setup(int line, struct net_setup *out)
{
	return recv(line, out, sizeof(*out), 0) == sizeof(*out) &&
	       (out->mode == NETWORK_INTERNET || out->mode == NETWORK_USER);
}

int net_keeper_main(int line)
{
	struct net_setup setup;
	pid_t pid = 0;

	/* The line says when it is over; this is for a VMM that is killed. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || !take_setup(line, &setup))
		return 1;
	for (int i = 0; i <= NET_RESTARTS_MAX; i++) {
		AUTO_CLOSE int cable = take_cable(line);

		end_process(pid);
		pid = cable < 0 ? -1 : fork();
		if (pid < 0)
			return cable < 0 ? 0 : 1;
		if (pid == 0) {
			close(line);
			return net_process_run(&setup, cable);
		}
		/* What the first one says is for the user; whoever reads that waits for its end. */
		(void)dup2(STDOUT_FILENO, STDERR_FILENO);
	}
	/* The last one runs until the VMM ends. */
	(void)take_cable(line);
	end_process(pid);
	return 0;
}

static int spawn(int line, pid_t *pid)
{
	char *const argv[] = {"sandcastle", NET_KEEPER_WORD, NULL};
	char *const env[] = {NULL};
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	int r = posix_spawn_file_actions_init(&actions);

	if (r != 0)
		return -r;
	r = posix_spawnattr_init(&attr);
	if (r != 0)
		goto out_actions;
	/* Ctrl-C at the terminal is for the sandbox; it ends with that. */
	r = posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETPGROUP);
	if (r == 0)
		r = posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDWR,
						     0);
	if (r == 0)
		r = posix_spawn_file_actions_adddup2(&actions, STDIN_FILENO, STDOUT_FILENO);
	if (r == 0)
		r = posix_spawn_file_actions_adddup2(&actions, line, NET_KEEPER_LINE);
	if (r == 0)
		r = posix_spawn(pid, "/proc/self/exe", &actions, &attr, argv, env);
	posix_spawnattr_destroy(&attr);
out_actions:
	posix_spawn_file_actions_destroy(&actions);
	return -r;
}

int net_keeper_start(const struct net_setup *setup, int *line, pid_t *pid)
{
	int ends[2], r;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return -errno;
	r = send(ends[0], setup, sizeof(*setup), 0) < 0 ? -errno : spawn(ends[1], pid);
	close(ends[1]);
	if (r < 0)
		close(ends[0]);
	else
		*line = ends[0];
	return r;
}

static int send_cable(int line, int cable)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = {.align = {.cmsg_len = CMSG_LEN(sizeof(int)),
			       .cmsg_level = SOL_SOCKET,
			       .cmsg_type = SCM_RIGHTS}};
	struct iovec iov = {"", 1};
	const struct msghdr mh = {.msg_iov = &iov,
				  .msg_iovlen = 1,
				  .msg_control = control.bytes,
				  .msg_controllen = sizeof(control.bytes)};

	memcpy(CMSG_DATA(&control.align), &cable, sizeof(cable));
	return sendmsg(line, &mh, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? -errno : 0;
}

int net_keeper_ask(int line, int *cable)
{
	int ends[2], r;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return -errno;
	r = send_cable(line, ends[1]);
	close(ends[1]);
	if (r < 0)
		close(ends[0]);
	else
		*cable = ends[0];
	return r;
}
