/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "image/kernel/bzimage.h"
#include "image/kernel/kernel_priv.h"
#include "tests/support/no_override.h"
#include "tests/unit/image/image_files.h"

static char *tree, boot[128], modules[128], cache[128];
static struct kernel_places places = {boot, modules, "6.1.0-2", cache};
static struct kernel_image k;
static struct kernel_why why;

static void setup(void)
{
	tree = tree_new();
	sprintf(boot, "%s/boot", tree);
	sprintf(modules, "%s/lib/modules", tree);
	sprintf(cache, "%s/cache", tree);
	mkdir(boot, 0755);
}

static void teardown(void)
{
	kernel_image_fini(&k);
	tree_remove(tree);
}

TestSuite(kernel, .init = setup, .fini = teardown);

static void add_kernel(const char *release)
{
	char name[128];

	sprintf(name, "boot/vmlinuz-%s", release);
	tree_write_kernel(tree, name, release);
}

static void add_modules(const char *release)
{
	char name[128];

	sprintf(name, "lib/modules/%s/modules.dep", release);
	tree_write_text(tree, name, "");
}

static int get(const char *name)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", tree, name ? name : "");
	return kernel_image_open_at(&places, name ? path : NULL, true, &k, &why);
}

static void says(const char *cause, const char *cure)
{
	cr_assert_not_null(strstr(why.text, cause), "%s", why.text);
	cr_assert_not_null(strstr(why.text, cure), "%s", why.text);
	cr_assert_null(strchr(why.text, '\n'));
}

Test(kernel, the_hosts_own_comes_first)
{
	add_kernel("6.1.0-2");
	add_modules("6.1.0-2");
	add_kernel("6.9.0-1");
	add_modules("6.9.0-1");
	cr_assert_eq(get(NULL), 0);
	cr_assert_str_eq(k.release, "6.1.0-2");
	cr_assert_eq(vmlinux_check(k.elf_fd), 0);
}

Test(kernel, else_the_newest_that_has_modules)
{
	add_kernel("6.1.0-2");
	add_kernel("6.1.0-9");
	add_modules("6.1.0-9");
	add_kernel("6.1.0-10");
	add_modules("6.1.0-10");
	add_kernel("6.1.0-11");
	cr_assert_eq(get(NULL), 0);
	cr_assert_str_eq(k.release, "6.1.0-10");
	cr_assert_str_eq(k.modules + strlen(modules), "/6.1.0-10");
}

Test(kernel, one_beside_its_modules)
{
	tree_write_kernel(tree, "lib/modules/6.1.0-2/vmlinuz", "6.1.0-2");
	add_modules("6.1.0-2");
	cr_assert_eq(get(NULL), 0);
	cr_assert_str_eq(k.release, "6.1.0-2");
}

Test(kernel, none_at_all)
{
	cr_assert_eq(get(NULL), -ENOENT);
	says("no kernel image", "--kernel");
}

Test(kernel, without_modules)
{
	add_kernel("6.1.0-2");
	cr_assert_eq(get(NULL), -ENOENT);
	says("no modules", "linux-image-6.1.0-2");
	tree_write_text(tree, "lib/modules/6.1.0-2/modules.order", "");
	cr_assert_eq(get(NULL), -ENOENT);
	says("modules.dep", "depmod 6.1.0-2");
}

Test(kernel, one_not_readable)
{
	char path[256];

	add_kernel("6.1.0-2");
	add_modules("6.1.0-2");
	sprintf(path, "%s/vmlinuz-6.1.0-2", boot);
	chmod(path, 0);
	give_up_override();
	cr_assert_eq(get(NULL), -EACCES);
	says("not readable", "chmod a+r");
}

Test(kernel, a_named_one_has_its_modules_beside_it)
{
	tree_write_kernel(tree, "pkg/boot/vmlinuz-6.5.0", "6.5.0");
	tree_write_text(tree, "pkg/lib/modules/6.5.0/modules.dep", "");
	add_modules("6.5.0");
	cr_assert_eq(get("pkg/boot/vmlinuz-6.5.0"), 0);
	cr_assert_not_null(strstr(k.modules, "pkg/boot/../lib/modules/6.5.0"));
}

