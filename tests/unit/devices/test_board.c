/* SPDX-License-Identifier: MIT */
/* The devices of the board itself: the early serial port and the ACPI event registers. */
#include <criterion/criterion.h>
#include <errno.h>
#include <linux/serial_reg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include "common/state.h"
#include "devices/acpi_events.h"
#include "devices/serial.h"

static char said[64];
static size_t n_said;

static void hear(void *owner, const void *buf, size_t len)
{
	cr_assert_eq(owner, said);
	cr_assert(n_said + len < sizeof(said));
	memcpy(said + n_said, buf, len);
	n_said += len;
}

static uint8_t in(struct device *dev, uint64_t off)
{
	uint8_t v = 0xee;

	dev->ops->read(dev, 0, off, &v, 1);
	return v;
}

static void out(struct device *dev, uint64_t off, uint8_t v)
{
	dev->ops->write(dev, 0, off, &v, 1);
}

Test(serial, bytes_written_are_heard_and_the_line_is_always_free)
{
	struct device *dev;

	cr_assert_eq(serial_new(hear, said, &dev), 0);
	cr_assert_eq(in(dev, UART_LSR), UART_LSR_TEMT | UART_LSR_THRE);
	out(dev, UART_TX, 'h');
	out(dev, UART_TX, 'i');
	cr_assert_str_eq(said, "hi");
	dev->ops->destroy(dev);
}

Test(serial, the_divisor_latch_is_not_output)
{
	struct device *dev;

	cr_assert_eq(serial_new(hear, said, &dev), 0);
	out(dev, UART_LCR, UART_LCR_DLAB);
	out(dev, UART_DLL, 1);
	out(dev, UART_DLM, 2);
	cr_assert_eq(n_said, 0);
	cr_assert_eq(in(dev, UART_DLL), 1);
	cr_assert_eq(in(dev, UART_DLM), 2);
	out(dev, UART_LCR, 3);
	cr_assert_eq(in(dev, UART_RX), 0);
	cr_assert_eq(in(dev, UART_IER), 0);
	dev->ops->destroy(dev);
}

Test(serial, any_offset_and_width_is_answered)
{
	struct device *dev;
	uint8_t buf[9];

	cr_assert_eq(serial_new(hear, said, &dev), 0);
	for (uint64_t off = 0; off < 8; off++)
		for (unsigned int len = 1; len <= 8 - off; len++) {
			memset(buf, 0xee, sizeof(buf));
			dev->ops->write(dev, 0, off, buf, len);
			dev->ops->read(dev, 0, off, buf, len);
			cr_assert_eq(buf[len], 0xee);
			n_said = 0;
		}
	dev->ops->destroy(dev);
}

static unsigned int bound_gsi;
static int bound_fd;

static int fake_line_add(struct wiring *w, unsigned int gsi, int eventfd_)
{
	(void)w;
	bound_gsi = gsi;
	bound_fd = eventfd_;
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

static unsigned int requests[2];

static void requested(void *owner, enum acpi_request request)
{
	(void)owner;
	requests[request]++;
}

static struct device *new_events(void)
{
	static struct wiring wiring = {&fake_ops};
	struct device *dev;

	cr_assert_eq(acpi_events_new(&wiring, 9, requested, NULL, &dev), 0);
	cr_assert_eq(bound_gsi, 9);
	return dev;
}

Test(acpi_events, a_raised_event_interrupts_and_is_read_once)
{
	struct device *dev = new_events();
	uint32_t pending = 0;
	eventfd_t n;

	acpi_events_raise(dev, ACPI_EVENT_POWER_BUTTON);
	cr_assert_eq(eventfd_read(bound_fd, &n), 0);
	dev->ops->read(dev, 0, ACPI_EVENTS_PENDING, &pending, 4);
	cr_assert_eq(pending, 1);
	dev->ops->read(dev, 0, ACPI_EVENTS_PENDING, &pending, 4);
	cr_assert_eq(pending, 0);
	dev->ops->destroy(dev);
}

Test(acpi_events, only_the_right_values_end_the_machine)
{
	struct device *dev = new_events();

	for (unsigned int v = 0; v < 256; v++) {
		out(dev, ACPI_EVENTS_SLEEP_CONTROL, (uint8_t)v);
		out(dev, ACPI_EVENTS_SLEEP_STATUS, (uint8_t)v);
		out(dev, ACPI_EVENTS_RESET, (uint8_t)v);
	}
	/* SLP_EN set and SLP_TYP 5, whatever the four other bits are. */
	cr_assert_eq(requests[ACPI_REQUEST_POWER_OFF], 16);
	cr_assert_eq(requests[ACPI_REQUEST_RESET], 1);
	dev->ops->destroy(dev);
}

Test(acpi_events, any_offset_and_width_is_harmless)
{
	struct device *dev = new_events();
	uint8_t buf[9];

	for (uint64_t off = 0; off < 16; off++)
		for (unsigned int len = 2; len <= 8; len++) {
			memset(buf, ACPI_EVENTS_RESET_VALUE, sizeof(buf));
			dev->ops->write(dev, 0, off, buf, len);
			dev->ops->read(dev, 0, off, buf, len);
			cr_assert_eq(buf[len], ACPI_EVENTS_RESET_VALUE);
		}
	cr_assert_eq(requests[0] + requests[1], 0);
	dev->ops->destroy(dev);
}

Test(acpi_events, a_line_that_cannot_be_had_is_an_error)
{
	struct wiring wiring = {&failing_ops};
	struct device *dev = NULL;

	cr_assert_eq(acpi_events_new(&wiring, 9, requested, NULL, &dev), -ENOSPC);
	cr_assert_null(dev);
}

Test(serial, its_registers_come_back)
{
	struct state_writer w = {.error = 0};
	struct state_reader r;
	struct device *one, *two;

	cr_assert_eq(serial_new(hear, said, &one), 0);
	cr_assert_eq(serial_new(hear, said, &two), 0);
	out(one, UART_LCR, UART_LCR_DLAB);
	out(one, UART_DLL, 7);
	device_save(one, &w);
	r = (struct state_reader){.next = (uint8_t *)w.bytes.data, .left = w.bytes.len};
	device_load(two, &r);
	cr_assert_eq(r.error, 0);
	cr_assert_eq(in(two, UART_LCR), UART_LCR_DLAB);
	cr_assert_eq(in(two, UART_DLL), 7);
	device_wake(two);
	one->ops->destroy(one);
	two->ops->destroy(two);
	free(w.bytes.data);
}

Test(acpi_events, what_is_pending_comes_back)
{
	struct state_writer w = {.error = 0};
	struct state_reader r;
	struct device *dev = new_events();
	uint32_t pending = 0;
	eventfd_t n;

	acpi_events_raise(dev, ACPI_EVENT_POWER_BUTTON);
	device_save(dev, &w);
	dev->ops->destroy(dev);
	dev = new_events();
	r = (struct state_reader){.next = (uint8_t *)w.bytes.data, .left = w.bytes.len};
	device_load(dev, &r);
	cr_assert_eq(r.error, 0);
	cr_assert_lt(eventfd_read(bound_fd, &n), 0);
	device_wake(dev);
	cr_assert_eq(eventfd_read(bound_fd, &n), 0);
	dev->ops->read(dev, 0, ACPI_EVENTS_PENDING, &pending, 4);
	cr_assert_eq(pending, 1u << ACPI_EVENT_POWER_BUTTON);
	dev->ops->destroy(dev);
	free(w.bytes.data);
}
