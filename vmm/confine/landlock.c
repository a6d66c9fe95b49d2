/* SPDX-License-Identifier: MIT */
#include "vmm/confine/landlock.h"

#include <errno.h>
#include <linux/landlock.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/syscall.h>

/* What <linux/landlock.h> of an older distribution does not have. */
enum {
	FS_REFER = 1 << 13, /* ABI 2 */
	FS_TRUNCATE = 1 << 14, /* ABI 3 */
	FS_IOCTL_DEV = 1 << 15, /* ABI 5 */
	NET_BIND_TCP = 1 << 0, /* ABI 4 */
	NET_CONNECT_TCP = 1 << 1,
	SCOPE_ABSTRACT_SOCKET = 1 << 0, /* ABI 6 */
};

/* The kernel's struct landlock_ruleset_attr as of ABI 6; older ones take the beginning of it. */
struct ruleset {
	uint64_t fs, net, scoped;
};

enum {
	READ = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR,
	WRITE_FILE = LANDLOCK_ACCESS_FS_WRITE_FILE | FS_TRUNCATE,
	WRITE_DIR = LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE |
		    LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG |
		    LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO |
		    LANDLOCK_ACCESS_FS_MAKE_SYM | FS_REFER,
	EVERYTHING = READ | WRITE_FILE | WRITE_DIR | FS_IOCTL_DEV | LANDLOCK_ACCESS_FS_EXECUTE |
		     LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_BLOCK,
};

int landlock_abi(void)
{
	const int abi =
		(int)syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);

	return abi < 0 ? 0 : abi;
}

/* The file rights that a kernel of that ABI knows. */
static uint64_t known(int abi)
{
	uint64_t fs = EVERYTHING;

	if (abi < 5)
		fs &= ~(uint64_t)FS_IOCTL_DEV;
	if (abi < 3)
		fs &= ~(uint64_t)FS_TRUNCATE;
	if (abi < 2)
		fs &= ~(uint64_t)FS_REFER;
	return fs;
}

static int new_ruleset(int abi, uint64_t fs)
{
	struct ruleset rules = {.fs = fs & known(abi)};
	size_t size = sizeof(rules.fs);
	int fd;

	if (abi == 0)
		return -ENOTSUP;
	if (abi >= 4) {
		rules.net = NET_BIND_TCP | NET_CONNECT_TCP;
		size += sizeof(rules.net);
	}
	if (abi >= 6) {
		rules.scoped = SCOPE_ABSTRACT_SOCKET;
		size += sizeof(rules.scoped);
	}
	fd = (int)syscall(SYS_landlock_create_ruleset, &rules, size, 0);
	return fd < 0 ? -errno : fd;
}

static int apply(int ruleset)
{
	return syscall(SYS_landlock_restrict_self, ruleset, 0) < 0 ? -errno : 0;
}

int landlock_never(void)
{
	const int abi = landlock_abi();
	AUTO_CLOSE int ruleset = abi < 4 ? -ENOTSUP : new_ruleset(abi, 0);

	return ruleset < 0 ? ruleset : apply(ruleset);
}

static int allow(int ruleset, int abi, const struct landlock_place *place)
{
	struct landlock_path_beneath_attr rule = {.parent_fd = place->fd};
	struct stat st;
	uint64_t access;

	if (fstat(place->fd, &st) < 0)
		return -errno;
	access = READ;
	if (place->writable)
		access |= WRITE_FILE | WRITE_DIR;
	if (!S_ISDIR(st.st_mode))
		access &= LANDLOCK_ACCESS_FS_READ_FILE | WRITE_FILE;
	rule.allowed_access = access & known(abi);
	if (syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) < 0)
		return -errno;
	return 0;
}

int landlock_only(const struct landlock_place *places, size_t n)
{
	const int abi = landlock_abi();
	AUTO_CLOSE int ruleset = new_ruleset(abi, EVERYTHING);
	int r = ruleset < 0 ? ruleset : 0;

	for (size_t i = 0; r == 0 && i < n; i++)
		r = allow(ruleset, abi, &places[i]);
	return r < 0 ? r : apply(ruleset);
}
