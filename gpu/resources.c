/* SPDX-License-Identifier: MIT */
#include "gpu/resources.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "gpu/formats.h"

enum { PAGE = 4096, BATCH = 64 };

void gpu_resources_init(struct gpu_resources *all, const struct guest_mem *mem)
{
	*all = (struct gpu_resources){.mem = mem};
	for (unsigned int i = 0; i < mem->n_regions; i++)
		all->max_entries += mem->regions[i].size / PAGE;
}

static struct gpu_resource **bucket(struct gpu_resources *all, uint32_t id)
{
	return &all->buckets[id % GPU_BUCKETS];
}

struct gpu_resource *gpu_resource_find(const struct gpu_resources *all, uint32_t id)
{
	struct gpu_resource *res = all->buckets[id % GPU_BUCKETS];

	while (res && res->id != id)
		res = res->next;
	return res;
}

static void drop_backing(struct gpu_resources *all, struct gpu_resource *res)
{
	all->entries -= res->entries;
	free(res->runs);
	res->runs = NULL;
	res->n_runs = res->entries = 0;
	res->backed = 0;
}

void gpu_resource_free(struct gpu_resources *all, struct gpu_resource *res)
{
	struct gpu_resource **at = bucket(all, res->id);

	while (*at != res)
		at = &(*at)->next;
	*at = res->next;
	all->n--;
	all->gpu_bytes -= res->gpu_bytes;
	drop_backing(all, res);
	free(res);
}

void gpu_resources_clear(struct gpu_resources *all)
{
	for (unsigned int i = 0; i < GPU_BUCKETS; i++)
		while (all->buckets[i])
			gpu_resource_free(all, all->buckets[i]);
}

/* An empty resource in the table; *answer says why there is none. */
static struct gpu_resource *add(struct gpu_resources *all, uint32_t id, uint32_t *answer)
{
	struct gpu_resource *res;

	if (id == 0 || gpu_resource_find(all, id)) {
		*answer = VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID;
		return NULL;
	}
	res = all->n < GPU_MAX_RESOURCES ? calloc(1, sizeof(*res)) : NULL;
	if (!res) {
		*answer = VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY;
		return NULL;
	}
	res->id = id;
	res->next = *bucket(all, id);
	*bucket(all, id) = res;
	all->n++;
	*answer = VIRTIO_GPU_RESP_OK_NODATA;
	return res;
}

static bool side_valid(uint32_t side)
{
	return side > 0 && side <= GPU_MAX_SIDE;
}

uint32_t gpu_resource_create_2d(struct gpu_resources *all, uint32_t id, uint32_t format,
				uint32_t width, uint32_t height)
{
	struct gpu_resource *res;
	uint32_t answer;

	if (!gpu_format_known(format) || !side_valid(width) || !side_valid(height))
		return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
	res = add(all, id, &answer);
	if (!res)
		return answer;
	res->format = format;
	res->width = width;
	res->height = height;
	res->size = (uint64_t)width * height * GPU_PIXEL;
	return answer;
}

/* A backing while it is read from the chain. */
struct list {
	struct gpu_run *runs;
	unsigned int n, room;
	uint64_t bytes;
};

static int list_add(struct list *l, const uint8_t *host, uint32_t len)
{
	/* Where the last range ends, another may begin. */
	if (l->n > 0 && l->runs[l->n - 1].host + (l->bytes - l->runs[l->n - 1].off) == host) {
		l->bytes += len;
		return 0;
	}
	if (l->n == l->room) {
		const unsigned int room = l->room ? 2 * l->room : 4;
		struct gpu_run *runs = realloc(l->runs, room * sizeof(*runs));

		if (!runs)
			return -ENOMEM;
		l->runs = runs;
		l->room = room;
	}
	l->runs[l->n++] = (struct gpu_run){host, l->bytes};
	l->bytes += len;
	return 0;
}

static int list_take(struct list *l, const struct guest_mem *mem,
		     const struct virtio_gpu_mem_entry *entry)
{
	const uint32_t len = le32toh(entry->length);
	const uint8_t *host = len > 0 ? guest_ptr(mem, le64toh(entry->addr), len) : NULL;

	return host ? list_add(l, host, len) : -EINVAL;
}

