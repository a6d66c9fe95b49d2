/* SPDX-License-Identifier: MIT */
/* common/terminal.h - the user's terminal, when a command runs on a pty of the guest. */
#ifndef COMMON_TERMINAL_H
#define COMMON_TERMINAL_H

#include <stdbool.h>
#include <termios.h>

#include "common/util.h"

/* Embedded; zeroed is "not raw". */
struct terminal {
	int fd; /* borrowed */
	bool raw;
	struct termios before;
};

/* Every key goes to the guest, ^C included. -errno when fd is no terminal. */
int terminal_raw(struct terminal *t, int fd) MUST_CHECK;
/* Back to what it was; not raw is fine. */
void terminal_restore(struct terminal *t);

#endif