Test(kernel, a_named_one_else_the_hosts)
{
	tree_write_kernel(tree, "bzImage", "6.5.0");
	add_modules("6.5.0");
	cr_assert_eq(get("bzImage"), 0);
	cr_assert_str_eq(k.modules + strlen(modules), "/6.5.0");
}

Test(kernel, an_elf_is_used_as_it_is)
{
	size_t len;
	uint8_t *elf = make_elf(100000, &len);

	snprintf((char *)elf + 5000, 64, "Linux version 6.6.6 (x)");
	tree_write(tree, "vmlinux", elf, len);
	add_modules("6.6.6");
	cr_assert_eq(get("vmlinux"), 0);
	cr_assert_str_eq(k.release, "6.6.6");
	cr_assert_neq(access(cache, F_OK), 0);
	free(elf);
}

Test(kernel, what_is_none)
{
	tree_write_text(tree, "text", "hello");
	cr_assert_eq(get("text"), -ENOEXEC);
	says("not a Linux kernel", "--kernel");
	cr_assert_eq(get("boot"), -ENOEXEC);
	says("not a file", "--kernel");
	cr_assert_eq(get("missing"), -ENOENT);
	says("No such file", "--kernel");
}

Test(kernel, a_named_pipe_is_not_waited_for)
{
	char path[256];

	sprintf(path, "%s/pipe", tree);
	cr_assert_eq(mkfifo(path, 0600), 0);
	cr_assert_eq(get("pipe"), -ENOEXEC);
}

Test(kernel, a_damaged_one)
{
	size_t elf_len, len;
	uint8_t *elf = make_elf(100000, &elf_len);
	uint8_t *image = make_bzimage("6.1.0-2", COMPRESS_XZ, elf, elf_len, &len);

	add_modules("6.1.0-2");
	image[len - 40] ^= 1;
	tree_write(tree, "damaged", image, len);
	cr_assert_eq(get("damaged"), -EBADMSG);
	says("damaged", "install");
	tree_write(tree, "short", image, 2200);
	cr_assert_eq(get("short"), -EBADMSG);
	free(elf);
	free(image);
}

Test(kernel, found_without_unpacking)
{
	add_kernel("6.1.0-2");
	add_modules("6.1.0-2");
	cr_assert_eq(kernel_image_open_at(&places, NULL, false, &k, &why), 0);
	cr_assert_eq(k.elf_fd, -1);
	cr_assert_neq(access(cache, F_OK), 0);
}

Test(kernel, fini_takes_a_zeroed_one)
{
	struct kernel_image zero = {0};

	kernel_image_fini(&zero);
	cr_assert_eq(zero.elf_fd, -1);
}

Test(kernel, cache_directory_follows_the_environment)
{
	char *dir;

	setenv("HOME", "/home/u", 1);
	setenv("XDG_CACHE_HOME", "/c", 1);
	cr_assert_str_eq(dir = kernel_cache_dir(), "/c/sandcastle/kernels");
	free(dir);
	setenv("XDG_CACHE_HOME", "relative", 1);
	cr_assert_str_eq(dir = kernel_cache_dir(), "/home/u/.cache/sandcastle/kernels");
	free(dir);
	unsetenv("XDG_CACHE_HOME");
	unsetenv("HOME");
	cr_assert_null(kernel_cache_dir());
}

/* The one this machine has, if it has one: a real header, a real compressor, real modules. */
Test(kernel, the_real_one)
{
	static const char *const wanted[] = {"virtiofs", "overlay", NULL};
	static const struct agent_image agent = {.data = "agent", .len = 5, .id = "1"};
	struct initramfs initramfs;

	setenv("XDG_CACHE_HOME", cache, 1);
	if (kernel_image_find(NULL, &k, &why) < 0) {
		teardown(); /* is not run for a test that is skipped */
		cr_skip_test("%s", why.text);
	}
	kernel_image_fini(&k);
	cr_assert_eq(kernel_image_open(NULL, &k), 0);
	cr_assert_eq(vmlinux_check(k.elf_fd), 0);
	cr_assert_eq(initramfs_open(&k, &agent, wanted, &initramfs), 0);
	cr_assert_gt(initramfs.len, 100000);
	close(initramfs.fd);
}
