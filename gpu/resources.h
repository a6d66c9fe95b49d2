/* SPDX-License-Identifier: MIT */
/* gpu/resources.h - keeps what the guest draws on: ids, formats, and where in guest RAM the pixels lie. */
#ifndef GPU_RESOURCES_H
#define GPU_RESOURCES_H

#include <linux/virtio_gpu.h>
#include <stdbool.h>
#include <stdint.h>

#include "devices/board/guest_mem.h"
#include "devices/virtio/queue.h"

/*
 * DOC: no pixel is kept
 *
 * A resource is a list of ranges of guest RAM (its backing). The device reads
 * them when a picture is wanted, so a resource costs the host only its list. A
 * list's entries are limited by the resource's own size and, summed over all
 * resources, by the pages of guest RAM; neighbours become one range.
 */

enum {
	GPU_MAX_RESOURCES = 16384,
	GPU_MAX_SIDE = 8192, /* pixels */
};

#define GPU_MAX_BLOB (512ull << 20) /* bytes */
/* Bytes of the host's GPU: of one resource, and of all. */
#define GPU_MAX_ONE_3D (256ull << 20)
#define GPU_MAX_3D     (1ull << 30)

/* A range of the backing: it ends where the next one begins. */
struct gpu_run {
	const uint8_t *host;
	uint64_t off; /* bytes of the resource before it */
};

struct gpu_resource {
	struct gpu_resource *next; /* in its bucket */
	uint32_t id;
	bool blob; /* bytes only: format, width and height are not set */
	bool three_d; /* the picture is with the renderer, the backing only a way to it */
	uint32_t format, width, height;
	uint32_t target, depth, array_size, last_level; /* three_d only */
	uint64_t gpu_bytes; /* that the renderer may need for it */
	uint64_t size; /* bytes */
	/* NULL: no backing. */
	struct gpu_run *runs;
	unsigned int n_runs;
	uint64_t backed; /* bytes, perhaps fewer or more than size */
	unsigned int entries; /* as the driver listed them */
};

enum { GPU_BUCKETS = 256 };

struct gpu_resources {
	const struct guest_mem *mem;
	struct gpu_resource *buckets[GPU_BUCKETS];
	unsigned int n;
	uint64_t entries, max_entries;
	uint64_t gpu_bytes; /* of all resources */
};

void gpu_resources_init(struct gpu_resources *all, const struct guest_mem *mem);
/* Forgets every resource; the table may be used on. */
void gpu_resources_clear(struct gpu_resources *all);

/* NULL: there is none of that id. */
struct gpu_resource *gpu_resource_find(const struct gpu_resources *all, uint32_t id);

/*
 * The calls below say what went wrong as an answer to the driver:
 * VIRTIO_GPU_RESP_OK_NODATA or one of VIRTIO_GPU_RESP_ERR_*, and then nothing changed.
 */
uint32_t gpu_resource_create_2d(struct gpu_resources *all, uint32_t id, uint32_t format,
				uint32_t width, uint32_t height);
/* The backing's entries are in the chain from byte `off` on. */
uint32_t gpu_resource_create_blob(struct gpu_resources *all, uint32_t id, uint64_t size,
				  const struct virtq_chain *chain, size_t off, uint32_t entries);
/* One whose sizes the caller has checked, and fills in; *answer says why there is none. */
struct gpu_resource *gpu_resource_create_3d(struct gpu_resources *all, uint32_t id,
					    uint64_t gpu_bytes, uint32_t *answer);
uint32_t gpu_resource_attach(struct gpu_resources *all, struct gpu_resource *res,
			     const struct virtq_chain *chain, size_t off, uint32_t entries);
uint32_t gpu_resource_detach(struct gpu_resources *all, struct gpu_resource *res);
void gpu_resource_free(struct gpu_resources *all, struct gpu_resource *res);

/*
 * Where [off, off + len) of the backing lies, if that is in one piece; else it is
 * copied to tmp, which has room for len, and tmp is returned. The range must be
 * within res->backed. *hint is a place in the list to look first, 0 at first.
 * The guest may be writing there.
 */
const uint8_t *gpu_resource_read(const struct gpu_resource *res, uint64_t off, size_t len,
				 uint8_t *tmp, unsigned int *hint);

#endif
