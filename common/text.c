/* SPDX-License-Identifier: MIT */
#include "common/text.h"

#include <sys/stat.h>

void hex_write(const void *bytes, size_t len, char *out)
{
	static const char digits[] = "0123456789abcdef";
	const uint8_t *from = bytes;

	for (size_t i = 0; i < len; i++) {
		*out++ = digits[from[i] >> 4];
		*out++ = digits[from[i] & 15];
	}
	*out = '\0';
}

int read_whole(int fd, size_t max, struct buffer *out)
{
	struct stat st;
	/* The size is a hint: files in /proc have none, and a file may grow meanwhile. */
	size_t room = fstat(fd, &st) == 0 && st.st_size > 0 ? min_size((size_t)st.st_size, max) : 0;

	out->len = 0;
	for (;;) {
		int r = buffer_reserve(out, room + 2);
		ssize_t n;

		if (r < 0)
			return r;
		n = read(fd, out->data + out->len, out->room - out->len - 1);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		out->len += (size_t)n;
		if (out->len > max)
			return -EFBIG;
		if (n == 0)
			break;
		room = 4096;
	}
	out->data[out->len] = '\0';
	return 0;
}
