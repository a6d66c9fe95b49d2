/* SPDX-License-Identifier: MIT */
/*
 * DOC: timings nobody sends
 *
 * No signal leaves this monitor, but drivers compute with its timings. They are
 * those of reduced blanking (VESA CVT 1.2, section 3.4): 160 pixels beside each
 * line, and at least 460 us after each picture.
 */
#include "gpu/edid.h"

#include <stdbool.h>
#include <string.h>

#include "common/util.h"

enum {
	H_BLANK = 160,
	H_FRONT = 48,
	H_SYNC = 32,
	V_FRONT = 3,
	V_SYNC = 4,
	V_BACK_MIN = 6,
	V_BLANK_US = 460,

	DESCRIPTOR = 18, /* bytes */
	DESCRIPTORS = 54, /* where the four of them begin */
	TIMING_MAX = 4095, /* 12 bits */
	CLOCK_MAX = 65535, /* of 10 kHz, 16 bits */

	DISPLAYID_TAG = 0x70,
	DISPLAYID_TIMING = 20, /* bytes of a type I timing */
};

struct timing {
	uint32_t width, height;
	uint32_t v_blank;
	uint32_t clock; /* of 10 kHz */
	uint32_t mm_width, mm_height;
};

static uint32_t at_96_dpi(uint32_t pixels)
{
	return (pixels * 254 + 480) / 960;
}

static struct timing make_timing(const struct edid_monitor *m)
{
	struct timing t = {
		.width = m->width,
		.height = m->height,
		.mm_width = m->mm_width ? m->mm_width : at_96_dpi(m->width),
		.mm_height = m->mm_height ? m->mm_height : at_96_dpi(m->height),
	};
	const uint64_t frame_us = 1000000 / m->refresh;
	/* Lines of the picture that take as long as the pause has to be. */
	const uint64_t lines = V_BLANK_US * (uint64_t)m->height / (frame_us - V_BLANK_US) + 1;

	t.v_blank = V_FRONT + V_SYNC + V_BACK_MIN;
	if (lines > t.v_blank)
		t.v_blank = (uint32_t)lines;
	t.clock = (uint32_t)(((uint64_t)(t.width + H_BLANK) * (t.height + t.v_blank) * m->refresh +
			      5000) /
			     10000);
	/* 0 would mean that there is no timing. */
	if (t.clock == 0)
		t.clock = 1;
	return t;
}

static uint8_t low8(uint32_t v)
{
	return (uint8_t)v;
}

static uint8_t high4s(uint32_t upper, uint32_t lower)
{
	return (uint8_t)((upper >> 8 & 15) << 4 | (lower >> 8 & 15));
}

/* VESA E-EDID 1.4, section 3.10.2. */
static void detailed_timing(uint8_t *d, const struct timing *t)
{
	const uint32_t mm_width = (uint32_t)min_size(t->mm_width, TIMING_MAX);
	const uint32_t mm_height = (uint32_t)min_size(t->mm_height, TIMING_MAX);

	d[0] = low8(t->clock);
	d[1] = low8(t->clock >> 8);
	d[2] = low8(t->width);
	d[3] = H_BLANK;
	d[4] = high4s(t->width, H_BLANK);
	d[5] = low8(t->height);
	d[6] = low8(t->v_blank);
	d[7] = high4s(t->height, t->v_blank);
	d[8] = H_FRONT;
	d[9] = H_SYNC;
	d[10] = V_FRONT << 4 | V_SYNC;
	d[12] = low8(mm_width);
	d[13] = low8(mm_height);
	d[14] = high4s(mm_width, mm_height);
	/* Digital, separate syncs, the horizontal one positive as reduced blanking has it. */
	d[17] = 0x1a;
}

/* Section 3.10.3: a descriptor that is no timing. */
static void text_descriptor(uint8_t *d, uint8_t tag, const char *text)
{
	const size_t room = DESCRIPTOR - 5, len = min_size(strlen(text), room);

	memset(d, 0, DESCRIPTOR);
	d[3] = tag;
	memset(d + 5, ' ', room);
	memcpy(d + 5, text, len);
	if (len < room)
		d[5 + len] = '\n';
}

static void dummy_descriptor(uint8_t *d)
{
	memset(d, 0, DESCRIPTOR);
	d[3] = 0x10;
}

