/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <string.h>

#include "tests/support/fake_guest.h"

/* A queue of 8 entries, both ring features on, without a device behind it. */
static struct fake_guest *g;
static struct virtq vq;
static struct virtq_chain chain;

enum { SIZE = 8 };

static void setup(void)
{
	g = fake_guest_new();
	vq = (struct virtq){.max_size = SIZE, .event_idx = true, .indirect = true};
	/*
	 * Every descriptor is a good buffer, also those behind the ring's end:
	 * what a test refuses, it refuses for the one thing that is wrong.
	 */
	fake_ring_init(g, &g->rings[0], 2 * SIZE);
	for (unsigned int i = 0; i < 2 * SIZE; i++)
		fake_raw_desc(g, 0, (uint16_t)i, FAKE_RAM_BASE + FAKE_RAM_SIZE / 2, 4, 0, 0);
	g->rings[0].size = SIZE;
	fake_ring_attach(&g->rings[0], &vq);
	cr_assert_eq(virtq_enable(&vq, &g->mem), 0);
}

/* A table of n good buffers for indirect descriptors; the first has `flags` and `next`. */
static gpa_t good_table(unsigned int n, uint16_t flags, uint16_t next)
{
	gpa_t table = fake_alloc(g, n * sizeof(struct vring_desc), 16);

	for (unsigned int i = 0; i < n; i++) {
		struct vring_desc d = {
			.addr = FAKE_RAM_BASE + FAKE_RAM_SIZE / 2,
			.len = 4,
			.flags = i == 0 ? flags : 0,
			.next = next,
		};

		memcpy(fake_ptr(g, table + i * sizeof(d), sizeof(d)), &d, sizeof(d));
	}
	return table;
}

static void teardown(void)
{
	fake_guest_free(g);
}

TestSuite(queue, .init = setup, .fini = teardown);

/* Publishes descriptor `head` as it stands and expects the queue to refuse it. */
static void expect_refused(uint16_t head)
{
	fake_raw_avail(g, 0, head);
	cr_assert_eq(virtq_pop(&vq, &chain), -EPROTO);
	/* It stays broken: nothing was consumed. */
	cr_assert_eq(virtq_pop(&vq, &chain), -EPROTO);
	cr_assert_eq(vq.state.next_avail, 0);
}

/* The same, and expects a chain without the one buffer it had. */
static void expect_left_out(uint16_t head)
{
	fake_raw_avail(g, 0, head);
	cr_assert_eq(virtq_pop(&vq, &chain), 1);
	cr_assert(chain.foreign);
	cr_assert_eq(chain.n_rd + chain.n_wr, 0);
	cr_assert_eq(chain.rd_len + chain.wr_len, 0);
	cr_assert_eq(chain.head, head);
}

Test(queue, an_empty_ring_pops_nothing)
{
	cr_assert_eq(virtq_pop(&vq, &chain), 0);
}

Test(queue, a_chain_arrives_with_its_segments_in_order)
{
	struct fake_seg segs[] = {fake_put(g, "abc", 3), fake_put(g, "defg", 4), fake_room(g, 2),
				  fake_room(g, 5)};
	uint16_t head = fake_publish(g, 0, segs, 4);
	char buf[16] = "";

	cr_assert_eq(virtq_pop(&vq, &chain), 1);
	cr_assert_eq(chain.head, head);
	cr_assert_eq(chain.n_rd, 2);
	cr_assert_eq(chain.n_wr, 2);
	cr_assert_eq(chain.rd_len, 7);
	cr_assert_eq(chain.wr_len, 7);
	cr_assert_eq(chain_read(&chain, 0, buf, sizeof(buf)), 7);
	cr_assert_str_eq(buf, "abcdefg");
	cr_assert_eq(virtq_pop(&vq, &chain), 0);
}

Test(queue, an_indirect_chain_is_the_same_chain)
{
	struct fake_seg segs[] = {fake_put(g, "abc", 3), fake_room(g, 2)};

	(void)fake_publish_indirect(g, 0, segs, 2);
	cr_assert_eq(virtq_pop(&vq, &chain), 1);
	cr_assert_eq(chain.n_rd, 1);
	cr_assert_eq(chain.n_wr, 1);
}

