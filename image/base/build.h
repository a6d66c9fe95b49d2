/* SPDX-License-Identifier: MIT */
/* image/base/build.h - walks a system's files and makes an index of the base image. */
#ifndef IMAGE_BASE_BUILD_H
#define IMAGE_BASE_BUILD_H

#include "image/base/packages.h"
#include "image/base/rules.h"
#include "image/index.h"

/* Told now and then how many files have been looked at. Embed it. */
struct build_progress {
	void (*step)(struct build_progress *progress, size_t files);
};

struct build_input {
	int root; /* the system's root directory */
	const struct rules *rules;
	const struct packages *packages;
	/*
	 * NULL, or an index of the same system, made with the same rules: a directory
	 * of it that was not modified since is taken over without looking at its
	 * files. /etc and /var are always looked at.
	 */
	const struct index *old;
	const struct index_header *head; /* stamp, probe_ino, built */
	struct build_progress *progress; /* NULL is fine */
};

/* The index as a file in memory, malloc'ed. Needs no privilege: what it cannot read is left out. */
int image_build(const struct build_input *in, uint8_t **out, size_t *len) MUST_CHECK;

#endif
