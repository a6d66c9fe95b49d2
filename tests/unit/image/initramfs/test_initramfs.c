/* SPDX-License-Identifier: MIT */
#include <archive.h>
#include <archive_entry.h>
#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "image/initramfs/initramfs_priv.h"
#include "image/kernel/cache.h"
#include "tests/unit/image/image_files.h"

#define AGENT  \
	"\x7f" \
	"ELF agent"

static const struct agent_image agent_image = {.data = AGENT, .len = sizeof(AGENT) - 1, .id = "1"};
static char *tree, modules[128], path[] = "/boot/vmlinuz-1", release[] = "1";
static struct kernel_image k = {.path = path, .release = release, .modules = modules};
static const char *cache; /* NULL: none */
static char *cache_path;
static uint8_t *image;
static size_t image_len;

static void setup(void)
{
	size_t len;
	uint8_t *xz = compress_bytes(COMPRESS_XZ, "module b", 8, &len);

	tree = tree_new();
	snprintf(modules, sizeof(modules), "%s", tree);
	tree_write_text(tree, "modules.dep", "k/a.ko: k/b.ko.xz\nk/b.ko.xz:\nk/gone.ko:\n");
	tree_write_text(tree, "k/a.ko", "module a");
	tree_write(tree, "k/b.ko.xz", xz, len);
	free(xz);
}

static void teardown(void)
{
	free(cache_path);
	free(image);
	tree_remove(tree);
}

TestSuite(initramfs, .init = setup, .fini = teardown);

static int build(const char *const *wanted)
{
	struct initramfs i;
	int r = initramfs_open_at(cache, &k, &agent_image, wanted, &i);

	if (r < 0)
		return r;
	free(image);
	image_len = i.len;
	image = malloc(i.len);
	cr_assert_eq(pread(i.fd, image, i.len, (off_t)i.off), (ssize_t)i.len);
	close(i.fd);
	return 0;
}

#define BUILD(...) build((const char *const[]){__VA_ARGS__, NULL})

/* The entry of that name: its stat in *st, its content in text (at most 255 bytes). */
static bool find(const char *name, struct stat *st, char *text)
{
	struct archive *a = archive_read_new();
	struct archive_entry *e;
	bool found = false;

	archive_read_support_format_cpio(a);
	cr_assert_eq(archive_read_open_memory(a, image, image_len), ARCHIVE_OK);
	while (!found && archive_read_next_header(a, &e) == ARCHIVE_OK) {
		la_ssize_t n;

		if (strcmp(archive_entry_pathname(e), name) != 0)
			continue;
		found = true;
		*st = *archive_entry_stat(e);
		n = archive_read_data(a, text, 255);
		text[n > 0 ? n : 0] = '\0';
	}
	archive_read_free(a);
	return found;
}

Test(initramfs, agent_modules_and_their_order)
{
	struct stat st;
	char text[256];

	cr_assert_eq(BUILD("a x=1"), 0);
	cr_assert(find("init", &st, text));
	cr_assert_str_eq(text, AGENT);
	cr_assert_eq(st.st_mode, S_IFREG | 0755);
	cr_assert(find("modules", &st, text));
	cr_assert_str_eq(text, "/lib/modules/b.ko\n/lib/modules/a.ko x=1\n");
	cr_assert(find("lib/modules/a.ko", &st, text));
	cr_assert_str_eq(text, "module a");
	cr_assert(find("lib/modules/b.ko", &st, text));
	cr_assert_str_eq(text, "module b", "unpacked on the way");
	/* The kernel takes a file with more links for one it has already made. */
	cr_assert_eq(st.st_nlink, 1);
}

Test(initramfs, console_and_mount_points)
{
	static const char *const dirs[] = {"dev", "proc", "sys", "run", "tmp", "mnt"};
	struct stat st;
	char text[256];

	cr_assert_eq(BUILD("?nothing"), 0);
	cr_assert(find("dev/console", &st, text));
	cr_assert_eq(st.st_mode, S_IFCHR | 0600);
	cr_assert_eq(st.st_rdev, makedev(5, 1));
	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
		cr_assert(find(dirs[i], &st, text), "%s", dirs[i]);
		cr_assert_eq(st.st_mode, S_IFDIR | 0755);
	}
	cr_assert(find("modules", &st, text));
	cr_assert_str_eq(text, "");
}

Test(initramfs, optional_modules_are_marked_or_left_out)
{
	struct stat st;
	char text[256];

	cr_assert_eq(BUILD("?a", "?gone", "b"), 0);
	cr_assert(find("modules", &st, text));
	cr_assert_str_eq(text, "/lib/modules/b.ko\n?/lib/modules/a.ko\n");
}

Test(initramfs, a_module_that_cannot_be_read)
{
	cr_assert_eq(BUILD("gone"), -ENOENT);
	cr_assert_eq(BUILD("nonesuch"), -ENOENT);
	tree_write_text(tree, "k/b.ko.xz", "not compressed");
	cr_assert_eq(BUILD("a"), -EBADMSG);
	cr_assert_null(image);
}

Test(initramfs, built_in_modules_are_left_out)
{
	struct stat st;
	char text[256];

	tree_write_text(tree, "modules.builtin", "k/inside.ko\n");
	cr_assert_eq(BUILD("inside", "b"), 0);
	cr_assert(find("modules", &st, text));
	cr_assert_str_eq(text, "/lib/modules/b.ko\n");
}

