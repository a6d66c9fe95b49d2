/* SPDX-License-Identifier: MIT */
#include "vmm/net/libvirt.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "common/lazy_lib.h"
#include "common/log.h"
#include "vmm/net/tap.h"

enum { REASON_MAX = 160 };

/* What of libvirt-host.h and libvirt-network.h is called: handles, which nobody looks into, and names. */
struct libvirt {
	void *(*connect)(const char *uri);
	void *(*lookup)(void *conn, const char *name);
	char *(*bridge)(void *network);
	const char *(*message)(void);
	void (*on_error)(void *data, void (*fn)(void *data, void *error));
};

static const struct lazy_symbol functions[] = {
	{"virConnectOpenReadOnly", offsetof(struct libvirt, connect)},
	{"virNetworkLookupByName", offsetof(struct libvirt, lookup)},
	{"virNetworkGetBridgeName", offsetof(struct libvirt, bridge)},
	{"virGetLastErrorMessage", offsetof(struct libvirt, message)},
	{"virSetErrorFunc", offsetof(struct libvirt, on_error)},
};

#define LIBRARY "libvirt.so.0"

/* What the child finds out. */
struct answer {
	bool found;
	char bridge[IFNAMSIZ];
	char reason[REASON_MAX];
};

bool libvirt_is_installed(void)
{
	struct libvirt lib;

	return lazy_lib_open(LIBRARY, functions, ARRAY_SIZE(functions), &lib) == 0;
}

static void say_nothing(void *data, void *error)
{
	(void)data;
	(void)error;
}

/* Nothing is given back: the process ends. */
static void ask(const char *name, struct answer *out)
{
	const char *uri = getenv("LIBVIRT_DEFAULT_URI");
	struct libvirt lib = {.connect = NULL};
	void *conn, *network;
	const char *bridge;

	if (lazy_lib_open(LIBRARY, functions, ARRAY_SIZE(functions), &lib) < 0) {
		snprintf(out->reason, REASON_MAX,
			 "libvirt is not installed; on Debian `apt-get install libvirt0`");
		return;
	}
	lib.on_error(NULL, say_nothing);
	conn = lib.connect(uri ? uri : "qemu:///system");
	network = conn ? lib.lookup(conn, name) : NULL;
	bridge = network ? lib.bridge(network) : NULL;
	out->found = bridge && strlen(bridge) < sizeof(out->bridge);
	if (out->found)
		memcpy(out->bridge, bridge, strlen(bridge) + 1);
	else
		snprintf(out->reason, REASON_MAX, "%s", lib.message());
}

/* In a process of its own: what the library brings along would stay beside the guest. */
static int find_bridge(const char *name, struct answer *out)
{
	int ends[2], r = -ECHILD;
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	pid = fork();
	if (pid == 0) {
		struct answer mine = {.found = false};

		ask(name, &mine);
		_exit(write(ends[1], &mine, sizeof(mine)) == sizeof(mine) ? 0 : 1);
	}
	close(ends[1]);
	if (pid < 0)
		r = -errno;
	else if (read(ends[0], out, sizeof(*out)) == sizeof(*out))
		r = 0;
	close(ends[0]);
	if (pid > 0)
		(void)waitpid(pid, NULL, 0);
	return r;
}

const char *bridge_helper_path(void)
{
	static const char *const places[] = {"/usr/lib/qemu/qemu-bridge-helper",
					     "/usr/libexec/qemu-bridge-helper",
					     "/usr/lib/qemu-bridge-helper"};

	for (size_t i = 0; i < ARRAY_SIZE(places); i++)
		if (access(places[i], X_OK) == 0)
			return places[i];
	return NULL;
}

/* The descriptor that comes with a message; -ENOENT: none does, since the sender has ended. */
static int receive_fd(int from)
{
	union {
		struct cmsghdr head;
		char space[CMSG_SPACE(sizeof(int))];
	} control;
	char byte;
	struct iovec iov = {.iov_base = &byte, .iov_len = 1};
	struct msghdr mh = {.msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = &control,
			    .msg_controllen = sizeof(control)};
	const struct cmsghdr *c;
	int fd;

	if (recvmsg(from, &mh, MSG_CMSG_CLOEXEC) <= 0)
		return -ENOENT;
	c = CMSG_FIRSTHDR(&mh);
	if (!c || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS ||
	    c->cmsg_len != CMSG_LEN(sizeof(fd)))
		return -ENOENT;
	memcpy(&fd, CMSG_DATA(c), sizeof(fd));
	return fd;
}

/* Number 3 there is the end it sends the tap by; what it complains of goes to our stderr. */
static int run_helper(const char *helper, const char *bridge, int cable, pid_t *pid)
{
	char br[IFNAMSIZ + sizeof("--br=")];
	char *const argv[] = {"qemu-bridge-helper", "--use-vnet", br, "--fd=3", NULL};
	char *const env[] = {NULL};
	posix_spawn_file_actions_t actions;
	int r = posix_spawn_file_actions_init(&actions);

	if (r != 0)
		return -r;
	snprintf(br, sizeof(br), "--br=%s", bridge);
	r = posix_spawn_file_actions_adddup2(&actions, cable, 3);
	if (r == 0)
		r = posix_spawn(pid, helper, &actions, NULL, argv, env);
	posix_spawn_file_actions_destroy(&actions);
	return -r;
}

/* A tap in the bridge. -ENOENT: the helper refused, and has said why. */
static int plug_into(const char *helper, const char *bridge)
{
	AUTO_CLOSE int ours = -1, theirs = -1, tap = -1;
	int ends[2], r;
	pid_t pid = 0;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
		return -errno;
	ours = ends[0];
	/* Numbers above 3: dup2() of 3 onto itself would leave it closed at the exec. */
	theirs = fcntl(ends[1], F_DUPFD_CLOEXEC, 4);
	close(ends[1]);
	r = theirs < 0 ? -errno : run_helper(helper, bridge, theirs, &pid);
	if (r < 0)
		return r;
	close(steal_fd(&theirs));
	tap = receive_fd(ours);
	(void)waitpid(pid, NULL, 0);
	if (tap < 0)
		return tap;
	r = tap_prepare(tap);
	return r < 0 ? r : fcntl(tap, F_DUPFD_CLOEXEC, 3);
}

int libvirt_open(const char *name, int *fd)
{
	const char *helper = bridge_helper_path();
	struct answer answer = {.found = false};
	int r = find_bridge(name, &answer);

	if (r < 0 || !answer.found) {
		log_error("--network: cannot find libvirt's network '%s': %s", name,
			  r < 0 ? strerror(-r) : answer.reason);
		return r < 0 ? r : -ENOENT;
	}
	if (!helper) {
		log_error("--network: qemu-bridge-helper, which plugs a sandbox into %s, is not "
			  "installed; on Debian `apt-get install qemu-system-common`",
			  answer.bridge);
		return -ENOENT;
	}
	r = plug_into(helper, answer.bridge);
	if (r < 0)
		log_error("--network: %s may not plug a sandbox into %s; 'sandcastle doctor' says "
			  "how root allows it",
			  helper, answer.bridge);
	else
		*fd = r;
	return r < 0 ? r : 0;
}
