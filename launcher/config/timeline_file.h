/* SPDX-License-Identifier: MIT */
/* launcher/config/timeline_file.h - `sandcastle run --timeline FILE`: where the time went, to be looked at. */
#ifndef LAUNCHER_CONFIG_TIMELINE_FILE_H
#define LAUNCHER_CONFIG_TIMELINE_FILE_H

#include <stdbool.h>
#include <stdio.h>

#include "common/util.h"

struct timeline;

/* Whether the name says what to write: it ends in .svg or .json. */
bool timeline_file_name_is_good(const char *path);

/*
 * Creates or empties the file; written to once the run is over, since no file
 * is opened by name while a guest runs. Logs on failure.
 */
int timeline_file_open(const char *path, FILE **out) MUST_CHECK;
/* Writes what the suffix of `path` says and closes `f`, also on failure, which it logs. */
int timeline_file_write(const char *path, FILE *f, const struct timeline *tl) MUST_CHECK;

/* The two formats. -EIO or -ENOMEM. */
int timeline_print_svg(const struct timeline *tl, FILE *f) MUST_CHECK;
int timeline_print_json(const struct timeline *tl, FILE *f) MUST_CHECK;

#endif