Test(queue, used_entries_carry_head_and_length_in_any_order)
{
	struct fake_seg a = fake_room(g, 4), b = fake_room(g, 4);
	uint16_t ha = fake_publish(g, 0, &a, 1), hb = fake_publish(g, 0, &b, 1);
	uint16_t head;
	uint32_t written;

	cr_assert_eq(virtq_pop(&vq, &chain), 1);
	cr_assert_eq(virtq_pop(&vq, &chain), 1);
	virtq_push(&vq, hb, 3);
	virtq_push(&vq, ha, 4);
	cr_assert(fake_reap(g, 0, &head, &written));
	cr_assert(head == hb && written == 3);
	cr_assert(fake_reap(g, 0, &head, &written));
	cr_assert(head == ha && written == 4);
	cr_assert(!fake_reap(g, 0, NULL, NULL));
}

Test(queue, head_past_the_ring_is_refused)
{
	expect_refused(SIZE);
}

Test(queue, next_past_the_ring_is_refused)
{
	fake_raw_desc(g, 0, 0, FAKE_RAM_BASE, 1, VRING_DESC_F_NEXT, SIZE);
	expect_refused(0);
}

Test(queue, a_loop_of_descriptors_is_refused)
{
	fake_raw_desc(g, 0, 0, FAKE_RAM_BASE, 1, VRING_DESC_F_NEXT, 1);
	fake_raw_desc(g, 0, 1, FAKE_RAM_BASE, 1, VRING_DESC_F_NEXT, 0);
	expect_refused(0);
}

Test(queue, a_chain_as_long_as_the_ring_is_the_longest)
{
	struct fake_seg segs[SIZE + 1];

	for (int i = 0; i <= SIZE; i++)
		segs[i] = fake_room(g, 1);
	(void)fake_publish_indirect(g, 0, segs, SIZE);
	cr_assert_eq(virtq_pop(&vq, &chain), 1);
	cr_assert_eq(chain.n_wr, SIZE);
	(void)fake_publish_indirect(g, 0, segs, SIZE + 1);
	cr_assert_eq(virtq_pop(&vq, &chain), -EPROTO);
}

/* A chain of n buffers of 4 bytes in an indirect table, the last one written by the device. */
static void publish_long(unsigned int n)
{
	static struct fake_seg segs[2 * VIRTQ_MAX_SEGS];

	for (unsigned int i = 0; i < n; i++) {
		segs[i] =
			(struct fake_seg){FAKE_RAM_BASE + FAKE_RAM_SIZE / 2 + 4 * i, 4, i + 1 == n};
		memset(fake_ptr(g, segs[i].addr, 4), (int)i, 4);
	}
	(void)fake_publish_indirect(g, 0, segs, n);
}

Test(queue, lent_room_takes_a_chain_longer_than_the_queue)
{
	enum { MORE = 10, LONGEST = VIRTQ_MAX_SEGS + MORE };
	static struct iovec more[MORE];
	uint8_t got[2 * 4];

	virtq_lend(&vq, more, MORE);
	publish_long(LONGEST);
	cr_assert_eq(virtq_pop(&vq, &chain), 1);
	cr_assert_eq(chain.n_rd, LONGEST - 1);
	cr_assert_eq(chain.rd_len, (LONGEST - 1) * 4);
	cr_assert_eq(chain.n_wr, 1);
	/* Across the end of the chain's own room, and the last ones. */
	cr_assert_eq(chain_read(&chain, VIRTQ_MAX_SEGS * 4 - 4, got, 8), 8);
	cr_assert_eq(got[3], (uint8_t)(VIRTQ_MAX_SEGS - 1));
	cr_assert_eq(got[4], (uint8_t)VIRTQ_MAX_SEGS);
	cr_assert_eq(chain_read(&chain, (LONGEST - 2) * 4, got, 8), 4);
	cr_assert_eq(got[0], (uint8_t)(LONGEST - 2));
	cr_assert_eq(chain_write(&chain, 0, "abcdef", 6), 4);
	cr_assert_eq(memcmp(fake_ptr(g, FAKE_RAM_BASE + FAKE_RAM_SIZE / 2 + 4 * (LONGEST - 1), 4),
			    "abcd", 4),
		     0);
	publish_long(LONGEST + 1);
	cr_assert_eq(virtq_pop(&vq, &chain), -EPROTO);
}

Test(queue, lent_room_outlives_a_reset)
{
	static struct iovec more[4];

	virtq_lend(&vq, more, 4);
	virtq_reset(&vq);
	cr_assert_eq(vq.more, more);
	cr_assert_eq(vq.n_more, 4);
}

