/* SPDX-License-Identifier: MIT */
#include "common/terminal.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

#include "common/job.h"

int terminal_raw(struct terminal *t, int fd)
{
	struct termios raw;

	t->fd = fd;
	if (tcgetattr(fd, &raw) < 0)
		return -errno;
	/* A shell restores its terminal when it takes it from a job, by a stop that we did not see. */
	if (!job_has_terminal(fd, 0)) {
		t->raw = false;
		return 0;
	}
	if (!t->known)
		t->before = raw;
	t->known = true;
	cfmakeraw(&raw);
	if (tcsetattr(fd, TCSADRAIN, &raw) < 0)
		return -errno;
	t->raw = true;
	return 0;
}

void terminal_restore(struct terminal *t)
{
	if (t->raw && job_has_terminal(t->fd, 0))
		(void)tcsetattr(t->fd, TCSADRAIN, &t->before);
	t->raw = false;
}

/* The bytes of the character of UTF-8 that begins there; 0: none does. */
static size_t utf8_length(const unsigned char *p, size_t len)
{
	size_t n = p[0] < 0x80	 ? 1
		   : p[0] < 0xc2 ? 0
		   : p[0] < 0xe0 ? 2
		   : p[0] < 0xf0 ? 3
		   : p[0] < 0xf5 ? 4
				 : 0;

	if (n > len)
		return 0;
	for (size_t i = 1; i < n; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	return n;
}

void terminal_clean(char *text, size_t len)
{
	unsigned char *p = (unsigned char *)text;

	for (size_t i = 0, n; i < len; i += n ? n : 1) {
		n = utf8_length(p + i, len - i);
		/* 0x80 to 0x9f are control characters as well, alone and as two bytes of UTF-8. */
		if (n == 0 || (n == 1 && p[i] < ' ' && p[i] != '\n' && p[i] != '\t') ||
		    p[i] == 0x7f || (n == 2 && p[i] == 0xc2 && p[i + 1] < 0xa0))
			memset(p + i, '?', n ? n : 1);
	}
}

void terminal_give_back(const struct terminal *t)
{
	if (t->raw)
		(void)tcsetattr(t->fd, TCSANOW, &t->before);
}

bool terminal_size(int fd, uint16_t *rows, uint16_t *columns)
{
	struct winsize ws;

	if (ioctl(fd, TIOCGWINSZ, &ws) < 0)
		return false;
	*rows = ws.ws_row;
	*columns = ws.ws_col;
	return true;
}
