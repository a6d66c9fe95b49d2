/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "library/client/picture.h"

static char path[] = "/tmp/sandcastle-picture-XXXXXX";
static int fd;

static void setup(void)
{
	static const uint8_t pixels[24] = {1, 2, 3};

	close(mkstemp(path));
	fd = memfd_create("picture", MFD_CLOEXEC);
	cr_assert_eq(write(fd, pixels, sizeof(pixels)), sizeof(pixels));
}

static void teardown(void)
{
	(void)unlink(path);
	close(fd);
}

TestSuite(picture, .init = setup, .fini = teardown);

static int save(int width, int height, int stride, int from)
{
	json_t *reply =
		json_pack("{s:i, s:i, s:i}", "width", width, "height", height, "stride", stride);
	int r = picture_save(reply, from, path);

	json_decref(reply);
	return r;
}

Test(picture, is_a_png_of_its_size)
{
	static const uint8_t begin[24] = "\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\2\0\0\0\3";
	uint8_t is[24];
	FILE *file;

	cr_assert_eq(save(2, 3, 8, fd), 0);
	file = fopen(path, "rbe");
	cr_assert_eq(fread(is, 1, sizeof(is), file), sizeof(is));
	cr_assert_eq(memcmp(is, begin, sizeof(is)), 0);
	fclose(file);
}

Test(picture, what_the_sandbox_says_is_checked)
{
	static const int bad[][3] = {
		{0, 3, 8}, {2, 0, 8}, {2, 3, 0},    {-1, 3, 8}, {8193, 1, 32772},
		{2, 4, 8}, {3, 3, 8}, {2, 8193, 8}, {2, 3, 12}, {2, 3, 1 << 30},
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		cr_assert_eq(save(bad[i][0], bad[i][1], bad[i][2], fd), -EPROTO, "case %zu", i);
	cr_assert_eq(save(2, 3, 8, -1), -EPROTO);
}

Test(picture, no_half_of_a_file)
{
	struct stat st;
	json_t *reply = json_pack("{s:i, s:i, s:i}", "width", 2, "height", 3, "stride", 8);

	cr_assert_eq(picture_save(reply, fd, "/nonexistent/p.png"), -ENOENT);
	cr_assert_lt(picture_save(reply, fd, "/dev/full"), 0);
	/* It is no half of a file, even where root could remove it. */
	cr_assert_eq(stat("/dev/full", &st), 0);
	cr_assert(S_ISCHR(st.st_mode));
	json_decref(reply);
}
