/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <endian.h>
#include <string.h>

#include "gpu/resources.h"
#include "tests/support/fake_guest.h"

enum {
	OK = VIRTIO_GPU_RESP_OK_NODATA,
	NO_MEMORY = VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY,
	NO_RESOURCE = VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID,
	WRONG = VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER,
	BGRX = VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM,
	PAGE = 4096,
	RAM_PAGES = (FAKE_RAM_SIZE + FAKE_HIGH_SIZE) / PAGE,
};

static struct fake_guest *g;
static struct gpu_resources all;
static struct virtq_chain chain;

static void setup(void)
{
	g = fake_guest_new();
	gpu_resources_init(&all, &g->mem);
}

static void teardown(void)
{
	gpu_resources_clear(&all);
	cr_assert_eq(all.n, 0);
	cr_assert_eq(all.entries, 0);
	fake_guest_free(g);
}

TestSuite(resources, .init = setup, .fini = teardown);

/* A chain that holds `n` entries. */
static void list(const struct virtio_gpu_mem_entry *entries, size_t n)
{
	static struct virtio_gpu_mem_entry copy[4 * RAM_PAGES];

	memcpy(copy, entries, n * sizeof(*entries));
	chain = (struct virtq_chain){.n_rd = 1, .rd_len = n * sizeof(*entries)};
	chain.seg[0] = (struct iovec){copy, n * sizeof(*entries)};
}

static struct virtio_gpu_mem_entry entry(gpa_t addr, uint32_t len)
{
	return (struct virtio_gpu_mem_entry){.addr = htole64(addr), .length = htole32(len)};
}

static uint32_t attach_one(uint32_t id, gpa_t addr, uint32_t len)
{
	const struct virtio_gpu_mem_entry e = entry(addr, len);

	list(&e, 1);
	return gpu_resource_attach(&all, gpu_resource_find(&all, id), &chain, 0, 1);
}

Test(resources, sizes_and_formats_have_a_range)
{
	cr_assert_eq(gpu_resource_create_2d(&all, 1, BGRX, 0, 1), WRONG);
	cr_assert_eq(gpu_resource_create_2d(&all, 1, BGRX, 1, 0), WRONG);
	cr_assert_eq(gpu_resource_create_2d(&all, 1, BGRX, GPU_MAX_SIDE + 1, 1), WRONG);
	cr_assert_eq(gpu_resource_create_2d(&all, 1, BGRX, 1, UINT32_MAX), WRONG);
	cr_assert_eq(gpu_resource_create_2d(&all, 1, 5, 1, 1), WRONG);
	cr_assert_eq(gpu_resource_create_2d(&all, 0, BGRX, 1, 1), NO_RESOURCE);
	cr_assert_eq(all.n, 0);
	cr_assert_eq(gpu_resource_create_2d(&all, UINT32_MAX, BGRX, GPU_MAX_SIDE, GPU_MAX_SIDE),
		     OK);
	cr_assert_eq(gpu_resource_find(&all, UINT32_MAX)->size, 256u << 20);
}

Test(resources, an_id_is_taken_once_and_free_again)
{
	cr_assert_eq(gpu_resource_create_2d(&all, 7, BGRX, 1, 1), OK);
	cr_assert_eq(gpu_resource_create_2d(&all, 7, BGRX, 2, 2), NO_RESOURCE);
	cr_assert_eq(gpu_resource_create_2d(&all, 7 + GPU_BUCKETS, BGRX, 3, 3), OK);
	cr_assert_eq(gpu_resource_find(&all, 7)->width, 1);
	gpu_resource_free(&all, gpu_resource_find(&all, 7));
	cr_assert_null(gpu_resource_find(&all, 7));
	cr_assert_eq(gpu_resource_find(&all, 7 + GPU_BUCKETS)->width, 3);
	cr_assert_eq(gpu_resource_create_2d(&all, 7, BGRX, 2, 2), OK);
}

