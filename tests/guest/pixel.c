/* SPDX-License-Identifier: MIT */
/*
 * tests/guest/pixel.c - pixel FILE X Y: the size of a picture and the colour of a pixel, as
 * "800x600 224466". FILE is a screenshot (PNG), or the memory of an Xvfb that was started with -fbdir.
 * Not a script: the lab's host takes half a minute for one to read a screenshot.
 */
#include <png.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static int say(uint32_t width, uint32_t height, const uint8_t *rgb)
{
	printf("%ux%u %02x%02x%02x\n", width, height, rgb[0], rgb[1], rgb[2]);
	return 0;
}

static int of_png(const char *path, uint32_t x, uint32_t y)
{
	png_image image = {.version = PNG_IMAGE_VERSION};
	uint8_t *pixels = NULL;
	int r = 1;

	if (!png_image_begin_read_from_file(&image, path))
		return 1;
	image.format = PNG_FORMAT_RGB;
	pixels = malloc(PNG_IMAGE_SIZE(image));
	if (pixels && x < image.width && y < image.height &&
	    png_image_finish_read(&image, NULL, pixels, 0, NULL))
		r = say(image.width, image.height, pixels + ((size_t)y * image.width + x) * 3);
	png_image_free(&image);
	free(pixels);
	return r;
}

/* A word of the header of X's window dumps, the largest byte first; 0 where it ends. */
static uint32_t word(FILE *f, long at)
{
	uint8_t b[4] = {0};

	if (fseek(f, at, SEEK_SET) != 0 || fread(b, 1, sizeof(b), f) != sizeof(b))
		return 0;
	return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

/* Behind the header there are colours of 12 bytes, then rows of blue, green, red and a spare. */
static int of_screen(FILE *f, uint32_t x, uint32_t y)
{
	const long at =
		(long)word(f, 0) + (long)word(f, 76) * 12 + (long)y * word(f, 48) + (long)x * 4;
	const uint32_t pixel = word(f, at);
	const uint8_t rgb[] = {(uint8_t)(pixel >> 8), (uint8_t)(pixel >> 16),
			       (uint8_t)(pixel >> 24)};

	return say(word(f, 16), word(f, 20), rgb);
}

int main(int argc, char **argv)
{
	FILE *f = argc == 4 ? fopen(argv[1], "rb") : NULL;
	uint32_t x, y;
	int r;

	if (!f)
		return 2;
	x = (uint32_t)atoi(argv[2]);
	y = (uint32_t)atoi(argv[3]);
	r = word(f, 0) == 0x89504e47 ? of_png(argv[1], x, y) : of_screen(f, x, y);
	fclose(f);
	return r;
}
