/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "devices/board/bus.h"

struct probe {
	struct device dev;
	unsigned int window;
	uint64_t off;
	unsigned int calls;
};

static void probe_read(struct device *dev, unsigned int window, uint64_t off, void *data,
		       unsigned int len)
{
	struct probe *p = CONTAINER_OF(dev, struct probe, dev);

	p->window = window;
	p->off = off;
	p->calls++;
	memset(data, 0x5a, len);
}

static void probe_write(struct device *dev, unsigned int window, uint64_t off, const void *data,
			unsigned int len)
{
	struct probe *p = CONTAINER_OF(dev, struct probe, dev);

	(void)data;
	(void)len;
	p->window = window;
	p->off = off;
	p->calls++;
}

static void probe_destroy(struct device *dev)
{
	device_fini(dev);
}

static const struct device_ops probe_ops = {
	.name = "probe",
	.read = probe_read,
	.write = probe_write,
	.destroy = probe_destroy,
};

static struct bus *bus;
static struct probe a, b;

static void setup(void)
{
	cr_assert_eq(bus_new(&bus), 0);
	device_init(&a.dev, &probe_ops);
	device_init(&b.dev, &probe_ops);
	cr_assert_eq(bus_map(bus, 0x1000, 0x100, &a.dev, 3), 0);
	cr_assert_eq(bus_map(bus, 0x1100, 0x100, &b.dev, 4), 0);
}

static void teardown(void)
{
	bus_free(bus);
	device_fini(&a.dev);
	device_fini(&b.dev);
}

TestSuite(bus, .init = setup, .fini = teardown);

Test(bus, finds_the_window_and_its_offset)
{
	uint32_t v = 0;

	cr_assert_eq(bus_read(bus, 0x10fc, &v, 4), 0);
	cr_assert_eq(v, 0x5a5a5a5a);
	cr_assert_eq(a.window, 3);
	cr_assert_eq(a.off, 0xfc);
	cr_assert_eq(bus_write(bus, 0x1100, &v, 4), 0);
	cr_assert_eq(b.window, 4);
	cr_assert_eq(b.off, 0);
}

Test(bus, nobody_there_reads_as_ones)
{
	uint64_t v = 0;

	cr_assert_eq(bus_read(bus, 0xfff, &v, 1), -ENXIO);
	cr_assert_eq(v, 0xff);
	cr_assert_eq(bus_read(bus, 0x1200, &v, 8), -ENXIO);
	cr_assert_eq(v, UINT64_MAX);
	cr_assert_eq(bus_write(bus, 0x1200, &v, 8), -ENXIO);
	cr_assert_eq(bus_read(bus, UINT64_MAX, &v, 8), -ENXIO);
}

Test(bus, an_access_over_the_edge_reaches_neither_device)
{
	uint64_t v = 0;

	cr_assert_eq(bus_read(bus, 0x10fc, &v, 8), -ENXIO);
	cr_assert_eq(bus_read(bus, 0x11fe, &v, 4), -ENXIO);
	cr_assert_eq(a.calls + b.calls, 0);
}

Test(bus, overlaps_and_impossible_ranges_are_refused)
{
	cr_assert_eq(bus_map(bus, 0x10ff, 1, &a.dev, 0), -EEXIST);
	cr_assert_eq(bus_map(bus, 0xf00, 0x101, &a.dev, 0), -EEXIST);
	cr_assert_eq(bus_map(bus, 0x1150, 0x10, &a.dev, 0), -EEXIST);
	cr_assert_eq(bus_map(bus, 0x1000, 0, &a.dev, 0), -EINVAL);
	cr_assert_eq(bus_map(bus, UINT64_MAX, 2, &a.dev, 0), -EINVAL);
	cr_assert_eq(bus_map(bus, 0x1200, 1, &a.dev, 0), 0);
}

Test(bus, is_full_at_its_limit)
{
	for (unsigned int i = 2; i < BUS_MAX_WINDOWS; i++)
		cr_assert_eq(bus_map(bus, 0x10000 + i, 1, &a.dev, 0), 0);
	cr_assert_eq(bus_map(bus, 0x20000, 1, &a.dev, 0), -ENOSPC);
}
