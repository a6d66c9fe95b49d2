/* SPDX-License-Identifier: MIT */
#include "gpu/filter.h"

#include <criterion/criterion.h>
#include <errno.h>

#include "gpu/virgl.h"

Test(filter, whole_commands_pass)
{
	const uint32_t stream[] = {
		VIRGL_HEADER(0, 0, 0),
		VIRGL_HEADER(VIRGL_CREATE_OBJECT, VIRGL_OBJECT_SURFACE, 2),
		7,
		7,
		VIRGL_HEADER(VIRGL_STRING_MARKER, 0, 1),
		0,
	};

	cr_assert_eq(gpu_filter(stream, 0), 0);
	for (size_t n = 1; n <= ARRAY_SIZE(stream); n++) {
		const bool whole = n == 1 || n == 4 || n == 6;

		cr_expect_eq(gpu_filter(stream, n), whole ? 0 : -EINVAL, "%zu dwords", n);
	}
}

Test(filter, each_command_is_known_or_refused)
{
	for (uint32_t command = 0; command < 256; command++) {
		const uint32_t stream[] = {VIRGL_HEADER(command, 1, 1), 0};
		const bool good = command <= VIRGL_STRING_MARKER &&
				  command != VIRGL_SET_DEBUG_FLAGS &&
				  command != VIRGL_GET_QUERY_RESULT_QBO &&
				  command != VIRGL_PIPE_RESOURCE_CREATE &&
				  command != VIRGL_PIPE_RESOURCE_SET_TYPE;

		cr_expect_eq(gpu_filter(stream, 2), good ? 0 : -EINVAL, "command %u", command);
	}
}

Test(filter, objects_are_of_a_kind)
{
	for (uint32_t object = 0; object < 256; object++)
		for (uint32_t command = VIRGL_CREATE_OBJECT; command <= VIRGL_DESTROY_OBJECT;
		     command++) {
			const uint32_t header = VIRGL_HEADER(command, object, 0);

			cr_expect_eq(gpu_filter(&header, 1),
				     object > 0 && object < VIRGL_OBJECTS ? 0 : -EINVAL);
		}
}

Test(filter, a_length_beyond_the_end_is_refused)
{
	const uint32_t stream[] = {VIRGL_HEADER(VIRGL_CLEAR, 0, 0xffff), 0, 0};

	cr_assert_eq(gpu_filter(stream, ARRAY_SIZE(stream)), -EINVAL);
}
