/* SPDX-License-Identifier: MIT */
#include "vmm/config/timeline.h"

#include <string.h>

#include "common/log.h"

static const char *const phase_names[TIMELINE_N_PHASES] = {
	[TIMELINE_SET_UP] = "set-up",
	[TIMELINE_BOOT] = "kernel and modules",
	[TIMELINE_GUEST_SET_UP] = "guest set-up",
	[TIMELINE_START] = "start of the command",
	[TIMELINE_COMMAND] = "command",
	[TIMELINE_TEAR_DOWN] = "tear-down",
};

/* 0 where there is no such clock: a thread that has ended takes its own along. */
static uint64_t read_clock(clockid_t clock)
{
	struct timespec t;

	if (clock_gettime(clock, &t) < 0)
		return 0;
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint64_t vcpu_time(struct timeline *tl)
{
	uint64_t sum = 0;

	for (unsigned int i = 0; i < tl->n_vcpus; i++) {
		uint64_t now = read_clock(tl->vcpu_clocks[i]);

		if (now > tl->vcpu_last[i])
			tl->vcpu_last[i] = now;
		sum += tl->vcpu_last[i];
	}
	return sum;
}

void timeline_init(struct timeline *tl)
{
	const uint64_t used = read_clock(CLOCK_PROCESS_CPUTIME_ID);

	*tl = (struct timeline){.origin = read_clock(CLOCK_MONOTONIC) - used};
	timeline_mark(tl, TIMELINE_SET_UP, "load the program");
}

void timeline_mark(struct timeline *tl, enum timeline_phase phase, const char *name)
{
	struct timeline_step *step = &tl->steps[tl->n_steps];
	uint64_t cpu;

	if (tl->n_steps == TIMELINE_MAX_STEPS)
		return;
	*step = (struct timeline_step){
		.phase = phase,
		.name = name,
		.begin = tl->n_steps > 0 ? step[-1].end : 0,
		.end = read_clock(CLOCK_MONOTONIC) - tl->origin,
		.vcpu_cpu = vcpu_time(tl),
	};
	cpu = read_clock(CLOCK_PROCESS_CPUTIME_ID);
	step->vmm_cpu = cpu > step->vcpu_cpu ? cpu - step->vcpu_cpu : 0;
	tl->n_steps++;
}

void timeline_add_vcpu(struct timeline *tl, clockid_t clock)
{
	if (tl->n_vcpus < CONFIG_MAX_CPUS)
		tl->vcpu_clocks[tl->n_vcpus++] = clock;
}

static void copy_name(char out[TIMELINE_NAME], const char *name)
{
	size_t len = min_size(strlen(name), TIMELINE_NAME - 1);

	for (size_t i = 0; i < len; i++)
		out[i] = name[i] >= 0x20 && name[i] < 0x7f ? name[i] : '?';
	out[len] = '\0';
}

void timeline_count(struct timeline *tl, const char *name, uint64_t value)
{
	char key[TIMELINE_NAME];

	copy_name(key, name);
	for (unsigned int i = 0; i < tl->n_counters; i++)
		if (strcmp(tl->counters[i].name, key) == 0) {
			tl->counters[i].value += value;
			return;
		}
	if (tl->n_counters == TIMELINE_MAX_COUNTERS)
		return;
	memcpy(tl->counters[tl->n_counters].name, key, sizeof(key));
	tl->counters[tl->n_counters++].value = value;
}

void timeline_add_guest(struct timeline *tl, const char *name, bool kernel, uint64_t begin,
			uint64_t end)
{
	struct timeline_guest_step *step = &tl->guest[tl->n_guest];

	if (tl->n_guest == TIMELINE_MAX_GUEST || end < begin)
		return;
	copy_name(step->name, name);
	step->kernel = kernel;
	step->begin = begin;
	step->end = end;
	tl->n_guest++;
}

void timeline_align_guest(struct timeline *tl)
{
	uint64_t last = 0, host = tl->n_steps > 0 ? tl->steps[tl->n_steps - 1].end : 0;

	for (unsigned int i = 0; i < tl->n_guest; i++)
		if (tl->guest[i].end > last)
			last = tl->guest[i].end;
	for (unsigned int i = 0; i < tl->n_guest; i++) {
		struct timeline_guest_step *step = &tl->guest[i];
		/* How long before that moment it was; a guest may claim anything. */
		uint64_t begin = last - step->begin, end = last - step->end;

		step->begin = begin < host ? host - begin : 0;
		step->end = end < host ? host - end : 0;
	}
}

const char *timeline_phase_name(enum timeline_phase phase)
{
	return phase_names[phase];
}

uint64_t timeline_phase_time(const struct timeline *tl, enum timeline_phase phase)
{
	uint64_t sum = 0;

	for (unsigned int i = 0; i < tl->n_steps; i++)
		if (tl->steps[i].phase == phase)
			sum += tl->steps[i].end - tl->steps[i].begin;
	return sum;
}

uint64_t timeline_phase_cpu(const struct timeline *tl, enum timeline_phase phase)
{
	uint64_t sum = 0;

	for (unsigned int i = 0; i < tl->n_steps; i++)
		if (tl->steps[i].phase == phase)
			sum += tl->steps[i].vmm_cpu - (i > 0 ? tl->steps[i - 1].vmm_cpu : 0);
	return sum;
}

void timeline_log(const struct timeline *tl)
{
	double ms[TIMELINE_N_PHASES];

	for (enum timeline_phase p = 0; p < TIMELINE_N_PHASES; p++)
		ms[p] = (double)timeline_phase_time(tl, p) / 1e6;
	log_info("times: %s %.1f ms, %s %.1f, %s %.1f, %s %.1f, %s %.1f, %s %.1f", phase_names[0],
		 ms[0], phase_names[1], ms[1], phase_names[2], ms[2], phase_names[3], ms[3],
		 phase_names[4], ms[4], phase_names[5], ms[5]);
}
