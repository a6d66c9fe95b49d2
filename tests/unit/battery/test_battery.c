/* SPDX-License-Identifier: MIT */
/* The registers: what the guest reads, is told of, and cannot do. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include "battery/battery.h"
#include "common/state.h"

static struct loop *loop;
static struct device *dev;
static int line_fd;

static int fake_line_add(struct wiring *w, unsigned int gsi, int eventfd_)
{
	(void)w;
	cr_assert_eq(gsi, 10);
	line_fd = eventfd_;
	return 0;
}

static int failing_line_add(struct wiring *w, unsigned int gsi, int eventfd_)
{
	(void)w;
	(void)gsi;
	(void)eventfd_;
	return -ENOSPC;
}

static const struct wiring_ops fake_ops = {.line_add = fake_line_add};
static const struct wiring_ops failing_ops = {.line_add = failing_line_add};

static uint32_t reg(uint64_t off)
{
	uint32_t v = 0xeeeeeeee;

	dev->ops->read(dev, 0, off, &v, sizeof(v));
	return v;
}

static void set_reg(uint64_t off, uint32_t v)
{
	dev->ops->write(dev, 0, off, &v, sizeof(v));
}

static uint32_t slot_reg(unsigned int slot, size_t off)
{
	return reg(BATTERY_SLOTS + slot * BATTERY_SLOT_SIZE + off);
}

/* What an interrupt's handler does: the events, 0 without an interrupt. */
static uint32_t events(void)
{
	eventfd_t n;

	return eventfd_read(line_fd, &n) == 0 ? reg(BATTERY_PENDING) : 0;
}

static bool looked(void)
{
	eventfd_t n;

	return eventfd_read(battery_look_fd(dev), &n) == 0;
}

static struct power_state state = {
	.ac_online = true,
	.batteries = {{.present = true,
		       .design = 57000,
		       .full = 50000,
		       .warning = 5000,
		       .low = 2500,
		       .design_voltage = 11400,
		       .cycles = 312,
		       .status = POWER_CHARGING,
		       .rate = 20000,
		       .remaining = 25000,
		       .voltage = 12000,
		       .model = "M",
		       .type = "LION",
		       .maker = "ACME"}},
};
static struct power_battery *const b0 = &state.batteries[0];

static unsigned int changes;
static bool on_battery;

static void power_changed(void *owner, bool now)
{
	cr_assert_eq(owner, &changes);
	changes++;
	on_battery = now;
}

static void setup(void)
{
	static struct wiring wiring = {&fake_ops};

	cr_assert_eq(loop_new(&loop), 0);
	cr_assert_eq(battery_new(&wiring, 10, loop, power_changed, &changes, &dev), 0);
}

static void teardown(void)
{
	dev->ops->destroy(dev);
	loop_free(loop);
}

/* A guest whose drivers have come up and read all there is. */
static void setup_driven(void)
{
	setup();
	reg(BATTERY_PENDING);
	battery_update(dev, &state, true);
	(void)events();
	slot_reg(0, BATTERY_STATUS);
	reg(BATTERY_ONLINE);
	cr_assert(looked());
}

TestSuite(battery, .init = setup_driven, .fini = teardown);
TestSuite(battery_new, .init = setup, .fini = teardown);

Test(battery_new, starts_on_mains_without_batteries)
{
	cr_assert_eq(reg(BATTERY_ONLINE), 1);
	cr_assert_eq(slot_reg(0, 0), 0);
	cr_assert_eq(slot_reg(1, 0), 0);
}

Test(battery_new, a_guest_that_never_looked_is_not_interrupted)
{
	battery_update(dev, &state, true);
	state.ac_online = false;
	battery_update(dev, &state, true);
	cr_assert_eq(events(), 0);
	cr_assert_eq(reg(BATTERY_ONLINE), 0, "but sees it all when it does");
	cr_assert_eq(slot_reg(0, 0), 1);
}

