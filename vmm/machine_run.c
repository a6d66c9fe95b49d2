/* SPDX-License-Identifier: MIT */
/* A machine's threads, from the seal point to their end. */
#include <errno.h>
#include <string.h>
#include <sys/prctl.h>

#include "common/join.h"
#include "common/log.h"
#include "gpu/gpu.h"
#include "vmm/config/timeline.h"
#include "vmm/machine_priv.h"

/* How long all threads together have to come to rest: 0.9 s. */
enum { STOP_SLICES = 900 / JOIN_SLICE_MS };

static const enum policy_role side_roles[SIDES] = {
	[SIDE_FILES] = POLICY_FILES,
	[SIDE_POWER] = POLICY_POWER,
	[SIDE_NET] = POLICY_NET,
	[SIDE_DISPLAY] = POLICY_DISPLAY,
};

int machine_begin_vcpu(void *machine)
{
	struct machine *m = machine;

	return start_line_arrive(&m->start, POLICY_VCPU);
}

int machine_begin_side(struct side_loop *side)
{
	struct machine *m = side->owner;

	return start_line_arrive(&m->start, side_roles[side - m->sides]);
}

static bool side_is_needed(const struct machine *m, enum side side)
{
	/* With --battery none nothing would ever wake it. */
	return side == SIDE_POWER ? m->power != NULL : m->sides[side].loop != NULL;
}

/* How many there are, in *n, also on failure. */
static int start_threads(struct machine *m, unsigned int *n)
{
	int r = threads_small_stacks();

	*n = 0;
	for (unsigned int i = 0; r == 0 && i < SIDES; i++)
		if (side_is_needed(m, i)) {
			r = side_loop_start(&m->sides[i]);
			*n += r == 0;
		}
	for (unsigned int i = 0; r == 0 && i < m->n_vcpus; i++) {
		r = vcpu_start(m->vcpus[i]);
		*n += r == 0;
		vcpu_add_clock(m->vcpus[i], m->timeline);
	}
	return r;
}

int machine_start(struct machine *m, bool is_parked)
{
	unsigned int n;
	int r, confined;

	/* Without it the kernel takes no filter of an ordinary user's. */
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) {
		log_error("cannot confine the sandbox's process: %s", strerror(errno));
		return -errno;
	}
	start_line_init(&m->start, m->display.gpu ? gpu_render_pid(m->display.gpu) : 0);
	r = start_threads(m, &n);
	confined = start_line_open(&m->start, n, is_parked ? POLICY_TEMPLATE : POLICY_LOOP, r);
	if (r < 0)
		log_error("cannot start the machine's threads: %s", strerror(-r));
	else if (confined < 0)
		log_error("cannot confine the sandbox's process: %s; the kernel needs "
			  "CONFIG_SECCOMP_FILTER, and a container must let seccomp() through",
			  strerror(-confined));
	return confined;
}

static int join_vcpus(struct machine *m, unsigned int *slices)
{
	int r = 0;

	for (unsigned int i = 0; r == 0 && i < m->n_vcpus; i++)
		r = vcpu_join(m->vcpus[i], slices);
	return r;
}

int machine_stop(struct machine *m)
{
	unsigned int slices = STOP_SLICES;
	int r;

	/* All before the first is waited for, or the others would go on with the guest. */
	for (unsigned int i = 0; i < m->n_vcpus; i++)
		vcpu_ask_to_stop(m->vcpus[i]);
	for (unsigned int i = 0; i < SIDES; i++)
		side_loop_ask_to_stop(&m->sides[i]);
	r = join_vcpus(m, &slices);
	for (unsigned int i = 0; r == 0 && i < SIDES; i++)
		r = side_loop_join(&m->sides[i], &slices);
	for (unsigned int i = 0; r == 0 && i < m->n_vcpus && m->timeline->detailed; i++)
		vcpu_add_counters(m->vcpus[i], m->timeline);
	timeline_mark(m->timeline, TIMELINE_TEAR_DOWN, "stop the threads");
	return r;
}
