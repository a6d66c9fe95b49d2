/* SPDX-License-Identifier: MIT */
/*
 * Registers without a queue: the batteries, the ACPI events and the serial port on one bus, against a
 * guest that reads and writes anything of any width, and a host whose batteries say anything. What
 * may be read and what may change is known beforehand, register by register.
 */
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "battery/battery.h"
#include "devices/acpi_events.h"
#include "devices/board/bus.h"
#include "devices/serial.h"
#include "tests/fuzz/fuzz_clock.h"
#include "tests/fuzz/fuzz_input.h"

enum {
	BATTERY_AT = 0x1000,
	WINDOW = 0x400,
	ACPI_AT = 0x3000,
	ACPI_LEN = 8,
	SERIAL_AT = 0x4000,
	SERIAL_LEN = 8,
	REGS = BATTERY_SLOTS + POWER_MAX_BATTERIES * BATTERY_SLOT_SIZE,
	MAX_OPS = 2000,
};

static struct {
	struct loop *loop;
	struct bus *bus;
	struct device *battery, *acpi, *serial;
	int battery_line, acpi_line;
	unsigned int power_off, reset; /* asked for */
	unsigned int output; /* bytes of the serial port */
	uint32_t raised; /* ACPI events that were not read */
	bool on_battery; /* as we were told */
} m;

static int line_add(struct wiring *w, unsigned int gsi, int line)
{
	(void)w;
	*(gsi == 9 ? &m.acpi_line : &m.battery_line) = line;
	return 0;
}

static void requested(void *owner, enum acpi_request request)
{
	(void)owner;
	*(request == ACPI_REQUEST_RESET ? &m.reset : &m.power_off) += 1;
}

static void power_changed(void *owner, bool on_battery)
{
	(void)owner;
	/* Told of changes alone. */
	if (on_battery == m.on_battery)
		abort();
	m.on_battery = on_battery;
}

static void output(void *owner, const void *buf, size_t len)
{
	(void)owner;
	(void)buf;
	m.output += (unsigned int)len;
}

static void start(void)
{
	static const struct wiring_ops ops = {.line_add = line_add};
	static struct wiring wiring = {.ops = &ops};

	memset(&m, 0, sizeof(m));
	fuzz_clock_start();
	if (loop_new(&m.loop) < 0 || bus_new(&m.bus) < 0 ||
	    battery_new(&wiring, 10, m.loop, power_changed, NULL, &m.battery) < 0 ||
	    acpi_events_new(&wiring, 9, requested, NULL, &m.acpi) < 0 ||
	    serial_new(output, NULL, &m.serial) < 0 ||
	    bus_map(m.bus, BATTERY_AT, WINDOW, m.battery, 0) < 0 ||
	    bus_map(m.bus, ACPI_AT, ACPI_LEN, m.acpi, 0) < 0 ||
	    bus_map(m.bus, SERIAL_AT, SERIAL_LEN, m.serial, 0) < 0)
		abort();
}

static void stop(void)
{
	bus_free(m.bus);
	m.battery->ops->destroy(m.battery);
	m.acpi->ops->destroy(m.acpi);
	m.serial->ops->destroy(m.serial);
	loop_free(m.loop);
}

/* The battery's registers, by reads that are too narrow to do anything. */
static void look(uint8_t regs[WINDOW])
{
	for (uint64_t i = 0; i < WINDOW; i++)
		if (bus_read(m.bus, BATTERY_AT + i, &regs[i], 1) < 0)
			abort();
}

static bool is_in(uint64_t at, unsigned int len, uint64_t base, uint64_t size)
{
	return at >= base && at - base < size && len <= size - (at - base);
}

/* Across a window's end, and where none is, everything reads as ones. */
static void check_read(uint64_t at, unsigned int len, const uint8_t *got, const uint8_t *regs,
		       int r)
{
	static const uint8_t none[8] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
	const bool battery = is_in(at, len, BATTERY_AT, WINDOW),
		   acpi = is_in(at, len, ACPI_AT, ACPI_LEN);
	uint64_t v = 0;

	if (!battery && !acpi && !is_in(at, len, SERIAL_AT, SERIAL_LEN)) {
		if (r != -ENXIO || memcmp(got, none, len) != 0)
			abort();
		return;
	}
	if (r < 0 || (battery && memcmp(got, regs + (at - BATTERY_AT), len) != 0))
		abort();
	if (!acpi)
		return;
	memcpy(&v, got, len);
	if (v != (at == ACPI_AT && len == 4 ? m.raised : 0))
		abort();
	if (at == ACPI_AT && len == 4)
		m.raised = 0;
}

static void guest_reads(uint64_t at, unsigned int len)
{
	static uint8_t before[WINDOW], after[WINDOW];
	uint8_t got[8];
	int r;

	look(before);
	/* What is not filled would be the host's. */
	memset(got, 0xa5, sizeof(got));
	r = bus_read(m.bus, at, got, len);
	check_read(at, len, got, before, r);
	for (unsigned int i = len; i < sizeof(got); i++)
		if (got[i] != 0xa5)
			abort();
	look(after);
	if (at == BATTERY_AT + BATTERY_PENDING && len == 4)
		memset(before + BATTERY_PENDING, 0, 4);
	if (memcmp(before, after, WINDOW) != 0)
		abort();
}

