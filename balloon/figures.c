/* SPDX-License-Identifier: MIT */
#include "balloon/figures.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

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
	f->shared = shared * page;
	/* Guest RAM is shared memory to the kernel, though nobody shares it; that of a clone is not. */
	if (f->cloned) {
		f->private -= min_u64(f->private, f->resident);
		f->shared -= min_u64(f->shared, f->template);
	} else {
		f->shared -= min_u64(f->shared, f->resident);
	}
	return 0;
}

/* JSON's integers are signed: what is above their range is the most they can say. */
static json_int_t number(uint64_t value)
{
	return (json_int_t)min_u64(value, INT64_MAX);
}

json_t *figures_json(const struct figures *f)
{
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:{s:I, s:I, s:I, s:I},"
			 " s:{s:I, s:I, s:I}, s:s}",
			 "resident", number(f->resident), "template", number(f->template),
			 "private", number(f->private), "shared", number(f->shared), "balloon",
			 number(f->balloon), "target", number(f->target), "reported",
			 number(f->reported), "inflated", number(f->inflated), "guest", "total",
			 number(f->guest.total), "free", number(f->guest.free), "available",
			 number(f->guest.available), "cache", number(f->guest.caches), "host",
			 "total", number(f->host.total), "available", number(f->host.available),
			 "reserve", number(f->host.reserve), "pressure", f->pressure);
}
