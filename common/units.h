/* SPDX-License-Identifier: MIT */
/* common/units.h - numbers as people write them. */
#ifndef COMMON_UNITS_H
#define COMMON_UNITS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/util.h"

/* All: the whole of `text` or -EINVAL; -ERANGE if it does not fit. No signs, spaces or fractions. */

/* A decimal number from min to max; -ERANGE outside. */
int parse_number(const char *text, uint64_t min, uint64_t max, uint64_t *out) MUST_CHECK;

/* Bytes: "1073741824", "1024M", "1G", "1GiB"; K, M, G and T are powers of 1024, any case. */
int parse_size(const char *text, uint64_t *bytes) MUST_CHECK;

/* Milliseconds: "10s", "5m", "1h30m", "500ms"; units descending, each at most once; not 0. */
int parse_duration(const char *text, uint64_t *ms) MUST_CHECK;

/* "1.5 GiB", "512 MiB": for messages. `out` has 32 bytes. */
void format_size(uint64_t bytes, char *out);

/* A host name: 1 to 63 letters, digits and inner dashes (RFC 1123 s 2.1). */
bool is_host_name(const char *text);

#endif
