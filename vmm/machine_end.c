/* SPDX-License-Identifier: MIT */
#include "vmm/machine_end.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

static void event_run(struct loop_source *src, uint32_t events)
{
	struct end_notice *n = CONTAINER_OF(src, struct end_notice, event);

	(void)events;
	loop_remove(src);
	n->fn(n->owner, &n->end);
}

int end_notice_init(struct end_notice *n, struct loop *loop, machine_end_fn fn, void *owner)
{
	const int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	int r;

	if (fd < 0)
		return -errno;
	*n = (struct end_notice){
		.fn = fn,
		.owner = owner,
		.event = {.fd = fd, .fn = event_run, .name = "machine-end"},
	};
	r = loop_add(loop, &n->event, EPOLLIN);
	if (r < 0) {
		close(fd);
		*n = (struct end_notice){.fn = NULL};
		return r;
	}
	pthread_mutex_init(&n->lock, NULL);
	return 0;
}

void end_notice_fini(struct end_notice *n)
{
	if (!n->fn)
		return;
	loop_remove(&n->event);
	close(n->event.fd);
	pthread_mutex_destroy(&n->lock);
	n->fn = NULL;
}

void end_notice_give(struct end_notice *n, const struct machine_end *end)
{
	pthread_mutex_lock(&n->lock);
	if (!n->has_ended) {
		n->has_ended = true;
		n->end = *end;
		(void)!eventfd_write(n->event.fd, 1);
	}
	pthread_mutex_unlock(&n->lock);
}
