/* SPDX-License-Identifier: MIT */
/* launcher/copy/copy_tally.h - how far `sandcastle cp` is, and what it left out. */
#ifndef LAUNCHER_COPY_COPY_TALLY_H
#define LAUNCHER_COPY_COPY_TALLY_H

#include <stdbool.h>
#include <stdint.h>

#include "common/util.h"

struct copy_tally {
	uint64_t bytes;
	uint64_t files; /* and folders and links */
	uint64_t skipped;
	bool shows; /* on a terminal, after the first second */
	bool shown;
	uint64_t started_ms, told_ms;
};

void copy_tally_init(struct copy_tally *t, bool shows);
/* Bytes that went over. Shows how far it is, a few times a second. */
void copy_tally_add(struct copy_tally *t, uint64_t bytes);
/*
 * Something was not copied: says so for the first few. The path may be the guest's
 * choice; what a terminal could act on is shown as '?'.
 */
void copy_tally_skip(struct copy_tally *t, const char *path, const char *why);
/* Clears the line. 0; -EIO after a line that says how much was left out. */
int copy_tally_end(struct copy_tally *t) MUST_CHECK;

/* The first line of text, printable ASCII, '?' for all else; `out` of `size` bytes. */
void copy_printable(const char *text, char *out, size_t size);

#endif
