/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "vmm/config/timeline.h"

static struct timeline tl;

Test(timeline, steps_follow_each_other_without_a_gap)
{
	timeline_init(&tl);
	timeline_mark(&tl, TIMELINE_SET_UP, "one");
	timeline_mark(&tl, TIMELINE_BOOT, "two");
	cr_assert_eq(tl.n_steps, 3);
	cr_assert_eq(tl.steps[0].begin, 0);
	for (unsigned int i = 1; i < tl.n_steps; i++) {
		cr_assert_eq(tl.steps[i].begin, tl.steps[i - 1].end);
		cr_assert_geq(tl.steps[i].end, tl.steps[i].begin);
		cr_assert_geq(tl.steps[i].vmm_cpu, tl.steps[i - 1].vmm_cpu);
	}
	cr_assert_eq(timeline_phase_time(&tl, TIMELINE_SET_UP), tl.steps[1].end);
	cr_assert_eq(timeline_phase_time(&tl, TIMELINE_BOOT), tl.steps[2].end - tl.steps[1].end);
	cr_assert_eq(timeline_phase_cpu(&tl, TIMELINE_SET_UP) +
			     timeline_phase_cpu(&tl, TIMELINE_BOOT),
		     tl.steps[2].vmm_cpu);
}

Test(timeline, what_is_too_much_is_left_out)
{
	timeline_init(&tl);
	for (unsigned int i = 0; i < 1000; i++) {
		char name[16];

		snprintf(name, sizeof(name), "%u", i);
		timeline_mark(&tl, TIMELINE_BOOT, "again");
		timeline_count(&tl, name, 1);
		timeline_add_guest(&tl, name, false, i, i + 1);
		timeline_add_vcpu(&tl, CLOCK_THREAD_CPUTIME_ID);
	}
	cr_assert_eq(tl.n_steps, TIMELINE_MAX_STEPS);
	cr_assert_eq(tl.n_counters, TIMELINE_MAX_COUNTERS);
	cr_assert_eq(tl.n_guest, TIMELINE_MAX_GUEST);
	cr_assert_eq(tl.n_vcpus, CONFIG_MAX_CPUS);
}

static void *spin(void *arg)
{
	clockid_t *clock = arg;
	struct timespec t;

	pthread_getcpuclockid(pthread_self(), clock);
	do
		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	while (t.tv_nsec < 2000000);
	timeline_init(&tl);
	timeline_add_vcpu(&tl, *clock);
	timeline_mark(&tl, TIMELINE_BOOT, "alive");
	return NULL;
}

Test(timeline, a_thread_that_ended_keeps_its_time)
{
	pthread_t thread;
	clockid_t clock;

	pthread_create(&thread, NULL, spin, &clock);
	pthread_join(thread, NULL);
	timeline_mark(&tl, TIMELINE_TEAR_DOWN, "ended");
	cr_assert_geq(tl.steps[1].vcpu_cpu, 2000000);
	cr_assert_geq(tl.steps[2].vcpu_cpu, tl.steps[1].vcpu_cpu);
	cr_assert_geq(tl.steps[2].vmm_cpu, tl.steps[1].vmm_cpu);
}

Test(timeline, counters_of_one_name_add_up)
{
	timeline_init(&tl);
	timeline_count(&tl, "exits", 3);
	timeline_count(&tl, "io_exits", 1);
	timeline_count(&tl, "exits", 4);
	cr_assert_eq(tl.n_counters, 2);
	cr_assert_eq(tl.counters[0].value, 7);
}

Test(timeline, a_guest_s_steps_end_when_the_host_heard_of_them)
{
	timeline_init(&tl);
	timeline_mark(&tl, TIMELINE_GUEST_SET_UP, "ready");
	tl.steps[1].end = 1000;
	timeline_add_guest(&tl, "kernel", false, 0, 100);
	timeline_add_guest(&tl, "\033[31mline\xff", true, 40, 50);
	timeline_add_guest(&tl, "mounts", false, 100, 400);
	timeline_align_guest(&tl);
	cr_assert_eq(tl.guest[0].begin, 600);
	cr_assert_eq(tl.guest[0].end, 700);
	cr_assert_eq(tl.guest[1].begin, 640);
	cr_assert_eq(tl.guest[2].end, 1000);
	cr_assert_str_eq(tl.guest[1].name, "?[31mline?");
}

Test(timeline, a_guest_may_claim_any_time)
{
	timeline_init(&tl);
	timeline_mark(&tl, TIMELINE_GUEST_SET_UP, "ready");
	tl.steps[1].end = 1000;
	timeline_add_guest(&tl, "backwards", false, 5, 4);
	timeline_add_guest(&tl, "long", false, 0, UINT64_MAX);
	timeline_add_guest(&tl, "early", false, 0, 1);
	timeline_align_guest(&tl);
	cr_assert_eq(tl.n_guest, 2);
	for (unsigned int i = 0; i < tl.n_guest; i++) {
		cr_assert_leq(tl.guest[i].begin, tl.guest[i].end);
		cr_assert_leq(tl.guest[i].end, 1000);
	}
}
