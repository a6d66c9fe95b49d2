/* SPDX-License-Identifier: MIT */
#include "tests/unit/balloon/balloon_guest.h"

#include <criterion/criterion.h>
#include <endian.h>

void balloon_guest_start(struct balloon_guest *bg, struct balloon_observer *obs, uint64_t features)
{
	struct guest_mem *mem;

	bg->g = fake_guest_new();
	mem = &bg->g->mem;
	cr_assert_eq(ram_init_memfd(&bg->ram, BALLOON_RAM_SIZE), 0);
	mem->regions[mem->n_regions++] =
		(struct guest_region){BALLOON_RAM_BASE, BALLOON_RAM_SIZE, bg->ram.host};
	cr_assert_eq(virtio_balloon_new(mem, &bg->ram, obs, &bg->vdev), 0);
	fake_guest_start(bg->g, bg->vdev, features);
}

void balloon_guest_stop(struct balloon_guest *bg)
{
	fake_guest_free(bg->g);
	ram_fini(&bg->ram);
}

uint64_t balloon_guest_resident(const struct balloon_guest *bg)
{
	uint64_t n;

	cr_assert_eq(ram_resident(&bg->ram, &n), 0);
	return n;
}

void balloon_guest_touch(struct balloon_guest *bg)
{
	for (size_t off = 0; off < BALLOON_RAM_SIZE; off += BALLOON_PAGE)
		bg->ram.host[off] = 1;
	cr_assert_eq(balloon_guest_resident(bg), BALLOON_RAM_SIZE);
}

bool balloon_guest_send_pfns(struct balloon_guest *bg, unsigned int q, const uint32_t *pages,
			     size_t n)
{
	uint32_t *pfns = calloc(n, sizeof(*pfns));
	bool answered;

	cr_assert_not_null(pfns);
	for (size_t i = 0; i < n; i++)
		pfns[i] = htole32((uint32_t)(BALLOON_RAM_BASE / BALLOON_PAGE) + pages[i]);
	answered = fake_request(bg->g, q, pfns, n * sizeof(*pfns), NULL, 0) == 0;
	free(pfns);
	return answered;
}

void balloon_guest_report(struct balloon_guest *bg, unsigned int q, gpa_t addr, uint32_t len)
{
	struct fake_seg seg = {.addr = addr, .len = len, .writable = true};

	(void)fake_publish(bg->g, q, &seg, 1);
	fake_kick(bg->g, q);
}

void balloon_guest_stats(struct balloon_guest *bg, const void *stats, size_t len)
{
	struct fake_seg seg = fake_put(bg->g, stats, len);

	(void)fake_publish(bg->g, BQ_STATS, &seg, 1);
	fake_kick(bg->g, BQ_STATS);
}