Test(queue, an_address_that_wraps_is_left_out)
{
	fake_raw_desc(g, 0, 0, UINT64_MAX - 3, 8, 0, 0);
	expect_left_out(0);
}

Test(queue, a_buffer_outside_memory_is_left_out)
{
	fake_raw_desc(g, 0, 0, FAKE_RAM_BASE - 1, 1, 0, 0);
	expect_left_out(0);
}

Test(queue, a_buffer_over_the_end_of_a_region_is_left_out)
{
	fake_raw_desc(g, 0, 0, FAKE_RAM_BASE + FAKE_RAM_SIZE - 4, 5, VRING_DESC_F_WRITE, 0);
	expect_left_out(0);
}

Test(queue, a_buffer_across_both_regions_is_left_out)
{
	uint64_t len = FAKE_HIGH_BASE - FAKE_RAM_BASE + 16;

	cr_assert_leq(len, UINT32_MAX);
	fake_raw_desc(g, 0, 0, FAKE_RAM_BASE, (uint32_t)len, VRING_DESC_F_WRITE, 0);
	expect_left_out(0);
}

Test(queue, what_is_in_memory_stays_in_the_chain_and_the_queue_goes_on)
{
	struct fake_seg good = fake_put(g, "abcd", 4), room = fake_room(g, 3);
	struct fake_seg segs[] = {good, {FAKE_RAM_BASE - 64, 8, false}, room, {1 << 12, 8, true}};

	(void)fake_publish(g, 0, segs, 4);
	cr_assert_eq(virtq_pop(&vq, &chain), 1);
	cr_assert(chain.foreign);
	cr_assert_eq(chain.n_rd, 1);
	cr_assert_eq(chain.rd_len, 4);
	cr_assert_eq(chain.n_wr, 1);
	cr_assert_eq(chain.wr_len, 3);
	(void)fake_publish(g, 0, &good, 1);
	cr_assert_eq(virtq_pop(&vq, &chain), 1);
	cr_assert_not(chain.foreign);
}

Test(queue, the_high_region_and_last_bytes_are_fine)
{
	struct fake_seg segs[] = {{FAKE_RAM_BASE + FAKE_RAM_SIZE - 4, 4, false},
				  {FAKE_HIGH_BASE + FAKE_HIGH_SIZE - 1, 1, true}};

	(void)fake_publish(g, 0, segs, 2);
	cr_assert_eq(virtq_pop(&vq, &chain), 1);
	cr_assert_eq(chain_write(&chain, 0, "xy", 2), 1);
	cr_assert_eq(*(char *)fake_ptr(g, segs[1].addr, 1), 'x');
}

Test(queue, a_zero_length_buffer_is_refused)
{
	fake_raw_desc(g, 0, 0, FAKE_RAM_BASE, 0, 0, 0);
	expect_refused(0);
}

Test(queue, readable_after_writable_is_refused)
{
	fake_raw_desc(g, 0, 0, FAKE_RAM_BASE, 4, VRING_DESC_F_WRITE | VRING_DESC_F_NEXT, 1);
	fake_raw_desc(g, 0, 1, FAKE_RAM_BASE, 4, 0, 0);
	expect_refused(0);
}

Test(queue, a_chain_of_four_gigabytes_is_refused)
{
	static uint8_t byte;

	/* Two buffers of 2 GiB each; nothing behind the addresses is touched. */
	g->mem.regions[2] = (struct guest_region){1ull << 40, 1ull << 31, &byte};
	g->mem.n_regions = 3;
	fake_raw_desc(g, 0, 0, 1ull << 40, 1u << 31, VRING_DESC_F_NEXT, 1);
	fake_raw_desc(g, 0, 1, 1ull << 40, 1u << 31, 0, 0);
	fake_raw_avail(g, 0, 0);
	cr_assert_eq(virtq_pop(&vq, &chain), -EPROTO);
	g->mem.n_regions = 2;
}

Test(queue, an_indirect_table_inside_an_indirect_table_is_refused)
{
	gpa_t inner = good_table(1, 0, 0), outer = fake_alloc(g, 16, 16);
	struct vring_desc d = {.addr = inner, .len = 16, .flags = VRING_DESC_F_INDIRECT};

	memcpy(fake_ptr(g, outer, sizeof(d)), &d, sizeof(d));
	fake_raw_desc(g, 0, 0, outer, 16, VRING_DESC_F_INDIRECT, 0);
	expect_refused(0);
}

