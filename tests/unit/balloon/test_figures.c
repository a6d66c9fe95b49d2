/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "balloon/figures.h"

static int file_with(const char *text)
{
	int fd = memfd_create("statm", MFD_CLOEXEC);

	cr_assert_geq(fd, 0);
	cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	return fd;
}

Test(figures, guest_ram_is_not_counted_twice)
{
	struct figures f = {.resident = 80 * 4096};
	int fd = file_with("5000 120 100 10 0 30 0\n");

	cr_assert_eq(figures_read_process(fd, &f), 0);
	cr_assert_eq(f.private, 20 * 4096);
	cr_assert_eq(f.shared, 20 * 4096);
	close(fd);
	fd = file_with("5000 12\n");
	cr_assert_lt(figures_read_process(fd, &f), 0);
	close(fd);
}

Test(figures, are_one_line_whatever_they_are)
{
	struct figures f;
	char line[FIGURES_LINE_MAX];
	size_t len;

	memset(&f, 0xff, sizeof(f));
	f.pressure = "squeezing";
	f.more = "";
	len = figures_format(&f, line);
	cr_assert_lt(len, FIGURES_LINE_MAX - 1);
	cr_assert_eq(strlen(line), len);
	cr_assert_eq(strchr(line, '\n'), line + len - 1);
	cr_assert_eq(line[len - 2], '}');
	cr_assert_not_null(strstr(line, "\"balloon\":18446744073709551615,"));
	cr_assert_null(strstr(line, ",}"));
}

Test(figures, take_members_of_others)
{
	struct figures f = {.pressure = "calm", .more = "\"power\":{}"};
	char line[FIGURES_LINE_MAX], big[FIGURES_MORE_MAX + 1];

	(void)figures_format(&f, line);
	cr_assert_not_null(strstr(line, "\"pressure\":\"calm\",\"power\":{}}\n"));
	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	f.more = big;
	(void)figures_format(&f, line);
	cr_assert_not_null(strstr(line, "\"pressure\":\"calm\"}\n"));
}
