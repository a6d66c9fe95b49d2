/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <jansson.h>
#include <string.h>

#include "launcher/doctor/doctor.h"

enum { COLUMNS = 79, TEXT_COLUMN = 18 };

static const char *const status_names[] = {
	[DOCTOR_OK] = "ok",
	[DOCTOR_WARN] = "warn",
	[DOCTOR_FAIL] = "fail",
};

/* Breaks at spaces; the first line goes on where the cursor stands, in TEXT_COLUMN. */
static void print_wrapped(const char *text, FILE *out)
{
	size_t column = TEXT_COLUMN;

	while (*text) {
		const size_t n = strcspn(text, " ");

		if (column > TEXT_COLUMN && column + 1 + n > COLUMNS) {
			fprintf(out, "\n%*s", TEXT_COLUMN, "");
			column = TEXT_COLUMN;
		} else if (column > TEXT_COLUMN) {
			fputc(' ', out);
			column++;
		}
		fwrite(text, 1, n, out);
		column += n;
		text += n;
		text += strspn(text, " ");
	}
	fputc('\n', out);
}

void doctor_print(const struct doctor_report *report, FILE *out)
{
	for (size_t i = 0; i < report->n; i++) {
		const struct doctor_check *check = &report->checks[i];

		fprintf(out, "%-4s  %-12s", status_names[check->status], check->name);
		print_wrapped(check->detail, out);
		if (check->cure[0]) {
			fprintf(out, "%*s", TEXT_COLUMN, "");
			print_wrapped(check->cure, out);
		}
	}
	fprintf(out, doctor_is_well(report) ? "\n`sandcastle run` can work here.\n"
					    : "\n`sandcastle run` cannot work here: see `fail`.\n");
}

int doctor_print_json(const struct doctor_report *report, FILE *out)
{
	json_t *checks = json_array();
	json_t *root;
	int r = 0;

	for (size_t i = 0; i < report->n; i++) {
		const struct doctor_check *check = &report->checks[i];

		/* "o?": text from outside that is not UTF-8 becomes null instead of an error. */
		if (json_array_append_new(checks,
					  json_pack("{s:s, s:s, s:o?, s:o?}", "name", check->name,
						    "status", status_names[check->status], "detail",
						    json_string(check->detail), "cure",
						    json_string(check->cure))) < 0)
			r = -ENOMEM;
	}
	root = json_pack("{s:s, s:b, s:o}", "version", SANDCASTLE_VERSION, "ok",
			 doctor_is_well(report), "checks", checks);
	if (!root)
		return -ENOMEM;
	if (r == 0 && (json_dumpf(root, out, JSON_INDENT(2)) < 0 || fputc('\n', out) == EOF))
		r = -EIO;
	json_decref(root);
	return r;
}
