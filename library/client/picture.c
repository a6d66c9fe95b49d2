/* SPDX-License-Identifier: MIT */
#include "library/client/picture.h"

#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "library/client/png.h"

enum { SIDE_MAX = 8192 };

static uint32_t side(const json_t *reply, const char *key, json_int_t max)
{
	const json_int_t n = json_integer_value(json_object_get(reply, key));

	return n > 0 && n <= max ? (uint32_t)n : 0;
}

static int map_picture(const json_t *reply, int fd, struct png_picture *out, size_t *len)
{
	struct png_picture p = {
		.width = side(reply, "width", SIDE_MAX),
		.height = side(reply, "height", SIDE_MAX),
		.stride = side(reply, "stride", SIDE_MAX * 4),
	};
	struct stat st;
	void *map;

	*len = (size_t)p.stride * p.height;
	if (*len == 0 || p.width == 0 || p.stride < p.width * 4 || fd < 0 || fstat(fd, &st) < 0 ||
	    (size_t)st.st_size < *len)
		return -EPROTO;
	map = mmap(NULL, *len, PROT_READ, MAP_PRIVATE, fd, 0);
	if (map == MAP_FAILED)
		return -errno;
	p.pixels = map;
	*out = p;
	return 0;
}

/* Half of a picture is of no use; what is no file of its own is not ours to remove. */
static void discard(FILE *out, const char *path)
{
	struct stat st;

	if (fstat(fileno(out), &st) == 0 && S_ISREG(st.st_mode))
		(void)remove(path);
}

static int write_file(const struct png_picture *p, const char *path)
{
	FILE *out = fopen(path, "wbe");
	int r = out ? png_write(p, out) : -errno;

	if (!out)
		return r;
	if (r == 0 && fflush(out) != 0)
		r = -errno;
	if (r < 0)
		discard(out, path);
	if (fclose(out) != 0 && r == 0)
		r = -errno;
	return r;
}

int picture_save(const json_t *reply, int fd, const char *path)
{
	struct png_picture p = {0};
	size_t len;
	int r = map_picture(reply, fd, &p, &len);

	if (r < 0)
		return r;
	r = write_file(&p, path);
	munmap((void *)(uintptr_t)p.pixels, len);
	return r;
}
