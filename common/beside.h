/* SPDX-License-Identifier: MIT */
/* common/beside.h - finds a program of ours that this one starts. */
#ifndef COMMON_BESIDE_H
#define COMMON_BESIDE_H

#include <stddef.h>

/*
 * Writes where program `name` is: beside our own, as in a build, else just the name, for
 * who looks it up in the PATH.
 */
void program_beside(const char *name, char *path, size_t size);

#endif
