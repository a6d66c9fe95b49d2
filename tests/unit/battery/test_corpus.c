/* SPDX-License-Identifier: MIT */
/*
 * What a guest is told on real kinds of machines. Each file in corpus/ is one:
 * a line "SUPPLY/ATTRIBUTE value" for each file below /sys/class/power_supply
 * ("/" for one that cannot be read), then "= " and what comes of it.
 */
#include <criterion/criterion.h>
#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "battery/supply.h"

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static void lay_out(int top_fd, char *line)
{
	char *value = strchr(line, ' '), *slash = strchr(line, '/');
	int fd;

	cr_assert(value && slash && slash < value, "%s", line);
	*value++ = '\0';
	*slash = '\0';
	(void)!mkdirat(top_fd, line, 0755);
	*slash = '/';
	if (strcmp(value, "/") == 0) {
		cr_assert_eq(mkdirat(top_fd, line, 0755), 0);
		return;
	}
	fd = openat(top_fd, line, O_WRONLY | O_CREAT | O_EXCL, 0644);
	cr_assert_geq(fd, 0, "%s", line);
	cr_assert_eq(dprintf(fd, "%s\n", value), (int)strlen(value) + 1);
	close(fd);
}

static const char *number(char *buf, uint32_t v)
{
	if (v == POWER_UNKNOWN)
		return "?";
	snprintf(buf, 16, "%u", v);
	return buf;
}

static void describe(const struct power_state *state, char *out, size_t size)
{
	size_t len = (size_t)snprintf(out, size, "= ac %d\n", state->ac_online);

	for (unsigned int i = 0; i < POWER_MAX_BATTERIES; i++) {
		const struct power_battery *b = &state->batteries[i];
		char n[6][16];

		if (!b->present)
			continue;
		len += (size_t)snprintf(
			out + len, size - len,
			"= %u %s design %s full %s remaining %s rate %s status %u warning %s "
			"cycles %s type %s\n",
			i, b->unit == POWER_UNIT_ENERGY ? "mWh" : "mAh", number(n[0], b->design),
			number(n[1], b->full), number(n[2], b->remaining), number(n[3], b->rate),
			b->status, number(n[4], b->warning), number(n[5], b->cycles),
			b->type[0] ? b->type : "-");
		cr_assert_lt(len, size);
	}
}

static void check_machine(const char *path)
{
	static struct supply_set set;
	char top[] = "/tmp/sc-corpus.XXXXXX", line[256], expected[1024] = "", told[1024];
	struct supply_slots slots = {0};
	struct power_state state;
	size_t expected_len = 0;
	FILE *f = fopen(path, "r");
	int top_fd;

	cr_assert_not_null(f);
	cr_assert_not_null(mkdtemp(top));
	top_fd = open(top, O_PATH | O_DIRECTORY);
	cr_assert_geq(top_fd, 0);
	while (fgets(line, sizeof(line), f)) {
		if (line[0] == '=') {
			expected_len +=
				(size_t)snprintf(expected + expected_len,
						 sizeof(expected) - expected_len, "%s", line);
			cr_assert_lt(expected_len, sizeof(expected));
		} else if (line[0] != '#') {
			line[strcspn(line, "\n")] = '\0';
			lay_out(top_fd, line);
		}
	}
	fclose(f);
	cr_assert_eq(supply_read_sysfs(top_fd, -1, &set), 0);
	supply_summarise(&set, &slots, &state);
	describe(&state, told, sizeof(told));
	close(top_fd);
	nftw(top, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	cr_expect_str_eq(told, expected, "%s: expected\n%sbut it is\n%s", path, expected, told);
}

Test(corpus, every_machine_is_told_as_written)
{
	char here[] = __FILE__, dir[512], path[1024];
	const struct dirent *entry;
	unsigned int n = 0;
	DIR *d;

	*strrchr(here, '/') = '\0';
	snprintf(dir, sizeof(dir), "%s/corpus", here);
	d = opendir(dir);
	cr_assert_not_null(d, "%s", dir);
	while ((entry = readdir(d))) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", dir, entry->d_name);
		check_machine(path);
		n++;
	}
	closedir(d);
	cr_assert_geq(n, 9, "only %u machines", n);
}
