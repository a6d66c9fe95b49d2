/* SPDX-License-Identifier: MIT */
#include "vmm/session/guest_log.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "common/log.h"

enum { ECHO_MAX = 4096 };

void guest_log_init(struct guest_log *log, bool echo)
{
	pthread_mutex_init(&log->lock, NULL);
	log->written = 0;
	log->echo = echo;
	log->loop = NULL;
	log->posted = false;
}

void guest_log_fini(struct guest_log *log)
{
	pthread_mutex_destroy(&log->lock);
}

/* With the lock held. */
static void post(struct guest_log *log)
{
	if (!log->loop || log->posted)
		return;
	log->posted = true;
	loop_post(log->loop, &log->task);
}

static void tell(struct loop_task *task)
{
	struct guest_log *log = CONTAINER_OF(task, struct guest_log, task);
	bool wanted;

	pthread_mutex_lock(&log->lock);
	log->posted = false;
	wanted = log->loop != NULL;
	pthread_mutex_unlock(&log->lock);
	if (wanted)
		log->grew(log->owner);
}

void guest_log_watch(struct guest_log *log, struct loop *loop, void (*grew)(void *owner),
		     void *owner)
{
	pthread_mutex_lock(&log->lock);
	log->loop = loop;
	log->task.fn = tell;
	log->grew = grew;
	log->owner = owner;
	pthread_mutex_unlock(&log->lock);
}

uint64_t guest_log_end(struct guest_log *log)
{
	uint64_t end;

	pthread_mutex_lock(&log->lock);
	end = log->written;
	pthread_mutex_unlock(&log->lock);
	return end;
}

/* A byte of the guest's as a terminal may see it. */
static char shown(char c)
{
	return isprint((unsigned char)c) || c == '\n' || c == '\t' || c == '\r' ? c : '?';
}

/* As it comes, without what would steer the terminal. */
static void echo(const char *buf, size_t len)
{
	char clean[ECHO_MAX];

	while (len > 0) {
		size_t n = min_size(len, sizeof(clean));

		for (size_t i = 0; i < n; i++)
			clean[i] = shown(buf[i]);
		log_write(clean, n);
		buf += n;
		len -= n;
	}
}

static void put(struct guest_log *log, const char *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		log->ring[log->written++ % GUEST_LOG_SIZE] = p[i];
}

void guest_log_add(struct guest_log *log, const void *buf, size_t len)
{
	pthread_mutex_lock(&log->lock);
	put(log, buf, len);
	post(log);
	pthread_mutex_unlock(&log->lock);
	if (log->echo)
		echo(buf, len);
}

void guest_log_line(struct guest_log *log, const char *line)
{
	pthread_mutex_lock(&log->lock);
	if (log->written > 0 && log->ring[(log->written - 1) % GUEST_LOG_SIZE] != '\n')
		put(log, "\n", 1);
	put(log, line, strlen(line));
	put(log, "\n", 1);
	post(log);
	pthread_mutex_unlock(&log->lock);
	if (log->echo) {
		echo(line, strlen(line));
		log_write("\n", 1);
	}
}

/* The ring unrolled into text; returns its length. */
static size_t unroll(struct guest_log *log, char text[GUEST_LOG_SIZE + 1])
{
	size_t len, start;

	pthread_mutex_lock(&log->lock);
	len = min_size(log->written, GUEST_LOG_SIZE);
	start = log->written - len;
	for (size_t i = 0; i < len; i++)
		text[i] = log->ring[(start + i) % GUEST_LOG_SIZE];
	pthread_mutex_unlock(&log->lock);
	text[len] = '\0';
	return len;
}

/* Where the excerpt starts in text[0, len), at the beginning of a line. */
static size_t excerpt_start(const char *text, size_t len, const char *from, unsigned int lines)
{
	const char *found = from ? strstr(text, from) : NULL;
	size_t at = found ? (size_t)(found - text) : len;

	if (from && !found)
		return len;
	for (; at > 0; at--)
		if (text[at - 1] == '\n' && (from || --lines == 0))
			break;
	return at;
}

void guest_log_excerpt(struct guest_log *log, const char *from, unsigned int lines, char *buf,
		       size_t size)
{
	char text[GUEST_LOG_SIZE + 1];
	size_t len = unroll(log, text), out = 0;
	bool at_start = true;

	while (len > 0 && isspace((unsigned char)text[len - 1]))
		len--;
	text[len] = '\0';
	for (size_t i = excerpt_start(text, len, from, lines); i < len && out + 4 < size; i++) {
		if (at_start) {
			buf[out++] = ' ';
			buf[out++] = ' ';
			at_start = false;
		}
		if (text[i] == '\n') {
			if (--lines == 0)
				break;
			buf[out++] = '\n';
			at_start = true;
		} else if (isprint((unsigned char)text[i])) {
			buf[out++] = text[i];
		}
	}
	buf[out] = '\0';
}

uint64_t guest_log_read(struct guest_log *log, uint64_t from, char *buf, size_t size,
			uint64_t *start)
{
	size_t len;

	pthread_mutex_lock(&log->lock);
	if (from > log->written)
		from = log->written;
	if (log->written - from > GUEST_LOG_SIZE)
		from = log->written - GUEST_LOG_SIZE;
	len = min_size(log->written - from, size - 1);
	for (size_t i = 0; i < len; i++) {
		const char c = log->ring[(from + i) % GUEST_LOG_SIZE];

		buf[i] = isprint((unsigned char)c) || c == '\n' || c == '\t' ? c : '?';
	}
	pthread_mutex_unlock(&log->lock);
	buf[len] = '\0';
	*start = from;
	return from + len;
}

bool guest_log_panic(struct guest_log *log, char *reason, size_t size)
{
	char text[GUEST_LOG_SIZE + 1];
	const char *found;
	size_t out = 0;

	/* A NUL in the text ends the search early; the guest only fools itself. */
	(void)unroll(log, text);
	found = strstr(text, GUEST_LOG_PANIC);
	reason[0] = '\0';
	if (!found)
		return false;
	for (found += sizeof(GUEST_LOG_PANIC) - 1; *found && *found != '\n' && out + 1 < size;
	     found++)
		if (isprint((unsigned char)*found))
			reason[out++] = *found;
	reason[out] = '\0';
	return true;
}