Test(battery, registers_are_where_the_aml_reads_them)
{
	static const uint32_t expected[] = {1, 0,     57000, 50000, 11400, 5000, 2500, 312,
					    2, 20000, 25000, 12000, 0,	   0,	 0,    0};
	char text[96];

	for (size_t i = 0; i < ARRAY_SIZE(expected); i++)
		cr_assert_eq(slot_reg(0, i * 4), expected[i], "register 0x%zx", i * 4);
	for (size_t i = 0; i < sizeof(text) / 4; i++) {
		uint32_t v = slot_reg(0, 0x40 + i * 4);

		memcpy(text + i * 4, &v, 4);
	}
	cr_assert_str_eq(text, "M");
	cr_assert_str_eq(text + 0x20, "LION");
	cr_assert_str_eq(text + 0x30, "ACME");
}

Test(battery, the_owner_hears_when_the_host_goes_on_battery_and_off)
{
	cr_assert_eq(changes, 0, "it starts on mains");
	b0->status = POWER_DISCHARGING;
	battery_update(dev, &state, true);
	cr_assert(on_battery, "a charger that is too weak");
	state.ac_online = false;
	battery_update(dev, &state, true);
	cr_assert_eq(changes, 1);
	b0->status = 0;
	battery_update(dev, &state, true);
	cr_assert(on_battery, "its driver is late");
	state.ac_online = true;
	battery_update(dev, &state, true);
	cr_assert(!on_battery);
	memset(b0, 0, sizeof(*b0));
	state.ac_online = false;
	battery_update(dev, &state, true);
	cr_assert_eq(changes, 2, "no battery to run on");
}

static void expect_json(const char *expected)
{
	json_t *json = battery_json(dev);
	char *text = json_dumps(json, JSON_COMPACT);

	cr_assert_str_eq(text, expected);
	free(text);
	json_decref(json);
}

Test(battery, what_was_told_as_json)
{
	expect_json("{\"ac\":true,\"batteries\":[{\"status\":\"charging\",\"critical\":false,"
		    "\"percent\":50,\"unit\":\"mWh\",\"full\":50000,\"remaining\":25000,"
		    "\"rate\":20000,\"millivolts\":12000}]}");
	memset(b0, 0, sizeof(*b0));
	state.ac_online = false;
	battery_update(dev, &state, true);
	expect_json("{\"ac\":false,\"batteries\":[]}");

	state.batteries[1] = (struct power_battery){
		.present = true,
		.unit = POWER_UNIT_CHARGE,
		.full = UINT32_MAX - 1,
		.remaining = UINT32_MAX - 1,
		.status = POWER_DISCHARGING | POWER_CRITICAL,
		.rate = UINT32_MAX - 1,
		.voltage = POWER_UNKNOWN,
	};
	battery_update(dev, &state, true);
	expect_json("{\"ac\":false,\"batteries\":[{\"status\":\"discharging\",\"critical\":true,"
		    "\"percent\":100,\"unit\":\"mAh\",\"full\":4294967294,"
		    "\"remaining\":4294967294,\"rate\":4294967294,\"millivolts\":null}]}");
}

Test(battery, nothing_new_is_not_told)
{
	battery_update(dev, &state, true);
	cr_assert_eq(events(), 0);
}

Test(battery, the_plug_is_told)
{
	state.ac_online = false;
	battery_update(dev, &state, false);
	cr_assert_eq(events(), BATTERY_EVENT_AC);
	cr_assert_eq(reg(BATTERY_ONLINE), 0);
	cr_assert_eq(reg(BATTERY_PENDING), 0, "read once");
}

Test(battery, drift_is_told_by_the_percent_only)
{
	b0->remaining = 25400;
	b0->rate = 19000;
	b0->voltage = 12100;
	battery_update(dev, &state, false);
	cr_assert_eq(events(), 0);
	cr_assert_eq(slot_reg(0, 0x28), 25400, "but can be read");
	b0->remaining = 25500;
	battery_update(dev, &state, false);
	cr_assert_eq(events(), BATTERY_EVENT_STATUS);
	b0->rate = 18000;
	battery_update(dev, &state, true);
	cr_assert_eq(events(), BATTERY_EVENT_STATUS, "what the host tells is passed on");
}

