/* SPDX-License-Identifier: MIT */
/* balloon/figures.h - the memory of one sandbox in figures, as --stats writes them. */
#ifndef BALLOON_FIGURES_H
#define BALLOON_FIGURES_H

#include <stddef.h>
#include <stdint.h>

#include "balloon/balloon.h"
#include "balloon/pressure.h"

/* Bytes. */
struct figures {
	uint64_t resident; /* guest RAM the host has given */
	uint64_t private; /* of the process, beyond guest RAM: nobody else's */
	uint64_t shared; /* of the process, beyond guest RAM: in the host's page cache */
	uint64_t balloon, target;
	uint64_t reported, inflated; /* given back since the start */
	struct balloon_stats guest;
	struct pressure_sample host;
	const char *pressure; /* the policy's state */
	const char *more; /* further members, as `"name":value`; "" for none */
};

/* A `more` that does not fit in its share is left out. */
enum { FIGURES_MORE_MAX = 700, FIGURES_LINE_MAX = 640 + FIGURES_MORE_MAX };

/* Parses /proc/self/statm, and takes guest RAM out of it. */
int figures_read_process(int statm_fd, struct figures *f) MUST_CHECK;

/* One line of JSON with a newline. Returns its length; buf has FIGURES_LINE_MAX bytes. */
size_t figures_format(const struct figures *f, char *buf);

#endif
