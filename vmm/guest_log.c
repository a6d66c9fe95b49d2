/* SPDX-License-Identifier: MIT */
#include "vmm/guest_log.h"

#include <ctype.h>
#include <string.h>

void guest_log_init(struct guest_log *log, bool echo)
{
	pthread_mutex_init(&log->lock, NULL);
	log->written = 0;
	log->echo = echo;
}

void guest_log_fini(struct guest_log *log)
{
	pthread_mutex_destroy(&log->lock);
}

void guest_log_add(struct guest_log *log, const void *buf, size_t len)
{
	const char *p = buf;

	pthread_mutex_lock(&log->lock);
	for (size_t i = 0; i < len; i++)
		log->ring[log->written++ % GUEST_LOG_SIZE] = p[i];
	pthread_mutex_unlock(&log->lock);
	if (log->echo)
		(void)!write(STDERR_FILENO, buf, len);
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

void guest_log_tail(struct guest_log *log, unsigned int lines, char *buf, size_t size)
{
	char text[GUEST_LOG_SIZE + 1];
	size_t len = unroll(log, text), from, out = 0;
	bool at_start = true;

	while (len > 0 && isspace((unsigned char)text[len - 1]))
		len--;
	for (from = len; from > 0; from--)
		if (text[from - 1] == '\n' && --lines == 0)
			break;
	for (size_t i = from; i < len && out + 4 < size; i++) {
		if (at_start) {
			buf[out++] = ' ';
			buf[out++] = ' ';
			at_start = false;
		}
		if (text[i] == '\n') {
			buf[out++] = '\n';
			at_start = true;
		} else if (isprint((unsigned char)text[i])) {
			buf[out++] = text[i];
		}
	}
	if (out > 0)
		buf[out++] = '\n';
	buf[out] = '\0';
}

bool guest_log_panic(struct guest_log *log, char *reason, size_t size)
{
	static const char mark[] = "Kernel panic - not syncing: ";
	char text[GUEST_LOG_SIZE + 1];
	const char *found;
	size_t out = 0;

	/* A NUL in the text ends the search early; the guest only fools itself. */
	(void)unroll(log, text);
	found = strstr(text, mark);
	reason[0] = '\0';
	if (!found)
		return false;
	for (found += sizeof(mark) - 1; *found && *found != '\n' && out + 1 < size; found++)
		if (isprint((unsigned char)*found))
			reason[out++] = *found;
	reason[out] = '\0';
	return true;
}