Test(battery, a_status_is_told)
{
	b0->status = POWER_DISCHARGING;
	battery_update(dev, &state, false);
	cr_assert_eq(events(), BATTERY_EVENT_STATUS);
}

Test(battery, other_information_is_told_as_such)
{
	b0->full = 50001;
	b0->cycles = 313;
	battery_update(dev, &state, false);
	cr_assert_eq(events() & BATTERY_EVENT_INFO, BATTERY_EVENT_INFO);
	memcpy(b0->model, "N", 2);
	battery_update(dev, &state, false);
	cr_assert_eq(events(), BATTERY_EVENT_INFO);
}

Test(battery, taken_out_and_put_in)
{
	const struct power_battery kept = *b0;

	state.batteries[1] = kept;
	battery_update(dev, &state, false);
	cr_assert_eq(events(), (BATTERY_EVENT_INFO | BATTERY_EVENT_STATUS) << 2, "the second");
	memset(b0, 0, sizeof(*b0));
	battery_update(dev, &state, false);
	cr_assert_eq(events(), BATTERY_EVENT_INFO | BATTERY_EVENT_STATUS, "the first");
	cr_assert_eq(slot_reg(0, 0), 0);
	cr_assert_eq(slot_reg(0, 0x28), 0, "nothing of it is left");
	cr_assert_eq(slot_reg(1, 0), 1);
	*b0 = kept;
	battery_update(dev, &state, false);
	cr_assert_eq(events(), BATTERY_EVENT_INFO | BATTERY_EVENT_STATUS);
}

Test(battery, the_trip_point_is_told_either_way)
{
	const uint64_t trip = BATTERY_SLOTS + BATTERY_TRIP;

	set_reg(trip, 25100);
	cr_assert_eq(reg(trip), 25100);
	b0->remaining = 25101;
	battery_update(dev, &state, false);
	cr_assert_eq(events(), BATTERY_EVENT_STATUS);
	b0->remaining = 25100;
	battery_update(dev, &state, false);
	cr_assert_eq(events(), BATTERY_EVENT_STATUS);
	set_reg(trip, 0);
	b0->remaining = 25200;
	battery_update(dev, &state, false);
	cr_assert_eq(events(), 0);
}

/* Charge between nothing and the most a register holds must not trap or wrap. */
Test(battery, extremes)
{
	static const uint32_t values[] = {0, 1, 100, INT32_MAX - 1, POWER_UNKNOWN};

	for (size_t i = 0; i < ARRAY_SIZE(values); i++)
		for (size_t j = 0; j < ARRAY_SIZE(values); j++) {
			b0->full = values[i];
			b0->remaining = values[j];
			battery_update(dev, &state, false);
			cr_assert_eq(slot_reg(0, 0x0c), values[i]);
			cr_assert_eq(slot_reg(0, 0x28), values[j]);
		}
}

Test(battery, a_look_is_passed_on_once_an_update)
{
	slot_reg(0, BATTERY_STATUS);
	cr_assert_not(looked(), "no update since the last look");
	battery_update(dev, &state, false);
	slot_reg(0, 0x28);
	cr_assert_not(looked(), "the status is what is read first");
	slot_reg(1, BATTERY_STATUS);
	reg(BATTERY_ONLINE);
	cr_assert(looked());
	reg(BATTERY_ONLINE);
	cr_assert_not(looked());
}

