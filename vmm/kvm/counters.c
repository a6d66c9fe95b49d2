/* SPDX-License-Identifier: MIT */
#include "vmm/kvm/counters.h"

#include <errno.h>
#include <linux/kvm.h>
#include <string.h>

#include "vmm/config/timeline.h"

enum { MAX_COUNTERS = 256, MAX_NAME = 256 };

static int read_all(int fd, void *buf, size_t len, uint64_t off)
{
	ssize_t n = pread(fd, buf, len, (off_t)off);

	if (n < 0)
		return -errno;
	return (size_t)n == len ? 0 : -EPROTO;
}

static int count_one(int fd, const struct kvm_stats_header *h, uint32_t index, struct timeline *tl)
{
	uint64_t size = sizeof(struct kvm_stats_desc) + h->name_size, value;
	uint8_t entry[sizeof(struct kvm_stats_desc) + MAX_NAME];
	struct kvm_stats_desc desc;
	char name[MAX_NAME];
	int r = read_all(fd, entry, size, h->desc_offset + index * size);

	if (r < 0)
		return r;
	memcpy(&desc, entry, sizeof(desc));
	/* Take counts only: no histograms, and no gauges, which say how something is now. */
	if (desc.size != 1 || (desc.flags & KVM_STATS_TYPE_MASK) != KVM_STATS_TYPE_CUMULATIVE)
		return 0;
	r = read_all(fd, &value, sizeof(value), (uint64_t)h->data_offset + desc.offset);
	if (r < 0)
		return r;
	memcpy(name, entry + sizeof(desc), h->name_size);
	name[h->name_size - 1] = '\0';
	if (value > 0)
		timeline_count(tl, name, value);
	return 0;
}

int kvm_stats_count(int fd, struct timeline *tl)
{
	struct kvm_stats_header h;
	int r = read_all(fd, &h, sizeof(h), 0);

	if (r == 0 && (h.name_size == 0 || h.name_size > MAX_NAME || h.num_desc > MAX_COUNTERS))
		r = -EPROTO;
	for (uint32_t i = 0; r == 0 && i < h.num_desc; i++)
		r = count_one(fd, &h, i, tl);
	return r;
}
