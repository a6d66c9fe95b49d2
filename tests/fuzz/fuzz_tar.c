/* SPDX-License-Identifier: MIT */
/*
 * Archives of a guest that means harm, taken apart by libarchive and unpacked by
 * `sandcastle cp`: whatever they say, nothing outside of the folder changes, and no
 * device, FIFO or set-id file comes to be in it.
 */
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "common/log.h"
#include "launcher/copy/tar_extract.h"
#include "tests/fuzz/fuzz_input.h"
#include "tests/support/ustar.h"

enum { MAX_ENTRIES = 24 };

static char dir[] = "/tmp/sandcastle-fuzz-tar-XXXXXX";
static struct tar_lib lib;
static unsigned int outside_names;

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	if (type == FTW_DP || type == FTW_DNR)
		(void)chmod(path, 0700);
	return ftw->level == 0 ? 0 : remove(path);
}

static void remove_all(void)
{
	(void)nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	(void)rmdir(dir);
}

static void write_secret(void)
{
	int fd = open("outside/secret", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd < 0 || write(fd, "secret", 6) != 6)
		abort();
	close(fd);
}

static void set_up(void)
{
	log_set_level(LOG_LEVEL_ERROR);
	if (!mkdtemp(dir) || chdir(dir) < 0 || mkdir("outside", 0700) < 0 || tar_lib_open(&lib) < 0)
		abort();
	write_secret();
	(void)atexit(remove_all);
}

static int check_inside(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)path;
	(void)type;
	(void)ftw;
	if (!S_ISREG(st->st_mode) && !S_ISDIR(st->st_mode) && !S_ISLNK(st->st_mode))
		abort();
	if (!S_ISLNK(st->st_mode) && st->st_mode & 07000)
		abort();
	return 0;
}

static int count_outside(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)type;
	(void)ftw;
	outside_names++;
	if (S_ISREG(st->st_mode) && (st->st_size != 6 || (st->st_mode & 0777) != 0600))
		abort();
	return path[0] == '\0';
}

/* A name of few parts, so that entries meet one another. */
static void make_name(struct fuzz_input *in, char *out, size_t size)
{
	static const char *const parts[] = {
		"a", "b",      "c/d", "..", ".", "/", "//", "../outside", "outside/secret",
		"t", "\n\xff", "",
	};
	unsigned int n = 1 + fuzz_u8(in) % 4u;

	out[0] = '\0';
	while (n-- > 0) {
		const char *part = parts[fuzz_u8(in) % ARRAY_SIZE(parts)];
		const size_t len = strlen(out);

		snprintf(out + len, size - len, "%s%s", len > 0 ? "/" : "", part);
	}
}

static void put_entry(struct fuzz_input *in, int fd)
{
	static const char types[] = "0000555522211346xgLK7S";
	char block[USTAR_BLOCK], name[USTAR_NAME], link[USTAR_NAME];
	const uint8_t type = fuzz_u8(in), size = fuzz_u8(in);

	make_name(in, name, sizeof(name));
	make_name(in, link, sizeof(link));
	ustar_header(block, name, types[type % (sizeof(types) - 1)], (fuzz_u16(in) & 07777u) | 0700,
		     link, size & 0x80 ? size * 100000ul : size);
	(void)!write(fd, block, sizeof(block));
	if (size) {
		memset(block, 0, sizeof(block));
		fuzz_bytes(in, block, min_size(size, in->left));
		(void)!write(fd, block, sizeof(block));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const names[] = {".", "t", "a"};
	static const char end[2 * USTAR_BLOCK];
	static bool is_set_up;
	struct fuzz_input in = {data, size};
	struct copy_tally tally;
	struct tar_extract x = {.to = "in", .tally = &tally};
	int fd = memfd_create("tar", MFD_CLOEXEC);

	if (!is_set_up)
		set_up();
	is_set_up = true;
	copy_tally_init(&tally, false);
	if (fd < 0 || mkdir("in", 0700) < 0)
		abort();
	x.top = open("in", O_PATH | O_DIRECTORY | O_CLOEXEC);
	x.from = names[fuzz_u8(&in) % ARRAY_SIZE(names)];
	x.as = names[fuzz_u8(&in) % ARRAY_SIZE(names)];
	for (unsigned int n = 0; n < MAX_ENTRIES && in.left > 0; n++)
		put_entry(&in, fd);
	if (size % 2)
		(void)!write(fd, end, sizeof(end));
	(void)lseek(fd, 0, SEEK_SET);
	(void)!tar_extract(&lib, &x, fd);
	close(fd);
	close(x.top);
	outside_names = 0;
	(void)nftw("in", check_inside, 16, FTW_PHYS);
	if (nftw("outside", count_outside, 16, FTW_PHYS) != 0 || outside_names != 2)
		abort();
	(void)nftw("in", remove_one, 16, FTW_DEPTH | FTW_PHYS);
	if (rmdir("in") < 0)
		abort();
	return 0;
}
