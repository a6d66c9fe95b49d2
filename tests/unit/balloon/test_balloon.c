/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <endian.h>
#include <linux/virtio_balloon.h>
#include <linux/virtio_ring.h>
#include <string.h>

#include "tests/unit/balloon/balloon_guest.h"

#define ALL                                                                            \
	(1ull << VIRTIO_BALLOON_F_STATS_VQ | 1ull << VIRTIO_BALLOON_F_DEFLATE_ON_OOM | \
	 1ull << VIRTIO_BALLOON_F_REPORTING | 1ull << VIRTIO_BALLOON_F_PAGE_POISON |   \
	 1ull << VIRTIO_RING_F_INDIRECT_DESC)

/* Remembers what it was told. */
struct recorder {
	struct balloon_observer obs;
	struct balloon *balloon;
	unsigned int events[BALLOON_STATS + 1];
	bool *destroyed;
};

static struct balloon_guest bg;
static struct recorder *rec;
static bool destroyed;

static int record_attach(struct balloon_observer *obs, struct balloon *b, struct device *dev,
			 struct loop *loop)
{
	cr_assert(dev && loop);
	CONTAINER_OF(obs, struct recorder, obs)->balloon = b;
	return 0;
}

static void record_event(struct balloon_observer *obs, enum balloon_event event)
{
	CONTAINER_OF(obs, struct recorder, obs)->events[event]++;
}

static void record_destroy(struct balloon_observer *obs)
{
	struct recorder *r = CONTAINER_OF(obs, struct recorder, obs);

	*r->destroyed = true;
	free(r);
}

static const struct balloon_observer_ops recorder_ops = {
	.attach = record_attach,
	.event = record_event,
	.destroy = record_destroy,
};

static void start(uint64_t features)
{
	rec = calloc(1, sizeof(*rec));
	cr_assert_not_null(rec);
	rec->obs.ops = &recorder_ops;
	rec->destroyed = &destroyed;
	balloon_guest_start(&bg, &rec->obs, features);
}

static void setup(void)
{
	start(ALL);
}

static void teardown(void)
{
	balloon_guest_stop(&bg);
	cr_assert(destroyed);
}

TestSuite(balloon, .init = setup, .fini = teardown);

/* A field of the configuration, written as the transport does. */
static void write_config(size_t off, uint32_t value)
{
	value = htole32(value);
	cr_assert(off >= bg.vdev->config_writable_off);
	memcpy((uint8_t *)bg.vdev->config + off, &value, sizeof(value));
	bg.vdev->ops->config_written(bg.vdev, off, sizeof(value));
}

static uint32_t read_config(size_t off)
{
	uint32_t value;

	memcpy(&value, (const uint8_t *)bg.vdev->config + off, sizeof(value));
	return le32toh(value);
}

Test(balloon, inflated_pages_go_back_to_the_host)
{
	const uint32_t pages[] = {7, 3, 5, 4, 9};

	balloon_guest_touch(&bg);
	cr_assert(balloon_guest_send_pfns(&bg, BQ_INFLATE, pages, ARRAY_SIZE(pages)));
	cr_assert_eq(balloon_guest_resident(&bg), BALLOON_RAM_SIZE - 5 * BALLOON_PAGE);
	cr_assert_eq(bg.ram.host[3 * BALLOON_PAGE], 0);
	cr_assert_eq(bg.ram.host[6 * BALLOON_PAGE], 1);
	cr_assert_eq(bg.ram.host[8 * BALLOON_PAGE], 1);
	cr_assert_eq(balloon_inflated(rec->balloon), 5 * BALLOON_PAGE);
	cr_assert_eq(bg.g->queue_interrupts[BQ_INFLATE], 1);
}

Test(balloon, more_pages_than_linux_sends_are_fine)
{
	static uint32_t pages[1500];

	balloon_guest_touch(&bg);
	for (uint32_t i = 0; i < ARRAY_SIZE(pages); i++)
		pages[i] = (uint32_t)ARRAY_SIZE(pages) - i;
	cr_assert(balloon_guest_send_pfns(&bg, BQ_INFLATE, pages, ARRAY_SIZE(pages)));
	cr_assert_eq(balloon_guest_resident(&bg), BALLOON_RAM_SIZE - 1500 * BALLOON_PAGE);
}