Test(queue, an_indirect_table_of_odd_or_no_length_is_refused)
{
	gpa_t table = good_table(2, 0, 0);

	fake_raw_desc(g, 0, 0, table, 24, VRING_DESC_F_INDIRECT, 0);
	expect_refused(0);
	fake_raw_desc(g, 0, 0, table, 0, VRING_DESC_F_INDIRECT, 0);
	cr_assert_eq(virtq_pop(&vq, &chain), -EPROTO);
}

Test(queue, an_indirect_table_outside_memory_is_refused)
{
	fake_raw_desc(g, 0, 0, FAKE_RAM_BASE + FAKE_RAM_SIZE - 16, 32, VRING_DESC_F_INDIRECT, 0);
	expect_refused(0);
}

Test(queue, an_indirect_table_with_a_successor_is_refused)
{
	fake_raw_desc(g, 0, 0, good_table(1, 0, 0), 16, VRING_DESC_F_INDIRECT | VRING_DESC_F_NEXT,
		      1);
	expect_refused(0);
}

Test(queue, next_past_an_indirect_table_is_refused)
{
	fake_raw_desc(g, 0, 0, good_table(2, VRING_DESC_F_NEXT, 1), 16, VRING_DESC_F_INDIRECT, 0);
	expect_refused(0);
}

Test(queue, a_loop_inside_an_indirect_table_is_refused)
{
	fake_raw_desc(g, 0, 0, good_table(1, VRING_DESC_F_NEXT, 0), 16, VRING_DESC_F_INDIRECT, 0);
	expect_refused(0);
}

Test(queue, indirect_needs_the_feature)
{
	vq.indirect = false;
	fake_raw_desc(g, 0, 0, good_table(1, 0, 0), 16, VRING_DESC_F_INDIRECT, 0);
	expect_refused(0);
	vq.indirect = true;
	cr_assert_eq(virtq_pop(&vq, &chain), 1);
}

Test(queue, a_table_may_follow_direct_buffers_and_need_not_be_aligned)
{
	struct fake_seg out = fake_put(g, "hi", 2), in = fake_room(g, 3);
	gpa_t table = fake_alloc(g, 17, 16) + 1;
	struct vring_desc d = {.addr = in.addr, .len = 3, .flags = VRING_DESC_F_WRITE};

	memcpy(fake_ptr(g, table, sizeof(d)), &d, sizeof(d));
	fake_raw_desc(g, 0, 0, out.addr, 2, VRING_DESC_F_NEXT, 1);
	fake_raw_desc(g, 0, 1, table, 16, VRING_DESC_F_INDIRECT | VRING_DESC_F_WRITE, 0);
	fake_raw_avail(g, 0, 0);
	cr_assert_eq(virtq_pop(&vq, &chain), 1);
	cr_assert_eq(chain.rd_len, 2);
	cr_assert_eq(chain.wr_len, 3);
}

Test(queue, avail_index_may_not_jump)
{
	fake_raw_avail_idx(g, 0, SIZE + 1);
	cr_assert_eq(virtq_pop(&vq, &chain), -EPROTO);
}

Test(queue, avail_index_may_not_go_back)
{
	fake_raw_avail_idx(g, 0, UINT16_MAX);
	cr_assert_eq(virtq_pop(&vq, &chain), -EPROTO);
	/* Also not to a place that would be fine if it had not been passed. */
	fake_raw_avail_idx(g, 0, 2);
	cr_assert_eq(virtq_pop(&vq, &chain), 1);
	cr_assert_eq(virtq_pop(&vq, &chain), 1);
	fake_raw_avail_idx(g, 0, 1);
	cr_assert_eq(virtq_pop(&vq, &chain), -EPROTO);
}

Test(queue, no_more_chains_in_flight_than_entries)
{
	struct fake_seg seg = fake_room(g, 1);

	fake_raw_desc(g, 0, 0, seg.addr, 1, VRING_DESC_F_WRITE, 0);
	for (int i = 0; i < SIZE; i++) {
		fake_raw_avail(g, 0, 0);
		cr_assert_eq(virtq_pop(&vq, &chain), 1);
	}
	fake_raw_avail(g, 0, 0);
	cr_assert_eq(virtq_pop(&vq, &chain), -EPROTO);
	virtq_push(&vq, 0, 0);
	cr_assert_eq(virtq_pop(&vq, &chain), 1);
}

