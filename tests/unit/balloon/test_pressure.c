/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <poll.h>
#include <string.h>

#include "balloon/pressure.h"
#include "tests/unit/balloon/fake_host.h"

#define MIB (1ull << 20)

static struct fake_host host;
static struct pressure p;

static void setup(void)
{
	fake_host_init(&host);
	fake_host_memory(&host, 8192, 6000);
}

static void teardown(void)
{
	pressure_fini(&p);
	fake_host_fini(&host);
}

TestSuite(pressure, .init = setup, .fini = teardown);

static void group(const char *name, const char *file, const char *text)
{
	char path[128];

	snprintf(path, sizeof(path), "/sys/fs/cgroup%s/%s", name, file);
	fake_host_write(&host, path, text);
}

Test(pressure, the_host_alone)
{
	struct pressure_sample s;

	cr_assert_eq(pressure_init(&p, host.root), 0);
	cr_assert_eq(p.n_triggers, 0);
	cr_assert_eq(p.n_groups, 0);
	cr_assert_eq(pressure_sample(&p, &s), 0);
	cr_assert_eq(s.total, 8192 * MIB);
	cr_assert_eq(s.available, 6000 * MIB);
	cr_assert_eq(s.reserve, 512 * MIB);
	fake_host_memory(&host, 8192, 17);
	cr_assert_eq(pressure_sample(&p, &s), 0);
	cr_assert_eq(s.available, 17 * MIB);
}

Test(pressure, a_host_without_meminfo_is_an_error)
{
	cr_assert_eq(pressure_init(&p, "/nonexistent"), -ENOENT);
	pressure_fini(&p);
	fake_host_write(&host, "/proc/meminfo", "nothing of the kind\n");
	cr_assert_eq(pressure_init(&p, host.root), 0);
	struct pressure_sample s = {.total = 5};
	cr_assert_eq(pressure_sample(&p, &s), -EINVAL);
	cr_assert_eq(s.total, 5);
}

Test(pressure, triggers_are_set_where_they_are_allowed)
{
	char text[64] = "";
	ssize_t n;

	fake_host_write(&host, "/proc/pressure/memory", "");
	fake_host_write(&host, "/proc/self/cgroup", "0::/user.slice/box\n");
	group("/user.slice/box", "memory.pressure", "");
	cr_assert_eq(pressure_init(&p, host.root), 0);
	cr_assert_eq(p.n_triggers, 2);
	n = pread(p.triggers[1], text, sizeof(text), 0);
	cr_assert_eq(n, (ssize_t)strlen("some 100000 2000000") + 1);
	cr_assert_str_eq(text, "some 100000 2000000");
}

Test(pressure, the_tightest_limit_counts)
{
	struct pressure_sample s;

	fake_host_write(&host, "/proc/self/cgroup", "12:cpu:/x\n0::/a/b/c\n");
	group("/a", "memory.events", "low 0\nhigh 0\nmax 0\n");
	group("/a", "memory.max", "2147483648\n");
	group("/a", "memory.high", "max\n");
	group("/a", "memory.current", "2000683008\n"); /* 1908 MiB */
	group("/a", "memory.stat", "anon 5\nfile 900\ninactive_file 104857600\nactive_file 0\n");
	group("/a/b", "memory.events", "low 0\n");
	group("/a/b", "memory.max", "max\n");
	group("/a/b", "memory.high", "max\n");
	group("/a/b", "memory.current", "1000\n");
	cr_assert_eq(pressure_init(&p, host.root), 0);
	cr_assert_eq(p.n_groups, 2);
	cr_assert_eq(pressure_sample(&p, &s), 0);
	cr_assert_eq(s.total, 2048 * MIB);
	/* 100 MiB of it are files that can go. */
	cr_assert_eq(s.available, 240 * MIB);
	cr_assert_eq(s.reserve, 128 * MIB);

	group("/a/b", "memory.high", "104857600\n");
	cr_assert_eq(pressure_sample(&p, &s), 0);
	cr_assert_eq(s.total, 2048 * MIB);
	group("/a/b", "memory.current", "104857500\n");
	cr_assert_eq(pressure_sample(&p, &s), 0);
	cr_assert_eq(s.total, 100 * MIB);
	cr_assert_lt(s.available, MIB);
	cr_assert_eq(s.reserve, 32 * MIB);
	/* A limit below what is used already. */
	group("/a/b", "memory.max", "4096\n");
	cr_assert_eq(pressure_sample(&p, &s), 0);
	cr_assert_eq(s.available, 0);
}

