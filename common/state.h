/* SPDX-License-Identifier: MIT */
/* common/state.h - the state of a machine's parts as bytes, and back. */
#ifndef COMMON_STATE_H
#define COMMON_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/text.h"
#include "common/util.h"

/*
 * DOC: how a state is written
 *
 * Numbers are little endian and of a fixed width. Each part of the machine begins with a mark of
 * its own, so that a reader which is out of step finds out at the next one. The first error
 * sticks: a list of puts or gets reads as the list of fields it is, and is checked once at
 * its end. What is read comes from a file and may be anything: the part that
 * gets it checks it as it does what its guest writes.
 */

/* A mark: four letters. */
#define STATE_MARK(a, b, c, d) \
	((uint32_t)(a) | (uint32_t)(b) << 8 | (uint32_t)(c) << 16 | (uint32_t)(d) << 24)

/* Zeroed is empty. The owner frees bytes.data. */
struct state_writer {
	struct buffer bytes;
	int error; /* 0, or why nothing is written any more */
};

void state_put(struct state_writer *w, const void *data, size_t len);
/* The lowest `bytes` bytes of v: 1, 2, 4 or 8. */
void state_put_int(struct state_writer *w, uint64_t v, unsigned int bytes);
void state_put_mark(struct state_writer *w, uint32_t mark);
/* This part cannot be written as it is now: why, a negative errno. */
void state_refuse(struct state_writer *w, int error);

struct state_reader {
	const uint8_t *next;
	size_t left;
	int error; /* 0, or why nothing is read any more */
};

/* All of `len`, or none of it and -EBADMSG. */
void state_get(struct state_reader *r, void *data, size_t len);
/* 0 after an error. */
uint64_t state_get_int(struct state_reader *r, unsigned int bytes);
/* Borrowed from the state; NULL after an error. */
const void *state_get_bytes(struct state_reader *r, size_t len);
void state_get_mark(struct state_reader *r, uint32_t mark);
/* What was read is not what this machine can take over; the first reason sticks. */
void state_fail(struct state_reader *r, int error);

#endif
