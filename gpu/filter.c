/* SPDX-License-Identifier: MIT */
#include "gpu/filter.h"

#include <endian.h>
#include <errno.h>
#include <stdbool.h>

#include "gpu/virgl.h"

static bool allowed(uint32_t command)
{
	switch (command) {
	/* It makes the renderer print what a guest's programs do. */
	case VIRGL_SET_DEBUG_FLAGS:
	/* virglrenderer before 1.0 takes a resource without a buffer, and ends. */
	case VIRGL_GET_QUERY_RESULT_QBO:
	/* Memory that RESOURCE_CREATE_3D would have counted. */
	case VIRGL_PIPE_RESOURCE_CREATE:
	case VIRGL_PIPE_RESOURCE_SET_TYPE:
		return false;
	default:
		return command <= VIRGL_STRING_MARKER;
	}
}

/* Whether a command's object is one: those that make, bind or destroy have one. */
static bool object_valid(uint32_t command, uint32_t object)
{
	return command < VIRGL_CREATE_OBJECT || command > VIRGL_DESTROY_OBJECT ||
	       (object > 0 && object < VIRGL_OBJECTS);
}

int gpu_filter(const uint32_t *dwords, size_t n)
{
	size_t at = 0;

	while (at < n) {
		/* The ring is shared: what is checked is what was loaded. */
		const uint32_t header = le32toh(*(const volatile uint32_t *)&dwords[at]);
		const uint32_t command = header & 0xff, len = header >> 16;

		if (len > n - at - 1 || !allowed(command) ||
		    !object_valid(command, header >> 8 & 0xff))
			return -EINVAL;
		at += 1 + len;
	}
	return 0;
}
