/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <string.h>

#include "desktop/canvas.h"

enum { SIDE = 96 };

static uint32_t target[SIDE][SIDE], picture[SIDE][SIDE];
static const struct canvas canvas = {(uint8_t *)target, SIDE, SIDE, sizeof(target[0])};

static void setup(void)
{
	for (uint32_t y = 0; y < SIDE; y++)
		for (uint32_t x = 0; x < SIDE; x++)
			picture[y][x] = y << 16 | x;
}

TestSuite(canvas, .init = setup);

static struct source source(int width, int height)
{
	return (struct source){(const uint8_t *)picture, width, height, sizeof(picture[0])};
}

static void assert_box(struct box b, int x, int y, int width, int height)
{
	cr_assert(b.x == x && b.y == y && b.width == width && b.height == height,
		  "%d,%d %dx%d is not %d,%d %dx%d", b.x, b.y, b.width, b.height, x, y, width,
		  height);
}

Test(canvas, fits_keep_the_shape)
{
	assert_box(canvas_fit(640, 480, 640, 480), 0, 0, 640, 480);
	assert_box(canvas_fit(640, 480, 1280, 480), 320, 0, 640, 480);
	assert_box(canvas_fit(640, 480, 640, 960), 0, 240, 640, 480);
	assert_box(canvas_fit(8192, 1, 100, 100), 0, 49, 100, 1);
	assert_box(canvas_fit(1, 8192, 100, 100), 49, 0, 1, 100);
	assert_box(canvas_fit(8192, 8192, 8192, 8192), 0, 0, 8192, 8192);
}

Test(canvas, fractions_reach_both_ends)
{
	cr_assert_eq(canvas_fraction(10, 10, 640), 0);
	cr_assert_eq(canvas_fraction(649, 10, 640), WINDOW_POINTER_MAX);
	cr_assert_eq(canvas_fraction(-5000, 10, 640), 0);
	cr_assert_eq(canvas_fraction(INT32_MAX, 10, 640), WINDOW_POINTER_MAX);
	cr_assert_eq(canvas_fraction(0, 0, 1), 0);
	cr_assert_eq(canvas_fraction(0, 0, 0), 0);
}

Test(canvas, joins_and_cuts)
{
	assert_box(box_join((struct box){0}, (struct box){5, 6, 7, 8}), 5, 6, 7, 8);
	assert_box(box_join((struct box){5, 6, 7, 8}, (struct box){0}), 5, 6, 7, 8);
	assert_box(box_join((struct box){0, 0, 2, 2}, (struct box){8, 9, 1, 1}), 0, 0, 9, 10);
	assert_box(box_cut((struct box){0, 0, 5, 5}, (struct box){3, 4, 5, 5}), 3, 4, 2, 1);
	cr_assert(box_empty(&(struct box){3, 3, 0, 5}));
}

Test(canvas, at_its_size_only_the_damage_is_drawn)
{
	const struct source from = source(32, 32);

	assert_box(
		canvas_show(&canvas, (struct box){10, 20, 32, 32}, &from, (struct box){4, 5, 6, 7}),
		14, 25, 6, 7);
	for (int y = 0; y < SIDE; y++)
		for (int x = 0; x < SIDE; x++) {
			const bool in = x >= 14 && x < 20 && y >= 25 && y < 32;

			cr_assert_eq(target[y][x], in ? picture[y - 20][x - 10] : 0);
		}
}

/* Whatever the scale and the damage, drawing a part never leaves a pixel that a whole drawing changes. */
Test(canvas, scaled_damage_covers_what_changed)
{
	for (int size = 1; size < 64; size += 7)
		for (int at = 0; at < 32; at += 3) {
			const struct source from = source(32, 32);
			const struct box to = {5, 5, size, 2 * size % 63 + 1};
			const struct box damage = {at, at / 2, 3, 5};
			uint32_t whole[SIDE][SIDE];

			(void)canvas_show(&canvas, to, &from, (struct box){0, 0, 32, 32});
			for (int y = damage.y; y < damage.y + 5 && y < 32; y++)
				for (int x = damage.x; x < damage.x + 3 && x < 32; x++)
					picture[y][x] ^= 0xff0000ff;
			(void)canvas_show(&canvas, to, &from, damage);
			memcpy(whole, target, sizeof(whole));
			(void)canvas_show(&canvas, to, &from, (struct box){0, 0, 32, 32});
			cr_assert_eq(memcmp(whole, target, sizeof(whole)), 0, "size %d, at %d",
				     size, at);
		}
}

Test(canvas, damage_outside_the_picture_is_nothing)
{
	const struct source from = source(8, 8);
	const struct box b =
		canvas_show(&canvas, (struct box){0, 0, 8, 8}, &from, (struct box){8, 0, 5, 5});

	cr_assert(box_empty(&b));
}

Test(canvas, surroundings_leave_the_inside)
{
	canvas_surround(&canvas, (struct box){10, 20, 30, 40}, 7);
	for (int y = 0; y < SIDE; y++)
		for (int x = 0; x < SIDE; x++) {
			const bool in = x >= 10 && x < 40 && y >= 20 && y < 60;

			cr_assert_eq(target[y][x], in ? 0 : 7);
		}
	canvas_fill(&canvas, (struct box){-50, -50, 1000, 1000}, 0x20406080);
	canvas_dim(&canvas);
	cr_assert_eq(target[SIDE - 1][SIDE - 1], 0x10203040);
}

Test(canvas, a_pointer_is_blended_and_cut)
{
	static struct window_cursor cursor = {.kind = WINDOW_POINTER_HOST, .hot_x = 1, .hot_y = 2};

	memset(cursor.pixels, 0xff, sizeof(cursor.pixels));
	cursor.pixels[3] = 128;
	canvas_pointer(&canvas, 11, 12, &cursor);
	cr_assert_eq(target[10][10] & 0xffffff, 0x808080);
	cr_assert_eq(target[10][11] & 0xffffff, 0xffffff);
	cr_assert_eq(target[9][10], 0);
	canvas_pointer(&canvas, -8192, -8192, &cursor);
	canvas_pointer(&canvas, SIDE, SIDE, &cursor);
	canvas_pointer(&canvas, 0, SIDE - 1, &cursor);
}
