/* SPDX-License-Identifier: MIT */
/* From a timeline's file, through the loop, to the registers. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "battery/battery.h"
#include "battery/source.h"
#include "battery/timeline.h"

static struct loop *loop;
static struct device *dev;
static struct power_source *source;
static char path[] = "/tmp/sc-timeline.XXXXXX";

static int fake_line_add(struct wiring *w, unsigned int gsi, int eventfd_)
{
	(void)w;
	(void)gsi;
	(void)eventfd_;
	return 0;
}

static const struct wiring_ops fake_ops = {.line_add = fake_line_add};

static void setup(void)
{
	static struct wiring wiring = {&fake_ops};
	int fd = mkstemp(path);

	cr_assert_geq(fd, 0);
	close(fd);
	cr_assert_eq(loop_new(&loop), 0);
	cr_assert_eq(battery_new(&wiring, 10, loop, NULL, NULL, &dev), 0);
}

static void teardown(void)
{
	power_source_free(source);
	dev->ops->destroy(dev);
	loop_free(loop);
	unlink(path);
}

TestSuite(source, .init = setup, .fini = teardown);

static void put(const char *text, size_t len)
{
	FILE *f = fopen(path, "w");

	cr_assert_not_null(f);
	cr_assert_eq(fwrite(text, 1, len, f), len);
	fclose(f);
}

static uint32_t reg(uint64_t off)
{
	uint32_t v;

	dev->ops->read(dev, 0, off, &v, sizeof(v));
	return v;
}

static void stop(struct loop_timer *timer)
{
	(void)timer;
	loop_stop(loop);
}

static void run_for(uint64_t ms)
{
	struct loop_timer end = {.fn = NULL};

	cr_assert_eq(loop_timer_init(&end, loop, stop, "end"), 0);
	loop_timer_set(&end, ms);
	cr_assert_eq(loop_run(loop), 0);
	loop_timer_fini(&end);
}

Test(source, a_timeline_starts_at_once_and_goes_on_when_the_guest_looks)
{
	static const char text[] = "BAT0 status=Full energy_full=50000000 energy_now=50000000\n"
				   "+1ms BAT0 status=Discharging energy_now=40000000\n"
				   "AC online=0\n"
				   "+1ms BAT0 energy_now=30000000";

	put(text, sizeof(text) - 1);
	cr_assert_eq(power_source_file_new(path, loop, dev, &source), 0);
	run_for(20);
	cr_assert_eq(reg(BATTERY_SLOTS), 1);
	cr_assert_eq(reg(BATTERY_SLOTS + 0x28), 50000);
	cr_assert_eq(reg(BATTERY_ONLINE), 1, "the first look");
	run_for(200);
	cr_assert_eq(reg(BATTERY_SLOTS + 0x28), 30000);
	cr_assert_eq(reg(BATTERY_SLOTS + BATTERY_STATUS), POWER_DISCHARGING);
	cr_assert_eq(reg(BATTERY_ONLINE), 0);
}

Test(source, a_timeline_without_delays_is_a_fixed_state)
{
	put("AC online=0", 11);
	cr_assert_eq(power_source_file_new(path, loop, dev, &source), 0);
	cr_assert_eq(reg(BATTERY_ONLINE), 0);
	run_for(5);
	cr_assert_eq(reg(BATTERY_ONLINE), 0);
}

Test(source, a_bad_file_is_refused)
{
	static char big[TIMELINE_TEXT_MAX + 10];

	put("AC online=1\n+1h AC online=0", 27);
	cr_assert_eq(power_source_file_new(path, loop, dev, &source), -EINVAL);
	memset(big, '\n', sizeof(big));
	put(big, sizeof(big));
	cr_assert_eq(power_source_file_new(path, loop, dev, &source), -EFBIG);
	cr_assert_eq(power_source_file_new("/nonexistent/file", loop, dev, &source), -ENOENT);
	cr_assert_null(source);
}

/* Whatever this host has: it is read, watched, and let go. */
Test(source, the_host_can_be_watched)
{
	cr_assert_eq(power_source_host_new(loop, dev, &source), 0);
	(void)reg(BATTERY_ONLINE);
	run_for(20);
}