Test(balloon, a_page_named_twice_is_one_page)
{
	const uint32_t pages[] = {2, 3, 2, 3, 3};

	balloon_guest_touch(&bg);
	cr_assert(balloon_guest_send_pfns(&bg, BQ_INFLATE, pages, ARRAY_SIZE(pages)));
	cr_assert_eq(balloon_guest_resident(&bg), BALLOON_RAM_SIZE - 2 * BALLOON_PAGE);
}

Test(balloon, deflated_pages_are_there_when_they_are_touched)
{
	const uint32_t page = 3;

	balloon_guest_touch(&bg);
	cr_assert(balloon_guest_send_pfns(&bg, BQ_INFLATE, &page, 1));
	cr_assert(balloon_guest_send_pfns(&bg, BQ_DEFLATE, &page, 1));
	cr_assert_eq(balloon_guest_resident(&bg), BALLOON_RAM_SIZE - BALLOON_PAGE);
	bg.ram.host[3 * BALLOON_PAGE] = 1;
	cr_assert_eq(balloon_guest_resident(&bg), BALLOON_RAM_SIZE);
}

Test(balloon, reported_blocks_go_back_to_the_host)
{
	balloon_guest_touch(&bg);
	balloon_guest_report(&bg, BQ_REPORTING, BALLOON_RAM_BASE + (2 << 20), 4 << 20);
	cr_assert(fake_reap(bg.g, BQ_REPORTING, NULL, NULL));
	cr_assert_eq(balloon_guest_resident(&bg), BALLOON_RAM_SIZE - (4 << 20));
	cr_assert_eq(balloon_reported(rec->balloon), 4 << 20);
	cr_assert_eq(rec->events[BALLOON_REPORTED], 1);
}

Test(balloon, a_report_of_many_blocks_is_one_request)
{
	struct fake_seg segs[32];

	balloon_guest_touch(&bg);
	for (size_t i = 0; i < ARRAY_SIZE(segs); i++)
		segs[i] = (struct fake_seg){.addr = BALLOON_RAM_BASE + i * 2 * BALLOON_PAGE,
					    .len = BALLOON_PAGE,
					    .writable = true};
	(void)fake_publish_indirect(bg.g, BQ_REPORTING, segs, ARRAY_SIZE(segs));
	fake_kick(bg.g, BQ_REPORTING);
	cr_assert(fake_reap(bg.g, BQ_REPORTING, NULL, NULL));
	cr_assert_eq(balloon_guest_resident(&bg), BALLOON_RAM_SIZE - 32 * BALLOON_PAGE);
}

Test(balloon, the_specifications_queue_number_works_as_well)
{
	balloon_guest_touch(&bg);
	balloon_guest_report(&bg, BQ_REPORTING_SPEC, BALLOON_RAM_BASE, BALLOON_PAGE);
	cr_assert(fake_reap(bg.g, BQ_REPORTING_SPEC, NULL, NULL));
	cr_assert_eq(balloon_guest_resident(&bg), BALLOON_RAM_SIZE - BALLOON_PAGE);
}

Test(balloon, without_statistics_linux_reports_on_the_third_queue)
{
	fake_guest_reset(bg.g);
	fake_guest_restart(bg.g, 1ull << VIRTIO_BALLOON_F_REPORTING);
	balloon_guest_touch(&bg);
	balloon_guest_report(&bg, BQ_STATS, BALLOON_RAM_BASE, BALLOON_PAGE);
	cr_assert(fake_reap(bg.g, BQ_STATS, NULL, NULL));
	cr_assert_eq(balloon_guest_resident(&bg), BALLOON_RAM_SIZE - BALLOON_PAGE);
	cr_assert_eq(rec->events[BALLOON_STATS], 0);
}

