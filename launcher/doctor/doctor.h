/* SPDX-License-Identifier: MIT */
/* launcher/doctor/doctor.h - what `sandcastle doctor` finds, and how it is shown. */
#ifndef LAUNCHER_DOCTOR_DOCTOR_H
#define LAUNCHER_DOCTOR_DOCTOR_H

#include <stdbool.h>
#include <stdio.h>

#include "common/util.h"

enum doctor_status {
	DOCTOR_OK,
	DOCTOR_WARN, /* `run` works, less well */
	DOCTOR_FAIL, /* `run` cannot work */
};

struct doctor_check {
	const char *name; /* string literal; a key in JSON */
	enum doctor_status status;
	char detail[512]; /* what is, or what is wrong */
	char cure[256]; /* empty if nothing has to be done or detail says it */
};

enum { DOCTOR_CHECKS_MAX = 16 };

struct doctor_report {
	struct doctor_check checks[DOCTOR_CHECKS_MAX];
	size_t n;
};

/* Looks at this host. `kernel`: as --kernel, NULL for the one `run` would choose. */
void doctor_collect(struct doctor_report *report, const char *kernel);

/* True if no check failed. */
bool doctor_is_well(const struct doctor_report *report);

/* A table of 80 columns. */
void doctor_print(const struct doctor_report *report, FILE *out);

/* {"version", "ok", "checks": [{"name", "status", "detail", "cure"}]}. -ENOMEM, -EIO. */
int doctor_print_json(const struct doctor_report *report, FILE *out) MUST_CHECK;

#endif
