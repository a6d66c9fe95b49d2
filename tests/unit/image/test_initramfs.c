/* SPDX-License-Identifier: MIT */
#include <archive.h>
#include <archive_entry.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "image/kernel.h"
#include "tests/unit/image/image_files.h"

#define AGENT  \
	"\x7f" \
	"ELF agent"

static char *tree, modules[128], path[] = "/boot/vmlinuz-1", release[] = "1";
static struct kernel_image k = {.path = path, .release = release, .modules = modules};
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
	free(image);
	tree_remove(tree);
}

TestSuite(initramfs, .init = setup, .fini = teardown);

static int build(const char *const *wanted)
{
	return initramfs_build(&k, AGENT, strlen(AGENT), wanted, &image, &image_len);
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