Test(balloon, poisoned_pages_keep_their_poison)
{
	balloon_guest_touch(&bg);
	write_config(offsetof(struct virtio_balloon_config, poison_val), 0xaaaaaaaa);
	balloon_guest_report(&bg, BQ_REPORTING, BALLOON_RAM_BASE, 4 << 20);
	cr_assert(fake_reap(bg.g, BQ_REPORTING, NULL, NULL));
	cr_assert_eq(balloon_guest_resident(&bg), BALLOON_RAM_SIZE);
	cr_assert_eq(balloon_reported(rec->balloon), 0);

	/* Zero is a poison we can give, and one that was not agreed upon is none. */
	write_config(offsetof(struct virtio_balloon_config, poison_val), 0);
	balloon_guest_report(&bg, BQ_REPORTING, BALLOON_RAM_BASE, 2 << 20);
	cr_assert_eq(balloon_guest_resident(&bg), BALLOON_RAM_SIZE - (2 << 20));
	fake_guest_reset(bg.g);
	fake_guest_restart(bg.g, ALL & ~(1ull << VIRTIO_BALLOON_F_PAGE_POISON));
	write_config(offsetof(struct virtio_balloon_config, poison_val), 0xaaaaaaaa);
	balloon_guest_report(&bg, BQ_REPORTING, BALLOON_RAM_BASE, 4 << 20);
	cr_assert_eq(balloon_guest_resident(&bg), BALLOON_RAM_SIZE - (4 << 20));
}

Test(balloon, poisoned_pages_can_still_be_inflated)
{
	const uint32_t page = 3;

	balloon_guest_touch(&bg);
	write_config(offsetof(struct virtio_balloon_config, poison_val), 0xaaaaaaaa);
	cr_assert(balloon_guest_send_pfns(&bg, BQ_INFLATE, &page, 1));
	cr_assert_eq(balloon_guest_resident(&bg), BALLOON_RAM_SIZE - BALLOON_PAGE);
}

Test(balloon, the_target_and_the_size_travel_in_the_configuration)
{
	balloon_set_target(rec->balloon, 3 * BALLOON_PAGE + 17);
	cr_assert_eq(read_config(offsetof(struct virtio_balloon_config, num_pages)), 3);
	cr_assert_eq(balloon_target(rec->balloon), 3 * BALLOON_PAGE);
	cr_assert_eq(bg.g->config_interrupts, 1);
	/* The same again is no news. */
	balloon_set_target(rec->balloon, 3 * BALLOON_PAGE);
	cr_assert_eq(bg.g->config_interrupts, 1);
	balloon_set_target(rec->balloon, UINT64_MAX);
	cr_assert_eq(balloon_target(rec->balloon), BALLOON_RAM_SIZE);

	write_config(offsetof(struct virtio_balloon_config, actual), 2);
	cr_assert_eq(balloon_size(rec->balloon), 2 * BALLOON_PAGE);
	cr_assert_eq(rec->events[BALLOON_RESIZED], 1);
	/* A guest cannot have given up more than it had. */
	write_config(offsetof(struct virtio_balloon_config, actual), UINT32_MAX);
	cr_assert_eq(balloon_size(rec->balloon), BALLOON_RAM_SIZE);
}

Test(balloon, the_hint_command_is_not_the_guests)
{
	write_config(offsetof(struct virtio_balloon_config, free_page_hint_cmd_id), 77);
	cr_assert_eq(read_config(offsetof(struct virtio_balloon_config, free_page_hint_cmd_id)), 0);
}

static struct virtio_balloon_stat stat_of(uint16_t tag, uint64_t value)
{
	return (struct virtio_balloon_stat){.tag = htole16(tag), .val = htole64(value)};
}

