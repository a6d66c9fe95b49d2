/* SPDX-License-Identifier: MIT */
#include "gpu/render.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

void render_init(struct render *r)
{
	*r = (struct render){.src.fd = -1};
}

void render_end(struct render *r)
{
	loop_remove(&r->src);
	if (r->src.fd >= 0)
		close(r->src.fd);
	r->src.fd = -1;
	if (r->pid <= 0)
		return;
	kill(r->pid, SIGKILL);
	/* A driver may keep it from ending for a while: then it is reaped at our own end. */
	(void)waitpid(r->pid, NULL, WNOHANG);
	r->pid = 0;
}

void render_lose(struct render *r, const char *why)
{
	render_end(r);
	r->state = RENDER_LOST;
	snprintf(r->why, sizeof(r->why), "%s", why);
}

void render_fini(struct render *r)
{
	render_end(r);
	if (r->area)
		munmap(r->area, RENDER_AREA_SIZE);
	for (unsigned int i = 0; i < RENDER_CAPSETS; i++)
		free(r->capsets[i].data);
	render_init(r);
}

/* The ring */

bool render_has_room(const struct render *r)
{
	/* What does not fit at the end begins at the start, so it may take twice its size. */
	return r->sent - r->done <= RENDER_MAX_OUT - RENDER_COMMAND_MESSAGES &&
	       r->head - r->tail <= RENDER_RING_SIZE - 2 * RENDER_COMMAND_BYTES;
}

void *render_reserve(struct render *r, size_t len, uint32_t *off)
{
	uint64_t at = align_up(r->head, sizeof(uint64_t));

	assert(len <= RENDER_COMMAND_BYTES);
	if (at % RENDER_RING_SIZE + len > RENDER_RING_SIZE)
		at = align_up(at, RENDER_RING_SIZE);
	r->head = at + len;
	*off = (uint32_t)(at % RENDER_RING_SIZE);
	return r->area + *off;
}

void render_send(struct render *r, const struct render_message *m)
{
	if (r->src.fd < 0 || r->broken)
		return;
	if (r->sent - r->done >= RENDER_MAX_OUT ||
	    send(r->src.fd, m, sizeof(*m), MSG_DONTWAIT | MSG_NOSIGNAL) != sizeof(*m)) {
		r->broken = true;
		return;
	}
	r->heads[r->sent++ % RENDER_MAX_OUT] = r->head;
	if (m->type == RENDER_READ)
		r->reads++;
	else
		r->unfenced = m->type != RENDER_FENCE;
}

uint32_t render_fence(struct render *r)
{
	struct render_message m = {.type = RENDER_FENCE};

	/* 0 stands for none. */
	if (++r->fence == 0)
		r->fence = 1;
	m.n = r->fence;
	render_send(r, &m);
	return r->fence;
}

/* Numbers go round. */
static bool reached(uint32_t at, uint32_t n)
{
	return (int32_t)(at - n) >= 0;
}

bool render_passed(const struct render *r, uint32_t n)
{
	return r->state != RENDER_ON || reached(r->fenced, n);
}

/* Replies */

static int account(struct render *r, const struct render_reply *reply)
{
	if (reply->done - r->done > r->sent - r->done)
		return -EPROTO;
	if (reply->done != r->done)
		r->tail = r->heads[(reply->done - 1) % RENDER_MAX_OUT];
	r->done = reply->done;
	r->failed = reply->failed;
	return 0;
}

int render_receive(struct render *r, struct render_message *out)
{
	const ssize_t n = recv(r->src.fd, out, sizeof(*out), MSG_DONTWAIT | MSG_TRUNC);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return -EAGAIN;
	if (n <= 0)
		return -EPIPE;
	if (n != sizeof(*out) || account(r, &out->reply) < 0)
		return -EPROTO;
	switch (out->type) {
	case RENDER_DONE:
		return 0;
	case RENDER_FENCED:
		/* Forward, and none that was not asked for. */
		if (!reached(r->fence, out->reply.n) || !reached(out->reply.n, r->fenced))
			return -EPROTO;
		r->fenced = out->reply.n;
		return 0;
	case RENDER_SHOWN:
		if (r->reads == 0 || out->reply.slot >= RENDER_SLOTS)
			return -EPROTO;
		r->reads--;
		return 0;
	default:
		return -EPROTO;
	}
}

/* The watchdog */

static uint64_t cpu_ms(pid_t pid)
{
	struct timespec t;
	clockid_t clock;

	if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &t) < 0)
		return 0;
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

bool render_watch(struct render *r)
{
	if (r->done != r->seen_done || r->fenced != r->seen_fenced || !render_busy(r)) {
		r->seen_done = r->done;
		r->seen_fenced = r->fenced;
		r->silent_s = 0;
	}
	/* One that has CPU time compiles, or has much to draw; for a while. */
	if (r->silent_s == 0)
		r->cpu_ms = cpu_ms(r->pid);
	r->silent_s++;
	return r->silent_s <= RENDER_IDLE_S ||
	       (r->silent_s <= RENDER_BUSY_S && cpu_ms(r->pid) > r->cpu_ms);
}
