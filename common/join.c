/* SPDX-License-Identifier: MIT */
#include "common/join.h"

#include <errno.h>

struct timespec join_slice_from_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_nsec += JOIN_SLICE_MS * 1000000L;
	if (t.tv_nsec >= 1000000000L) {
		t.tv_nsec -= 1000000000L;
		t.tv_sec++;
	}
	return t;
}

int join_within(pthread_t thread, unsigned int *slices)
{
	int r = pthread_tryjoin_np(thread, NULL);

	while ((r == EBUSY || r == ETIMEDOUT) && *slices > 0) {
		const struct timespec end = join_slice_from_now();

		--*slices;
		r = pthread_clockjoin_np(thread, NULL, CLOCK_MONOTONIC, &end);
	}
	return r == EBUSY ? -ETIMEDOUT : -r;
}
