/* SPDX-License-Identifier: MIT */
#include "common/terminal.h"

#include <errno.h>

int terminal_raw(struct terminal *t, int fd)
{
	struct termios raw;

	if (tcgetattr(fd, &t->before) < 0)
		return -errno;
	raw = t->before;
	cfmakeraw(&raw);
	if (tcsetattr(fd, TCSADRAIN, &raw) < 0)
		return -errno;
	t->fd = fd;
	t->raw = true;
	return 0;
}

void terminal_restore(struct terminal *t)
{
	if (!t->raw)
		return;
	(void)tcsetattr(t->fd, TCSADRAIN, &t->before);
	t->raw = false;
}
