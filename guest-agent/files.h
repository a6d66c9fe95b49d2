/* SPDX-License-Identifier: MIT */
/* guest-agent/files.h - small files, read and written whole. */
#ifndef GUEST_AGENT_FILES_H
#define GUEST_AGENT_FILES_H

#include <stddef.h>
#include <sys/types.h>

#include "common/util.h"

/*
 * The content of `path` below dir_fd (AT_FDCWD too), malloc'ed; -EFBIG if it
 * is longer than max. An empty file gives a pointer that can be freed.
 */
int file_read(int dir_fd, const char *path, size_t max, char **out, size_t *len) MUST_CHECK;

/* Puts a new file of mode 0644 in place of whatever has that name, symbolic links included. */
int file_replace(const char *path, const char *content) MUST_CHECK;

/* All of it, on a blocking fd. */
int write_all(int fd, const void *data, size_t len) MUST_CHECK;

/* Makes what is missing of a directory path, mode 0755. */
int make_dirs(const char *path) MUST_CHECK;

#endif
