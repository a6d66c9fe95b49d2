/* SPDX-License-Identifier: MIT */
/* common/exit_codes.h - what the exit codes of `sandcastle run`, `exec` and others mean; podman's. */
#ifndef COMMON_EXIT_CODES_H
#define COMMON_EXIT_CODES_H

enum {
	EXIT_TIMEOUT = 124, /* the time was up */
	EXIT_SANDCASTLE_FAILED = 125, /* a failure of our own; a line says which */
	EXIT_NOT_EXECUTABLE = 126,
	EXIT_NOT_FOUND = 127,
	EXIT_SIGNAL_BASE = 128, /* and the signal that ended the command */
};

#endif