Test(resources, there_are_no_more_than_the_limit)
{
	for (uint32_t i = 1; i <= GPU_MAX_RESOURCES; i++)
		cr_assert_eq(gpu_resource_create_2d(&all, i * 7, BGRX, 1, 1), OK);
	cr_assert_eq(gpu_resource_create_2d(&all, 1, BGRX, 1, 1), NO_MEMORY);
	gpu_resource_free(&all, gpu_resource_find(&all, 7));
	cr_assert_eq(gpu_resource_create_2d(&all, 1, BGRX, 1, 1), OK);
}

Test(resources, neighbours_are_one_range_and_others_are_not)
{
	const struct virtio_gpu_mem_entry entries[] = {
		entry(FAKE_RAM_BASE, PAGE),
		entry(FAKE_RAM_BASE + PAGE, PAGE),
		entry(FAKE_RAM_BASE, PAGE),
		entry(FAKE_HIGH_BASE, 3),
	};
	const struct gpu_resource *res;

	cr_assert_eq(gpu_resource_create_2d(&all, 1, BGRX, 1024, 4), OK);
	list(entries, 4);
	cr_assert_eq(gpu_resource_attach(&all, gpu_resource_find(&all, 1), &chain, 0, 4), OK);
	res = gpu_resource_find(&all, 1);
	cr_assert_eq(res->n_runs, 3);
	cr_assert_eq(res->backed, 3 * PAGE + 3);
	cr_assert_eq(res->runs[1].off, 2 * PAGE);
	cr_assert_eq(res->runs[2].off, 3 * PAGE);
	cr_assert_eq(all.entries, 4);
}

Test(resources, a_backing_must_be_ram_and_whole)
{
	const struct virtio_gpu_mem_entry half[] = {entry(FAKE_RAM_BASE, PAGE), entry(0, PAGE)};

	cr_assert_eq(gpu_resource_create_2d(&all, 1, BGRX, 1024, 4), OK);
	cr_assert_eq(attach_one(1, FAKE_RAM_BASE, 0), WRONG);
	cr_assert_eq(attach_one(1, FAKE_RAM_BASE + FAKE_RAM_SIZE - 1, 2), WRONG);
	cr_assert_eq(attach_one(1, UINT64_MAX, 2), WRONG);
	list(half, 2);
	cr_assert_eq(gpu_resource_attach(&all, gpu_resource_find(&all, 1), &chain, 0, 2), WRONG);
	/* More entries than the chain has. */
	cr_assert_eq(gpu_resource_attach(&all, gpu_resource_find(&all, 1), &chain, 0, 3), WRONG);
	cr_assert_eq(gpu_resource_attach(&all, gpu_resource_find(&all, 1), &chain, 8, 2), WRONG);
	cr_assert_null(gpu_resource_find(&all, 1)->runs);
	cr_assert_eq(all.entries, 0);
	cr_assert_eq(attach_one(1, FAKE_RAM_BASE + FAKE_RAM_SIZE - 1, 1), OK);
}

Test(resources, a_backing_is_attached_once_and_detached_once)
{
	struct gpu_resource *res;

	cr_assert_eq(gpu_resource_create_2d(&all, 1, BGRX, 4, 4), OK);
	res = gpu_resource_find(&all, 1);
	cr_assert_eq(gpu_resource_detach(&all, res), WRONG);
	cr_assert_eq(attach_one(1, FAKE_RAM_BASE, PAGE), OK);
	cr_assert_eq(attach_one(1, FAKE_RAM_BASE, PAGE), WRONG);
	cr_assert_eq(gpu_resource_detach(&all, res), OK);
	cr_assert_eq(gpu_resource_detach(&all, res), WRONG);
	cr_assert_eq(all.entries, 0);
	cr_assert_eq(attach_one(1, FAKE_RAM_BASE, PAGE), OK);
}

