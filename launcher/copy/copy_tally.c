/* SPDX-License-Identifier: MIT */
#include "launcher/copy/copy_tally.h"

#include <errno.h>
#include <stdio.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/units.h"

enum { FIRST_MS = 1000, EVERY_MS = 250, SKIPS_SHOWN = 20 };

void copy_printable(const char *text, char *out, size_t size)
{
	size_t n = 0;

	for (; text[n] && text[n] != '\n' && n + 1 < size; n++)
		out[n] = text[n] >= ' ' && text[n] <= '~' ? text[n] : '?';
	out[n] = '\0';
}

void copy_tally_init(struct copy_tally *t, bool shows)
{
	*t = (struct copy_tally){.shows = shows, .started_ms = now_ms()};
}

static void clear_line(struct copy_tally *t)
{
	if (t->shown)
		fputs("\r\033[K", stderr);
	t->shown = false;
}

void copy_tally_add(struct copy_tally *t, uint64_t bytes)
{
	char size[32];
	uint64_t now;

	t->bytes += bytes;
	if (!t->shows)
		return;
	now = now_ms();
	if (now - t->started_ms < FIRST_MS || now - t->told_ms < EVERY_MS)
		return;
	t->told_ms = now;
	t->shown = true;
	format_size(t->bytes, size);
	fprintf(stderr, "\r\033[K%s in %llu files, %llu s", size, (unsigned long long)t->files,
		(unsigned long long)(now - t->started_ms) / 1000);
}

void copy_tally_skip(struct copy_tally *t, const char *path, const char *why)
{
	char name[256];

	clear_line(t);
	copy_printable(path, name, sizeof(name));
	if (t->skipped++ < SKIPS_SHOWN)
		log_warn("skipped %s: %s", name, why);
}

int copy_tally_end(struct copy_tally *t)
{
	clear_line(t);
	if (t->skipped == 0)
		return 0;
	log_error("%llu of what was to be copied was left out", (unsigned long long)t->skipped);
	return -EIO;
}
