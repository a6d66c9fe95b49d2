/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_balloon.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "balloon/figures.h"
#include "balloon/keeper.h"
#include "tests/unit/balloon/balloon_guest.h"
#include "tests/unit/balloon/fake_host.h"

static struct fake_host host;
static struct balloon_guest bg;
static struct balloon_observer *keeper;
static bool asked;

static bool saves_power(void *owner)
{
	cr_assert_eq(owner, &host);
	asked = true;
	return true;
}

static unsigned int changes;
static bool squeezing;

static void pressure(void *owner, bool is_squeezing)
{
	cr_assert_eq(owner, &host);
	changes++;
	squeezing = is_squeezing;
}

static const struct keeper_owner_ops owner_ops = {saves_power};

static void setup(void)
{
	struct keeper_config cfg = {
		.ram = &bg.ram,
		.root = host.root,
		.owner_ops = &owner_ops,
		.owner = &host,
	};

	fake_host_init(&host);
	fake_host_memory(&host, 8192, 6000);
	cr_assert_eq(keeper_new(&cfg, &keeper), 0);
	keeper_on_pressure(keeper, pressure, &host);
	balloon_guest_start(&bg, keeper,
			    1ull << VIRTIO_BALLOON_F_STATS_VQ | 1ull << VIRTIO_BALLOON_F_REPORTING);
}

static void teardown(void)
{
	balloon_guest_stop(&bg);
	fake_host_fini(&host);
}

TestSuite(keeper, .init = setup, .fini = teardown);

static void say(uint64_t total, uint64_t unused, uint64_t available)
{
	struct virtio_balloon_stat stats[] = {
		{htole16(VIRTIO_BALLOON_S_MEMTOT), htole64(total)},
		{htole16(VIRTIO_BALLOON_S_MEMFREE), htole64(unused)},
		{htole16(VIRTIO_BALLOON_S_AVAIL), htole64(available)},
	};

	balloon_guest_stats(&bg, stats, sizeof(stats));
}

static uint32_t target(void)
{
	struct virtio_balloon_config config;

	memcpy(&config, bg.vdev->config, sizeof(config));
	return le32toh(config.num_pages);
}

Test(keeper, a_host_with_room_leaves_the_guest_alone)
{
	say(1ull << 30, 900ull << 20, 900ull << 20);
	cr_assert_eq(target(), 0);
	cr_assert_eq(bg.g->config_interrupts, 0);
}

Test(keeper, a_host_that_is_short_takes_from_the_guest)
{
	fake_host_memory(&host, 8192, 100);
	/* Most of it could not be touched, but nobody does. */
	bg.ram.size = 1ull << 30;
	say(1ull << 30, 0, 900ull << 20);
	bg.ram.size = BALLOON_RAM_SIZE;
	/* Half of what is available above the floor of 64 MiB. */
	cr_assert_eq(target(), 418u << 8);
}

/* Single pages split a huge page, for which the host has to allocate. */
Test(keeper, single_pages_go_when_the_host_is_not_short)
{
	const uint32_t page = 3;

	fake_guest_reset(bg.g);
	fake_guest_restart(bg.g, 1ull << VIRTIO_BALLOON_F_STATS_VQ |
					 1ull << VIRTIO_BALLOON_F_MUST_TELL_HOST);
	balloon_guest_touch(&bg);
	cr_assert(balloon_guest_send_pfns(&bg, BQ_INFLATE, &page, 1));
	fake_host_memory(&host, 8192, 100);
	say(1ull << 30, 0, 900ull << 20);
	cr_assert_eq(bg.ram.host[page * BALLOON_PAGE], 1);
	fake_host_memory(&host, 8192, 600);
	say(1ull << 30, 0, 900ull << 20);
	cr_assert_eq(bg.ram.host[page * BALLOON_PAGE], 0);
}

Test(keeper, the_owner_hears_when_it_begins_and_ends)
{
	say(1ull << 30, 900ull << 20, 900ull << 20);
	cr_assert_eq(changes, 0);
	fake_host_memory(&host, 8192, 100);
	say(1ull << 30, 0, 900ull << 20);
	say(1ull << 30, 0, 900ull << 20);
	cr_assert(changes == 1 && squeezing, "once");
	/* On the loop's thread, although the driver goes on a vCPU's. */
	fake_guest_reset(bg.g);
	cr_assert_eq(changes, 1);
	usleep(20000);
	fake_guest_settle(bg.g);
	cr_assert(changes == 2 && !squeezing);
}

Test(keeper, a_guest_that_lies_about_everything_harms_nobody)
{
	fake_host_memory(&host, 8192, 100);
	say(UINT64_MAX, UINT64_MAX, UINT64_MAX);
	say(0, UINT64_MAX, 0);
	say(UINT64_MAX, 0, UINT64_MAX);
	say(1, 0, UINT64_MAX);
	cr_assert_leq(target(), BALLOON_RAM_SIZE / BALLOON_PAGE);
	fake_guest_reset(bg.g);
	cr_assert_eq(target(), 0);
}

Test(keeper, a_host_that_says_nothing_is_not_acted_upon)
{
	fake_host_write(&host, "/proc/meminfo", "");
	say(1ull << 30, 900ull << 20, 900ull << 20);
	cr_assert_eq(target(), 0);
}

Test(keeper_alone, cannot_be_without_a_host)
{
	struct ram ram = {.fd = -1};
	struct keeper_config cfg = {.ram = &ram, .root = "/nonexistent"};
	struct balloon_observer *obs;

	cr_assert_eq(keeper_new(&cfg, &obs), -ENOENT);
}

static struct figures told;
static unsigned int tellings;

static void on_figures(void *owner, const struct figures *figures)
{
	cr_assert_eq(owner, &told);
	told = *figures;
	tellings++;
}

Test(keeper, who_asks_is_told_what_the_guest_says_then)
{
	say(8 << 20, 0, 6 << 20);
	keeper_ask(keeper, on_figures, &told);
	cr_assert_eq(tellings, 0);
	say(8 << 20, 0, 5 << 20);
	cr_assert_eq(tellings, 1);
	cr_assert(asked);
	cr_assert_eq(told.guest.available, 5 << 20);
	cr_assert_eq(told.host.available, 6000ull << 20);
	cr_assert_eq(told.resident, keeper_resident(keeper));
	cr_assert_eq(keeper_resident(keeper), balloon_guest_resident(&bg));
	/* Told once. */
	say(8 << 20, 0, 4 << 20);
	cr_assert_eq(tellings, 1);
}

Test(keeper, what_the_guest_claims_is_never_above_its_ram)
{
	say(UINT64_MAX, 1ull << 63, (8 << 20) + 1);
	keeper_ask(keeper, on_figures, &told);
	say(UINT64_MAX, 1ull << 63, (8 << 20) + 1);
	cr_assert_eq(tellings, 1);
	cr_assert_eq(told.guest.total, BALLOON_RAM_SIZE);
	cr_assert_eq(told.guest.free, BALLOON_RAM_SIZE);
	cr_assert_eq(told.guest.available, BALLOON_RAM_SIZE);
}

Test(keeper, who_asks_is_told_without_a_driver_too)
{
	say(1ull << 30, 0, 900ull << 20);
	keeper_ask(keeper, on_figures, &told);
	fake_guest_reset(bg.g);
	cr_assert_eq(tellings, 0, "not on the thread that resets");
	usleep(20000);
	fake_guest_settle(bg.g);
	cr_assert_eq(tellings, 1);
	keeper_ask(keeper, on_figures, &told);
	cr_assert_eq(tellings, 2);
	cr_assert_str_eq(told.pressure, "calm");
}
