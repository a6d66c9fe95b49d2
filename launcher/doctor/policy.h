/* SPDX-License-Identifier: MIT */
/* launcher/doctor/policy.h - the table of system calls, and what is in force for a running sandbox. */
#ifndef LAUNCHER_DOCTOR_POLICY_H
#define LAUNCHER_DOCTOR_POLICY_H

#include <jansson.h>
#include <stdio.h>
#include <sys/types.h>

#include "common/util.h"

/* [{"call", "threads": [..], "rule", "reason"}]; no threads: whoever makes the call is ended. */
json_t *doctor_policy_table(void);

/*
 * What the kernel says of each thread of process pid, by /proc below `root` ("" for the host's):
 * [{"name", "seccomp", "filters", "no_new_privileges", "capabilities"}], the values as in
 * /proc/PID/status. -errno.
 */
int doctor_policy_threads(const char *root, pid_t pid, json_t **out) MUST_CHECK;

/* The same for people; `threads` may be NULL. */
void doctor_policy_print(const json_t *table, const json_t *threads, FILE *out);

#endif
