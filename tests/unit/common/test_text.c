/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>

#include "common/text.h"

Test(text, lines_and_words)
{
	static const char text[] = " a\tbc \n\nlast";
	struct slice rest = {text, sizeof(text) - 1}, line, word;

	cr_assert(slice_line(&rest, &line));
	cr_assert(slice_word(&line, &word) && slice_is(word, "a"));
	cr_assert(slice_word(&line, &word) && slice_is(word, "bc"));
	cr_assert_not(slice_word(&line, &word));
	cr_assert(slice_line(&rest, &line));
	cr_assert_eq(line.len, 0);
	cr_assert(slice_line(&rest, &line) && slice_is(line, "last"));
	cr_assert_not(slice_is(line, "las"));
	cr_assert_not(slice_line(&rest, &line));
}

Test(text, a_buffer_grows)
{
	struct buffer b = {0};

	for (int i = 0; i < 10000; i++)
		cr_assert_eq(buffer_add(&b, "abc", 3), 0);
	cr_assert_eq(b.len, 30000);
	cr_assert_eq(memcmp(b.data + 29997, "abc", 3), 0);
	cr_assert_eq(buffer_reserve(&b, SIZE_MAX / 2 + 2), -ENOMEM);
	cr_assert_eq(b.len, 30000);
	free(b.data);
}

Test(text, hex_both_ways)
{
	static const uint8_t bytes[] = {0x00, 0x7f, 0xa5, 0xff};
	char out[9];

	hex_write(bytes, sizeof(bytes), out);
	cr_assert_str_eq(out, "007fa5ff");
	for (size_t i = 0; i < sizeof(bytes); i++)
		cr_assert_eq(hex_byte(out + 2 * i), bytes[i]);
	cr_assert_eq(hex_byte("Fa"), 0xfa);
}

Test(text, what_is_no_hex)
{
	static const char good[] = "0123456789abcdefABCDEF";

	for (int c = 0; c < 256; c++)
		cr_assert_eq(hex_digit((char)c) >= 0, c && strchr(good, c) != NULL, "%d", c);
	cr_assert_eq(hex_byte("g0"), -1);
	cr_assert_eq(hex_byte("0g"), -1);
	cr_assert_eq(hex_byte(""), -1);
}

static int memory_file(const char *text)
{
	int fd = memfd_create("text", MFD_CLOEXEC);

	cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	cr_assert_eq(lseek(fd, 0, SEEK_SET), 0);
	return fd;
}

Test(text, a_whole_file)
{
	AUTO_CLOSE int fd = memory_file("whole");
	struct buffer b = {0};

	cr_assert_eq(buffer_add(&b, "what was in it", 14), 0);
	cr_assert_eq(read_whole(fd, 5, &b), 0);
	cr_assert_eq(b.len, 5);
	cr_assert_str_eq(b.data, "whole");
	cr_assert_eq(read_whole(fd, 5, &b), 0, "at its end");
	cr_assert_str_eq(b.data, "");
	cr_assert_eq(lseek(fd, 0, SEEK_SET), 0);
	cr_assert_eq(read_whole(fd, 4, &b), -EFBIG);
	free(b.data);
}

Test(text, a_pipe_and_a_file_without_a_size)
{
	AUTO_CLOSE int proc = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
	struct buffer b = {0};
	static char much[20000];
	int ends[2];

	cr_assert_eq(pipe(ends), 0);
	memset(much, 'x', sizeof(much));
	cr_assert_eq(write(ends[1], much, sizeof(much)), (ssize_t)sizeof(much));
	close(ends[1]);
	cr_assert_eq(read_whole(ends[0], sizeof(much), &b), 0);
	cr_assert_eq(b.len, sizeof(much));
	close(ends[0]);
	cr_assert_eq(read_whole(proc, 1 << 20, &b), 0);
	cr_assert_not_null(strstr(b.data, "Name:"));
	free(b.data);
}

Test(text, what_cannot_be_read)
{
	struct buffer b = {0};

	cr_assert_eq(read_whole(-1, 10, &b), -EBADF);
	free(b.data);
}
