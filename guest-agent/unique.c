/* SPDX-License-Identifier: MIT */
#include "guest-agent/unique.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/random.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/random.h>
#include <time.h>

#include "guest-agent/files.h"

enum { NS_PER_S = 1000000000 };

#define BOOT_ID "/proc/sys/kernel/random/boot_id"
#define OWN_ID	"/run/.boot_id"

/*
 * Since Linux 5.18 what is read comes from keys, one a CPU, that change once a minute at most: all
 * clones of a template would read the same until then. RNDRESEEDCRNG makes new ones at
 * once, of what RNDADDENTROPY has added.
 */
static int reseed(const struct resume *from)
{
	AUTO_FREE struct rand_pool_info *pool = malloc(sizeof(*pool) + SC_ENTROPY_BYTES);
	AUTO_CLOSE int fd = open("/dev/urandom", O_RDWR | O_CLOEXEC);
	int r = 0;

	if (!pool || fd < 0)
		return pool ? -errno : -ENOMEM;
	pool->entropy_count = 8 * SC_ENTROPY_BYTES;
	pool->buf_size = SC_ENTROPY_BYTES;
	memcpy(pool->buf, from->entropy, SC_ENTROPY_BYTES);
	if (ioctl(fd, RNDADDENTROPY, pool) < 0 || ioctl(fd, RNDRESEEDCRNG) < 0)
		r = -errno;
	explicit_bzero(pool->buf, SC_ENTROPY_BYTES);
	return r;
}

static int set_clock(uint64_t ns)
{
	const struct timespec now = {
		.tv_sec = (time_t)(ns / NS_PER_S),
		.tv_nsec = (long)(ns % NS_PER_S),
	};

	return clock_settime(CLOCK_REALTIME, &now) < 0 ? -errno : 0;
}

/* A random UUID (RFC 9562, version 4) in text, and a newline. */
static int make_uuid(struct text *out)
{
	static const char digits[] = "0123456789abcdef";
	uint8_t id[16];

	if (getrandom(id, sizeof(id), 0) != sizeof(id))
		return -errno;
	id[6] = (uint8_t)((id[6] & 0x0f) | 0x40);
	id[8] = (uint8_t)((id[8] & 0x3f) | 0x80);
	for (size_t i = 0; i < sizeof(id); i++) {
		const char byte[] = {digits[id[i] >> 4], digits[id[i] & 15], '\0'};

		if (i == 4 || i == 6 || i == 8 || i == 10)
			text_add(out, "-");
		text_add(out, byte);
	}
	text_add(out, "\n");
	return 0;
}

/* The kernel keeps its own, which nobody can change, for good: a file lies over it. */
static int new_boot_id(void)
{
	struct text id = {.len = 0};
	int r = make_uuid(&id);

	if (r == 0)
		r = file_replace(OWN_ID, id.buf);
	if (r < 0)
		return r;
	if (mount(OWN_ID, BOOT_ID, NULL, MS_BIND, NULL) < 0 ||
	    mount(NULL, BOOT_ID, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL) < 0)
		return -errno;
	return unlink(OWN_ID) < 0 ? -errno : 0;
}

int unique_take(const struct resume *from, bool parked, struct text *why)
{
	int r = reseed(from);

	if (r < 0)
		return text_fail(why, r, "take over", "random numbers");
	r = set_clock(from->realtime_ns);
	if (r < 0)
		return text_fail(why, r, "set the clock", NULL);
	r = parked ? new_boot_id() : 0;
	return r < 0 ? text_fail(why, r, "make a new", BOOT_ID) : 0;
}