Test(balloon, statistics_come_when_they_are_wanted)
{
	struct virtio_balloon_stat stats[] = {
		stat_of(VIRTIO_BALLOON_S_MEMTOT, 1 << 20), stat_of(VIRTIO_BALLOON_S_MEMFREE, 1000),
		stat_of(VIRTIO_BALLOON_S_AVAIL, 2000),	   stat_of(VIRTIO_BALLOON_S_CACHES, 1500),
		stat_of(VIRTIO_BALLOON_S_MAJFLT, 4),	   stat_of(VIRTIO_BALLOON_S_SWAP_IN, 5),
		stat_of(VIRTIO_BALLOON_S_SWAP_OUT, 6),	   stat_of(999, 7),
	};
	const struct balloon_stats *got = balloon_stats(rec->balloon);

	cr_assert(!balloon_ask_stats(rec->balloon));
	/* The first buffer comes by itself, and stays with us. */
	balloon_guest_stats(&bg, stats, sizeof(stats));
	cr_assert_eq(rec->events[BALLOON_STATS], 1);
	cr_assert(!fake_reap(bg.g, BQ_STATS, NULL, NULL));
	cr_assert_eq(got->total, 1 << 20);
	cr_assert_eq(got->free, 1000);
	cr_assert_eq(got->available, 2000);
	cr_assert_eq(got->caches, 1500);

	cr_assert(balloon_ask_stats(rec->balloon));
	cr_assert(!balloon_ask_stats(rec->balloon));
	cr_assert(fake_reap(bg.g, BQ_STATS, NULL, NULL));
	balloon_guest_stats(&bg, stats, sizeof(stats[0]) + 3);
	cr_assert_eq(rec->events[BALLOON_STATS], 2);
	cr_assert_eq(got->total, 1 << 20);
	/* What it no longer says is not known. */
	cr_assert_eq(got->free, 0);
}

Test(balloon, a_second_statistics_buffer_sends_the_first_one_back)
{
	struct virtio_balloon_stat stat = stat_of(VIRTIO_BALLOON_S_MEMFREE, 1);

	balloon_guest_stats(&bg, &stat, sizeof(stat));
	balloon_guest_stats(&bg, &stat, sizeof(stat));
	cr_assert(fake_reap(bg.g, BQ_STATS, NULL, NULL));
	cr_assert(!fake_reap(bg.g, BQ_STATS, NULL, NULL));
	cr_assert(balloon_ask_stats(rec->balloon));
	cr_assert(fake_reap(bg.g, BQ_STATS, NULL, NULL));
}

Test(balloon, statistics_without_end_are_cut)
{
	static struct virtio_balloon_stat stats[5000];

	for (size_t i = 0; i < ARRAY_SIZE(stats); i++)
		stats[i] = stat_of(VIRTIO_BALLOON_S_MEMFREE, i);
	balloon_guest_stats(&bg, stats, sizeof(stats));
	cr_assert_eq(balloon_stats(rec->balloon)->free, 63);
}

Test(balloon, a_page_outside_ram_breaks_the_device)
{
	const uint32_t beyond = BALLOON_RAM_SIZE / BALLOON_PAGE;
	const uint32_t pages[] = {1, beyond};

	balloon_guest_touch(&bg);
	cr_assert(!balloon_guest_send_pfns(&bg, BQ_INFLATE, pages, 2));
	cr_assert(bg.vdev->broken);
	cr_assert_eq(bg.g->config_interrupts, 1);
	/* Nothing works until it is reset, asking included. */
	cr_assert(!balloon_guest_send_pfns(&bg, BQ_INFLATE, pages, 1));
	cr_assert(!balloon_ask_stats(rec->balloon));
	balloon_set_target(rec->balloon, BALLOON_PAGE);
	cr_assert_eq(balloon_target(rec->balloon), 0);
	fake_guest_reset(bg.g);
	fake_guest_restart(bg.g, ALL);
	cr_assert(balloon_guest_send_pfns(&bg, BQ_INFLATE, pages, 1));
}

Test(balloon, a_run_across_the_end_of_ram_breaks_the_device)
{
	const uint32_t last = BALLOON_RAM_SIZE / BALLOON_PAGE - 1;
	const uint32_t pages[] = {last + 1, last};

	cr_assert(!balloon_guest_send_pfns(&bg, BQ_INFLATE, pages, 2));
	cr_assert(bg.vdev->broken);
}