Test(resources, entries_are_limited_by_the_resource_and_by_ram)
{
	static struct virtio_gpu_mem_entry same[RAM_PAGES + 2];

	for (size_t i = 0; i < ARRAY_SIZE(same); i++)
		same[i] = entry(FAKE_RAM_BASE, 1);
	list(same, ARRAY_SIZE(same));
	/* 4 pixels are one page, which may lie in two. */
	cr_assert_eq(gpu_resource_create_2d(&all, 1, BGRX, 4, 1), OK);
	cr_assert_eq(gpu_resource_attach(&all, gpu_resource_find(&all, 1), &chain, 0, 3), WRONG);
	cr_assert_eq(gpu_resource_attach(&all, gpu_resource_find(&all, 1), &chain, 0, 0), WRONG);
	cr_assert_eq(gpu_resource_attach(&all, gpu_resource_find(&all, 1), &chain, 0, 2), OK);
	cr_assert_eq(gpu_resource_create_2d(&all, 2, BGRX, GPU_MAX_SIDE, GPU_MAX_SIDE), OK);
	cr_assert_eq(
		gpu_resource_attach(&all, gpu_resource_find(&all, 2), &chain, 0, RAM_PAGES - 1),
		NO_MEMORY);
	cr_assert_eq(
		gpu_resource_attach(&all, gpu_resource_find(&all, 2), &chain, 0, RAM_PAGES - 2),
		OK);
	cr_assert_eq(gpu_resource_create_2d(&all, 3, BGRX, 1, 1), OK);
	cr_assert_eq(gpu_resource_attach(&all, gpu_resource_find(&all, 3), &chain, 0, 1),
		     NO_MEMORY);
	gpu_resource_free(&all, gpu_resource_find(&all, 2));
	cr_assert_eq(gpu_resource_attach(&all, gpu_resource_find(&all, 3), &chain, 0, 1), OK);
}

Test(resources, a_blob_has_its_backing_from_the_start)
{
	const struct virtio_gpu_mem_entry e = entry(FAKE_RAM_BASE, PAGE);

	list(&e, 1);
	cr_assert_eq(gpu_resource_create_blob(&all, 1, 0, &chain, 0, 1), WRONG);
	cr_assert_eq(gpu_resource_create_blob(&all, 1, GPU_MAX_BLOB + 1, &chain, 0, 1), WRONG);
	/* The backing is shorter than the blob. */
	cr_assert_eq(gpu_resource_create_blob(&all, 1, PAGE + 1, &chain, 0, 1), WRONG);
	cr_assert_eq(gpu_resource_create_blob(&all, 0, PAGE, &chain, 0, 1), NO_RESOURCE);
	cr_assert_eq(all.n, 0);
	cr_assert_eq(all.entries, 0);
	cr_assert_eq(gpu_resource_create_blob(&all, 1, PAGE, &chain, 0, 1), OK);
	cr_assert(gpu_resource_find(&all, 1)->blob);
	cr_assert_eq(attach_one(1, FAKE_RAM_BASE, PAGE), WRONG);
	cr_assert_eq(gpu_resource_detach(&all, gpu_resource_find(&all, 1)), WRONG);
}

Test(resources, bytes_are_found_in_whatever_pieces_they_lie)
{
	enum { RUNS = 40, BYTES = 7 * RUNS };
	struct virtio_gpu_mem_entry entries[RUNS];
	const struct gpu_resource *res;
	uint8_t expected[BYTES], tmp[BYTES];

	/* Runs of 1 to 13 bytes, each apart from the one before. */
	for (uint32_t i = 0, at = 0; i < RUNS; i++) {
		const uint32_t len = 1 + i % 13;
		uint8_t *p = fake_ptr(g, FAKE_RAM_BASE + 64u * i, len);

		for (uint32_t k = 0; k < len; k++, at++) {
			p[k] = (uint8_t)(at * 31);
			if (at < BYTES)
				expected[at] = p[k];
		}
		entries[i] = entry(FAKE_RAM_BASE + 64u * i, len);
	}
	list(entries, RUNS);
	cr_assert_eq(gpu_resource_create_2d(&all, 1, BGRX, 1024, 64), OK);
	cr_assert_eq(gpu_resource_attach(&all, gpu_resource_find(&all, 1), &chain, 0, RUNS), OK);
	res = gpu_resource_find(&all, 1);
	cr_assert_geq(res->backed, BYTES - 20);
	for (uint64_t off = 0; off < 230; off++)
		for (size_t len = 1; len <= 20; len++) {
			unsigned int hint = (unsigned int)off % RUNS;
			const uint8_t *p = gpu_resource_read(res, off, len, tmp, &hint);

			cr_assert_eq(memcmp(p, expected + off, len), 0, "%zu at %lu", len,
				     (unsigned long)off);
		}
}
