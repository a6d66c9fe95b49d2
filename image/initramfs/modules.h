/* SPDX-License-Identifier: MIT */
/* image/initramfs/modules.h - which module files a list of modules needs, in the order to load them. */
#ifndef IMAGE_INITRAMFS_MODULES_H
#define IMAGE_INITRAMFS_MODULES_H

#include <stdbool.h>
#include <stddef.h>

#include "common/util.h"

enum {
	MODULES_MAX = 128, /* files in one list, far above what a machine needs */
	MODULE_NAME_MAX = 63, /* MODULE_NAME_LEN of the kernel, less the NUL and some */
};

struct module_file {
	char *name; /* virtio_pci: canonical, with '_' */
	char *path; /* below /lib/modules/RELEASE, as modules.dep has it */
	char *params; /* "a=1 b=2"; NULL: none */
	bool optional; /* the guest can do without */
};

/* Ordered: a module stands behind all it depends on. None twice. */
struct module_list {
	struct module_file files[MODULES_MAX];
	size_t n;
};

/*
 * `dep` and `builtin` are the texts of modules.dep and modules.builtin (the
 * formats depmod and the kernel's build write, see modules.dep(5)), NUL-terminated.
 * `wanted` is a NULL-terminated list of names, '-' and '_' being the same, '?'
 * in front of one that may be missing; parameters may follow a blank; one built
 * in is left out. 0, with *out
 * initialised; -ENOENT with *missing pointing at the wanted name that is not
 * there; -EBADMSG: the text is not a modules.dep; -E2BIG; -ENOMEM.
 */
int modules_resolve(const char *dep, const char *builtin, const char *const *wanted,
		    struct module_list *out, const char **missing) MUST_CHECK;
void module_list_fini(struct module_list *list); /* zeroed is fine */

#endif