Test(balloon, memory_that_is_not_ram_breaks_the_device)
{
	const uint32_t pfn = htole32(FAKE_HIGH_BASE / BALLOON_PAGE);

	((uint8_t *)fake_ptr(bg.g, FAKE_HIGH_BASE, 1))[0] = 9;
	cr_assert_eq(fake_request(bg.g, BQ_INFLATE, &pfn, sizeof(pfn), NULL, 0), -1);
	cr_assert(bg.vdev->broken);
	fake_guest_reset(bg.g);
	fake_guest_restart(bg.g, ALL);
	balloon_guest_report(&bg, BQ_REPORTING, FAKE_HIGH_BASE, BALLOON_PAGE);
	cr_assert(bg.vdev->broken);
	cr_assert_eq(((uint8_t *)fake_ptr(bg.g, FAKE_HIGH_BASE, 1))[0], 9);
}

Test(balloon, a_report_past_the_end_of_ram_is_passed_over)
{
	balloon_guest_touch(&bg);
	balloon_guest_report(&bg, BQ_REPORTING, BALLOON_RAM_BASE + BALLOON_RAM_SIZE - BALLOON_PAGE,
			     2 * BALLOON_PAGE);
	cr_assert_not(bg.vdev->broken);
	cr_assert_eq(balloon_guest_resident(&bg), BALLOON_RAM_SIZE);
}

Test(balloon, part_of_a_page_is_not_given_back)
{
	balloon_guest_touch(&bg);
	balloon_guest_report(&bg, BQ_REPORTING, BALLOON_RAM_BASE + 8, BALLOON_PAGE);
	cr_assert(!bg.vdev->broken);
	cr_assert_eq(balloon_guest_resident(&bg), BALLOON_RAM_SIZE);
}

Test(balloon, a_readable_report_breaks_the_device)
{
	uint32_t pfn = 0;

	cr_assert_eq(fake_request(bg.g, BQ_REPORTING, &pfn, sizeof(pfn), NULL, 0), -1);
	cr_assert(bg.vdev->broken);
}

Test(balloon, half_a_page_number_breaks_the_device)
{
	cr_assert_eq(fake_request(bg.g, BQ_INFLATE, "abcdef", 6, NULL, 0), -1);
	cr_assert(bg.vdev->broken);
}

Test(balloon, with_a_promise_the_pages_of_a_huge_page_go_together)
{
	uint32_t pages[256];

	fake_guest_reset(bg.g);
	fake_guest_restart(bg.g, ALL | 1ull << VIRTIO_BALLOON_F_MUST_TELL_HOST);
	balloon_guest_touch(&bg);
	for (uint32_t i = 0; i < ARRAY_SIZE(pages); i++)
		pages[i] = 512 + i;
	cr_assert(balloon_guest_send_pfns(&bg, BQ_INFLATE, pages, ARRAY_SIZE(pages)));
	cr_assert_eq(balloon_guest_resident(&bg), BALLOON_RAM_SIZE);
	for (uint32_t i = 0; i < ARRAY_SIZE(pages); i++)
		pages[i] = 1023 - i;
	cr_assert(balloon_guest_send_pfns(&bg, BQ_INFLATE, pages, ARRAY_SIZE(pages)));
	cr_assert_eq(balloon_guest_resident(&bg), BALLOON_RAM_SIZE - (2 << 20));

	/* What is not complete waits until it is settled, whatever is named besides. */
	pages[0] = 5;
	pages[1] = 70;
	pages[2] = 1500;
	cr_assert(balloon_guest_send_pfns(&bg, BQ_INFLATE, pages, 3));
	balloon_guest_stats(&bg, "", 1);
	cr_assert_eq(balloon_guest_resident(&bg), BALLOON_RAM_SIZE - (2 << 20));
	balloon_settle(rec->balloon);
	cr_assert_eq(bg.ram.host[5 * BALLOON_PAGE], 0);
	cr_assert_eq(bg.ram.host[70 * BALLOON_PAGE], 0);
	cr_assert_eq(bg.ram.host[1500 * BALLOON_PAGE], 0);
	cr_assert_eq(bg.ram.host[6 * BALLOON_PAGE], 1);
	cr_assert_eq(balloon_inflated(rec->balloon), (2 << 20) + 3 * BALLOON_PAGE);
}

