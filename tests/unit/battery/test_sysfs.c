/* SPDX-License-Identifier: MIT */
/* The reader of /sys/class/power_supply on trees in a temporary directory. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "battery/supply.h"

static char top[] = "/tmp/sc-power.XXXXXX";
static int top_fd = -1;
static struct supply_set set;

static void setup(void)
{
	cr_assert_not_null(mkdtemp(top));
	top_fd = open(top, O_PATH | O_DIRECTORY);
	cr_assert_geq(top_fd, 0);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static void teardown(void)
{
	close(top_fd);
	nftw(top, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

TestSuite(sysfs, .init = setup, .fini = teardown);

static void put(const char *supply, const char *attr, const char *text)
{
	char path[128];
	int fd;

	(void)!mkdirat(top_fd, supply, 0755);
	snprintf(path, sizeof(path), "%s/%s", supply, attr);
	fd = openat(top_fd, path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	cr_assert_geq(fd, 0);
	cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

/* One that was not read has no attributes. */
static const struct supply *named(const char *name)
{
	static const struct supply none;

	for (size_t i = 0; i < set.n; i++)
		if (strcmp(set.supplies[i].name, name) == 0)
			return &set.supplies[i];
	return &none;
}

Test(sysfs, reads_what_is_there_sorted_and_without_newlines)
{
	put("BAT1", "type", "Battery\n");
	put("BAT1", "energy_now", "42000000\n");
	put("BAT1", "serial_number", "12345\n");
	put("AC", "type", "Mains\n");
	put("AC", "online", "1\n");
	put("AC", "status", "not read\n");
	put("BAT0", "type", "Battery\n");
	put("BAT0", "model_name", "two\nlines\n");
	cr_assert_eq(supply_read_sysfs(top_fd, -1, &set), 0);
	cr_assert_eq(set.n, 3);
	cr_assert_str_eq(set.supplies[0].name, "AC");
	cr_assert_str_eq(set.supplies[1].name, "BAT0");
	cr_assert_str_eq(set.supplies[2].name, "BAT1");
	cr_assert_str_eq(set.supplies[0].attrs[SUPPLY_ONLINE], "1");
	cr_assert_str_eq(set.supplies[0].attrs[SUPPLY_STATUS], "");
	cr_assert_str_eq(set.supplies[1].attrs[SUPPLY_MODEL_NAME], "two");
	cr_assert_str_eq(set.supplies[2].attrs[SUPPLY_ENERGY_NOW], "42000000");
	cr_assert_null(memmem(&set, sizeof(set), "12345", 5), "a serial number stays where it is");
}

Test(sysfs, symlinks_are_followed_as_sysfs_has_them)
{
	put("device", "type", "Battery\n");
	put("device", "capacity", "50\n");
	cr_assert_eq(symlinkat("device", top_fd, "BAT0"), 0);
	cr_assert_eq(supply_read_sysfs(top_fd, -1, &set), 0);
	cr_assert_str_eq(named("BAT0")->attrs[SUPPLY_CAPACITY], "50");
}

Test(sysfs, links_to_devices_are_followed_below_them)
{
	put("device", "type", "Battery\n");
	put("device", "capacity", "50\n");
	cr_assert_eq(symlinkat("../../devices/device", top_fd, "BAT0"), 0);
	cr_assert_eq(symlinkat("../../devices/gone", top_fd, "BAT1"), 0);
	cr_assert_eq(supply_read_sysfs(top_fd, top_fd, &set), 0);
	cr_assert_str_eq(named("BAT0")->attrs[SUPPLY_CAPACITY], "50");
	cr_assert_str_eq(named("BAT1")->name, "");
}

Test(sysfs, a_mouse_is_not_asked_for_more_than_what_it_is)
{
	put("hidpp_battery_0", "type", "Battery\n");
	put("hidpp_battery_0", "scope", "Device\n");
	put("hidpp_battery_0", "capacity", "50\n");
	cr_assert_eq(supply_read_sysfs(top_fd, -1, &set), 0);
	cr_assert_str_eq(set.supplies[0].attrs[SUPPLY_CAPACITY], "");
}

Test(sysfs, what_cannot_be_read_is_missing)
{
	char big[5000];

	memset(big, '7', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	put("BAT0", "type", "Battery\n");
	put("BAT0", "energy_now", big);
	put("BAT0", "energy_full", "");
	/* A directory fails with EISDIR where a driver would with EIO; a FIFO would block. */
	cr_assert_eq(mkdirat(top_fd, "BAT0/status", 0755), 0);
	cr_assert_eq(mkfifoat(top_fd, "BAT0/capacity", 0644), 0);
	cr_assert_eq(symlinkat("gone", top_fd, "BAT1"), 0);
	put("BAT2", "energy_now", "1\n");
	put("..data", "type", "Battery\n");
	cr_assert_eq(supply_read_sysfs(top_fd, -1, &set), 0);
	cr_assert_eq(set.n, 2, "not one that is gone, nor a hidden one");
	cr_assert_eq(strlen(named("BAT0")->attrs[SUPPLY_ENERGY_NOW]), SUPPLY_VALUE_MAX - 1);
	cr_assert_str_eq(named("BAT0")->attrs[SUPPLY_ENERGY_FULL], "");
	cr_assert_str_eq(named("BAT0")->attrs[SUPPLY_STATUS], "");
	cr_assert_str_eq(named("BAT0")->attrs[SUPPLY_CAPACITY], "");
	cr_assert_str_eq(named("BAT2")->attrs[SUPPLY_TYPE], "");
}

Test(sysfs, more_than_are_kept_are_left_out)
{
	char name[16];

	for (int i = 0; i < SUPPLY_MAX + 5; i++) {
		snprintf(name, sizeof(name), "BAT%d", i);
		put(name, "type", "Battery\n");
	}
	cr_assert_eq(supply_read_sysfs(top_fd, -1, &set), 0);
	cr_assert_eq(set.n, SUPPLY_MAX);
}

Test(sysfs, it_can_be_read_again)
{
	put("BAT0", "type", "Battery\n");
	cr_assert_eq(supply_read_sysfs(top_fd, -1, &set), 0);
	cr_assert_eq(set.n, 1);
	put("BAT1", "type", "Battery\n");
	cr_assert_eq(supply_read_sysfs(top_fd, -1, &set), 0);
	cr_assert_eq(set.n, 2);
}

Test(sysfs, no_directory_is_an_error)
{
	put("file", "x", "");
	cr_assert_eq(supply_read_sysfs(-1, -1, &set), -EBADF);
}
