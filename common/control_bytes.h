/* SPDX-License-Identifier: MIT */
/* common/control_bytes.h - file names and arguments in JSON, which knows only UTF-8 (docs/control.md). */
#ifndef COMMON_CONTROL_BYTES_H
#define COMMON_CONTROL_BYTES_H

#include <jansson.h>

#include "common/util.h"

/* A string, or {"hex": ...} if it is not UTF-8; NULL without memory. */
json_t *control_bytes_new(const char *bytes) MUST_CHECK;
/* Back, malloc'ed. -EINVAL: neither form, or a NUL in it; -ENOMEM. */
int control_bytes_get(const json_t *value, char **out) MUST_CHECK;

#endif
