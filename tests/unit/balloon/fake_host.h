/* SPDX-License-Identifier: MIT */
/* tests/unit/balloon/fake_host.h - a directory laid out like a host's /proc and /sys. */
#ifndef TESTS_UNIT_BALLOON_FAKE_HOST_H
#define TESTS_UNIT_BALLOON_FAKE_HOST_H

#include <stdint.h>

struct fake_host {
	char root[64];
};

void fake_host_init(struct fake_host *h);
void fake_host_fini(struct fake_host *h);
/* Writes a file below the root, and the directories it is in. */
void fake_host_write(const struct fake_host *h, const char *path, const char *text);
void fake_host_memory(const struct fake_host *h, uint64_t total_mib, uint64_t available_mib);

#endif
