/* SPDX-License-Identifier: MIT */
/* gpu/virgl.h - numbers of virgl's protocol, of which no header is installed; from Mesa's and virglrenderer's. */
#ifndef GPU_VIRGL_H
#define GPU_VIRGL_H

#include <stdint.h>

/* The first dword of a command: what, of which object, and how many dwords follow. */
#define VIRGL_HEADER(cmd, object, len) \
	((uint32_t)(cmd) | (uint32_t)(object) << 8 | (uint32_t)(len) << 16)

enum virgl_command {
	VIRGL_CREATE_OBJECT = 1,
	VIRGL_DESTROY_OBJECT = 3,
	VIRGL_SET_FRAMEBUFFER = 5,
	VIRGL_CLEAR = 7,
	VIRGL_SET_DEBUG_FLAGS = 41,
	VIRGL_GET_QUERY_RESULT_QBO = 42,
	VIRGL_PIPE_RESOURCE_CREATE = 48,
	VIRGL_PIPE_RESOURCE_SET_TYPE = 49,
	VIRGL_STRING_MARKER = 51, /* the last that Mesa sends without video */
};

enum { VIRGL_OBJECT_SURFACE = 8, VIRGL_OBJECTS = 12, VIRGL_CLEAR_COLOUR = 4 };

enum virgl_target {
	VIRGL_TARGET_BUFFER,
	VIRGL_TARGET_1D,
	VIRGL_TARGET_2D,
	VIRGL_TARGET_3D,
	VIRGL_TARGET_CUBE,
	VIRGL_TARGET_RECT,
	VIRGL_TARGET_1D_ARRAY,
	VIRGL_TARGET_2D_ARRAY,
	VIRGL_TARGET_CUBE_ARRAY,
	VIRGL_TARGETS,
};

enum { VIRGL_FORMAT_BGRA = 1, VIRGL_FORMATS = 314 };
enum { VIRGL_BIND_RENDER_TARGET = 2, VIRGL_BIND_SAMPLER_VIEW = 8 };
enum { VIRGL_FLAG_Y_0_TOP = 1 };

/* Where the second capset has two words of bits, and what of them is not for a guest. */
enum { VIRGL_CAPS_BITS = 392, VIRGL_CAPS_BITS_2 = 688 };
enum { VIRGL_CAP_QBO = 1 << 16, VIRGL_CAP_2_UNTYPED = 1 << 1 };

#endif