Test(initramfs, without_modules_dep)
{
	char file[256];

	sprintf(file, "%s/modules.dep", tree);
	remove(file);
	cr_assert_eq(BUILD("a"), -ENOENT);
}

/* --- kept from one start to the next ---------------------------------------------------------- */

/* Builds with a cache, tells whether what came was there before, and what is in a.ko. */
static bool kept(char *text)
{
	static struct stat before;
	struct stat st;
	struct initramfs i;
	bool same;

	if (!cache) {
		cr_assert_gt(asprintf(&cache_path, "%s/cache", tree), 0);
		cache = cache_path;
	}
	cr_assert_eq(BUILD("a", "?gone"), 0);
	cr_assert(find("lib/modules/a.ko", &st, text));
	cr_assert_eq(initramfs_open_at(cache, &k, &agent_image,
				       (const char *const[]){"a", "?gone", NULL}, &i),
		     0);
	cr_assert_eq(fstat(i.fd, &st), 0);
	close(i.fd);
	same = st.st_ino == before.st_ino && st.st_ctim.tv_nsec == before.st_ctim.tv_nsec;
	before = st;
	return same;
}

/* The path of the one that is kept. */
static const char *kept_path(void)
{
	static char file[512];
	DIR *d = opendir(cache);
	const struct dirent *e;
	unsigned int n = 0;

	while ((e = readdir(d)) != NULL)
		if (strncmp(e->d_name, "initramfs-", 10) == 0) {
			snprintf(file, sizeof(file), "%s/%s", cache, e->d_name);
			n++;
		}
	closedir(d);
	cr_assert_eq(n, 1);
	return file;
}

Test(initramfs, is_kept)
{
	char text[256];

	cr_assert_not(kept(text));
	cr_assert(kept(text));
	cr_assert_str_eq(text, "module a");
}

Test(initramfs, is_made_again_when_a_source_changed)
{
	static const char *const names[] = {"modules.dep", "modules.builtin", "k/b.ko.xz"};
	char text[256], file[512];

	cr_assert_not(kept(text));
	/* As long as before, and told by its time only. */
	tree_write_text(tree, "k/a.ko", "module A");
	cr_assert_not(kept(text));
	cr_assert_str_eq(text, "module A");
	/* One that could be done without is there now. */
	tree_write_text(tree, "k/gone.ko", "module gone");
	cr_assert_not(kept(text));
	tree_write_text(tree, "modules.builtin", "k/inside.ko\n");
	cr_assert_not(kept(text));
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		snprintf(file, sizeof(file), "%s/%s", tree, names[i]);
		cr_assert_eq(utimensat(AT_FDCWD, file, NULL, 0), 0);
		cr_assert_not(kept(text), "%s", names[i]);
		cr_assert(kept(text), "%s", names[i]);
	}
}

Test(initramfs, is_made_again_when_it_is_damaged)
{
	enum { HEAD_BYTES = 24 };
	char text[256];
	int fd;

	cr_assert_not(kept(text));
	cr_assert_eq(truncate(kept_path(), INITRAMFS_HEAD + 100), 0);
	cr_assert_not(kept(text));
	cr_assert_eq(truncate(kept_path(), 100), 0);
	cr_assert_not(kept(text));
	cr_assert_eq(truncate(kept_path(), 0), 0);
	cr_assert_not(kept(text));
	/* Its text in zeroes, as a file may be after the power failed. */
	fd = open(kept_path(), O_WRONLY);
	cr_assert_eq(pwrite(fd, (char[HEAD_BYTES]){0}, HEAD_BYTES, 0), HEAD_BYTES);
	close(fd);
	cr_assert_not(kept(text));
	/* Another user could have written this one. */
	cr_assert_eq(chmod(kept_path(), 0666), 0);
	cr_assert_not(kept(text));
	cr_assert(kept(text));
	cr_assert_str_eq(text, "module a");
}

Test(initramfs, another_agent_is_another_one_and_old_ones_go)
{
	struct initramfs i;
	char text[256], id[2] = "2";
	const struct agent_image other = {.data = AGENT, .len = sizeof(AGENT) - 1, .id = id};
	unsigned int n = 0;
	const struct dirent *e;
	DIR *d;

	cr_assert_not(kept(text));
	for (; id[0] < '9'; id[0]++) {
		cr_assert_eq(
			initramfs_open_at(cache, &k, &other, (const char *const[]){"a", NULL}, &i),
			0);
		close(i.fd);
	}
	d = opendir(cache);
	while ((e = readdir(d)) != NULL)
		n += strncmp(e->d_name, "initramfs-", 10) == 0;
	closedir(d);
	cr_assert_eq(n, CACHE_KEPT);
}

Test(initramfs, a_cache_that_cannot_be_written)
{
	char text[256];

	tree_write_text(tree, "file", "no directory");
	cr_assert_gt(asprintf(&cache_path, "%s/file/cache", tree), 0);
	cache = cache_path;
	cr_assert_eq(BUILD("a"), 0);
	cr_assert(find("lib/modules/a.ko", &(struct stat){0}, text));
	cr_assert_str_eq(text, "module a");
}
