/* SPDX-License-Identifier: MIT */
/* vmm/config/timeline.h - where the time of one run went. */
#ifndef VMM_CONFIG_TIMELINE_H
#define VMM_CONFIG_TIMELINE_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "common/util.h"
#include "vmm/config/config.h"

/*
 * DOC: steps
 *
 * The host's steps follow each other without a gap: a mark ends the step that
 * began at the mark before. Each knows the time of the host's CPUs used until
 * its end, that of the vCPUs' threads apart from the rest. The guest's steps
 * come all at once, by the guest's own clock, when its agent is ready; they may
 * overlap and leave gaps. Nothing here allocates, and what is too much is left
 * out. All of it on the thread that runs the sandbox.
 */

enum timeline_phase {
	TIMELINE_SET_UP,
	TIMELINE_BOOT,
	TIMELINE_GUEST_SET_UP,
	TIMELINE_START,
	TIMELINE_COMMAND,
	TIMELINE_TEAR_DOWN,
	TIMELINE_N_PHASES,
};

enum {
	TIMELINE_MAX_STEPS = 32,
	TIMELINE_MAX_GUEST = 48,
	TIMELINE_MAX_COUNTERS = 64,
	TIMELINE_NAME = 64,
};

/* Times are nanoseconds since the process began; CPU times are sums up to `end`. */
struct timeline_step {
	enum timeline_phase phase;
	const char *name; /* string literal */
	uint64_t begin, end;
	uint64_t vmm_cpu, vcpu_cpu;
};

struct timeline_guest_step {
	char name[TIMELINE_NAME]; /* printable ASCII, whatever the guest said */
	bool kernel; /* the kernel's: what follows this line of its log */
	uint64_t begin, end;
};

struct timeline_counter {
	char name[TIMELINE_NAME];
	uint64_t value;
};

struct timeline {
	bool detailed; /* the guest is asked for its steps */
	uint64_t origin; /* CLOCK_MONOTONIC */
	struct timeline_step steps[TIMELINE_MAX_STEPS];
	unsigned int n_steps;
	struct timeline_guest_step guest[TIMELINE_MAX_GUEST];
	unsigned int n_guest;
	/* What the vCPUs did: KVM's counters, added up over them. */
	struct timeline_counter counters[TIMELINE_MAX_COUNTERS];
	unsigned int n_counters;

	clockid_t vcpu_clocks[CONFIG_MAX_CPUS];
	uint64_t vcpu_last[CONFIG_MAX_CPUS];
	unsigned int n_vcpus;
};

/*
 * Call it first thing. What the process did before (loading it) becomes the
 * first step, as long as its CPU time.
 */
void timeline_init(struct timeline *tl);
/* Ends the step `name`, a string literal. */
void timeline_mark(struct timeline *tl, enum timeline_phase phase, const char *name);
/* The CPU clock of a vCPU's thread. Once it has ended, what it read last counts. */
void timeline_add_vcpu(struct timeline *tl, clockid_t clock);
/* Adds to the counter of that name, cut to fit. */
void timeline_count(struct timeline *tl, const char *name, uint64_t value);

/* A step by the guest's clock, in nanoseconds. Characters that are not printable become '?'. */
void timeline_add_guest(struct timeline *tl, const char *name, bool kernel, uint64_t begin,
			uint64_t end);
/*
 * The guest's steps are moved to the host's time: the last moment any of them
 * names was the end of the host's step just marked. Before is never negative.
 */
void timeline_align_guest(struct timeline *tl);

const char *timeline_phase_name(enum timeline_phase phase);
/* Nanoseconds the steps of a phase took in all, and the VMM's own CPU time in them. */
uint64_t timeline_phase_time(const struct timeline *tl, enum timeline_phase phase);
uint64_t timeline_phase_cpu(const struct timeline *tl, enum timeline_phase phase);
/* With --verbose: the phases in one line. */
void timeline_log(const struct timeline *tl);

#endif
