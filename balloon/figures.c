/* SPDX-License-Identifier: MIT */
#include "balloon/figures.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

int figures_read_process(int statm_fd, struct figures *f)
{
	const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	uint64_t size, rss, shared;
	char text[128];
	ssize_t n = pread(statm_fd, text, sizeof(text) - 1, 0);

	if (n < 0)
		return -errno;
	text[n] = '\0';
	if (sscanf(text, "%" SCNu64 " %" SCNu64 " %" SCNu64, &size, &rss, &shared) != 3)
		return -EINVAL;
	f->private = (rss - min_u64(rss, shared)) * page;
	/* Guest RAM is shared memory to the kernel, though nobody shares it. */
	shared *= page;
	f->shared = shared - min_u64(shared, f->resident);
	return 0;
}

size_t figures_format(const struct figures *f, char *buf)
{
	const char *more = strlen(f->more) < FIGURES_MORE_MAX ? f->more : "";
	int n = snprintf(
		buf, FIGURES_LINE_MAX,
		"{\"resident\":%" PRIu64 ",\"private\":%" PRIu64 ",\"shared\":%" PRIu64
		",\"balloon\":%" PRIu64 ",\"target\":%" PRIu64 ",\"reported\":%" PRIu64
		",\"inflated\":%" PRIu64 ",\"guest\":{\"total\":%" PRIu64 ",\"free\":%" PRIu64
		",\"available\":%" PRIu64 ",\"cache\":%" PRIu64 "},\"host\":{\"total\":%" PRIu64
		",\"available\":%" PRIu64 ",\"reserve\":%" PRIu64 "},\"pressure\":\"%s\"%s%s}\n",
		f->resident, f->private, f->shared, f->balloon, f->target, f->reported, f->inflated,
		f->guest.total, f->guest.free, f->guest.available, f->guest.caches, f->host.total,
		f->host.available, f->host.reserve, f->pressure, *more != '\0' ? "," : "", more);

	return n < 0 ? 0 : min_size((size_t)n, FIGURES_LINE_MAX - 1);
}
