/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "launcher/doctor/doctor.h"

static struct doctor_report report;
static char *text;
static size_t text_len;

static void setup(void)
{
	report.n = 2;
	report.checks[0] = (struct doctor_check){.name = "processor", .detail = "it has \"svm\""};
	report.checks[1] = (struct doctor_check){
		.name = "kvm",
		.status = DOCTOR_FAIL,
		.detail = "there is no device of that kind anywhere on this machine as far as can "
			  "be seen",
		.cure = "get one",
	};
}

static void teardown(void)
{
	free(text);
}

TestSuite(doctor, .init = setup, .fini = teardown);

Test(doctor, table)
{
	FILE *f = open_memstream(&text, &text_len);

	doctor_print(&report, f);
	fclose(f);
	cr_assert_str_eq(
		text,
		"ok    processor   it has \"svm\"\n"
		"fail  kvm         there is no device of that kind anywhere on this machine as\n"
		"                  far as can be seen\n"
		"                  get one\n"
		"\n"
		"`sandcastle run` cannot work here: see `fail`.\n");
}

Test(doctor, json)
{
	FILE *f = open_memstream(&text, &text_len);
	json_t *root, *checks;

	cr_assert_eq(doctor_print_json(&report, f), 0);
	fclose(f);
	root = json_loads(text, 0, NULL);
	cr_assert_not_null(root);
	cr_assert(json_is_false(json_object_get(root, "ok")));
	checks = json_object_get(root, "checks");
	cr_assert_eq(json_array_size(checks), 2);
	cr_assert_str_eq(json_string_value(json_object_get(json_array_get(checks, 1), "status")),
			 "fail");
	cr_assert_str_eq(json_string_value(json_object_get(json_array_get(checks, 0), "detail")),
			 "it has \"svm\"");
	json_decref(root);
}

Test(doctor, text_that_is_not_utf8)
{
	FILE *f = open_memstream(&text, &text_len);
	json_t *root;

	strcpy(report.checks[0].detail, "/boot/\xff");
	cr_assert_eq(doctor_print_json(&report, f), 0);
	fclose(f);
	root = json_loads(text, 0, NULL);
	cr_assert(json_is_null(
		json_object_get(json_array_get(json_object_get(root, "checks"), 0), "detail")));
	json_decref(root);
}

Test(doctor, a_warning_is_no_failure)
{
	report.checks[1].status = DOCTOR_WARN;
	cr_assert(doctor_is_well(&report));
	report.checks[0].status = DOCTOR_FAIL;
	cr_assert_not(doctor_is_well(&report));
}

/* Whatever this machine is like: every check answers, and each that is not well says why. */
Test(doctor, of_this_machine)
{
	doctor_collect(&report, NULL);
	cr_assert_geq(report.n, 10);
	cr_assert_leq(report.n, DOCTOR_CHECKS_MAX);
	for (size_t i = 0; i < report.n; i++)
		cr_assert_gt(strlen(report.checks[i].detail), 0, "%s", report.checks[i].name);
	doctor_collect(&report, "/nonesuch");
	cr_assert_not(doctor_is_well(&report));
}