static void guest_writes(uint64_t at, unsigned int len, const uint8_t *data)
{
	static uint8_t before[WINDOW], after[WINDOW];
	const unsigned int off = m.power_off, reset = m.reset, out = m.output;
	const bool one = len == 1;

	look(before);
	if ((bus_write(m.bus, at, data, len) < 0) !=
	    !(is_in(at, len, BATTERY_AT, WINDOW) || is_in(at, len, ACPI_AT, ACPI_LEN) ||
	      is_in(at, len, SERIAL_AT, SERIAL_LEN)))
		abort();
	look(after);
	for (unsigned int i = 0; i < POWER_MAX_BATTERIES; i++) {
		const uint64_t trip = BATTERY_SLOTS + i * BATTERY_SLOT_SIZE + BATTERY_TRIP;

		if (at == BATTERY_AT + trip && len == 4)
			memcpy(before + trip, data, 4);
	}
	if (memcmp(before, after, WINDOW) != 0)
		abort();
	/* ACPI 6.5 section 4.8.3.7: SLP_EN is bit 5, SLP_TYP bits 2 to 4. */
	if (m.power_off - off != (one && at == ACPI_AT + 4 && (data[0] & 0x3c) == 0x34) ||
	    m.reset - reset != (one && at == ACPI_AT + 6 && data[0] == 0x5a) ||
	    m.output - out > (at == SERIAL_AT ? len : 0))
		abort();
}

/* Any power that a summary of the host's supplies may be (tests/fuzz/fuzz_power.c). */
static void host_changes(struct fuzz_input *in, bool announced)
{
	struct power_state state = {.ac_online = fuzz_u8(in) & 1};

	for (unsigned int i = 0; i < POWER_MAX_BATTERIES; i++) {
		struct power_battery *b = &state.batteries[i];

		if (!(fuzz_u8(in) & 3))
			continue;
		b->present = true;
		b->unit = fuzz_u8(in) & 1 ? POWER_UNIT_CHARGE : POWER_UNIT_ENERGY;
		fuzz_bytes(in, &b->full, sizeof(b->full));
		b->full = b->full % INT32_MAX + 1;
		fuzz_bytes(in, &b->remaining, sizeof(b->remaining));
		b->remaining &= INT32_MAX;
		b->status = fuzz_u8(in) & 7;
		fuzz_bytes(in, &b->rate, sizeof(b->rate));
		fuzz_bytes(in, &b->voltage, sizeof(b->voltage));
		b->model[0] = (char)('a' + fuzz_u8(in) % 26);
	}
	battery_update(m.battery, &state, announced);
}

static void check_json(void)
{
	json_t *json = battery_json(m.battery);

	if (!json)
		abort();
	json_decref(json);
}

static void end_turn(struct loop_source *src, uint32_t events)
{
	(void)events;
	loop_stop(src->loop);
}

/* One turn of the loop, with the timers that are due. */
static void turn(void)
{
	struct loop_source end = {.fd = eventfd(1, EFD_CLOEXEC), .fn = end_turn, .name = "end"};

	if (end.fd < 0 || loop_add(m.loop, &end, EPOLLIN) < 0 || loop_run(m.loop) < 0)
		abort();
	loop_remove(&end);
	close(end.fd);
}

static uint64_t address(struct fuzz_input *in)
{
	static const uint64_t bases[] = {BATTERY_AT, BATTERY_AT + BATTERY_SLOTS, ACPI_AT,
					 SERIAL_AT,  BATTERY_AT + REGS - 4,	 0};
	const uint8_t which = fuzz_u8(in);

	if (which & 0x80)
		return fuzz_u64(in);
	return bases[which % ARRAY_SIZE(bases)] + (which & 0x40 ? fuzz_u16(in) : fuzz_u8(in)) - 8;
}

static void step(struct fuzz_input *in)
{
	const uint8_t op = fuzz_u8(in);
	const unsigned int len = 1 + (op >> 4 & 7);
	uint8_t data[8];
	uint64_t at;

	switch (op & 7) {
	case 0:
	case 1:
		guest_reads(address(in), len);
		break;
	case 2:
	case 3:
		at = address(in);
		fuzz_bytes(in, data, sizeof(data));
		guest_writes(at, len, data);
		break;
	case 4:
		host_changes(in, op & 0x80);
		break;
	case 5:
		acpi_events_raise(m.acpi, ACPI_EVENT_POWER_BUTTON);
		m.raised |= 1u << ACPI_EVENT_POWER_BUTTON;
		break;
	case 6:
		fuzz_clock_pass(fuzz_u16(in), 0);
		turn();
		break;
	default:
		check_json();
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = {data, size};

	start();
	for (unsigned int n = 0; n < MAX_OPS && in.left > 0; n++)
		step(&in);
	stop();
	return 0;
}
