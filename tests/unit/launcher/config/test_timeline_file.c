/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "launcher/config/timeline_file.h"
#include "vmm/config/timeline.h"

static struct timeline tl;
static char *text;
static size_t len;

static FILE *begin(void)
{
	FILE *f;

	timeline_init(&tl);
	timeline_mark(&tl, TIMELINE_BOOT, "kernel");
	tl.steps[0] = (struct timeline_step){.name = "load", .end = 2000000, .vmm_cpu = 2000000};
	tl.steps[1] = (struct timeline_step){
		.phase = TIMELINE_BOOT,
		.name = "kernel",
		.begin = 2000000,
		.end = 10000000,
		.vmm_cpu = 3000000,
		.vcpu_cpu = 6000000,
	};
	timeline_add_guest(&tl, "pci <0000:00> & \"more\" \\", true, 0, 1000000);
	timeline_align_guest(&tl);
	timeline_count(&tl, "io_exits", 12);
	f = open_memstream(&text, &len);
	cr_assert_not_null(f);
	return f;
}

static double number(const json_t *object, const char *key)
{
	cr_assert(json_is_number(json_object_get(object, key)), "%s", key);
	return json_number_value(json_object_get(object, key));
}

Test(timeline_file, json)
{
	FILE *f = begin();
	json_t *root;
	const json_t *step;

	cr_assert_eq(timeline_print_json(&tl, f), 0);
	fclose(f);
	root = json_loads(text, 0, NULL);
	cr_assert_not_null(root);
	cr_assert_float_eq(number(root, "total_ms"), 10, 1e-6);
	step = json_array_get(json_object_get(root, "steps"), 1);
	cr_assert_float_eq(number(step, "begin_ms"), 2, 1e-6);
	cr_assert_float_eq(number(step, "vmm_cpu_ms"), 1, 1e-6);
	cr_assert_float_eq(number(step, "vcpu_cpu_ms"), 6, 1e-6);
	step = json_array_get(json_object_get(root, "guest"), 0);
	cr_assert_str_eq(json_string_value(json_object_get(step, "name")),
			 "pci <0000:00> & \"more\" \\");
	cr_assert_float_eq(number(step, "end_ms"), 10, 1e-6);
	cr_assert_float_eq(number(json_object_get(root, "kvm"), "io_exits"), 12, 1e-6);
	step = json_object_get(json_object_get(root, "phases"), "set-up");
	cr_assert_float_eq(number(step, "ms"), 2, 1e-6);
	json_decref(root);
	free(text);
}

Test(timeline_file, svg_is_escaped)
{
	FILE *f = begin();

	cr_assert_eq(timeline_print_svg(&tl, f), 0);
	fclose(f);
	cr_assert_not_null(strstr(text, "pci &lt;0000:00> &amp; "));
	cr_assert_not_null(strstr(text, "8.0 ms, CPU 1.0 + 6.0"));
	cr_assert_str_eq(text + len - strlen("</svg>\n"), "</svg>\n");
	free(text);
}

Test(timeline_file, an_empty_one)
{
	FILE *f = begin();

	tl.n_steps = tl.n_guest = tl.n_counters = 0;
	cr_assert_eq(timeline_print_svg(&tl, f), 0);
	cr_assert_eq(timeline_print_json(&tl, f), 0);
	fclose(f);
	free(text);
}

Test(timeline_file, names)
{
	cr_assert(timeline_file_name_is_good("a.svg"));
	cr_assert(timeline_file_name_is_good("/tmp/a.json"));
	cr_assert_not(timeline_file_name_is_good(".svg"));
	cr_assert_not(timeline_file_name_is_good("svg"));
	cr_assert_not(timeline_file_name_is_good("a.png"));
}