Test(balloon, a_page_that_is_taken_back_before_it_went_stays)
{
	uint32_t pages[512];

	fake_guest_reset(bg.g);
	fake_guest_restart(bg.g, ALL | 1ull << VIRTIO_BALLOON_F_MUST_TELL_HOST);
	balloon_guest_touch(&bg);
	for (uint32_t i = 0; i < ARRAY_SIZE(pages); i++)
		pages[i] = i;
	cr_assert(balloon_guest_send_pfns(&bg, BQ_INFLATE, pages, 511));
	/* One that never went, and one that was not even named. */
	pages[1] = 600;
	cr_assert(balloon_guest_send_pfns(&bg, BQ_DEFLATE, pages, 2));
	/* The block is not complete without it. */
	pages[0] = 511;
	cr_assert(balloon_guest_send_pfns(&bg, BQ_INFLATE, pages, 1));
	cr_assert_eq(balloon_guest_resident(&bg), BALLOON_RAM_SIZE);
	balloon_settle(rec->balloon);
	cr_assert_eq(bg.ram.host[0], 1);
	cr_assert_eq(bg.ram.host[BALLOON_PAGE], 0);
	cr_assert_eq(bg.ram.host[600 * BALLOON_PAGE], 1);

	/* Complete at last: all of it goes, whatever the guest has written meanwhile. */
	memset(bg.ram.host, 1, 2 << 20);
	pages[0] = 0;
	cr_assert(balloon_guest_send_pfns(&bg, BQ_DEFLATE, pages, 1));
	pages[1] = 1;
	cr_assert(balloon_guest_send_pfns(&bg, BQ_INFLATE, pages, 2));
	cr_assert_eq(balloon_guest_resident(&bg), BALLOON_RAM_SIZE - (2 << 20));
}

Test(balloon, after_a_reset_what_was_held_is_the_guests)
{
	const uint32_t page = 1502;

	fake_guest_reset(bg.g);
	fake_guest_restart(bg.g, ALL | 1ull << VIRTIO_BALLOON_F_MUST_TELL_HOST);
	balloon_guest_touch(&bg);
	cr_assert(balloon_guest_send_pfns(&bg, BQ_INFLATE, &page, 1));
	fake_guest_reset(bg.g);
	fake_guest_restart(bg.g, ALL);
	balloon_settle(rec->balloon);
	cr_assert_eq(bg.ram.host[1502 * BALLOON_PAGE], 1);
}

Test(balloon, a_deflated_page_outside_ram_breaks_the_device)
{
	const uint32_t page = BALLOON_RAM_SIZE / BALLOON_PAGE;

	cr_assert(!balloon_guest_send_pfns(&bg, BQ_DEFLATE, &page, 1));
	cr_assert(bg.vdev->broken);
}

Test(balloon, an_empty_inflate_request_completes)
{
	char in[4];

	cr_assert_eq(fake_request(bg.g, BQ_INFLATE, NULL, 0, in, sizeof(in)), 0);
	cr_assert(!bg.vdev->broken);
}

Test(balloon, reset_forgets_the_driver)
{
	struct virtio_balloon_stat stat = stat_of(VIRTIO_BALLOON_S_MEMFREE, 1);

	cr_assert_eq(rec->events[BALLOON_STARTED], 1);
	balloon_guest_stats(&bg, &stat, sizeof(stat));
	balloon_set_target(rec->balloon, BALLOON_PAGE);
	write_config(offsetof(struct virtio_balloon_config, actual), 1);
	fake_guest_reset(bg.g);
	cr_assert_eq(rec->events[BALLOON_STOPPED], 1);
	cr_assert_eq(balloon_target(rec->balloon), 0);
	cr_assert_eq(balloon_size(rec->balloon), 0);
	cr_assert_eq(balloon_stats(rec->balloon)->free, 0);
	cr_assert(!balloon_ask_stats(rec->balloon));
	balloon_set_target(rec->balloon, BALLOON_PAGE);
	cr_assert_eq(balloon_target(rec->balloon), 0);
}

Test(balloon_alone, works_without_an_observer)
{
	const uint32_t page = 1;
	struct virtio_balloon_stat stat = stat_of(VIRTIO_BALLOON_S_MEMFREE, 1);

	balloon_guest_start(&bg, NULL, ALL);
	balloon_guest_touch(&bg);
	cr_assert(balloon_guest_send_pfns(&bg, BQ_INFLATE, &page, 1));
	balloon_guest_stats(&bg, &stat, sizeof(stat));
	balloon_guest_report(&bg, BQ_REPORTING, BALLOON_RAM_BASE, 1 << 20);
	fake_guest_reset(bg.g);
	balloon_guest_stop(&bg);
}

