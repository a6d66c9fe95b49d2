/* SPDX-License-Identifier: MIT */
/* launcher/control_call.h - requests to running sandboxes, for commands: failures are logged. */
#ifndef LAUNCHER_CONTROL_CALL_H
#define LAUNCHER_CONTROL_CALL_H

#include <stdbool.h>

#include "library/client/client.h"

/* The sandbox `name`. */
int control_open(const char *name, struct client **out) MUST_CHECK;

/*
 * client_call() without descriptors, of a sandbox by name; request is taken over.
 * *reply is the caller's.
 */
int control_ask(struct client *c, json_t *request, json_t **reply) MUST_CHECK;
/* The same with descriptors, which are borrowed. */
int control_ask_with(struct client *c, json_t *request, const int *fds, size_t n_fds,
		     json_t **reply) MUST_CHECK;

/*
 * Says which variable helps if that is why looking into `top` failed: another user made it first,
 * or it is no folder. False, and nothing said, for another error.
 */
bool control_tell_foreign(const char *top, int error);

/* The running sandboxes' names (rundir_list()). */
int control_names(char ***names) MUST_CHECK;

/*
 * Reads what comes until the sandbox is gone. Its last words, "" where it had none,
 * as docs/control.md has them; each of size `size`.
 */
void control_await_end(struct client *c, char *reason, char *message, size_t size);

/* A member of an object that should be a string, "" if it is none. Borrowed. */
const char *json_text(const json_t *object, const char *key);

#endif
