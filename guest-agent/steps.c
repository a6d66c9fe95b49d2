/* SPDX-License-Identifier: MIT */
#include "guest-agent/steps.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <time.h>

enum { RECORD_MAX = 8192 };

static uint64_t now(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void add_text(struct step *step, const char *text, size_t len)
{
	size_t have = strlen(step->name), n = min_size(len, sizeof(step->name) - 1 - have);

	memcpy(step->name + have, text, n);
	step->name[have + n] = '\0';
}

void steps_mark(struct steps *s, const char *name, const char *what)
{
	struct step *step = &s->list[s->n];
	uint64_t begin = s->last;

	s->last = now();
	if (s->n >= STEPS_MAX)
		return;
	*step = (struct step){.begin = begin, .end = s->last};
	add_text(step, name, strlen(name));
	if (what) {
		add_text(step, " ", 1);
		add_text(step, what, strlen(what));
	}
	s->n++;
}

/* "6,339,1234567,-;text": priority, number, microseconds, flags, maybe more. */
bool steps_parse_record(const char *record, size_t len, uint64_t *when, const char **text)
{
	const char *end = record + len, *p = record;
	uint64_t us = 0;

	for (int commas = 0; commas < 2; commas++) {
		p = memchr(p, ',', (size_t)(end - p));
		if (!p)
			return false;
		p++;
	}
	if (p == end || *p < '0' || *p > '9')
		return false;
	for (; p < end && *p >= '0' && *p <= '9'; p++)
		us = us * 10 + (uint64_t)(*p - '0');
	p = memchr(p, ';', (size_t)(end - p));
	if (!p)
		return false;
	*when = us * 1000;
	*text = p + 1;
	return true;
}

/* Keeps the STEPS_KERNEL_MAX longest, in the order they came. */
static void keep_pause(struct steps *s, size_t first, const struct step *pause)
{
	size_t shortest = first;

	if (s->n - first < STEPS_KERNEL_MAX) {
		s->list[s->n++] = *pause;
		return;
	}
	for (size_t i = first; i < s->n; i++)
		if (s->list[i].end - s->list[i].begin <
		    s->list[shortest].end - s->list[shortest].begin)
			shortest = i;
	if (pause->end - pause->begin <= s->list[shortest].end - s->list[shortest].begin)
		return;
	memmove(&s->list[shortest], &s->list[shortest + 1],
		(s->n - shortest - 1) * sizeof(s->list[0]));
	s->list[s->n - 1] = *pause;
}

void steps_add_kernel(struct steps *s)
{
	AUTO_CLOSE int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	const uint64_t agent = s->n > 0 ? s->list[0].end : 0;
	struct step pause = {.kernel = true};
	const size_t first = s->n;
	char record[RECORD_MAX];
	const char *text;
	uint64_t when;
	ssize_t n;

	/* EPIPE: older lines were lost; the next read goes on. */
	while (fd >= 0 &&
	       ((n = read(fd, record, sizeof(record))) > 0 || (n < 0 && errno == EPIPE))) {
		if (n < 0 || !steps_parse_record(record, (size_t)n, &when, &text))
			continue;
		if (when > agent)
			when = agent;
		pause.end = when;
		if (pause.name[0] && pause.end > pause.begin)
			keep_pause(s, first, &pause);
		pause.begin = when;
		pause.name[0] = '\0';
		add_text(&pause, text, strcspn(text, "\n"));
		if (when == agent)
			return;
	}
}

void steps_put(const struct steps *s, struct wire_message *m)
{
	for (size_t i = 0; i < s->n; i++) {
		const struct step *step = &s->list[i];

		wire_put_step(m, step->begin, step->end, step->kernel, step->name);
	}
}
