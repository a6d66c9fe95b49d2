/* SPDX-License-Identifier: MIT */
/* A function of the transport as bytes, and what bytes make of one. */
#include <criterion/criterion.h>
#include <errno.h>
#include <linux/pci_regs.h>
#include <linux/virtio_pci.h>
#include <stdlib.h>
#include <string.h>

#include "common/state.h"
#include "tests/unit/devices/virtio/pci_probe.h"

static struct state_writer saved;

/* Shown, as only then a guest's configuration space is known; then its state, and a new function. */
static void save_and_start_anew(void)
{
	cr_assert_eq(pci_bus_show(&pci, &fw.wiring), 0);
	device_save(&fn->dev, &saved);
	probe_stop();
	pci_bus_fini(&pci);
	probe_start();
}

static int load(size_t len)
{
	struct state_reader r = {.next = (uint8_t *)saved.bytes.data, .left = len};

	device_load(&fn->dev, &r);
	return r.error;
}

static void start(void)
{
	saved = (struct state_writer){.error = 0};
	probe_start();
}

static void stop(void)
{
	probe_stop();
	free(saved.bytes.data);
}

TestSuite(pci_state, .init = start, .fini = stop);

Test(pci_state, a_driver_finds_all_as_it_was)
{
	gpa_t desc;

	bring_up();
	fake_guest_settle(g);
	select_queue(1);
	desc = get_address(VIRTIO_PCI_COMMON_Q_DESCLO);
	save_and_start_anew();
	cr_assert_eq(saved.error, 0);
	cr_assert_eq(status(), 0);
	cr_assert_eq(load(saved.bytes.len), 0);
	cr_assert_eq(probe->loaded, 1);
	cr_assert_eq(probe->activations, 1);
	cr_assert(probe->vdev.active);
	cr_assert(probe->vdev.queues[0].ready && probe->vdev.queues[1].ready);
	cr_assert_eq(probe->vdev.acked & VERSION1, VERSION1);
	cr_assert(status() & VIRTIO_CONFIG_S_DRIVER_OK);
	select_queue(1);
	cr_assert_eq(get_address(VIRTIO_PCI_COMMON_Q_DESCLO), desc);
	/* Nothing happens before it is woken; then each queue is looked at. */
	fake_guest_settle(g);
	cr_assert_eq(probe->kicks[0], 0);
	device_wake(&fn->dev);
	fake_guest_settle(g);
	cr_assert_eq(probe->kicks[0], 1);
	cr_assert_eq(probe->kicks[1], 1);
}

Test(pci_state, a_device_without_a_driver)
{
	set_status(VIRTIO_CONFIG_S_ACKNOWLEDGE);
	save_and_start_anew();
	cr_assert_eq(load(saved.bytes.len), 0);
	cr_assert_eq(status(), VIRTIO_CONFIG_S_ACKNOWLEDGE);
	cr_assert_not(probe->vdev.active);
	device_wake(&fn->dev);
	fake_guest_settle(g);
	cr_assert_eq(probe->kicks[0], 0);
}

Test(pci_state, one_that_is_at_work_is_not_written)
{
	bring_up();
	probe->vdev.away = true;
	save_and_start_anew();
	cr_assert_eq(saved.error, -EBUSY);
}

Test(pci_state, a_broken_one_neither)
{
	bring_up();
	virtio_device_break(&probe->vdev, "as the test wants it");
	save_and_start_anew();
	cr_assert_eq(saved.error, -EIO);
}

Test(pci_state, cut_short_is_refused_everywhere)
{
	bring_up();
	save_and_start_anew();
	for (size_t len = 0; len < saved.bytes.len; len += 7) {
		cr_assert_lt(load(len), 0, "%zu bytes", len);
		probe_stop();
		probe_start();
	}
}

Test(pci_state, of_another_function_is_refused)
{
	bring_up();
	save_and_start_anew();
	/* Its vendor, which no guest can change. */
	saved.bytes.data[4] ^= 1;
	cr_assert_eq(load(saved.bytes.len), -ESTALE);
}

/* Whatever the bytes are, rings outside of RAM are none, and nothing crashes. */
Test(pci_state, damaged_anywhere_touches_nothing_outside)
{
	bring_up();
	save_and_start_anew();
	for (size_t i = 0; i < saved.bytes.len; i++) {
		saved.bytes.data[i] = (char)(saved.bytes.data[i] ^ 0xff);
		if (load(saved.bytes.len) == 0) {
			device_wake(&fn->dev);
			fake_guest_settle(g);
		}
		saved.bytes.data[i] = (char)(saved.bytes.data[i] ^ 0xff);
		probe_stop();
		probe_start();
	}
}
