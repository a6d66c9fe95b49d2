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

Test(figures, a_clones_ram_is_its_own_memory_and_the_templates)
{
	struct figures f = {.cloned = true, .resident = 15 * 4096, .template = 70 * 4096};
	int fd = file_with("5000 120 100 10 0 30 0\n");

	cr_assert_eq(figures_read_process(fd, &f), 0);
	cr_assert_eq(f.private, 5 * 4096);
	cr_assert_eq(f.shared, 30 * 4096);
	close(fd);
}

Test(figures, stand_where_the_protocol_has_them)
{
	const struct figures f = {
		.resident = 1,
		.template = 15,
		.private = 2,
		.shared = 3,
		.balloon = 4,
		.target = 5,
		.reported = 6,
		.inflated = 7,
		.guest = {.total = 8, .free = 9, .available = 10, .caches = 11},
		.host = {.total = 12, .available = 13, .reserve = 14},
		.pressure = "calm",
	};
	json_t *json = figures_json(&f);
	char *text = json_dumps(json, JSON_COMPACT);

	cr_assert_str_eq(text, "{\"resident\":1,\"template\":15,\"private\":2,\"shared\":3,"
			       "\"balloon\":4,"
			       "\"target\":5,\"reported\":6,\"inflated\":7,"
			       "\"guest\":{\"total\":8,\"free\":9,\"available\":10,\"cache\":11},"
			       "\"host\":{\"total\":12,\"available\":13,\"reserve\":14},"
			       "\"pressure\":\"calm\"}");
	free(text);
	json_decref(json);
}

Test(figures, are_numbers_whatever_they_are)
{
	struct figures f;
	json_t *json;

	memset(&f, 0xff, sizeof(f));
	f.pressure = "squeezing";
	json = figures_json(&f);
	cr_assert_eq(json_integer_value(json_object_get(json, "resident")), INT64_MAX);
	json_decref(json);
}
