/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "common/log.h"
#include "image/kernel/cache.h"
#include "tests/unit/image/image_files.h"

static char *tree, *dir;
static struct bzimage bz;

static void setup(void)
{
	tree = tree_new();
	cr_assert_gt(asprintf(&dir, "%s/cache/sandcastle/kernels", tree), 0);
	tree_write_kernel(tree, "vmlinuz", "6.1.0-test");
	log_set_level(LOG_LEVEL_ERROR);
}

static void teardown(void)
{
	free(dir);
	tree_remove(tree);
}

TestSuite(cache, .init = setup, .fini = teardown);

static int open_in(const char *name)
{
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", tree, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	cr_assert_geq(fd, 0);
	return fd;
}

/* Opens the kernel `name` through the cache; its ELF must be right whatever happened before. */
static int get(const char *name, struct stat *st)
{
	uint8_t head[BZIMAGE_HEAD];
	int out = -1, src = open_in(name);
	struct stat src_st;
	ssize_t n = pread(src, head, sizeof(head), 0);
	int r;

	fstat(src, &src_st);
	r = bzimage_parse(head, (size_t)n, (uint64_t)src_st.st_size, &bz);
	if (r == 0)
		r = kernel_cache_open(dir, src, &bz, name, &out);
	close(src);
	if (r < 0)
		return r;
	cr_assert_eq(vmlinux_check(out), 0);
	fstat(out, st);
	close(out);
	return 0;
}

/* How many entries end in `suffix`; the last one's path. */
static size_t count(const char *prefix, const char *suffix, char *path)
{
	DIR *d = opendir(dir);
	const struct dirent *e;
	size_t n = 0;

	while (d && (e = readdir(d)) != NULL) {
		const size_t len = strlen(e->d_name), s = strlen(suffix);

		if (len < s || strcmp(e->d_name + len - s, suffix) != 0 ||
		    strncmp(e->d_name, prefix, strlen(prefix)) != 0 || e->d_name[0] == '.')
			continue;
		sprintf(path, "%s/%s", dir, e->d_name);
		n++;
	}
	if (d)
		closedir(d);
	return n;
}

Test(cache, unpacks_once)
{
	struct stat first, second;
	char path[512];

	cr_assert_eq(get("vmlinuz", &first), 0);
	cr_assert_eq(get("vmlinuz", &second), 0);
	cr_assert_eq(first.st_ino, second.st_ino);
	cr_assert_eq(first.st_mtim.tv_nsec, second.st_mtim.tv_nsec);
	cr_assert_eq(count("", ".elf", path), 1);
	cr_assert_eq(count("tmp-", "", path), 0);
	cr_assert_eq(first.st_mode & 0777, 0400);
}

Test(cache, a_truncated_entry_is_made_again)
{
	struct stat first, again;
	char path[512];

	cr_assert_eq(get("vmlinuz", &first), 0);
	cr_assert_eq(count("", ".elf", path), 1);
	cr_assert_eq(chmod(path, 0600), 0);
	cr_assert_eq(truncate(path, first.st_size / 2), 0);
	cr_assert_eq(get("vmlinuz", &again), 0);
	cr_assert_eq(again.st_size, first.st_size);
	cr_assert_neq(again.st_ino, first.st_ino);
}

Test(cache, an_entry_written_to_is_made_again)
{
	struct stat first, again;
	struct timespec times[2];
	char path[512];
	int fd;

	cr_assert_eq(get("vmlinuz", &first), 0);
	count("", ".elf", path);
	cr_assert_eq(chmod(path, 0600), 0);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	cr_assert_eq(pwrite(fd, "x", 1, 5000), 1);
	/* Its size is the same, and its date can be set back; its change time cannot. */
	times[0] = first.st_atim;
	times[1] = first.st_mtim;
	futimens(fd, times);
	close(fd);
	cr_assert_eq(get("vmlinuz", &again), 0);
	cr_assert_neq(again.st_ino, first.st_ino);
}

Test(cache, a_replaced_kernel_is_unpacked)
{
	struct stat first, second;
	size_t elf_len, len;
	uint8_t *elf = make_elf(70000, &elf_len);
	uint8_t *image = make_bzimage("6.1.0-test", COMPRESS_XZ, elf, elf_len, &len);

	cr_assert_eq(get("vmlinuz", &first), 0);
	tree_write(tree, "vmlinuz", image, len);
	cr_assert_eq(get("vmlinuz", &second), 0);
	cr_assert_eq(second.st_size, (off_t)elf_len);
	free(elf);
	free(image);
}

