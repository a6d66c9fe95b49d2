/* SPDX-License-Identifier: MIT */
#include "library/client/client.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/control_protocol.h"

/* A sandbox that listens answers at once, unless its loop is stuck. */
enum { HELLO_LIMIT_MS = 10 * 1000 };

struct client {
	int fd;
	int came; /* the descriptor of the last message; -1: none */
	int64_t last_id;
	json_t *hello;
	json_t *kept; /* array: events that came before a reply */
	char buf[CONTROL_MESSAGE_MAX + 1];
};

static int connect_in(int dir_fd, int flags)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	AUTO_CLOSE int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | flags, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "/proc/self/fd/%d/" CONTROL_SOCKET, dir_fd);
	if (fd < 0 || connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 ||
	    (flags & SOCK_NONBLOCK && fcntl(fd, F_SETFL, 0) < 0))
		return -errno;
	return steal_fd(&fd);
}

/* The descriptor that came with mh, in place of the one before; there is room for one only. */
static void take_came(struct client *c, struct msghdr *mh)
{
	struct cmsghdr *head = CMSG_FIRSTHDR(mh);

	if (c->came >= 0)
		close(c->came);
	c->came = -1;
	if (head && head->cmsg_level == SOL_SOCKET && head->cmsg_type == SCM_RIGHTS &&
	    head->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(&c->came, CMSG_DATA(head), sizeof(int));
}

static ssize_t receive_packet(struct client *c)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec iov = {.iov_base = c->buf, .iov_len = sizeof(c->buf)};
	struct msghdr mh = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes),
	};
	ssize_t n;

	do
		n = recvmsg(c->fd, &mh, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n >= 0)
		take_came(c, &mh);
	return n;
}

/* A signal does not cut the time short. */
static int wait_for_packet(const struct client *c, int timeout_ms)
{
	const int64_t end_ms = (int64_t)now_ms() + timeout_ms;
	struct pollfd p = {.fd = c->fd, .events = POLLIN};
	int r;

	while ((r = poll(&p, 1, timeout_ms)) < 0 && errno == EINTR) {
		const int64_t left = end_ms - (int64_t)now_ms();

		timeout_ms = left > 0 ? (int)left : 0;
	}
	return r < 0 ? -errno : r == 0 ? -EAGAIN : 0;
}

/* One packet from the socket. */
static int receive(struct client *c, int timeout_ms, json_t **out)
{
	const int r = timeout_ms < 0 ? 0 : wait_for_packet(c, timeout_ms);
	json_t *message;
	ssize_t n;

	if (r < 0)
		return r;
	n = receive_packet(c);
	if (n == 0 || (n < 0 && errno == ECONNRESET))
		return -EPIPE;
	if (n < 0)
		return -errno;
	message = (size_t)n < sizeof(c->buf) ? json_loadb(c->buf, (size_t)n, 0, NULL) : NULL;
	if (!json_is_object(message)) {
		json_decref(message);
		return -EPROTO;
	}
	*out = message;
	return 0;
}

static bool has_type(const json_t *message, const char *type)
{
	const char *is = json_string_value(json_object_get(message, "type"));

	return is && strcmp(is, type) == 0;
}

int client_greet(struct client *c, int timeout_ms)
{
	int r = receive(c, timeout_ms, &c->hello);

	if (r < 0)
		return r == -EAGAIN ? -ETIMEDOUT : r;
	if (!has_type(c->hello, "hello") || !json_is_string(json_object_get(c->hello, "name")))
		return -EPROTO;
	if (json_integer_value(json_object_get(c->hello, "protocol")) != CONTROL_PROTOCOL)
		return -EPROTONOSUPPORT;
	return 0;
}

static int open_client(int dir_fd, int flags, struct client **out)
{
	struct client *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return -ENOMEM;
	c->came = -1;
	c->kept = json_array();
	c->fd = connect_in(dir_fd, flags);
	r = c->fd < 0 ? c->fd : c->kept ? 0 : -ENOMEM;
	if (r < 0)
		client_free(c);
	else
		*out = c;
	return r;
}

int client_connect(int dir_fd, struct client **out)
{
	return open_client(dir_fd, SOCK_NONBLOCK, out);
}

int client_new(int dir_fd, struct client **out)
{
	struct client *c = NULL;
	int r = open_client(dir_fd, 0, &c);

	if (r == 0)
		r = client_greet(c, HELLO_LIMIT_MS);
	if (r < 0) {
		client_free(c);
		return r;
	}
	*out = c;
	return 0;
}

void client_free(struct client *c)
{
	if (!c)
		return;
	if (c->fd >= 0)
		close(c->fd);
	if (c->came >= 0)
		close(c->came);
	json_decref(c->hello);
	json_decref(c->kept);
	free(c);
}

