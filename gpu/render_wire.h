/* SPDX-License-Identifier: MIT */
/* gpu/render_wire.h - what the device and the process that renders for it say to each other. */
#ifndef GPU_RENDER_WIRE_H
#define GPU_RENDER_WIRE_H

#include <stdint.h>

#include "common/util.h"

/*
 * DOC: the wire of the renderer
 *
 * sandcastle-gpu has a SOCK_SEQPACKET socket as its descriptor RENDER_SOCKET. The first
 * message brings two descriptors: the file of guest RAM, and the area, a memfd of
 * RENDER_AREA_SIZE that both map. The renderer answers READY, or REFUSED, with a struct
 * render_hello at the area's beginning, and takes messages after READY.
 *
 * A message is struct render_message whole; where one speaks of bytes, they lie in the
 * area's ring, which the device writes and the renderer reads. Messages are done in
 * their order. A reply says how many are done so far, which is how the device knows that
 * their part of the ring is free. Pictures lie behind the ring, one slot a scanout and
 * one for the pointer; the renderer writes there what READ asks for.
 *
 * The device has checked all that it says. The renderer counts as taken over: a reply
 * that does not fit is its end, and nothing in the area is believed twice.
 */

enum {
	RENDER_SOCKET = 3,
	RENDER_CAPSETS = 2, /* virgl (1) and virgl2 (2) */
	RENDER_CAPSET_MAX = 4096, /* bytes */
	RENDER_RING_SIZE = 4 << 20,
	RENDER_SLOTS = 5, /* a scanout each, and the pointer's */
	RENDER_SLOT_SIZE = 128 << 20, /* a picture of 7680 x 4320 */
	RENDER_AREA_SIZE = RENDER_RING_SIZE + RENDER_SLOTS * RENDER_SLOT_SIZE,
	/* The renderer replies at the latest when so many messages, or bytes of the ring, are done. */
	RENDER_REPLY_MESSAGES = 64,
	RENDER_REPLY_BYTES = 1 << 20,
};

enum render_type {
	RENDER_SETUP = 1,
	RENDER_CTX_CREATE,
	RENDER_CTX_DESTROY,
	RENDER_CTX_ATTACH,
	RENDER_CTX_DETACH,
	RENDER_RES_CREATE,
	RENDER_RES_BACKING,
	RENDER_RES_UNBACK,
	RENDER_RES_UNREF,
	RENDER_TRANSFER_TO,
	RENDER_TRANSFER_FROM,
	RENDER_SUBMIT,
	RENDER_FENCE,
	RENDER_READ,
	RENDER_RESET,
	/* The renderer says. */
	RENDER_READY = 64,
	RENDER_REFUSED,
	RENDER_DONE,
	RENDER_FENCED,
	RENDER_SHOWN,
};

/* Descriptors of RAM and area come along. */
struct render_setup {
	uint64_t ram_size; /* bytes */
	uint32_t software; /* 1: also where the host's GL is software */
};

struct render_ctx {
	uint32_t ctx, res; /* ATTACH and DETACH */
};

struct render_create {
	uint32_t res, target, format, bind, width, height, depth, array_size, last_level, samples,
		flags;
};

/* Ranges of guest RAM, or dwords of a stream, in the ring. */
struct render_bytes {
	uint32_t res, ctx; /* the one that is meant */
	uint32_t off; /* in the ring */
	uint32_t n; /* struct render_run, or dwords */
};

struct render_run {
	uint64_t off, len; /* bytes of RAM's file */
};

struct render_transfer {
	uint32_t res, ctx, level, stride, layer_stride;
	uint32_t box[6]; /* x, y, z, width, height, depth */
	uint32_t pad;
	uint64_t off; /* in the backing */
};

/* Part of a picture into a slot whose rows have `stride` bytes; SHOWN is the answer. */
struct render_read {
	uint32_t res, slot, n, stride, x, y, width, height;
};

struct render_reply {
	uint32_t n; /* FENCED: of that fence and all before; SHOWN: of the READ */
	uint32_t slot;
	uint32_t done; /* messages since SETUP, modulo 2^32 */
	uint32_t failed; /* of them, those that virglrenderer refused; grows */
};

struct render_message {
	uint32_t type;
	uint32_t pad;
	union {
		struct render_setup setup;
		struct render_ctx ctx;
		struct render_create create;
		struct render_bytes bytes;
		struct render_transfer transfer;
		struct render_read read;
		struct render_reply reply;
		uint32_t n; /* FENCE */
		uint8_t all[56];
	};
};

/* What the renderer found. Text is NUL-terminated by who reads it. */
struct render_hello {
	char driver[128]; /* GL_RENDERER */
	char why[192]; /* REFUSED */
	struct {
		uint32_t version, size;
		uint8_t data[RENDER_CAPSET_MAX];
	} capsets[RENDER_CAPSETS];
};

/* The exit codes of sandcastle-gpu beside 0: the device is gone, and 1: something failed. */
enum { RENDER_EXIT_REFUSED = 3 };

static inline uint64_t render_slot_off(unsigned int slot)
{
	return RENDER_RING_SIZE + (uint64_t)slot * RENDER_SLOT_SIZE;
}

#endif
