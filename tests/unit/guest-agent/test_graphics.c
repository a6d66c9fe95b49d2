/* SPDX-License-Identifier: MIT */
/* The driver's directory in sysfs is a directory of ours: what was written to its files last stays in them. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "guest-agent/files.h"
#include "guest-agent/graphics.h"

static char top[] = "/tmp/sandcastle-test-XXXXXX";

static void enter_scratch(void)
{
	cr_assert_not_null(mkdtemp(top));
	cr_assert_eq(chdir(top), 0);
}

static void leave_scratch(void)
{
	cr_assert_eq(chdir("/"), 0);
	cr_assert_eq(rmdir(top), 0);
}

static void expect(const char *file, const char *wanted)
{
	char *text = NULL;
	size_t len;

	cr_assert_eq(file_read(AT_FDCWD, file, 64, &text, &len), 0);
	cr_assert_eq(len, strlen(wanted));
	cr_assert_eq(memcmp(text, wanted, len), 0);
	free(text);
	cr_assert_eq(unlink(file), 0);
}

Test(graphics, a_device_is_taken_away_and_given_back, .init = enter_scratch, .fini = leave_scratch)
{
	cr_assert_eq(symlink("/nowhere", "virtio5"), 0);
	cr_assert_eq(file_replace("unbind", ""), 0);
	cr_assert_eq(file_replace("bind", ""), 0);
	cr_assert_eq(graphics_rebind("."), 0);
	expect("unbind", "virtio5");
	expect("bind", "virtio5");
	cr_assert_eq(unlink("virtio5"), 0);
}

Test(graphics, what_cannot_be_taken_away_is_not_given_back, .init = enter_scratch,
     .fini = leave_scratch)
{
	cr_assert_eq(symlink("/nowhere", "virtio0"), 0);
	cr_assert_eq(file_replace("bind", "untouched"), 0);
	cr_assert_eq(graphics_rebind("."), -ENOENT);
	expect("bind", "untouched");
	cr_assert_eq(unlink("virtio0"), 0);
}

Test(graphics, a_guest_without_a_display)
{
	cr_assert_eq(graphics_rebind("/nowhere"), -ENOENT);
}

Test(graphics, features_say_whether_the_gpu_draws, .init = enter_scratch, .fini = leave_scratch)
{
	cr_assert_not(graphics_is_3d("."), "no device");
	cr_assert_eq(mkdir("virtio0", 0755), 0);
	cr_assert_not(graphics_is_3d("."), "no features");
	cr_assert_eq(file_replace("virtio0/features", "0100\n"), 0);
	cr_assert_not(graphics_is_3d("."));
	cr_assert_eq(file_replace("virtio0/features", "1100\n"), 0);
	cr_assert(graphics_is_3d("."));
	cr_assert_eq(unlink("virtio0/features"), 0);
	cr_assert_eq(rmdir("virtio0"), 0);
	cr_assert_not(graphics_is_3d("/nowhere"));
}