Test(cache, two_copies_of_one_kernel_share_an_entry)
{
	struct stat first, second, third;
	char path[512];

	tree_write_kernel(tree, "copy", "6.1.0-test");
	cr_assert_eq(get("vmlinuz", &first), 0);
	cr_assert_eq(get("copy", &second), 0);
	cr_assert_eq(get("vmlinuz", &third), 0);
	cr_assert_eq(first.st_ino, second.st_ino);
	cr_assert_eq(first.st_ino, third.st_ino);
	cr_assert_eq(count("", ".elf", path), 1);
	cr_assert_eq(count("file-", "", path), 2);
}

Test(cache, keeps_a_few_and_no_rubbish)
{
	struct stat st;
	char path[512], name[32];

	for (unsigned int i = 0; i < CACHE_KEPT + 3; i++) {
		size_t elf_len, len;
		uint8_t *elf = make_elf(1000 + i, &elf_len);
		uint8_t *image = make_bzimage("6.1.0-test", COMPRESS_GZIP, elf, elf_len, &len);

		sprintf(name, "vmlinuz-%u", i);
		tree_write(tree, name, image, len);
		free(elf);
		free(image);
		tree_write_text(tree, "cache/sandcastle/kernels/tmp-1", "broken off");
		cr_assert_eq(get(name, &st), 0);
	}
	cr_assert_eq(count("", ".elf", path), CACHE_KEPT);
	cr_assert_leq(count("file-", "", path), CACHE_KEPT + 1);
	cr_assert_eq(count("tmp-", "", path), 0);
}

Test(cache, twenty_at_once_on_a_cold_cache)
{
	char path[512];

	for (int i = 0; i < 20; i++)
		if (fork() == 0) {
			struct stat st;

			_exit(get("vmlinuz", &st) == 0 && st.st_size > 100000 ? 0 : 1);
		}
	for (int i = 0; i < 20; i++) {
		int status = -1;

		wait(&status);
		cr_assert_eq(status, 0);
	}
	cr_assert_eq(count("", ".elf", path), 1);
}

Test(cache, a_damaged_kernel_leaves_nothing)
{
	struct stat st;
	size_t elf_len, len;
	uint8_t *elf = make_elf(70000, &elf_len);
	uint8_t *image = make_bzimage("6.1.0-test", COMPRESS_XZ, elf, elf_len, &len);
	char path[512];

	image[len - 40] ^= 1;
	tree_write(tree, "damaged", image, len);
	cr_assert_eq(get("damaged", &st), -EBADMSG);
	cr_assert_eq(count("", ".elf", path), 0);
	cr_assert_eq(count("tmp-", "", path), 0);
	free(elf);
	free(image);
}

Test(cache, without_a_usable_directory_it_unpacks_to_memory)
{
	struct stat st;

	/* A file stands where a folder would have to be made; root may write anywhere else. */
	tree_write_text(tree, "cache", "");
	cr_assert_eq(get("vmlinuz", &st), 0);
	cr_assert_gt(st.st_size, 100000);
	free(dir);
	dir = NULL;
	cr_assert_eq(get("vmlinuz", &st), 0);
}

Test(cache, zeroes_are_holes_and_come_out_as_zeroes)
{
	size_t elf_len, len;
	uint8_t *elf = make_elf(3 << 20, &elf_len), *image, *back = malloc(elf_len);
	struct stat st;
	char path[512];
	int fd;

	/* Neither end on a page; and a file that ends in zeroes. */
	memset(elf + 100001, 0, 1 << 20);
	memset(elf + elf_len - 500003, 0, 500003);
	elf[600000] = 1;
	image = make_bzimage("6.1.0-zeroes", COMPRESS_XZ, elf, elf_len, &len);
	tree_write(tree, "zeroes", image, len);
	cr_assert_eq(get("zeroes", &st), 0);
	cr_assert_eq(st.st_size, (off_t)elf_len);
	cr_assert_lt((size_t)st.st_blocks * 512, elf_len - (1 << 20));
	cr_assert_eq(count("", ".elf", path), 1);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	cr_assert_eq(read(fd, back, elf_len), (ssize_t)elf_len);
	cr_assert_eq(memcmp(back, elf, elf_len), 0);
	close(fd);
	free(back);
	free(elf);
	free(image);
}

/* A link is only ever text: one that names another file, or nonsense, is a miss. */
Test(cache, a_forged_index_is_a_miss)
{
	static const char *const texts[] = {"/etc/passwd", "x", "../../../vmlinuz:1"};
	struct stat first, st;
	char path[512];

	cr_assert_eq(get("vmlinuz", &first), 0);
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		cr_assert_eq(count("file-", "", path), 1);
		unlink(path);
		cr_assert_eq(symlink(texts[i], path), 0);
		cr_assert_eq(get("vmlinuz", &st), 0);
		cr_assert_eq(st.st_size, first.st_size);
	}
}
