/* SPDX-License-Identifier: MIT */
/* common/terminal.h - the user's terminal: raw for a pty of the guest, and kept from what names may hold. */
#ifndef COMMON_TERMINAL_H
#define COMMON_TERMINAL_H

#include <stdbool.h>
#include <termios.h>

#include "common/util.h"

/* Embedded; zeroed is "not raw". */
struct terminal {
	int fd; /* borrowed */
	bool raw;
	bool known; /* before is; it is that of the first time */
	struct termios before;
};

/*
 * Every key goes to the guest, ^C included. -errno when fd is no terminal. Call it again when this
 * process may have come to the foreground: in the background nothing is changed, and fd kept.
 */
int terminal_raw(struct terminal *t, int fd) MUST_CHECK;
/*
 * Makes text of unknown origin harmless to a terminal: each control character becomes "?", but for
 * "\n" and "\t". UTF-8 stays.
 */
void terminal_clean(char *text, size_t len);
/* Back to what it was; not raw is fine. In the background it is the shell's by now. */
void terminal_restore(struct terminal *t);
/* The same at once, with output still on its way, for a signal handler that ends the process. */
void terminal_give_back(const struct terminal *t);

/* How large it is now. False: fd is no terminal, and nothing is written. */
bool terminal_size(int fd, uint16_t *rows, uint16_t *columns);

#endif
