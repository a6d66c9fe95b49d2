/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <string.h>

#include "common/util.h"
#include "gpu/edid.h"

/* What a driver finds in it. */
struct mode {
	uint32_t width, height, h_total, v_total, clock_khz, mm_width, mm_height;
	bool found;
};

static uint32_t le16(const uint8_t *p)
{
	return p[0] | (uint32_t)p[1] << 8;
}

static uint8_t sum(const uint8_t *p, size_t len)
{
	uint8_t s = 0;

	for (size_t i = 0; i < len; i++)
		s = (uint8_t)(s + p[i]);
	return s;
}

static struct mode decode_base(const uint8_t *b)
{
	const uint8_t *d = b + 54;
	struct mode m = {.clock_khz = le16(d) * 10};

	if (m.clock_khz == 0)
		return m;
	m.found = true;
	m.width = d[2] | (d[4] & 0xf0u) << 4;
	m.h_total = m.width + (d[3] | (d[4] & 0x0fu) << 8);
	m.height = d[5] | (d[7] & 0xf0u) << 4;
	m.v_total = m.height + (d[6] | (d[7] & 0x0fu) << 8);
	m.mm_width = d[12] | (d[14] & 0xf0u) << 4;
	m.mm_height = d[13] | (d[14] & 0x0fu) << 8;
	return m;
}

static struct mode decode_displayid(const uint8_t *b)
{
	const uint8_t *d = b + 8;
	struct mode m = {.found = true};

	cr_assert_eq(b[0], 0x70);
	cr_assert_leq(b[2] + 5, 126);
	cr_assert_eq(sum(b + 1, b[2] + 5u), 0);
	cr_assert_eq(b[5], 3);
	cr_assert_eq(b[7], 20);
	cr_assert(d[3] & 0x80);
	m.clock_khz = (le16(d) + ((uint32_t)d[2] << 16) + 1) * 10;
	m.width = le16(d + 4) + 1;
	m.h_total = m.width + le16(d + 6) + 1;
	m.height = le16(d + 12) + 1;
	m.v_total = m.height + le16(d + 14) + 1;
	return m;
}

static struct mode decode(const uint8_t *b, size_t len)
{
	static const uint8_t header[8] = {0, 255, 255, 255, 255, 255, 255, 0};

	cr_assert_eq(len, (b[126] + 1u) * EDID_BLOCK);
	cr_assert_eq(memcmp(b, header, sizeof(header)), 0);
	cr_assert_eq(le16(b + 18), 0x0401);
	for (size_t at = 0; at < len; at += EDID_BLOCK)
		cr_assert_eq(sum(b + at, EDID_BLOCK), 0);
	return b[126] ? decode_displayid(b + EDID_BLOCK) : decode_base(b);
}

static void check(uint32_t width, uint32_t height, uint32_t refresh)
{
	const struct edid_monitor monitor = {.width = width, .height = height, .refresh = refresh};
	uint8_t b[EDID_MAX];
	const struct mode m = decode(b, edid_make(&monitor, b));
	double hz;

	cr_assert(m.found);
	cr_assert_eq(m.width, width);
	cr_assert_eq(m.height, height);
	hz = m.clock_khz * 1000.0 / m.h_total / m.v_total;
	/* The clock is a multiple of 10 kHz: coarse for a picture of few pixels. */
	cr_assert_float_eq(hz, refresh, 5001.0 / m.h_total / m.v_total);
}

Test(edid, each_width_and_each_height_is_read_again)
{
	for (uint32_t side = 1; side <= EDID_MAX_SIDE; side++) {
		check(side, 1080, 60);
		check(1920, side, 60);
		check(side, side, 60);
	}
}

Test(edid, every_refresh_of_common_sizes)
{
	static const uint32_t sizes[][2] = {
		{640, 480}, {1280, 800}, {1920, 1080}, {3840, 2160}, {8192, 8192}};

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++)
		for (uint32_t hz = 1; hz <= EDID_MAX_REFRESH; hz++)
			check(sizes[i][0], sizes[i][1], hz);
}

Test(edid, a_second_block_only_where_it_is_needed)
{
	uint8_t b[EDID_MAX];
	struct edid_monitor m = {.width = 4095, .height = 2160, .refresh = 60};

	cr_assert_eq(edid_make(&m, b), EDID_BLOCK);
	m.width = 4096;
	cr_assert_eq(edid_make(&m, b), 2 * EDID_BLOCK);
	/* Fits in 12 bits, but not its clock. */
	m.width = m.height = 4095;
	cr_assert_eq(edid_make(&m, b), 2 * EDID_BLOCK);
}

Test(edid, the_size_in_millimetres_is_said_twice)
{
	uint8_t b[EDID_MAX];
	struct edid_monitor m = {
		.width = 1920, .height = 1080, .refresh = 60, .mm_width = 527, .mm_height = 296};
	struct mode mode = decode(b, edid_make(&m, b));

	cr_assert_eq(mode.mm_width, 527);
	cr_assert_eq(mode.mm_height, 296);
	cr_assert_eq(b[21], 53);
	cr_assert_eq(b[22], 30);
	/* Not said: 96 pixels an inch. */
	m.mm_width = m.mm_height = 0;
	mode = decode(b, edid_make(&m, b));
	cr_assert_eq(mode.mm_width, 508);
	cr_assert_eq(mode.mm_height, 286);
	/* What has no room is the most that has. */
	m.mm_width = m.mm_height = 10000;
	mode = decode(b, edid_make(&m, b));
	cr_assert_eq(mode.mm_width, 4095);
	cr_assert_eq(b[21], 255);
}

Test(edid, the_monitor_has_a_name)
{
	const struct edid_monitor m = {.width = 1024, .height = 768, .refresh = 60};
	uint8_t b[EDID_MAX];

	(void)edid_make(&m, b);
	cr_assert_eq(b[72 + 3], 0xfc);
	cr_assert_eq(memcmp(b + 72 + 5, "Sandcastle\n  ", 13), 0);
	/* Three letters of five bits. */
	cr_assert_eq(((uint32_t)b[8] << 8 | b[9]), (19u << 10 | 3u << 5 | 1u));
}
