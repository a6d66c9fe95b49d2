/* SPDX-License-Identifier: MIT */
/* common/log.h - what Sandcastle says to the person who runs it. */
#ifndef COMMON_LOG_H
#define COMMON_LOG_H

#include <stddef.h>

#include <stdbool.h>
#include <stdint.h>

#include "common/util.h"

/*
 * DOC: who logs
 *
 * The function that knows the user's name for a thing logs its failure, once,
 * as one line with cause and cure; everything below it returns -errno and is
 * silent. Lines go to stderr with the prefix "sandcastle: ". Any thread.
 */

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* Default is LOG_LEVEL_WARN. Before threads start. */
void log_set_level(enum log_level level);

enum { LOG_SUBJECT_MAX = 512 };

/*
 * What the lines from here on are about, as "box.sandbox:3: ", until another or
 * "" is set; a copy is kept, cut to LOG_SUBJECT_MAX. Before threads start.
 */
void log_set_subject(const char *text);

void log_error(const char *fmt, ...) PRINTF_LIKE(1, 2);
void log_warn(const char *fmt, ...) PRINTF_LIKE(1, 2);
void log_info(const char *fmt, ...) PRINTF_LIKE(1, 2);
void log_debug(const char *fmt, ...) PRINTF_LIKE(1, 2);

/*
 * What a guest did wrong, as a warning. A guest chooses how often it errs, so
 * the whole process logs at most 10 such lines in 5 seconds and then says once
 * that more were left out.
 */
void log_guest(const char *fmt, ...) PRINTF_LIKE(1, 2);

/*
 * Writes at most PIPE_BUF bytes to stderr, or drops them: whoever does not read our output must
 * not hold a thread that a sandbox needs.
 */
void log_write(const char *text, size_t len);

#endif
