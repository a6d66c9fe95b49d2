/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "image/initramfs/modules.h"

static const char dep[] = "kernel/drivers/virtio/virtio_ring.ko:\n"
			  "kernel/drivers/virtio/virtio.ko: kernel/drivers/virtio/virtio_ring.ko\n"
			  "kernel/drivers/virtio/virtio_pci.ko: kernel/drivers/virtio/virtio.ko "
			  "kernel/drivers/virtio/virtio_ring.ko\n"
			  "kernel/fs/fuse/fuse.ko.xz:\n"
			  "kernel/fs/fuse/virtiofs.ko.xz: kernel/drivers/virtio/virtio.ko "
			  "kernel/drivers/virtio/virtio_ring.ko kernel/fs/fuse/fuse.ko.xz\n"
			  "kernel/sound/snd-hda-intel.ko:\n";
static const char builtin[] = "kernel/drivers/rtc/rtc-cmos.ko\nkernel/fs/overlayfs/overlay.ko\n";

static struct module_list list;
static const char *missing;

static int resolve(const char *const *wanted)
{
	module_list_fini(&list);
	missing = NULL;
	return modules_resolve(dep, builtin, wanted, &list, &missing);
}

#define RESOLVE(...) resolve((const char *const[]){__VA_ARGS__, NULL})

static void fini(void)
{
	module_list_fini(&list);
}

TestSuite(modules, .fini = fini);

Test(modules, dependencies_come_first_and_once)
{
	static const char *const order[] = {"virtio_ring", "virtio", "virtio_pci", "fuse",
					    "virtiofs"};

	cr_assert_eq(RESOLVE("virtio_pci", "virtiofs"), 0);
	cr_assert_eq(list.n, ARRAY_SIZE(order));
	for (size_t i = 0; i < list.n; i++) {
		cr_assert_str_eq(list.files[i].name, order[i]);
		cr_assert_not(list.files[i].optional);
	}
	cr_assert_str_eq(list.files[3].path, "kernel/fs/fuse/fuse.ko.xz");
}

Test(modules, dash_and_underscore_are_one)
{
	cr_assert_eq(RESOLVE("virtio-pci", "snd_hda_intel"), 0);
	cr_assert_eq(list.n, 4);
	cr_assert_str_eq(list.files[3].name, "snd_hda_intel");
}

Test(modules, built_in_ones_are_left_out)
{
	cr_assert_eq(RESOLVE("overlay", "rtc_cmos", "?overlay"), 0);
	cr_assert_eq(list.n, 0);
}

Test(modules, optional_ones)
{
	cr_assert_eq(RESOLVE("?virtiofs", "?nonesuch", "virtio_pci"), 0);
	cr_assert_eq(list.n, 5);
	/* virtio is needed by one that is not optional. */
	for (size_t i = 0; i < list.n; i++)
		cr_assert_eq(list.files[i].optional,
			     strcmp(list.files[i].name, "fuse") == 0 ||
				     strcmp(list.files[i].name, "virtiofs") == 0);
}

Test(modules, parameters_go_to_the_module_named)
{
	cr_assert_eq(RESOLVE("virtio", "?snd-hda-intel index=1 id=x", "overlay x=1"), 0);
	cr_assert_eq(list.n, 3);
	cr_assert_null(list.files[0].params);
	cr_assert_null(list.files[1].params);
	cr_assert_str_eq(list.files[2].name, "snd_hda_intel");
	cr_assert_str_eq(list.files[2].params, "index=1 id=x");
}

Test(modules, a_missing_one_is_named)
{
	cr_assert_eq(RESOLVE("virtio_pci", "nonesuch"), -ENOENT);
	cr_assert_str_eq(missing, "nonesuch");
	cr_assert_eq(RESOLVE(""), -ENOENT);
	/* A part of a name is not the name. */
	cr_assert_eq(RESOLVE("virtio_pc"), -ENOENT);
	cr_assert_eq(RESOLVE("irtiofs"), -ENOENT);
}

static int resolve_in(const char *text)
{
	static const char *const wanted[] = {"a", NULL};

	module_list_fini(&list);
	return modules_resolve(text, "", wanted, &list, &missing);
}

Test(modules, paths_that_leave_the_directory)
{
	cr_assert_eq(resolve_in("/etc/a.ko:\n"), -EBADMSG);
	cr_assert_eq(resolve_in("../a.ko:\n"), -EBADMSG);
	cr_assert_eq(resolve_in("k/a.ko: k/../../b.ko\n"), -EBADMSG);
	cr_assert_eq(resolve_in("k/..a.ko/a.ko: k/b..ko\n"), 0);
	cr_assert_eq(list.n, 2);
}

Test(modules, text_that_is_no_modules_dep)
{
	cr_assert_eq(resolve_in("hello\n"), -EBADMSG);
	cr_assert_eq(resolve_in("k/a.ko: nonsense\n"), -EBADMSG);
	cr_assert_eq(resolve_in(""), -ENOENT);
	cr_assert_eq(resolve_in("k/a.ko:   k/b.ko  \n"), 0);
	cr_assert_eq(list.n, 2);
	cr_assert_eq(resolve_in("k/a.ko:"), 0);
	cr_assert_eq(list.n, 1);
}

Test(modules, more_than_fit)
{
	char *text = malloc((size_t)64 * (MODULES_MAX + 2)), *p = text;

	p += sprintf(p, "k/a.ko:");
	for (int i = 0; i < MODULES_MAX; i++)
		p += sprintf(p, " k/m%d.ko", i);
	cr_assert_eq(resolve_in(text), -E2BIG);
	free(text);
}
