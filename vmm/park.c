/* SPDX-License-Identifier: MIT */
#include "vmm/park.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/state.h"
#include "vmm/machine.h"
#include "vmm/session/session.h"

enum { AGAIN_MS = 2, TRIES = 100 };

static void explain(int error)
{
	log_error("cannot make a template: %s",
		  error == -EBUSY    ? "the machine's devices do not come to rest"
		  : error == -ENOSPC ? "the disk is nearly full; a GiB of it stays free"
				     : strerror(-error));
}

static void *keep(void *arg)
{
	struct park *p = arg;

	p->error = template_keep(p->store, p->fd);
	close(p->fd);
	return NULL;
}

/* Takes the file over, also on failure. */
static int start_keeping(struct park *p, int fd)
{
	sigset_t all, old;
	int r;

	p->fd = fd;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	r = pthread_create(&p->keeper, NULL, keep, p);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	p->keeping = r == 0;
	if (r != 0)
		close(fd);
	return -r;
}

static int write_template(struct park *p, const struct state_writer *w)
{
	AUTO_CLOSE int fd = template_create(p->store);
	const uint8_t *ram;
	uint64_t size;
	int ram_fd, r;

	if (fd < 0)
		return fd;
	machine_ram(p->machine, &ram, &size, &ram_fd);
	r = snapshot_write(fd, p->store->key, ram, size, ram_fd, w->bytes.data, w->bytes.len);
	return r < 0 ? r : start_keeping(p, steal_fd(&fd));
}

static void go_on(struct park *p)
{
	if (machine_go_on(p->machine) < 0)
		p->failed(p->owner);
	else
		session_resume(p->session);
}

/* vCPUs are stopped; whatever else is at work comes to an end then. */
static void try_to_write(struct park *p)
{
	struct state_writer w = {.error = 0};
	int r;

	machine_save(p->machine, &w);
	r = w.error;
	if (r == -EBUSY && p->tries++ < TRIES) {
		free(w.bytes.data);
		loop_timer_set(&p->again, AGAIN_MS);
		return;
	}
	if (r == 0)
		r = write_template(p, &w);
	free(w.bytes.data);
	p->error = r;
	go_on(p);
}

static void again(struct loop_timer *timer)
{
	try_to_write(CONTAINER_OF(timer, struct park, again));
}

int park_init(struct park *p, struct loop *loop)
{
	/* Until there is one. */
	p->error = -ECANCELED;
	return loop_timer_init(&p->again, loop, again, "park");
}

void park_parked(struct park *p)
{
	if (machine_pause(p->machine) < 0) {
		log_error("a virtual CPU does not come to rest");
		p->failed(p->owner);
		return;
	}
	try_to_write(p);
}

int park_fini(struct park *p)
{
	if (!p->machine)
		return 0;
	if (p->keeping)
		(void)pthread_join(p->keeper, NULL);
	loop_timer_fini(&p->again);
	p->machine = NULL;
	if (p->error < 0)
		explain(p->error);
	return p->error;
}
