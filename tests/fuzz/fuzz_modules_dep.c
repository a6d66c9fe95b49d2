/* SPDX-License-Identifier: MIT */
/* modules.dep and modules.builtin of arbitrary text; the input is cut at its first NUL for the two. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "image/initramfs/modules.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const wanted[] = {"a", "?b", "c-d", NULL};
	char *text = calloc(1, size + 2);
	struct module_list list;
	const char *missing = NULL, *builtin;
	int r;

	if (!text)
		abort();
	memcpy(text, data, size);
	builtin = text + strlen(text) + (strlen(text) < size);
	r = modules_resolve(text, builtin, wanted, &list, &missing);
	if (r == 0) {
		for (size_t i = 0; i < list.n; i++) {
			const char *path = list.files[i].path;

			if (path[0] == '/' || strncmp(path, "../", 3) == 0 || strstr(path, "/../"))
				abort();
			for (size_t j = 0; j < i; j++)
				if (strcmp(list.files[i].name, list.files[j].name) == 0)
					abort();
		}
		module_list_fini(&list);
	}
	free(text);
	return 0;
}