int client_fd(const struct client *c)
{
	return c->fd;
}

const char *client_name(const struct client *c)
{
	return json_string_value(json_object_get(c->hello, "name"));
}

int client_pid(const struct client *c)
{
	return (int)json_integer_value(json_object_get(c->hello, "pid"));
}

int client_process(const struct client *c)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);
	int fd;

	if (getsockopt(c->fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
		return -errno;
	if (peer.pid <= 0)
		return -ESRCH;
	if (peer.uid != geteuid() && geteuid() != 0)
		return -EPERM;
	fd = (int)syscall(SYS_pidfd_open, peer.pid, 0);
	return fd < 0 ? -errno : fd;
}

static int send_packet(struct client *c, char *text, size_t len, const int *fds, size_t n_fds)
{
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE((CONTROL_MAX_FDS + 1) * sizeof(int))];
	} control = {.buf = ""};
	struct iovec iov = {.iov_base = text, .iov_len = len};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	ssize_t n;

	if (n_fds > 0) {
		struct cmsghdr *head;

		msg.msg_control = control.buf;
		msg.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
		head = CMSG_FIRSTHDR(&msg);
		head->cmsg_level = SOL_SOCKET;
		head->cmsg_type = SCM_RIGHTS;
		head->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
		memcpy(CMSG_DATA(head), fds, n_fds * sizeof(int));
	}
	do
		n = sendmsg(c->fd, &msg, MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return errno == ECONNRESET ? -EPIPE : errno == EMSGSIZE ? -E2BIG : -errno;
	return 0;
}

/* A sealed file in memory of a request that is longer than a packet. */
static int file_of(const char *text, size_t len)
{
	AUTO_CLOSE int fd = memfd_create("request", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	for (size_t done = 0; fd >= 0 && done < len;) {
		const ssize_t n = write(fd, text + done, len - done);

		if (n < 0 && errno != EINTR)
			return -errno;
		done += n > 0 ? (size_t)n : 0;
	}
	if (fd < 0 || fcntl(fd, F_ADD_SEALS, CONTROL_FILE_SEALS) < 0)
		return -errno;
	return steal_fd(&fd);
}

static int send_file(struct client *c, const char *text, size_t len, const int *fds, size_t n_fds)
{
	char packet[] = CONTROL_FILE_PACKET;
	AUTO_CLOSE int file = file_of(text, len);
	int all[CONTROL_MAX_FDS + 1] = {file};

	if (file < 0)
		return file;
	for (size_t i = 0; i < n_fds; i++)
		all[i + 1] = fds[i];
	return send_packet(c, packet, strlen(packet), all, n_fds + 1);
}

int client_send(struct client *c, json_t *request, const int *fds, size_t n_fds, int64_t *id)
{
	char *text = NULL;
	size_t len;
	int r;

	if (!request || json_object_set_new(request, "type", json_string("request")) < 0 ||
	    json_object_set_new(request, "id", json_integer(++c->last_id)) < 0 ||
	    !(text = json_dumps(request, JSON_COMPACT))) {
		json_decref(request);
		return -ENOMEM;
	}
	json_decref(request);
	len = strlen(text);
	if (len > CONTROL_FILE_MAX)
		r = -E2BIG;
	else if (n_fds > CONTROL_MAX_FDS)
		r = -EINVAL;
	else if (len > CONTROL_MESSAGE_MAX)
		r = send_file(c, text, len, fds, n_fds);
	else
		r = send_packet(c, text, len, fds, n_fds);
	free(text);
	if (r == 0)
		*id = c->last_id;
	return r;
}

int client_receive(struct client *c, int timeout_ms, json_t **out)
{
	if (json_array_size(c->kept) > 0) {
		*out = json_incref(json_array_get(c->kept, 0));
		(void)json_array_remove(c->kept, 0);
		return 0;
	}
	return receive(c, timeout_ms, out);
}

int client_call(struct client *c, json_t *request, const int *fds, size_t n_fds, json_t **reply)
{
	int64_t id = 0;
	int r = client_send(c, request, fds, n_fds, &id);

	while (r == 0) {
		json_t *message;

		r = receive(c, -1, &message);
		if (r < 0)
			break;
		if (has_type(message, "reply") &&
		    json_integer_value(json_object_get(message, "id")) == id) {
			*reply = message;
			return json_is_true(json_object_get(message, "ok")) ? 0 : -EREMOTEIO;
		}
		if (json_array_append_new(c->kept, message) < 0)
			r = -ENOMEM;
	}
	return r;
}

int client_take_fd(struct client *c)
{
	return steal_fd(&c->came);
}