/* -EINVAL: the chain ends too early, or an entry is not RAM. */
static int list_read(struct list *l, const struct guest_mem *mem, const struct virtq_chain *chain,
		     size_t off, uint32_t entries)
{
	struct virtio_gpu_mem_entry batch[BATCH];
	int r = 0;

	while (r == 0 && entries > 0) {
		const uint32_t n = (uint32_t)min_size(entries, BATCH);
		const size_t len = n * sizeof(batch[0]);

		if (chain_read(chain, off, batch, len) != len)
			return -EINVAL;
		for (uint32_t i = 0; r == 0 && i < n; i++)
			r = list_take(l, mem, &batch[i]);
		off += len;
		entries -= n;
	}
	return r;
}

uint32_t gpu_resource_attach(struct gpu_resources *all, struct gpu_resource *res,
			     const struct virtq_chain *chain, size_t off, uint32_t entries)
{
	struct list l = {0};
	struct gpu_run *fitting;
	int r;

	if (res->runs || entries == 0 || entries > (res->size + PAGE - 1) / PAGE + 1)
		return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
	if (entries > all->max_entries - all->entries)
		return VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY;
	r = list_read(&l, all->mem, chain, off, entries);
	if (r < 0) {
		free(l.runs);
		return r == -ENOMEM ? VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY
				    : VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
	}
	fitting = realloc(l.runs, l.n * sizeof(*l.runs));
	res->runs = fitting ? fitting : l.runs;
	res->n_runs = l.n;
	res->backed = l.bytes;
	res->entries = entries;
	all->entries += entries;
	return VIRTIO_GPU_RESP_OK_NODATA;
}

uint32_t gpu_resource_create_blob(struct gpu_resources *all, uint32_t id, uint64_t size,
				  const struct virtq_chain *chain, size_t off, uint32_t entries)
{
	struct gpu_resource *res;
	uint32_t answer;

	if (size == 0 || size > GPU_MAX_BLOB)
		return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
	res = add(all, id, &answer);
	if (!res)
		return answer;
	res->blob = true;
	res->size = size;
	answer = gpu_resource_attach(all, res, chain, off, entries);
	if (answer == VIRTIO_GPU_RESP_OK_NODATA && res->backed < size)
		answer = VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
	if (answer != VIRTIO_GPU_RESP_OK_NODATA)
		gpu_resource_free(all, res);
	return answer;
}

struct gpu_resource *gpu_resource_create_3d(struct gpu_resources *all, uint32_t id,
					    uint64_t gpu_bytes, uint32_t *answer)
{
	struct gpu_resource *res;

	*answer = VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY;
	if (gpu_bytes > GPU_MAX_ONE_3D || gpu_bytes > GPU_MAX_3D - all->gpu_bytes)
		return NULL;
	res = add(all, id, answer);
	if (!res)
		return NULL;
	res->three_d = true;
	/* What the guest keeps of it is its own affair, as long as it is not more than that. */
	res->size = GPU_MAX_ONE_3D;
	res->gpu_bytes = gpu_bytes;
	all->gpu_bytes += gpu_bytes;
	return res;
}

uint32_t gpu_resource_detach(struct gpu_resources *all, struct gpu_resource *res)
{
	/* A blob is its backing. */
	if (!res->runs || res->blob)
		return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
	drop_backing(all, res);
	return VIRTIO_GPU_RESP_OK_NODATA;
}

/* Bytes of the backing before the end of run i. */
static uint64_t run_end(const struct gpu_resource *res, unsigned int i)
{
	return i + 1 < res->n_runs ? res->runs[i + 1].off : res->backed;
}

/* The run that has byte off. */
static unsigned int run_of(const struct gpu_resource *res, uint64_t off, unsigned int hint)
{
	unsigned int low = 0, high = res->n_runs - 1;

	/* Rows are read from first to last: it is mostly the same run, or the next. */
	for (unsigned int i = hint; i <= high && i < hint + 2; i++)
		if (off >= res->runs[i].off && off < run_end(res, i))
			return i;
	while (low < high) {
		const unsigned int middle = low + (high - low + 1) / 2;

		if (res->runs[middle].off <= off)
			low = middle;
		else
			high = middle - 1;
	}
	return low;
}

const uint8_t *gpu_resource_read(const struct gpu_resource *res, uint64_t off, size_t len,
				 uint8_t *tmp, unsigned int *hint)
{
	unsigned int i = run_of(res, off, *hint);
	size_t done = 0;

	*hint = i;
	if (len <= run_end(res, i) - off)
		return res->runs[i].host + (off - res->runs[i].off);
	for (; done < len; i++) {
		const uint64_t at = off + done - res->runs[i].off;
		const size_t part = min_size(len - done, run_end(res, i) - (off + done));

		memcpy(tmp + done, res->runs[i].host + at, part);
		done += part;
	}
	return tmp;
}