/* A table of 127 descriptors that all name the same memory: page numbers without end. */
Test(balloon, a_chain_of_more_pages_than_anybody_sends_breaks_the_device)
{
	struct fake_seg segs[127];

	for (size_t i = 0; i < ARRAY_SIZE(segs); i++)
		segs[i] = (struct fake_seg){FAKE_RAM_BASE, FAKE_RAM_SIZE / 2, false};
	for (unsigned int q = BQ_INFLATE; q <= BQ_DEFLATE; q++) {
		(void)fake_publish_indirect(bg.g, q, segs, ARRAY_SIZE(segs));
		fake_kick(bg.g, q);
		cr_assert(bg.vdev->broken);
		cr_assert_not(fake_reap(bg.g, q, NULL, NULL));
		fake_guest_reset(bg.g);
		fake_guest_restart(bg.g, ALL);
	}
	cr_assert_eq(balloon_inflated(rec->balloon), 0);
}

/* The same of a report: all of RAM again and again, while other CPUs touch it. */
Test(balloon, a_report_of_more_than_anybody_reports_breaks_the_device)
{
	struct fake_seg segs[33];

	for (size_t i = 0; i < ARRAY_SIZE(segs); i++)
		segs[i] = (struct fake_seg){BALLOON_RAM_BASE, BALLOON_RAM_SIZE, true};
	(void)fake_publish_indirect(bg.g, BQ_REPORTING, segs, 32);
	fake_kick(bg.g, BQ_REPORTING);
	cr_assert(fake_reap(bg.g, BQ_REPORTING, NULL, NULL));
	cr_assert_eq(balloon_reported(rec->balloon), 256 << 20);
	for (unsigned int q = BQ_REPORTING; q <= BQ_REPORTING_SPEC; q++) {
		fake_guest_reset(bg.g);
		fake_guest_restart(bg.g, ALL);
		(void)fake_publish_indirect(bg.g, q, segs, ARRAY_SIZE(segs));
		fake_kick(bg.g, q);
		cr_assert(bg.vdev->broken);
	}
}

/* A driver that promises nothing gets all of a chain's pages off its hands at once. */
Test(balloon, the_longest_chain_goes_back_as_a_whole)
{
	static uint32_t pages[16384];
	const uint32_t n = BALLOON_RAM_SIZE / BALLOON_PAGE;

	balloon_guest_touch(&bg);
	/* Every other page: as many runs as there can be. */
	for (uint32_t i = 0; i < ARRAY_SIZE(pages); i++)
		pages[i] = 2 * i % n;
	cr_assert(balloon_guest_send_pfns(&bg, BQ_INFLATE, pages, ARRAY_SIZE(pages)));
	cr_assert_eq(balloon_guest_resident(&bg), BALLOON_RAM_SIZE / 2);
}

/* Every chain that is taken is there again before the next one is looked for. */
Test(balloon, a_flood_gives_way)
{
	const uint32_t pfn = htole32((uint32_t)(BALLOON_RAM_BASE / BALLOON_PAGE));
	struct fake_seg seg = fake_put(bg.g, &pfn, sizeof(pfn));
	uint16_t used = 0;

	fake_raw_desc(bg.g, BQ_INFLATE, 0, seg.addr, seg.len, 0, 0);
	for (unsigned int i = 0; i < 128; i++)
		fake_raw_avail(bg.g, BQ_INFLATE, 0);
	fake_kick(bg.g, BQ_INFLATE);
	cr_assert(bg.g->later[BQ_INFLATE]);
	memcpy(&used, (uint8_t *)fake_ptr(bg.g, bg.g->rings[BQ_INFLATE].used, 4) + 2, sizeof(used));
	cr_assert_eq(le16toh(used), VIRTIO_KICK_BUDGET);
	cr_assert_not(bg.vdev->broken);
}
