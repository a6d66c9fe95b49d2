/* SPDX-License-Identifier: MIT */
/* balloon/figures.h - the memory of one sandbox in figures. */
#ifndef BALLOON_FIGURES_H
#define BALLOON_FIGURES_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "balloon/balloon.h"
#include "balloon/pressure.h"

/* Bytes. */
struct figures {
	bool cloned; /* guest RAM is the process's own memory, but for the template's pages */
	uint64_t resident; /* guest RAM the host has given */
	uint64_t template; /* guest RAM that is shared with others of the same template */
	uint64_t private; /* of the process, beyond guest RAM: nobody else's */
	uint64_t shared; /* of the process, beyond guest RAM: in the host's page cache */
	uint64_t balloon, target;
	uint64_t reported, inflated; /* given back since the start */
	struct balloon_stats guest;
	struct pressure_sample host;
	const char *pressure; /* the policy's state */
};

/* Parses /proc/self/statm, and takes guest RAM, which *f has, out of it. */
int figures_read_process(int statm_fd, struct figures *f) MUST_CHECK;

/* As docs/control.md has them under `memory`. NULL without memory. */
json_t *figures_json(const struct figures *f) MUST_CHECK;

#endif