Test(pressure, a_limit_that_was_met_is_told_once)
{
	fake_host_write(&host, "/proc/self/cgroup", "0::/box\n");
	group("/box", "memory.events", "low 0\nhigh 3\nmax 1\noom 0\n");
	cr_assert_eq(pressure_init(&p, host.root), 0);
	cr_assert_eq(p.n_groups, 1);
	cr_assert_eq(pressure_group_met_limit(&p, 0), 0);
	group("/box", "memory.events", "low 9\nhigh 4\nmax 1\noom 0\n");
	cr_assert_eq(pressure_group_met_limit(&p, 0), 1);
	cr_assert_eq(pressure_group_met_limit(&p, 0), 0);
}

Test(pressure, a_containers_root_is_looked_at)
{
	fake_host_write(&host, "/proc/self/cgroup", "0::/\n");
	fake_host_write(&host, "/sys/fs/cgroup/memory.events", "high 0\n");
	cr_assert_eq(pressure_init(&p, host.root), 0);
	cr_assert_eq(p.n_groups, 1);
}

Test(pressure, deep_hierarchies_end)
{
	fake_host_write(&host, "/proc/self/cgroup", "0::/1/2/3/4/5/6/7/8/9/10\n");
	group("/1/2/3/4/5/6/7/8/9/10", "memory.events", "high 0\n");
	group("/1/2/3/4/5/6/7/8/9", "memory.events", "high 0\n");
	for (int i = 8; i > 0; i--) {
		static const char full[] = "/1/2/3/4/5/6/7/8";
		char name[32];

		snprintf(name, sizeof(name), "%.*s", i * 2, full);
		group(name, "memory.events", "high 0\n");
	}
	cr_assert_eq(pressure_init(&p, host.root), 0);
	cr_assert_eq(p.n_groups, PRESSURE_MAX_GROUPS);
}

Test(pressure, a_limit_that_is_written_is_told)
{
	struct pollfd poll_fd = {.events = POLLIN};

	fake_host_write(&host, "/proc/self/cgroup", "0::/box\n");
	group("/box", "memory.events", "high 0\n");
	group("/box", "memory.high", "max\n");
	group("/box", "memory.max", "max\n");
	cr_assert_eq(pressure_init(&p, host.root), 0);
	poll_fd.fd = p.changes_fd;
	cr_assert_eq(poll(&poll_fd, 1, 0), 0);
	group("/box", "memory.high", "1048576\n");
	cr_assert_eq(poll(&poll_fd, 1, 0), 1);
	pressure_limits_changed(&p);
	cr_assert_eq(poll(&poll_fd, 1, 0), 0, "told once");
	group("/box", "memory.max", "1048576\n");
	cr_assert_eq(poll(&poll_fd, 1, 0), 1);
}

Test(pressure, a_guest_fits_in_the_least_limit_above_it)
{
	cr_assert_eq(pressure_ram_limit(host.root), UINT64_MAX, "no cgroups");
	fake_host_write(&host, "/proc/self/cgroup", "0::/a/b\n");
	group("/a/b", "memory.events", "high 0\n");
	group("/a/b", "memory.max", "max\n");
	group("/a", "memory.events", "high 0\n");
	cr_assert_eq(pressure_ram_limit(host.root), UINT64_MAX);
	group("/a", "memory.max", "1107296256\n");
	cr_assert_eq(pressure_ram_limit(host.root), 1008 * MIB, "1056 MiB less ours");
	group("/a/b", "memory.max", "1048576\n");
	cr_assert_eq(pressure_ram_limit(host.root), 0);
}
