/* SPDX-License-Identifier: MIT */
#include "tests/fuzz/fuzz_clock.h"

#include <stddef.h>
#include <stdlib.h>
#include <sys/timerfd.h>
#include <time.h>

enum { MAX_TIMERS = 16, START_MS = 1000000 };

/* Set by timerfd_settime(), with the loop's own rule that one of time 0 is off. */
struct timer {
	int fd;
	uint64_t due_ms; /* 0: it is off */
};

static struct {
	uint64_t now_ms, cpu_ms;
	struct timer timers[MAX_TIMERS];
	unsigned int n_timers;
} c = {.now_ms = START_MS};

int __real_clock_gettime(clockid_t id, struct timespec *out);
int __real_timerfd_settime(int fd, int flags, const struct itimerspec *new, struct itimerspec *old);
int __wrap_clock_gettime(clockid_t id, struct timespec *out);
int __wrap_timerfd_settime(int fd, int flags, const struct itimerspec *new, struct itimerspec *old);

int __wrap_clock_gettime(clockid_t id, struct timespec *out)
{
	uint64_t ms = id == CLOCK_MONOTONIC ? c.now_ms : c.cpu_ms;

	if (id != CLOCK_MONOTONIC && id != CLOCK_PROCESS_CPUTIME_ID)
		return __real_clock_gettime(id, out);
	*out = (struct timespec){(time_t)(ms / 1000), (long)(ms % 1000) * 1000000};
	return 0;
}

static struct timer *find(int fd)
{
	for (unsigned int i = 0; i < c.n_timers; i++)
		if (c.timers[i].fd == fd)
			return &c.timers[i];
	if (c.n_timers == MAX_TIMERS)
		abort();
	c.timers[c.n_timers] = (struct timer){.fd = fd};
	return &c.timers[c.n_timers++];
}

/* The kernel's timer is off until fuzz_clock_pass() comes to its time. */
int __wrap_timerfd_settime(int fd, int flags, const struct itimerspec *new, struct itimerspec *old)
{
	const struct itimerspec off = {.it_value = {0}};
	uint64_t ms =
		(uint64_t) new->it_value.tv_sec * 1000 + (uint64_t) new->it_value.tv_nsec / 1000000;

	find(fd)->due_ms = ms ? c.now_ms + ms : 0;
	return __real_timerfd_settime(fd, flags, &off, old);
}

void fuzz_clock_start(void)
{
	c.n_timers = 0;
}

void fuzz_clock_pass(uint64_t ms, uint8_t busy)
{
	const struct itimerspec at_once = {.it_value = {.tv_nsec = 1}};

	c.now_ms += ms;
	c.cpu_ms += ms * busy / 256;
	for (unsigned int i = 0; i < c.n_timers; i++) {
		struct timer *t = &c.timers[i];

		if (t->due_ms == 0 || t->due_ms > c.now_ms)
			continue;
		t->due_ms = 0;
		/* An fd that was closed is none to set. */
		(void)__real_timerfd_settime(t->fd, 0, &at_once, NULL);
	}
}
