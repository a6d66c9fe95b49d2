/* SPDX-License-Identifier: MIT */
#include "vmm/gpu_failures.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char root[] = "/tmp/sandcastle-test-XXXXXX";
static char path[64];

/* A host with one GPU. */
static void make_host(void)
{
	static const char *const dirs[] = {"etc",
					   "sys",
					   "sys/class",
					   "sys/class/drm",
					   "sys/class/drm/card0",
					   "sys/class/drm/renderD128",
					   "sys/class/drm/renderD128/device"};

	cr_assert_not_null(mkdtemp(root));
	cr_assert_eq(chdir(root), 0);
	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++)
		cr_assert_eq(mkdir(dirs[i], 0700), 0);
	cr_assert_eq(
		symlink("../../bus/pci/drivers/i915", "sys/class/drm/renderD128/device/driver"), 0);
	cr_assert_eq(close(open("etc/ld.so.cache", O_CREAT | O_WRONLY | O_CLOEXEC, 0600)), 0);
	snprintf(path, sizeof(path), "%s/gpu-failures", root);
}

static void remove_host(void)
{
	char command[64];

	cr_assert_eq(chdir("/"), 0);
	snprintf(command, sizeof(command), "rm -r %s", root);
	cr_assert_eq(system(command), 0);
}

TestSuite(gpu_failures, .init = make_host, .fini = remove_host);

Test(gpu_failures, are_counted_until_something_changes)
{
	const struct timespec earlier[2] = {{.tv_sec = 1}, {.tv_sec = 1}};
	char key[GPU_KEY_MAX], other[GPU_KEY_MAX];

	gpu_failures_key(root, key);
	cr_expect_not_null(strstr(key, " i915"), "%s", key);
	cr_expect_eq(gpu_failures_read(path, key), 0);
	gpu_failures_write(path, key, 1);
	cr_expect_eq(gpu_failures_read(path, key), 1);
	gpu_failures_write(path, key, 2);
	cr_expect_eq(gpu_failures_read(path, key), 2);

	cr_assert_eq(utimensat(AT_FDCWD, "etc/ld.so.cache", earlier, 0), 0);
	gpu_failures_key(root, other);
	cr_expect_str_neq(key, other);
	cr_expect_eq(gpu_failures_read(path, other), 0);

	gpu_failures_write(path, key, 0);
	cr_expect_eq(gpu_failures_read(path, key), 0);
	cr_expect_neq(access(path, F_OK), 0);
}

Test(gpu_failures, another_driver_is_another_key)
{
	char key[GPU_KEY_MAX], other[GPU_KEY_MAX];

	gpu_failures_key(root, key);
	cr_assert_eq(unlink("sys/class/drm/renderD128/device/driver"), 0);
	cr_assert_eq(symlink("/bus/pci/drivers/amdgpu", "sys/class/drm/renderD128/device/driver"),
		     0);
	gpu_failures_key(root, other);
	cr_expect_str_neq(key, other);
}

Test(gpu_failures, a_file_that_says_something_else)
{
	static const char *const lines[] = {"",	    "2",     "2 k",    "k\n",
					    " k\n", "x k\n", "2  k\n", "2 k k\n"};

	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		const int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);

		cr_assert_eq(write(fd, lines[i], strlen(lines[i])), (ssize_t)strlen(lines[i]));
		close(fd);
		cr_expect_eq(gpu_failures_read(path, "k"), 0, "'%s'", lines[i]);
	}
	gpu_failures_write(path, "k", 99);
	cr_expect_eq(gpu_failures_read(path, "k"), GPU_FAILURES_MAX);
	/* Nor is there always a place for it. */
	gpu_failures_write("/nonesuch/f", "k", 1);
	cr_expect_eq(gpu_failures_read("/nonesuch/f", "k"), 0);
}
