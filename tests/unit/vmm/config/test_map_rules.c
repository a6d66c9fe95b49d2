/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "vmm/config/config.h"
#include "vmm/config/map_rules.h"

static void normalised(const char *path, const char *expected, bool clean)
{
	char text[64];

	snprintf(text, sizeof(text), "%s", path);
	cr_assert_eq(path_normalise(text), clean, "%s", path);
	cr_assert_str_eq(text, expected);
}

Test(map_rules, paths_are_normalised)
{
	normalised("/", "/", true);
	normalised("", "/", true);
	normalised("//", "/", true);
	normalised("/./", "/", true);
	normalised("/a/b", "/a/b", true);
	normalised("//a///b/", "/a/b", true);
	normalised("/a/./b/.", "/a/b", true);
	normalised("/...", "/...", true);
	normalised("/.a/b.", "/.a/b.", true);
	normalised("/a/../b", "/a/../b", false);
	normalised("/..", "/..", false);
}

Test(map_rules, below_is_by_components)
{
	cr_assert(path_is_below("/a", "/a"));
	cr_assert(path_is_below("/a/b", "/a"));
	cr_assert(path_is_below("/a", "/"));
	cr_assert_not(path_is_below("/ab", "/a"));
	cr_assert_not(path_is_below("/a", "/a/b"));
}

Test(map_rules, places_of_the_system_are_reserved)
{
	for (const char *const *p = (const char *const[]){"/", "/usr", "/etc", "/proc", "/proc/1",
							  "/sys", "/dev/shm", "/lib64", NULL};
	     *p; p++)
		cr_assert(guest_path_is_reserved(*p), "%s", *p);
	for (const char *const *p =
		     (const char *const[]){"/srv", "/usr/local", "/etc/x", "/procs", "/home", NULL};
	     *p; p++)
		cr_assert_not(guest_path_is_reserved(*p), "%s", *p);
}

static struct config_map map(char *host, char *guest, bool writable)
{
	return (struct config_map){.host = host, .guest = guest, .writable = writable, .fd = -1};
}

Test(map_rules, a_map_may_lie_in_another_only_where_it_hides_nothing)
{
	char data[] = "/data", sub[] = "/data/sub", other[] = "/other", srv[] = "/srv",
	     srv_sub[] = "/srv/sub";
	const struct config_map outer = map(data, srv, false), open = map(data, srv, true);
	const struct config_map same = map(sub, srv_sub, false), hides = map(other, srv_sub, true),
				twice = map(other, srv, false);
	char why[MAP_WHY_MAX];

	/* The same folder by both ways, writable or not, if the outer one is read-only. */
	cr_assert_eq(map_check_pair(&outer, &same, why, sizeof(why)), 0);
	cr_assert_eq(map_check_pair(&outer, &hides, why, sizeof(why)), -EEXIST);
	cr_assert_not_null(strstr(why, "/srv/sub"));
	cr_assert_eq(map_check_pair(&outer, &twice, why, sizeof(why)), -EEXIST);
	cr_assert_not_null(strstr(why, "twice"));
	cr_assert_eq(map_check_pair(&open, &same, why, sizeof(why)), -EEXIST);
	cr_assert_not_null(strstr(why, "writable"));
}

Test(map_rules, a_path_too_long_to_compare_is_not_the_same)
{
	static char host[PATH_MAX], guest[] = "/srv", inner_guest[] = "/srv/a", inner[] = "/x/a";
	const struct config_map outer = map(host, guest, false),
				below = map(inner, inner_guest, false);
	char why[MAP_WHY_MAX];

	memset(host, 'x', sizeof(host) - 1);
	host[0] = '/';
	cr_assert_eq(map_check_pair(&outer, &below, why, sizeof(why)), -EEXIST);
	cr_assert_eq(strnlen(why, sizeof(why)), sizeof(why) - 1);
}
