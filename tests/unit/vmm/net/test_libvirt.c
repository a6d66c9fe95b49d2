/* SPDX-License-Identifier: MIT */
#include "vmm/net/libvirt.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

/* libvirt's own test driver, which needs no server; where there is no libvirt the answer is the same. */
Test(libvirt, a_network_that_is_not_there)
{
	int fd = -1;

	setenv("LIBVIRT_DEFAULT_URI", "test:///default", 1);
	cr_assert_eq(libvirt_open("no-such-network", &fd), -ENOENT);
	cr_assert_eq(fd, -1);
}

Test(libvirt, a_server_that_is_not_there)
{
	int fd = -1;

	setenv("LIBVIRT_DEFAULT_URI", "no-such-driver:///", 1);
	cr_assert_eq(libvirt_open("default", &fd), -ENOENT);
	cr_assert_eq(fd, -1);
}

Test(libvirt, the_helper_is_a_program)
{
	const char *path = bridge_helper_path();

	cr_assert(!path || access(path, X_OK) == 0);
}
