/* SPDX-License-Identifier: MIT */
#include "common/exit_codes.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>

#include "common/control_protocol.h"

enum { SIGNAL_BASE = 128, LAST_SIGNAL = 64 };

int exit_code_of_signal(int signo)
{
	return SIGNAL_BASE + signo;
}

int exit_code_of_errno(int error)
{
	return error == ENOENT ? EXIT_NOT_FOUND : EXIT_NOT_EXECUTABLE;
}

int exit_code_of_message(const json_t *message)
{
	const json_t *code = json_object_get(message, "code");
	const char *why = json_string_value(json_object_get(message, "error"));
	const json_int_t error = json_integer_value(json_object_get(message, "errno"));
	const json_int_t signo = json_integer_value(json_object_get(message, "signal"));

	if (json_is_integer(code))
		return (int)(json_integer_value(code) & 0xff);
	if (signo >= 1 && signo <= LAST_SIGNAL)
		return exit_code_of_signal((int)signo);
	if (!why || strcmp(why, CONTROL_E_EXEC_FAILED) != 0)
		return -1;
	return exit_code_of_errno(error == ENOENT ? ENOENT : EACCES);
}
