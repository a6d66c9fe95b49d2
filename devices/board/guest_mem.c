/* SPDX-License-Identifier: MIT */
#include "devices/board/guest_mem.h"

#include <errno.h>
#include <string.h>

void *guest_ptr(const struct guest_mem *mem, gpa_t gpa, uint64_t len)
{
	for (unsigned int i = 0; i < mem->n_regions; i++) {
		const struct guest_region *r = &mem->regions[i];

		/* Written so that no sum can wrap: gpa and len are the guest's. */
		if (gpa >= r->base && gpa - r->base < r->size && len <= r->size - (gpa - r->base))
			return r->host + (gpa - r->base);
	}
	return NULL;
}

int guest_read(const struct guest_mem *mem, gpa_t gpa, void *dst, size_t len)
{
	const void *p = guest_ptr(mem, gpa, len);

	if (!p)
		return -EFAULT;
	memcpy(dst, p, len);
	return 0;
}

int guest_write(const struct guest_mem *mem, gpa_t gpa, const void *src, size_t len)
{
	void *p = guest_ptr(mem, gpa, len);

	if (!p)
		return -EFAULT;
	memcpy(p, src, len);
	return 0;
}
