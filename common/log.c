/* SPDX-License-Identifier: MIT */
#include "common/log.h"

#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/terminal.h"

enum { GUEST_LINES_MAX = 10, GUEST_LINES_SECONDS = 5 };

static enum log_level level = LOG_LEVEL_WARN;
static char subject[LOG_SUBJECT_MAX];

static pthread_mutex_t guest_lock = PTHREAD_MUTEX_INITIALIZER;
static time_t guest_window;
static unsigned int guest_lines;

void log_set_level(enum log_level new_level)
{
	level = new_level;
}

void log_set_subject(const char *text)
{
	(void)snprintf(subject, sizeof(subject), "%s", text);
}

void log_write(const char *text, size_t len)
{
	struct pollfd out = {.fd = STDERR_FILENO, .events = POLLOUT};

	/* A pipe that nobody reads takes a line only where there is a page for it (pipe(7)). */
	if (poll(&out, 1, 0) == 1 && (out.revents & POLLOUT))
		(void)!write(STDERR_FILENO, text, len);
}

static void emit(const char *prefix, const char *fmt, va_list ap) PRINTF_LIKE(2, 0);

/* One write() per line, so that lines of several sandboxes on one terminal do not mix. */
static void emit(const char *prefix, const char *fmt, va_list ap)
{
	char line[4096];
	int head = snprintf(line, sizeof(line), "sandcastle: %s%s", prefix, subject);
	int body = vsnprintf(line + head, sizeof(line) - (size_t)head - 2, fmt, ap);
	size_t len = (size_t)head;

	if (body > 0)
		len += min_size((size_t)body, sizeof(line) - (size_t)head - 3);
	/* Names of files are anybody's. */
	terminal_clean(line, len);
	/* A terminal in raw mode needs the carriage return; a file is better off without. */
	if (isatty(STDERR_FILENO))
		line[len++] = '\r';
	line[len++] = '\n';
	log_write(line, len);
}

void log_error(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	emit("", fmt, ap);
	va_end(ap);
}

void log_warn(const char *fmt, ...)
{
	va_list ap;

	if (level < LOG_LEVEL_WARN)
		return;
	va_start(ap, fmt);
	emit("warning: ", fmt, ap);
	va_end(ap);
}

void log_info(const char *fmt, ...)
{
	va_list ap;

	if (level < LOG_LEVEL_INFO)
		return;
	va_start(ap, fmt);
	emit("", fmt, ap);
	va_end(ap);
}

void log_debug(const char *fmt, ...)
{
	va_list ap;

	if (level < LOG_LEVEL_DEBUG)
		return;
	va_start(ap, fmt);
	emit("debug: ", fmt, ap);
	va_end(ap);
}

/* Lines left in the present window, this one included; 0 when it is used up. */
static unsigned int guest_allowance(void)
{
	struct timespec now;
	unsigned int left;

	clock_gettime(CLOCK_MONOTONIC, &now);
	pthread_mutex_lock(&guest_lock);
	if (now.tv_sec - guest_window >= GUEST_LINES_SECONDS) {
		guest_window = now.tv_sec;
		guest_lines = 0;
	}
	left = guest_lines < GUEST_LINES_MAX ? GUEST_LINES_MAX - guest_lines++ : 0;
	pthread_mutex_unlock(&guest_lock);
	return left;
}

void log_guest(const char *fmt, ...)
{
	unsigned int left;
	va_list ap;

	if (level < LOG_LEVEL_WARN)
		return;
	left = guest_allowance();
	if (left == 0)
		return;
	va_start(ap, fmt);
	emit("guest: ", fmt, ap);
	va_end(ap);
	if (left == 1)
		log_warn("guest: more of these follow too fast and are left out");
}
