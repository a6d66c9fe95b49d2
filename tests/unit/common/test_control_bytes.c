/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "common/control_bytes.h"

/* There and back through JSON text. */
static void check_round(const char *bytes, bool is_text)
{
	json_t *value = control_bytes_new(bytes), *back;
	AUTO_FREE char *text = NULL;
	AUTO_FREE char *out = NULL;

	cr_assert_not_null(value);
	cr_assert_eq(json_is_string(value), is_text);
	text = json_dumps(value, JSON_ENCODE_ANY);
	cr_assert_not_null(text);
	back = json_loads(text, JSON_DECODE_ANY, NULL);
	cr_assert_eq(control_bytes_get(back, &out), 0);
	cr_assert_str_eq(out, bytes);
	json_decref(value);
	json_decref(back);
}

Test(control_bytes, any_name_comes_back)
{
	char all[256];

	for (unsigned int i = 0; i < 255; i++)
		all[i] = (char)(i + 1);
	all[255] = '\0';
	check_round("", true);
	check_round("/home/user/caf\xc3\xa9", true);
	check_round("\xff", false);
	check_round("caf\xe9", false);
	check_round(all, false);
}

static int get(const char *text)
{
	json_t *value = json_loads(text, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
	char *out = NULL;
	int r;

	cr_assert_not_null(value);
	r = control_bytes_get(value, &out);
	if (r < 0)
		cr_assert_null(out);
	free(out);
	json_decref(value);
	return r;
}

Test(control_bytes, what_is_refused)
{
	cr_assert_eq(get("\"text\""), 0);
	cr_assert_eq(get("{\"hex\": \"fFA0\"}"), 0);
	cr_assert_eq(get("{\"hex\": \"\"}"), 0);
	for (const char *const *bad =
		     (const char *const[]){"7", "null", "[]", "{}", "{\"hex\": 7}",
					   "{\"hex\": null}", "{\"hex\": \"f\"}",
					   "{\"hex\": \"fg\"}", "{\"hex\": \"g0\"}",
					   "{\"hex\": \"0x41\"}", "{\"hex\": \"4100\"}",
					   "{\"hex\": \"00\"}", "\"a\\u0000b\"", NULL};
	     *bad; bad++)
		cr_assert_eq(get(*bad), -EINVAL, "%s", *bad);
}
