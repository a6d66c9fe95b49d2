/* SPDX-License-Identifier: MIT */
#include "guest-agent/link.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <time.h>
#include <linux/vm_sockets.h>

#include "guest-agent/files.h"

enum {
	CONNECT_TRIES = 500,
	CONNECT_PAUSE_MS = 10,
	/* The kernel's 2 s are short for a host with more to do than it has processors. */
	CONNECT_LIMIT_S = 60,
};

/* Until a connection that was begun is there. */
static int await_connection(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLOUT};
	int error = 0;
	socklen_t len = sizeof(error);

	while (poll(&p, 1, -1) < 0)
		if (errno != EINTR)
			return -errno;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
		return -errno;
	return -error;
}

int link_init(struct link *l, link_connect_fn connect)
{
	int fd, r;

	*l = (struct link){.connect = connect};
	fd = connect(l, SC_PORT_CONTROL);
	r = fd < 0 ? fd : await_connection(fd);
	if (r == 0 && fcntl(fd, F_SETFL, 0) < 0)
		r = -errno;
	if (r < 0 && fd >= 0)
		close(fd);
	l->control = r < 0 ? r : fd;
	return r;
}

void link_fini(struct link *l)
{
	if (l->control >= 0)
		close(l->control);
	l->control = -1;
	free(l->body);
	l->body = NULL;
}

/* Up to `len` bytes; 0: none there now. */
static ssize_t receive_some(struct link *l, uint8_t *to, size_t len)
{
	ssize_t n = recv(l->control, to, len, MSG_DONTWAIT);

	if (n == 0)
		return -EPIPE;
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	return n;
}

static int begin_body(struct link *l)
{
	int r = wire_header(l->header, SC_BODY_MAX_HOST, &l->parsed);

	if (r < 0 || l->parsed.length == 0)
		return r;
	l->body = malloc(l->parsed.length);
	return l->body ? 0 : -ENOMEM;
}

int link_receive(struct link *l, struct sc_header *header, uint8_t **body)
{
	const size_t head = sizeof(l->header);
	ssize_t n;
	int r;

	while (l->have < head) {
		n = receive_some(l, l->header + l->have, head - l->have);
		if (n <= 0)
			return (int)n;
		l->have += (size_t)n;
		if (l->have == head) {
			r = begin_body(l);
			if (r < 0)
				return r;
		}
	}
	while (l->have < head + l->parsed.length) {
		size_t at = l->have - head;

		n = receive_some(l, l->body + at, l->parsed.length - at);
		if (n <= 0)
			return (int)n;
		l->have += (size_t)n;
	}
	*header = l->parsed;
	*body = l->body;
	l->body = NULL;
	l->have = 0;
	return 1;
}

int link_send(struct link *l, const struct wire_message *m)
{
	return write_all(l->control, m->buf, m->len);
}

int link_open(struct link *l, unsigned int port)
{
	int fd = l->connect(l, port);
	int r = fd < 0 ? fd : await_connection(fd);

	if (r == 0)
		return fd;
	if (fd >= 0)
		close(fd);
	return r;
}

static int greet(int fd, uint32_t id, uint32_t stream)
{
	struct sc_stream_hello hello = {.id = htole32(id), .stream = htole32(stream)};
	int r = await_connection(fd);

	if (r < 0)
		return r;
	/* There is room: nothing was sent on it before. */
	return send(fd, &hello, sizeof(hello), MSG_NOSIGNAL) == sizeof(hello) ? 0 : -EIO;
}

int link_open_streams(struct link *l, uint32_t id, unsigned int n, int fds[])
{
	unsigned int begun = 0;
	int r = 0;

	while (r == 0 && begun < n) {
		r = l->connect(l, SC_PORT_STREAM);
		if (r < 0)
			break;
		fds[begun++] = r;
		r = 0;
	}
	for (unsigned int i = 0; r == 0 && i < n; i++)
		r = greet(fds[i], id, i);
	while (r < 0 && begun > 0)
		close(fds[--begun]);
	return r;
}

/*
 * By the port the host knows that root connects. One after the other: the last one's other
 * end may not have let go of it.
 */
static int bind_low(struct link *l, int fd)
{
	struct sockaddr_vm own = {.svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_ANY};

	for (unsigned int i = 0; i < SC_PORT_GUEST_MAX; i++) {
		l->port = l->port % SC_PORT_GUEST_MAX + 1;
		own.svm_port = l->port;
		if (bind(fd, (struct sockaddr *)&own, sizeof(own)) == 0)
			return 0;
		if (errno != EADDRINUSE)
			break;
	}
	return -errno;
}

int link_connect_vsock(struct link *l, unsigned int port)
{
	static const struct timespec pause = {.tv_nsec = CONNECT_PAUSE_MS * 1000000L};
	static const struct timeval limit = {.tv_sec = CONNECT_LIMIT_S};
	struct sockaddr_vm host = {
		.svm_family = AF_VSOCK,
		.svm_cid = VMADDR_CID_HOST,
		.svm_port = port,
	};
	AUTO_CLOSE int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	int r = fd < 0 ? -errno : bind_low(l, fd);

	if (r < 0)
		return r;
	/* A kernel that has no such option keeps its own. */
	(void)setsockopt(fd, AF_VSOCK, SO_VM_SOCKETS_CONNECT_TIMEOUT, &limit, sizeof(limit));
	for (unsigned int i = 0; connect(fd, (struct sockaddr *)&host, sizeof(host)) < 0; i++) {
		if (errno == EINPROGRESS)
			break;
		/* The driver finds its device on its own time. */
		if ((errno != ENODEV && errno != ENETUNREACH) || i == CONNECT_TRIES)
			return -errno;
		nanosleep(&pause, NULL);
	}
	return steal_fd(&fd);
}