Test(queue, indices_wrap)
{
	struct fake_seg seg = fake_room(g, 1);

	for (unsigned int i = 0; i < 70000; i++) {
		(void)fake_publish(g, 0, &seg, 1);
		cr_assert_eq(virtq_pop(&vq, &chain), 1);
		virtq_push(&vq, chain.head, 1);
		cr_assert(fake_reap(g, 0, NULL, NULL));
		(void)virtq_should_interrupt(&vq);
	}
}

Test(queue, size_must_be_a_power_of_two_within_what_is_offered)
{
	static const uint16_t bad[] = {0, 3, 6, SIZE * 2, 0x8000, UINT16_MAX};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		vq.ready = false;
		vq.state.size = bad[i];
		cr_assert_eq(virtq_enable(&vq, &g->mem), -EINVAL);
		cr_assert(!vq.ready);
	}
}

Test(queue, rings_outside_memory_or_not_aligned_are_refused)
{
	struct virtq_state good = vq.state;

	vq.ready = false;
	vq.state.desc = FAKE_RAM_BASE + FAKE_RAM_SIZE - 16;
	cr_assert_eq(virtq_enable(&vq, &g->mem), -EFAULT);
	vq.state = good;
	vq.state.used = 0;
	cr_assert_eq(virtq_enable(&vq, &g->mem), -EFAULT);
	vq.state = good;
	vq.state.avail = UINT64_MAX - 1;
	cr_assert_eq(virtq_enable(&vq, &g->mem), -EFAULT);
	vq.state = good;
	vq.state.desc += 8;
	cr_assert_eq(virtq_enable(&vq, &g->mem), -EINVAL);
	vq.state = good;
	vq.state.avail += 1;
	cr_assert_eq(virtq_enable(&vq, &g->mem), -EINVAL);
	vq.state = good;
	vq.state.used += 2;
	cr_assert_eq(virtq_enable(&vq, &g->mem), -EINVAL);
	cr_assert(!vq.ready);
	cr_assert_eq(virtq_pop(&vq, &chain), 0);
}

/* Each ring one byte short of fitting, at the very end of memory. */
Test(queue, the_last_byte_of_a_ring_counts)
{
	gpa_t end = FAKE_RAM_BASE + FAKE_RAM_SIZE;
	struct virtq_state good = vq.state;

	vq.state.avail = end - (6 + 2 * SIZE);
	cr_assert_eq(virtq_enable(&vq, &g->mem), 0);
	vq.state.avail += 2;
	cr_assert_eq(virtq_enable(&vq, &g->mem), -EFAULT);
	vq.state = good;
	vq.state.used = (end - (6 + 8 * SIZE)) & ~3ull;
	cr_assert_eq(virtq_enable(&vq, &g->mem), 0);
	vq.state.used += 4;
	cr_assert_eq(virtq_enable(&vq, &g->mem), -EFAULT);
}

Test(queue, reset_forgets_all_but_what_is_offered)
{
	struct fake_seg seg = fake_room(g, 1);
	uint16_t head = fake_publish(g, 0, &seg, 1);

	cr_assert_eq(virtq_pop(&vq, &chain), 1);
	virtq_reset(&vq);
	cr_assert_eq(vq.max_size, SIZE);
	cr_assert_eq(vq.state.size, 0);
	/* A late completion of the chain in flight touches nothing. */
	virtq_push(&vq, head, 1);
	cr_assert(!fake_reap(g, 0, NULL, NULL));
	cr_assert(!virtq_should_interrupt(&vq));
}

Test(queue, interrupts_follow_used_event)
{
	struct fake_seg seg = fake_room(g, 1);

	fake_set_used_event(g, 0, 1);
	for (int i = 0; i < 3; i++) {
		(void)fake_publish(g, 0, &seg, 1);
		cr_assert_eq(virtq_pop(&vq, &chain), 1);
		virtq_push(&vq, chain.head, 0);
		/* Only the push that passes entry 1. */
		cr_assert_eq(virtq_should_interrupt(&vq), i == 1);
		cr_assert(!virtq_should_interrupt(&vq));
	}
}

