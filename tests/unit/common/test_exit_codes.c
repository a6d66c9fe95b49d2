/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <errno.h>
#include <jansson.h>
#include <signal.h>

#include "common/exit_codes.h"

Test(exit_codes, a_signal_is_128_and_its_number)
{
	cr_expect_eq(exit_code_of_signal(SIGINT), 130);
	cr_expect_eq(exit_code_of_signal(SIGTERM), 143);
}

Test(exit_codes, a_command_that_never_ran_was_not_found_or_not_executable)
{
	cr_expect_eq(exit_code_of_errno(ENOENT), 127);
	cr_expect_eq(exit_code_of_errno(EACCES), 126);
	cr_expect_eq(exit_code_of_errno(ENOEXEC), 126);
	cr_expect_eq(exit_code_of_errno(0), 126);
}

Test(exit_codes, what_the_control_channel_says)
{
	static const struct {
		const char *message;
		int code;
	} rows[] = {
		{"{\"code\": 0}", 0},
		{"{\"code\": 7}", 7},
		{"{\"code\": 255}", 255},
		{"{\"code\": 256}", 0},
		{"{\"code\": -1}", 255},
		{"{\"code\": 3, \"signal\": 9}", 3},
		{"{\"signal\": 9}", 137},
		{"{\"signal\": 64}", 192},
		{"{\"signal\": 0}", -1},
		{"{\"signal\": 65}", -1},
		{"{\"signal\": -9}", -1},
		{"{\"signal\": 4294967305}", -1},
		{"{\"error\": \"exec-failed\", \"errno\": 2}", 127},
		{"{\"error\": \"exec-failed\", \"errno\": 13}", 126},
		{"{\"error\": \"exec-failed\", \"errno\": 4294967298}", 126},
		{"{\"error\": \"exec-failed\"}", 126},
		{"{\"error\": \"busy\", \"errno\": 2}", -1},
		{"{\"code\": \"7\"}", -1},
		{"{}", -1},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		json_t *message = json_loads(rows[i].message, 0, NULL);

		cr_assert_not_null(message, "%s", rows[i].message);
		cr_expect_eq(exit_code_of_message(message), rows[i].code, "%s is %d",
			     rows[i].message, exit_code_of_message(message));
		json_decref(message);
	}
	cr_expect_eq(exit_code_of_message(NULL), -1);
}
