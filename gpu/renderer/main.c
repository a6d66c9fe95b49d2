/* SPDX-License-Identifier: MIT */
/*
 * sandcastle-gpu: renders what the guest of one sandbox asks for, on the host's GPU. The VMM
 * starts it (gpu/render_start.c) and speaks with it (gpu/render_wire.h); nobody else does.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gpu/renderer/confine.h"
#include "gpu/renderer/egl.h"
#include "gpu/renderer/virgl.h"

enum {
	BURST = 32, /* messages before fences are looked at */
	FENCE_POLL_MS = 1, /* where virglrenderer has no descriptor to wait for */
};

struct renderer {
	struct virgl_memory mem;
	uint32_t done, told; /* messages */
	uint32_t bytes; /* of the ring, done but not told */
	uint32_t failed;
};

static int receive_setup(struct render_setup *setup, int fds[2])
{
	struct render_message m;
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(2 * sizeof(int))];
	} control;
	struct iovec iov = {&m, sizeof(m)};
	struct msghdr mh = {.msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = control.bytes,
			    .msg_controllen = sizeof(control.bytes)};
	const struct cmsghdr *c;

	if (recvmsg(RENDER_SOCKET, &mh, MSG_CMSG_CLOEXEC) != sizeof(m) || m.type != RENDER_SETUP)
		return -EPROTO;
	c = CMSG_FIRSTHDR(&mh);
	if (!c || c->cmsg_type != SCM_RIGHTS || c->cmsg_len != CMSG_LEN(2 * sizeof(int)))
		return -EPROTO;
	memcpy(fds, CMSG_DATA(c), 2 * sizeof(int));
	*setup = m.setup;
	return 0;
}

/* Maps a file for good. Closed right away: whoever has it open can make it shorter. */
static uint8_t *map_file(int fd, uint64_t size)
{
	void *map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	close(fd);
	return map == MAP_FAILED ? NULL : map;
}

static int say(const struct renderer *r, uint32_t type, uint32_t n, uint32_t slot)
{
	const struct render_message m = {
		.type = type,
		.reply = {.n = n, .slot = slot, .done = r->done, .failed = r->failed},
	};

	return send(RENDER_SOCKET, &m, sizeof(m), MSG_NOSIGNAL) == sizeof(m) ? 0 : -EPIPE;
}

/* Every reply says how far we are. */
static int reply(struct renderer *r, uint32_t type, uint32_t n, uint32_t slot)
{
	r->told = r->done;
	r->bytes = 0;
	return say(r, type, n, slot);
}

static uint32_t ring_bytes(const struct render_message *m)
{
	if (m->type == RENDER_SUBMIT)
		return m->bytes.n * (uint32_t)sizeof(uint32_t);
	return m->type == RENDER_RES_BACKING ? m->bytes.n * (uint32_t)sizeof(struct render_run) : 0;
}

static int handle(struct renderer *r, const struct render_message *m)
{
	if (virgl_do(m) < 0)
		r->failed++;
	r->done++;
	r->bytes += ring_bytes(m);
	/* What was to be done is not done any more. */
	if (m->type == RENDER_RESET)
		return reply(r, RENDER_FENCED, virgl_forgotten(), 0);
	if (m->type == RENDER_READ)
		return reply(r, RENDER_SHOWN, m->read.n, m->read.slot);
	if (r->done - r->told >= RENDER_REPLY_MESSAGES || r->bytes >= RENDER_REPLY_BYTES)
		return reply(r, RENDER_DONE, 0, 0);
	return 0;
}

/* 0: go on; 1: the device is gone. */
static int take(struct renderer *r)
{
	struct render_message m;

	for (unsigned int i = 0; i < BURST; i++) {
		const ssize_t n = recv(RENDER_SOCKET, &m, sizeof(m), MSG_DONTWAIT);

		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			return 0;
		if (n != sizeof(m) || handle(r, &m) < 0)
			return 1;
	}
	return 0;
}

static int serve(struct renderer *r)
{
	for (;;) {
		struct pollfd fds[2] = {{.fd = RENDER_SOCKET, .events = POLLIN},
					{.fd = virgl_poll_fd(), .events = POLLIN}};
		const int wait = fds[1].fd < 0 && virgl_waits() ? FENCE_POLL_MS : -1;
		uint32_t n;

		if (poll(fds, ARRAY_SIZE(fds), wait) < 0 && errno != EINTR)
			return 1;
		if ((fds[1].revents || wait >= 0) && virgl_poll(&n) &&
		    reply(r, RENDER_FENCED, n, 0) < 0)
			return 0;
		if (fds[0].revents && take(r))
			return 0;
	}
}

/* Why there is nothing to render with, for the device to read. */
static int refuse(const struct renderer *r)
{
	(void)say(r, RENDER_REFUSED, 0, 0);
	return RENDER_EXIT_REFUSED;
}

static int start(struct renderer *r)
{
	struct render_hello *hello;
	struct render_setup setup;
	int fds[2];

	if (receive_setup(&setup, fds) < 0)
		return 1;
	r->mem.ram_size = setup.ram_size;
	r->mem.ram = map_file(fds[0], setup.ram_size);
	r->mem.area = map_file(fds[1], RENDER_AREA_SIZE);
	if (!r->mem.ram || !r->mem.area)
		return 1;
	hello = (struct render_hello *)(void *)r->mem.area;
	if (egl_open(setup.software, hello->driver, sizeof(hello->driver), hello->why,
		     sizeof(hello->why)) < 0 ||
	    virgl_open(&r->mem, hello) < 0)
		return refuse(r);
	if (renderer_confine(setup.ram_size) < 0) {
		snprintf(hello->why, sizeof(hello->why), "its process cannot be sealed");
		return refuse(r);
	}
	return say(r, RENDER_READY, 0, 0) < 0;
}

int main(void)
{
	struct renderer r = {0};
	int code;

	/* The socket's end says when it is over; this is for a VMM that is killed. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		return 1;
	code = start(&r);
	return code ? code : serve(&r);
}
