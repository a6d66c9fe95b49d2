/* SPDX-License-Identifier: MIT */
/* common/exit_codes.h - decides the exit codes of `sandcastle run`, `exec` and others; podman's. */
#ifndef COMMON_EXIT_CODES_H
#define COMMON_EXIT_CODES_H

struct json_t;

enum {
	EXIT_TIMEOUT = 124, /* the time was up */
	EXIT_SANDCASTLE_FAILED = 125, /* a failure of our own; a line says which */
	EXIT_NOT_EXECUTABLE = 126,
	EXIT_NOT_FOUND = 127,
};

/* Of a command that the signal ended, or of a program of ours that it ends. Async-signal-safe. */
int exit_code_of_signal(int signo);
/* Of a command that never ran: `error` is the guest's errno, positive. */
int exit_code_of_errno(int error);
/*
 * Of a command whose end the control channel tells: its event "exited", or the refusal "exec-failed"
 * of its request (docs/control.md). -1: it is neither, or has neither code nor signal, since the guest
 * was lost with the command.
 */
int exit_code_of_message(const struct json_t *message);

#endif