/* All bytes of a block, or of a part of one, sum up to 0. */
static void close_sum(uint8_t *block, size_t len)
{
	uint8_t sum = 0;

	for (size_t i = 0; i + 1 < len; i++)
		sum = (uint8_t)(sum + block[i]);
	block[len - 1] = (uint8_t)(0x100 - sum);
}

/* sRGB's primaries and white point, section 3.7. */
static const uint8_t srgb[10] = {0xee, 0x91, 0xa3, 0x54, 0x4c, 0x99, 0x26, 0x0f, 0x50, 0x54};

static uint8_t centimetres(uint32_t mm)
{
	return (uint8_t)min_size((mm + 5) / 10, 255);
}

static void base_block(uint8_t *b, const struct timing *t, bool with_timing, bool extended)
{
	static const uint8_t header[8] = {0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0};
	uint8_t *d = b + DESCRIPTORS;

	memset(b, 0, EDID_BLOCK);
	memcpy(b, header, sizeof(header));
	/* "SCA" in five bits a letter, the first product, made in 2024. */
	b[8] = ('S' - 'A' + 1) << 2 | ('C' - 'A' + 1) >> 3;
	b[9] = (uint8_t)((('C' - 'A' + 1) & 7) << 5 | ('A' - 'A' + 1));
	b[10] = 1;
	b[17] = 2024 - 1990;
	b[18] = 1;
	b[19] = 4;
	b[20] = 0xa5; /* digital, 8 bits a colour, DisplayPort */
	b[21] = centimetres(t->mm_width);
	b[22] = centimetres(t->mm_height);
	b[23] = 220 - 100; /* gamma 2.2 */
	b[24] = 0x06; /* sRGB; the first timing is the panel's own */
	memcpy(b + 25, srgb, sizeof(srgb));
	memset(b + 38, 1, 16); /* no standard timings */
	if (with_timing) {
		detailed_timing(d, t);
		d += DESCRIPTOR;
	}
	text_descriptor(d, 0xfc, "Sandcastle");
	for (d += DESCRIPTOR; d < b + EDID_BLOCK - 2; d += DESCRIPTOR)
		dummy_descriptor(d);
	b[126] = extended;
	close_sum(b, EDID_BLOCK);
}

static void put16(uint8_t *p, uint32_t v)
{
	p[0] = low8(v);
	p[1] = low8(v >> 8);
}

/* DisplayID 1.3, sections 2 and 4.4.1; numbers are stored less one. */
static void displayid_block(uint8_t *b, const struct timing *t)
{
	uint8_t *section = b + 1, *block = section + 4, *d = block + 3;

	memset(b, 0, EDID_BLOCK);
	b[0] = DISPLAYID_TAG;
	section[0] = 0x13;
	section[1] = EDID_BLOCK - 1 - 5 - 1; /* less its header and sum, and ours */
	section[2] = 3; /* a monitor alone */
	block[0] = 3; /* timings of type I */
	block[2] = DISPLAYID_TIMING;
	put16(d, t->clock - 1);
	d[2] = low8((t->clock - 1) >> 16);
	d[3] = 0x88; /* preferred; no aspect ratio said */
	put16(d + 4, t->width - 1);
	put16(d + 6, H_BLANK - 1);
	put16(d + 8, (H_FRONT - 1) | 0x8000);
	put16(d + 10, H_SYNC - 1);
	put16(d + 12, t->height - 1);
	put16(d + 14, t->v_blank - 1);
	put16(d + 16, V_FRONT - 1);
	put16(d + 18, V_SYNC - 1);
	close_sum(section, EDID_BLOCK - 2);
	close_sum(b, EDID_BLOCK);
}

size_t edid_make(const struct edid_monitor *monitor, uint8_t out[EDID_MAX])
{
	const struct timing t = make_timing(monitor);
	const bool fits = t.width <= TIMING_MAX && t.height <= TIMING_MAX &&
			  t.v_blank <= TIMING_MAX && t.clock <= CLOCK_MAX;

	base_block(out, &t, fits, !fits);
	if (fits)
		return EDID_BLOCK;
	displayid_block(out + EDID_BLOCK, &t);
	return 2 * EDID_BLOCK;
}
