/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <sys/xattr.h>

#include "tests/unit/devices/fs/fuse_client.h"

static struct fuse_client c;

static void setup(void)
{
	fc_init(&c);
}

static void teardown(void)
{
	fc_fini(&c);
}

TestSuite(fs_xattr, .init = setup, .fini = teardown);

static bool host_has_xattrs(void)
{
	int fd = openat(c.dirfd, "tree/hello", O_RDONLY | O_CLOEXEC);
	int r = fsetxattr(fd, "user.host", "h", 1, 0);

	close(fd);
	return r == 0;
}

Test(fs_xattr, user_attributes_pass)
{
	uint64_t node = fc_walk(&c, "rw/hello");
	struct fuse_getxattr_in in = {.size = 0};
	struct fuse_getxattr_out size;
	char buf[256] = "";

	if (!host_has_xattrs()) {
		fc_fini(&c);
		cr_skip("the host's file system has no user attributes");
	}
	cr_assert_eq(fc_setxattr(&c, node, "user.a", "value"), 0);
	cr_assert_eq(fc_getxattr(&c, node, "user.a", buf, sizeof(buf)), 5);
	cr_assert_eq(memcmp(buf, "value", 5), 0);
	cr_assert_eq(fc_getxattr(&c, node, "user.a", buf, 4), -ERANGE);
	cr_assert_eq(fc_getxattr(&c, node, "user.none", buf, 4), -ENODATA);
	cr_assert_eq(
		fc_call(&c, FUSE_GETXATTR, node, &in, sizeof(in), "user.a", 7, &size, sizeof(size)),
		sizeof(size));
	cr_assert_eq(size.size, 5);
	in.size = sizeof(buf);
	cr_assert_eq(fc_call(&c, FUSE_LISTXATTR, node, &in, sizeof(in), NULL, 0, buf, sizeof(buf)),
		     10 + 7);
	in.size = 3;
	cr_assert_eq(fc_call(&c, FUSE_LISTXATTR, node, &in, sizeof(in), NULL, 0, buf, sizeof(buf)),
		     -ERANGE);
	cr_assert_eq(fc_call(&c, FUSE_REMOVEXATTR, node, NULL, 0, "user.a", 7, NULL, 0), 0);
	cr_assert_eq(fc_getxattr(&c, node, "user.a", buf, sizeof(buf)), -ENODATA);
}

Test(fs_xattr, others_do_not)
{
	static const char *const names[] = {
		"security.capability",
		"security.selinux",
		"trusted.overlay.opaque",
		"system.posix_acl_access",
		"system.posix_acl_default",
		"user",
		"",
		"users.x",
	};
	uint64_t node = fc_walk(&c, "rw/hello");
	char buf[64];

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		cr_assert_eq(fc_setxattr(&c, node, names[i], "v"), -EOPNOTSUPP, "%s", names[i]);
		cr_assert_eq(fc_getxattr(&c, node, names[i], buf, sizeof(buf)), -EOPNOTSUPP);
		cr_assert_eq(fc_call(&c, FUSE_REMOVEXATTR, node, NULL, 0, names[i],
				     strlen(names[i]) + 1, NULL, 0),
			     -EOPNOTSUPP);
	}
}

Test(fs_xattr, a_list_shows_user_attributes_only)
{
	uint64_t node = fc_walk(&c, "rw/hello");
	struct fuse_getxattr_in in = {.size = 256};
	char buf[256] = "";
	int fd;

	if (!host_has_xattrs()) {
		fc_fini(&c);
		cr_skip("the host's file system has no user attributes");
	}
	fd = openat(c.dirfd, "tree/hello", O_RDONLY | O_CLOEXEC);
	if (fsetxattr(fd, "trusted.secret", "x", 1, 0) < 0) {
		close(fd);
		cr_skip("needs CAP_SYS_ADMIN");
	}
	close(fd);
	cr_assert_eq(fc_call(&c, FUSE_LISTXATTR, node, &in, sizeof(in), NULL, 0, buf, sizeof(buf)),
		     10);
	cr_assert_str_eq(buf, "user.host");
}

Test(fs_xattr, malformed_requests_are_refused)
{
	uint64_t node = fc_walk(&c, "rw/hello");
	struct {
		uint32_t size, flags;
	} in = {.size = 1000};
	char huge[400], buf[8];

	memset(huge, 'n', sizeof(huge));
	memcpy(huge, "user.", 5);
	huge[sizeof(huge) - 1] = '\0';
	cr_assert_eq(fc_getxattr(&c, node, huge, buf, sizeof(buf)), -ERANGE);
	/* More announced than sent; flags that are none; a name without its end. */
	cr_assert_eq(fc_call(&c, FUSE_SETXATTR, node, &in, sizeof(in), "user.a\0v", 8, NULL, 0),
		     -EINVAL);
	in.size = 1;
	in.flags = 0xff;
	cr_assert_eq(fc_call(&c, FUSE_SETXATTR, node, &in, sizeof(in), "user.a\0v", 8, NULL, 0),
		     -EINVAL);
	cr_assert_eq(fc_call(&c, FUSE_REMOVEXATTR, node, NULL, 0, "user.a", 6, NULL, 0), -EINVAL);
	cr_assert_eq(fc_call(&c, FUSE_REMOVEXATTR, node, NULL, 0, NULL, 0, NULL, 0), -EINVAL);
}

Test(fs_xattr, the_base_has_none_and_a_read_only_folder_keeps_its)
{
	char buf[8];

	cr_assert_eq(fc_getxattr(&c, fc_walk(&c, "base/hello"), "user.a", buf, 8), -EOPNOTSUPP);
	cr_assert_eq(fc_setxattr(&c, fc_walk(&c, "base/hello"), "user.a", "v"), -EROFS);
	cr_assert_eq(fc_setxattr(&c, fc_walk(&c, "ro/hello"), "user.a", "v"), -EROFS);
	cr_assert_eq(fc_getxattr(&c, fc_walk(&c, "rw/fifo"), "user.a", buf, 8), -EOPNOTSUPP);
	cr_assert_eq(fc_getxattr(&c, fc_walk(&c, "rw/escape"), "user.a", buf, 8), -EOPNOTSUPP);
	cr_assert_eq(fc_getxattr(&c, FUSE_ROOT_ID, "user.a", buf, 8), -EOPNOTSUPP);
	if (!host_has_xattrs())
		return;
	cr_assert_eq(fc_getxattr(&c, fc_walk(&c, "ro/hello"), "user.host", buf, 8), 1);
}