Test(queue, interrupts_follow_the_flag_without_event_idx)
{
	struct fake_seg seg = fake_room(g, 1);

	vq.event_idx = false;
	for (int i = 0; i < 2; i++) {
		fake_set_no_interrupt(g, 0, i == 1);
		(void)fake_publish(g, 0, &seg, 1);
		cr_assert_eq(virtq_pop(&vq, &chain), 1);
		cr_assert(!virtq_should_interrupt(&vq));
		virtq_push(&vq, chain.head, 0);
		cr_assert_eq(virtq_should_interrupt(&vq), i == 0);
	}
}

Test(queue, an_empty_pop_asks_for_the_next_kick)
{
	struct fake_seg seg = fake_room(g, 1);

	for (uint16_t i = 1; i < 4; i++) {
		(void)fake_publish(g, 0, &seg, 1);
		cr_assert_eq(virtq_pop(&vq, &chain), 1);
		cr_assert_eq(virtq_pop(&vq, &chain), 0);
		cr_assert_eq(fake_avail_event(g, 0), i);
	}
	virtq_want_kick(&vq, false);
	(void)fake_publish(g, 0, &seg, 1);
	cr_assert_eq(virtq_pop(&vq, &chain), 1);
	cr_assert_eq(virtq_pop(&vq, &chain), 0);
	cr_assert_eq(fake_avail_event(g, 0), 3);
	virtq_want_kick(&vq, true);
	cr_assert_eq(fake_avail_event(g, 0), 4);
}

Test(queue, a_kick_is_wanted_for_what_comes_after_those_that_wait)
{
	struct fake_seg seg = fake_room(g, 1);

	virtq_want_kick(&vq, false);
	cr_assert_eq(virtq_waiting(&vq), 0);
	(void)fake_publish(g, 0, &seg, 1);
	(void)fake_publish(g, 0, &seg, 1);
	cr_assert_eq(virtq_waiting(&vq), 2);
	cr_assert_eq(virtq_pop(&vq, &chain), 1);
	cr_assert_eq(virtq_waiting(&vq), 1);
	virtq_want_kick(&vq, true);
	cr_assert_eq(fake_avail_event(g, 0), 2);
	vq.ready = false;
	cr_assert_eq(virtq_waiting(&vq), 0);
}

Test(queue, want_kick_is_a_flag_without_event_idx)
{
	vq.event_idx = false;
	virtq_want_kick(&vq, false);
	cr_assert_eq(fake_used_flags(g, 0), VRING_USED_F_NO_NOTIFY);
	virtq_want_kick(&vq, true);
	cr_assert_eq(fake_used_flags(g, 0), 0);
}

Test(queue, copies_stop_at_the_end_of_the_chain)
{
	struct fake_seg segs[] = {fake_put(g, "abc", 3), fake_put(g, "defg", 4), fake_room(g, 2),
				  fake_room(g, 5)};
	struct iovec iov[4];
	char buf[8];

	(void)fake_publish(g, 0, segs, 4);
	cr_assert_eq(virtq_pop(&vq, &chain), 1);
	cr_assert_eq(chain_read(&chain, 2, buf, 3), 3);
	cr_assert_eq(memcmp(buf, "cde", 3), 0);
	cr_assert_eq(chain_read(&chain, 6, buf, 8), 1);
	cr_assert_eq(chain_read(&chain, 7, buf, 8), 0);
	cr_assert_eq(chain_read(&chain, SIZE_MAX, buf, 8), 0);
	cr_assert_eq(chain_write(&chain, 1, "123456789", 9), 6);
	cr_assert_eq(memcmp(fake_ptr(g, segs[2].addr, 2), "\0001", 2), 0);
	cr_assert_eq(memcmp(fake_ptr(g, segs[3].addr, 5), "23456", 5), 0);
	cr_assert_eq(chain_iov_wr(&chain, 0, SIZE_MAX, iov, 4), 2);
	cr_assert_eq(chain_iov_wr(&chain, 2, 3, iov, 4), 1);
	cr_assert_eq(iov[0].iov_base, fake_ptr(g, segs[3].addr, 5));
	cr_assert_eq(iov[0].iov_len, 3);
	cr_assert_eq(chain_iov_rd(&chain, 1, 4, iov, 1), 1);
	cr_assert_eq(iov[0].iov_len, 2);
	cr_assert_eq(chain_iov_rd(&chain, 0, 0, iov, 4), 0);
}