Test(battery, writes_do_nothing_but_set_trip_points)
{
	static uint8_t before[0x1000], after[0x1000];
	uint8_t data[8];

	for (size_t i = 0; i < sizeof(before); i++)
		dev->ops->read(dev, 0, i, &before[i], 1);
	(void)looked();
	memset(data, 0xa5, sizeof(data));
	for (uint64_t off = 0; off < sizeof(before); off++)
		for (unsigned int len = 1; len <= 8 && off + len <= sizeof(before); len++)
			dev->ops->write(dev, 0, off, data, len);
	cr_assert_not(looked());
	cr_assert_eq(events(), 0);
	for (size_t i = 0; i < sizeof(after); i++)
		dev->ops->read(dev, 0, i, &after[i], 1);
	for (unsigned int slot = 0; slot < POWER_MAX_BATTERIES; slot++) {
		const size_t trip = BATTERY_SLOTS + (size_t)slot * BATTERY_SLOT_SIZE + BATTERY_TRIP;

		cr_assert_eq(reg(trip), 0xa5a5a5a5);
		memset(after + trip, 0, 4);
	}
	cr_assert_arr_eq(before, after, sizeof(before));
}

Test(battery, reads_of_any_offset_and_width_fill_their_bytes)
{
	uint8_t buf[10];

	for (uint64_t off = 0; off < 0x1000; off++)
		for (unsigned int len = 1; len <= 8; len++) {
			memset(buf, 0xee, sizeof(buf));
			dev->ops->read(dev, 0, off, buf, len);
			cr_assert_eq(buf[len], 0xee);
			if (off >= sizeof(struct battery_regs))
				cr_assert_eq(buf[len - 1], 0);
		}
}

static void stop(struct loop_timer *timer)
{
	(void)timer;
	loop_stop(loop);
}

/* Linux answers from a copy of _BST for a second, and would miss a change within it. */
Test(battery, what_was_not_read_is_told_again)
{
	struct loop_timer end = {.fn = NULL};

	cr_assert_eq(loop_timer_init(&end, loop, stop, "end"), 0);
	state.batteries[1] = *b0;
	battery_update(dev, &state, true);
	(void)events();
	b0->status = state.batteries[1].status = POWER_DISCHARGING;
	battery_update(dev, &state, true);
	cr_assert_eq(events(), BATTERY_EVENT_STATUS | BATTERY_EVENT_STATUS << 2);
	slot_reg(0, BATTERY_STATUS);
	loop_timer_set(&end, 1300);
	cr_assert_eq(loop_run(loop), 0);
	cr_assert_eq(events(), BATTERY_EVENT_STATUS << 2, "only the one that was not read");
	loop_timer_fini(&end);
}

Test(battery_failure, a_line_that_cannot_be_had_is_an_error)
{
	struct wiring wiring = {&failing_ops};

	cr_assert_eq(loop_new(&loop), 0);
	cr_assert_eq(battery_new(&wiring, 10, loop, NULL, NULL, &dev), -ENOSPC);
	cr_assert_null(dev);
	loop_free(loop);
}

Test(battery, a_guest_of_a_state_is_told_of_all_there_is)
{
	struct state_writer w = {.error = 0};
	struct state_reader r;

	set_reg(BATTERY_SLOTS + BATTERY_TRIP, 123);
	device_save(dev, &w);
	(void)events();
	set_reg(BATTERY_SLOTS + BATTERY_TRIP, 0);
	r = (struct state_reader){.next = (uint8_t *)w.bytes.data, .left = w.bytes.len};
	device_load(dev, &r);
	cr_assert_eq(r.error, 0);
	cr_assert_eq(slot_reg(0, BATTERY_TRIP), 123);
	cr_assert_eq(events(), 0);
	device_wake(dev);
	cr_assert_eq(events() & (BATTERY_EVENT_AC | BATTERY_EVENT_STATUS | BATTERY_EVENT_INFO),
		     BATTERY_EVENT_AC | BATTERY_EVENT_STATUS | BATTERY_EVENT_INFO);
	free(w.bytes.data);
}

Test(battery, a_guest_that_knows_of_another_battery_does_not_go_on)
{
	struct power_state without = {.ac_online = true};
	struct state_writer w = {.error = 0};
	struct state_reader r;

	device_save(dev, &w);
	battery_update(dev, &without, true);
	r = (struct state_reader){.next = (uint8_t *)w.bytes.data, .left = w.bytes.len};
	device_load(dev, &r);
	cr_assert_eq(r.error, -ESTALE);
	free(w.bytes.data);
}
