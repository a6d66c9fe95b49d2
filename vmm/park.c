/* SPDX-License-Identifier: MIT */
#include "vmm/park.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "common/state.h"
#include "vmm/machine.h"
#include "vmm/session/session.h"

enum { AGAIN_MS = 2, TRIES = 100, PASSING_TRIES = 10, PAUSES = 30 };

static void explain(int error)
{
	log_error("cannot make a template: %s",
		  error == -EBUSY    ? "another one is being made, or devices do not come to rest"
		  : error == -EFBIG  ? "it would be larger than a GiB"
		  : error == -ENOSPC ? "the disk is nearly full; a GiB of it stays free"
				     : strerror(-error));
}

static int write_template(const struct park *p, const struct state_writer *w)
{
	AUTO_CLOSE int fd = template_create(p->store);
	const uint8_t *ram;
	uint64_t size;
	int ram_fd, r;

	if (fd < 0)
		return fd;
	machine_ram(p->machine, &ram, &size, &ram_fd);
	r = snapshot_write(fd, p->store->key, ram, size, ram_fd, w->bytes.data, w->bytes.len);
	if (r == 0)
		return template_keep(p->store, fd);
	template_leave(p->store);
	return r;
}

/* Of what was made in passing. A busy or full host may be another one next time; the rest stays. */
static void note(const struct park *p)
{
	if (p->error == 0)
		log_info("a template was made of this machine");
	else
		log_info("no template was made of this machine: %s", strerror(-p->error));
	if (p->error < 0 && p->error != -EBUSY && p->error != -ENOSPC)
		template_failed(p->store);
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
	if (r == 0)
		r = write_template(p, &w);
	free(w.bytes.data);
	if (r == -EBUSY && p->tries++ < (p->in_passing ? PASSING_TRIES : TRIES)) {
		loop_timer_set(&p->again, AGAIN_MS);
		return;
	}
	p->error = r;
	if (p->in_passing)
		note(p);
	go_on(p);
}

static void again(struct loop_timer *timer)
{
	struct park *p = CONTAINER_OF(timer, struct park, again);

	if (p->paused)
		try_to_write(p);
	else
		park_parked(p);
}

int park_init(struct park *p, struct loop *loop)
{
	/* Until there is one. */
	p->error = -ECANCELED;
	return loop_timer_init(&p->again, loop, again, "park");
}

/* On a host that is very busy a vCPU's thread may need several times as long to come to its end. */
void park_parked(struct park *p)
{
	p->paused = machine_pause(p->machine) == 0;
	if (p->paused) {
		try_to_write(p);
	} else if (p->pauses++ < PAUSES) {
		loop_timer_set(&p->again, AGAIN_MS);
	} else {
		log_error("a virtual CPU does not come to rest");
		p->failed(p->owner);
	}
}

int park_fini(struct park *p)
{
	if (!p->machine)
		return 0;
	loop_timer_fini(&p->again);
	p->machine = NULL;
	if (p->in_passing || p->error == 0)
		return 0;
	explain(p->error);
	return p->error;
}
