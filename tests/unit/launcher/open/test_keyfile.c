/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>

#include "launcher/open/keyfile.h"

static struct keyfile of(const char *text)
{
	return (struct keyfile){.rest = {text, strlen(text)}};
}

Test(keyfile, lines_have_a_group_a_key_and_a_value)
{
	struct keyfile k = of("# no key\n\n[A b]\r\n key = a value \r\nx=\n[C]\ny=1=2");

	cr_assert(keyfile_next(&k));
	cr_assert(slice_is(k.group, "A b"));
	cr_assert(slice_is(k.key, "key"));
	cr_assert(slice_is(k.value, "a value"));
	cr_assert(keyfile_next(&k));
	cr_assert(slice_is(k.key, "x"));
	cr_assert_eq(k.value.len, 0);
	cr_assert(keyfile_next(&k));
	cr_assert(slice_is(k.group, "C"));
	cr_assert(slice_is(k.value, "1=2"));
	cr_assert_not(keyfile_next(&k));
}

Test(keyfile, what_is_no_line_is_passed_over)
{
	struct keyfile k = of("no equals sign\n[not closed\n=no key\n[]\n[\nz=1");

	cr_assert(keyfile_next(&k));
	cr_assert(slice_is(k.key, "z"));
	cr_assert_eq(k.group.len, 0);
	cr_assert_not(keyfile_next(&k));
}

Test(keyfile, entries_of_a_list)
{
	struct slice list = {" a ;;b; ", 8}, entry;

	cr_assert(keyfile_entry(&list, &entry));
	cr_assert(slice_is(entry, "a"));
	cr_assert(keyfile_entry(&list, &entry));
	cr_assert(slice_is(entry, "b"));
	cr_assert_not(keyfile_entry(&list, &entry));
}
