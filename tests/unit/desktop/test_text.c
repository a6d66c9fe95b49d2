/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <string.h>

#include "desktop/text.h"

enum { WIDTH = 64, HEIGHT = 40 };

static uint32_t pixels[HEIGHT][WIDTH];
static const struct canvas canvas = {(uint8_t *)pixels, WIDTH, HEIGHT, sizeof(pixels[0])};

static unsigned int inked(int from_y, int to_y)
{
	unsigned int n = 0;

	for (int y = from_y; y < to_y; y++)
		for (int x = 0; x < WIDTH; x++)
			n += pixels[y][x] != 0;
	return n;
}

Test(text, each_letter_looks_different)
{
	static uint32_t seen[95][HEIGHT][WIDTH];
	char letter[2] = "";

	for (int i = 0; i < 95; i++) {
		letter[0] = (char)(' ' + i);
		memset(pixels, 0, sizeof(pixels));
		text_draw(&canvas, 0, 0, letter, 1, 1);
		memcpy(seen[i], pixels, sizeof(pixels));
		cr_assert_eq(inked(0, HEIGHT) > 0, i > 0);
		for (int j = 0; j < i; j++)
			cr_assert_neq(memcmp(seen[i], seen[j], sizeof(pixels)), 0, "%c and %c",
				      ' ' + i, ' ' + j);
	}
}

Test(text, a_dot_is_scale_pixels)
{
	unsigned int small;

	text_draw(&canvas, 0, 0, "g", 1, 1);
	small = inked(0, HEIGHT);
	memset(pixels, 0, sizeof(pixels));
	text_draw(&canvas, 0, 0, "g", 3, 1);
	cr_assert_eq(inked(0, HEIGHT), small * 9);
	cr_assert_eq(text_width("ab", 3), 36);
}

Test(text, what_lies_outside_is_cut_off)
{
	text_draw(&canvas, -1000, -1000, "Hello", 5, 1);
	text_draw(&canvas, WIDTH - 3, HEIGHT - 3, "Hello", 50, 1);
	text_draw(&canvas, -20, 10, "Hello \xff\x01", 2, 1);
	cr_assert_gt(inked(0, HEIGHT), 0);
}

Test(text, lines_break_at_spaces_and_long_words_where_they_must)
{
	cr_assert_eq(text_wrap(&canvas, WIDTH / 2, 0, WIDTH, "ten letters", 1, 1), 2 * TEXT_LINE);
	cr_assert_gt(inked(TEXT_LINE, 2 * TEXT_LINE), 0);
	cr_assert_eq(text_wrap(&canvas, 32, 0, WIDTH, "0123456789012345678", 1, 1), 2 * TEXT_LINE);
	cr_assert_eq(text_wrap(&canvas, 32, 0, 1, "abc", 1, 1), 3 * TEXT_LINE);
	cr_assert_eq(text_wrap(&canvas, 32, 7, WIDTH, "", 1, 1), 7);
}
