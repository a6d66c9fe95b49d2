/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <errno.h>
#include <linux/pci_regs.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_pci.h>
#include <linux/virtio_ring.h>
#include <string.h>

#include "tests/unit/devices/virtio/pci_probe.h"

TestSuite(virtio_pci, .init = probe_start, .fini = probe_stop);

Test(virtio_pci, looks_like_a_modern_device)
{
	cr_assert_eq(rd(config, 4), 0x10431af4);
	cr_assert_eq(rd(config + PCI_REVISION_ID, 1), 1);
	cr_assert_eq(rd(config + PCI_BASE_ADDRESS_0, 4), WINDOW);
	cr_assert_eq(rd(common + VIRTIO_PCI_COMMON_NUMQ, 2), 2);
	cr_assert_eq(rd(common + VIRTIO_PCI_COMMON_MSIX, 2), VIRTIO_MSI_NO_VECTOR);
	cr_assert_eq(status(), 0);
}

Test(virtio_pci, features_come_in_two_windows)
{
	uint64_t f = 0;

	for (unsigned int i = 0; i < 2; i++) {
		wr(common + VIRTIO_PCI_COMMON_DFSELECT, 4, i);
		f |= rd(common + VIRTIO_PCI_COMMON_DF, 4) << (32 * i);
	}
	cr_assert_eq(f, FEATURE | VERSION1 | 1ull << VIRTIO_RING_F_INDIRECT_DESC |
				1ull << VIRTIO_RING_F_EVENT_IDX);
	wr(common + VIRTIO_PCI_COMMON_DFSELECT, 4, 2);
	cr_assert_eq(rd(common + VIRTIO_PCI_COMMON_DF, 4), 0);
	wr(common + VIRTIO_PCI_COMMON_GFSELECT, 4, 0xffffffff);
	wr(common + VIRTIO_PCI_COMMON_GF, 4, 0xffffffff);
	cr_assert_eq(rd(common + VIRTIO_PCI_COMMON_GF, 4), 0);
}

Test(virtio_pci, features_ok_is_refused_for_what_was_not_offered)
{
	accept_features(VERSION1 | 1ull << 60);
	cr_assert(!add_status(VIRTIO_CONFIG_S_FEATURES_OK));
	accept_features(FEATURE);
	cr_assert(!add_status(VIRTIO_CONFIG_S_FEATURES_OK));
	accept_features(VERSION1 | FEATURE);
	cr_assert(add_status(VIRTIO_CONFIG_S_FEATURES_OK));
	/* And is final. */
	wr(common + VIRTIO_PCI_COMMON_GFSELECT, 4, 0);
	wr(common + VIRTIO_PCI_COMMON_GF, 4, 0xffffffff);
	cr_assert_eq(rd(common + VIRTIO_PCI_COMMON_GF, 4), FEATURE);
	cr_assert_eq(probe->vdev.acked, VERSION1 | FEATURE);
}

Test(virtio_pci, status_goes_in_order)
{
	cr_assert(!add_status(VIRTIO_CONFIG_S_DRIVER_OK));
	wr(common + VIRTIO_PCI_COMMON_GFSELECT, 4, 1);
	wr(common + VIRTIO_PCI_COMMON_GF, 4, 1);
	cr_assert(!add_status(VIRTIO_CONFIG_S_FEATURES_OK));
	cr_assert(!add_status(VIRTIO_CONFIG_S_NEEDS_RESET));
	accept_features(VERSION1);
	cr_assert(!add_status(VIRTIO_CONFIG_S_DRIVER_OK));
	add_status(VIRTIO_CONFIG_S_FEATURES_OK);
	/* Bits are not taken back one by one. */
	set_status(VIRTIO_CONFIG_S_ACKNOWLEDGE);
	cr_assert(status() & VIRTIO_CONFIG_S_FEATURES_OK);
	/* A driver that gave up has to start again. */
	add_status(VIRTIO_CONFIG_S_FAILED);
	cr_assert(!add_status(VIRTIO_CONFIG_S_DRIVER_OK));
	cr_assert_eq(probe->activations, 0);
	bring_up();
	cr_assert_eq(probe->activations, 1);
	set_status(status());
	cr_assert_eq(probe->activations, 1);
}

Test(virtio_pci, queue_sizes_are_checked)
{
	static const uint16_t bad[] = {0, 3, 6, 16, 0x8000, 0xffff};

	select_queue(0);
	cr_assert_eq(rd(common + VIRTIO_PCI_COMMON_Q_SIZE, 2), 8);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		wr(common + VIRTIO_PCI_COMMON_Q_SIZE, 2, bad[i]);
		cr_assert_eq(rd(common + VIRTIO_PCI_COMMON_Q_SIZE, 2), 8);
	}
	wr(common + VIRTIO_PCI_COMMON_Q_SIZE, 2, 4);
	cr_assert_eq(rd(common + VIRTIO_PCI_COMMON_Q_SIZE, 2), 4);
	set_status(0);
	select_queue(0);
	cr_assert_eq(rd(common + VIRTIO_PCI_COMMON_Q_SIZE, 2), 8);
}

Test(virtio_pci, odd_widths_change_nothing)
{
	select_queue(0);
	wr(common + VIRTIO_PCI_COMMON_Q_SIZE, 1, 4);
	wr(common + VIRTIO_PCI_COMMON_Q_SIZE, 4, 4);
	wr(common + VIRTIO_PCI_COMMON_Q_SIZE, 8, 4);
	wr(common + VIRTIO_PCI_COMMON_Q_SIZE + 1, 2, 0);
	wr(common + VIRTIO_PCI_COMMON_STATUS, 2, 1);
	wr(common + VIRTIO_PCI_COMMON_Q_DESCLO, 2, 0x1111);
	wr(common + VIRTIO_PCI_COMMON_Q_DESCLO + 2, 4, 0x11111111);
	wr(common + VIRTIO_PCI_COMMON_Q_DESCHI, 8, UINT64_MAX);
	wr(common + VIRTIO_PCI_COMMON_NUMQ, 2, 9);
	wr(common + sizeof(struct virtio_pci_common_cfg), 4, 1);
	cr_assert_eq(rd(common + VIRTIO_PCI_COMMON_Q_SIZE, 2), 8);
	cr_assert_eq(status(), 0);
	cr_assert_eq(get_address(VIRTIO_PCI_COMMON_Q_DESCLO), 0);
	cr_assert_eq(rd(common + VIRTIO_PCI_COMMON_NUMQ, 2), 2);
	/* Reads of any width see the same bytes; past the end there are none. */
	cr_assert_eq(rd(common + VIRTIO_PCI_COMMON_Q_SELECT, 8), 0x0000ffff00080000);
	cr_assert_eq(rd(common + 54, 8), 0);
	cr_assert_eq(rd(common + 0x800, 8), 0);
	/* A ring's address may come whole. */
	wr(common + VIRTIO_PCI_COMMON_Q_USEDLO, 8, 0x123456789000);
	cr_assert_eq(get_address(VIRTIO_PCI_COMMON_Q_USEDLO), 0x123456789000);
}

Test(virtio_pci, an_absent_queue_is_empty)
{
	select_queue(2);
	wr(common + VIRTIO_PCI_COMMON_Q_SIZE, 2, 4);
	wr(common + VIRTIO_PCI_COMMON_Q_MSIX, 2, 1);
	wr(common + VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
	set_address(VIRTIO_PCI_COMMON_Q_DESCLO, 0x1000);
	cr_assert_eq(rd(common + VIRTIO_PCI_COMMON_Q_SIZE, 2), 0);
	cr_assert_eq(rd(common + VIRTIO_PCI_COMMON_Q_ENABLE, 2), 0);
	cr_assert_eq(rd(common + VIRTIO_PCI_COMMON_Q_MSIX, 2), VIRTIO_MSI_NO_VECTOR);
	select_queue(0xffff);
	wr(common + VIRTIO_PCI_COMMON_Q_MSIX, 2, 1);
	cr_assert_eq(rd(common + VIRTIO_PCI_COMMON_Q_SIZE, 2), 0);
}

Test(virtio_pci, a_vector_that_does_not_exist_is_none)
{
	wr(common + VIRTIO_PCI_COMMON_MSIX, 2, 3);
	cr_assert_eq(rd(common + VIRTIO_PCI_COMMON_MSIX, 2), VIRTIO_MSI_NO_VECTOR);
	wr(common + VIRTIO_PCI_COMMON_MSIX, 2, 2);
	cr_assert_eq(rd(common + VIRTIO_PCI_COMMON_MSIX, 2), 2);
	select_queue(1);
	wr(common + VIRTIO_PCI_COMMON_Q_MSIX, 2, 0xfffe);
	cr_assert_eq(rd(common + VIRTIO_PCI_COMMON_Q_MSIX, 2), VIRTIO_MSI_NO_VECTOR);
}

/* Everything a driver could move under our feet, while a queue is enabled and afterwards. */
static void try_to_change_queue(unsigned int q)
{
	gpa_t desc, avail, used;

	select_queue(q);
	desc = get_address(VIRTIO_PCI_COMMON_Q_DESCLO);
	avail = get_address(VIRTIO_PCI_COMMON_Q_AVAILLO);
	used = get_address(VIRTIO_PCI_COMMON_Q_USEDLO);
	set_address(VIRTIO_PCI_COMMON_Q_DESCLO, 0xdead0000);
	set_address(VIRTIO_PCI_COMMON_Q_AVAILLO, 0xdead0000);
	set_address(VIRTIO_PCI_COMMON_Q_USEDLO, 0xdead0000);
	wr(common + VIRTIO_PCI_COMMON_Q_USEDLO, 8, 0xdead0000);
	wr(common + VIRTIO_PCI_COMMON_Q_SIZE, 2, 2);
	wr(common + VIRTIO_PCI_COMMON_Q_ENABLE, 2, 0);
	wr(common + VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
	cr_assert_eq(get_address(VIRTIO_PCI_COMMON_Q_DESCLO), desc);
	cr_assert_eq(get_address(VIRTIO_PCI_COMMON_Q_AVAILLO), avail);
	cr_assert_eq(get_address(VIRTIO_PCI_COMMON_Q_USEDLO), used);
	cr_assert_neq(rd(common + VIRTIO_PCI_COMMON_Q_SIZE, 2), 2);
}

Test(virtio_pci, a_queue_in_use_cannot_be_changed)
{
	accept_features(VERSION1);
	add_status(VIRTIO_CONFIG_S_FEATURES_OK);
	set_up_queue(0);
	try_to_change_queue(0);
	cr_assert_eq(rd(common + VIRTIO_PCI_COMMON_Q_ENABLE, 2), 1);
	cr_assert(add_status(VIRTIO_CONFIG_S_DRIVER_OK));
	try_to_change_queue(0);
	/* Nor one that was not enabled in time. */
	try_to_change_queue(1);
	cr_assert_eq(rd(common + VIRTIO_PCI_COMMON_Q_ENABLE, 2), 0);
	(void)publish(0);
	fake_wiring_ring(&fw, notify);
	fake_guest_settle(g);
	cr_assert(fake_reap(g, 0, NULL, NULL));
}

Test(virtio_pci, activation_kicks_on_the_loop_only)
{
	bring_up();
	cr_assert_eq(probe->activations, 1);
	cr_assert_eq(probe->kicks[0] + probe->kicks[1], 0);
	fake_guest_settle(g);
	cr_assert_eq(probe->kicks[0], 1);
	cr_assert_eq(probe->kicks[1], 1);
}

Test(virtio_pci, a_request_goes_from_doorbell_to_interrupt)
{
	struct fake_seg in;

	bring_up();
	fake_guest_settle(g);
	cr_assert_eq(fw.n_doorbells, 2);
	in = publish(1);
	cr_assert(fake_wiring_ring(&fw, notify + 4));
	cr_assert_eq(probe->kicks[1], 1);
	fake_guest_settle(g);
	cr_assert(fake_reap(g, 1, NULL, NULL));
	cr_assert_eq(memcmp(fake_ptr(g, in.addr, 4), "ping", 4), 0);
	cr_assert_eq(fake_wiring_taken(&fw, 2), 1);
	cr_assert_eq(fake_wiring_taken(&fw, 1), 0);
	cr_assert_eq(rd(isr, 1), 1);
	cr_assert_eq(rd(isr, 1), 0);
}

Test(virtio_pci, a_notification_may_come_as_an_exit)
{
	bring_up();
	fake_guest_settle(g);
	(void)publish(0);
	wr(notify, 2, 0);
	fake_guest_settle(g);
	cr_assert(fake_reap(g, 0, NULL, NULL));
	/* Queues that do not exist. */
	wr(notify + 8, 2, 2);
	wr(notify + 0xffc, 8, 0);
	fake_guest_settle(g);
	cr_assert_eq(probe->kicks[0], 2);
	cr_assert_eq(probe->kicks[1], 1);
}

Test(virtio_pci, a_queue_without_vector_is_silent)
{
	accept_features(VERSION1);
	add_status(VIRTIO_CONFIG_S_FEATURES_OK);
	set_up_queue(0);
	wr(common + VIRTIO_PCI_COMMON_Q_MSIX, 2, VIRTIO_MSI_NO_VECTOR);
	add_status(VIRTIO_CONFIG_S_DRIVER_OK);
	(void)publish(0);
	fake_guest_settle(g);
	cr_assert(fake_reap(g, 0, NULL, NULL));
	for (unsigned int v = 0; v < 3; v++)
		cr_assert_eq(fake_wiring_taken(&fw, v), 0);
}

Test(virtio_pci, kicks_before_driver_ok_are_ignored)
{
	accept_features(VERSION1);
	add_status(VIRTIO_CONFIG_S_FEATURES_OK);
	set_up_queue(0);
	(void)publish(0);
	cr_assert(fake_wiring_ring(&fw, notify));
	wr(notify, 4, 0);
	fake_guest_settle(g);
	cr_assert_eq(probe->kicks[0], 0);
	/* But what was published is found then. */
	add_status(VIRTIO_CONFIG_S_DRIVER_OK);
	fake_guest_settle(g);
	cr_assert(fake_reap(g, 0, NULL, NULL));
}

Test(virtio_pci, a_broken_device_needs_reset)
{
	bring_up();
	fake_guest_settle(g);
	fake_raw_avail(g, 0, 77);
	fake_wiring_ring(&fw, notify);
	fake_guest_settle(g);
	cr_assert(status() & VIRTIO_CONFIG_S_NEEDS_RESET);
	cr_assert_eq(fake_wiring_taken(&fw, 0), 1);
	cr_assert_eq(rd(isr, 1), 2);
	(void)publish(1);
	fake_wiring_ring(&fw, notify + 4);
	fake_guest_settle(g);
	cr_assert(!fake_reap(g, 1, NULL, NULL));
	bring_up();
	cr_assert(!(status() & VIRTIO_CONFIG_S_NEEDS_RESET));
	(void)publish(1);
	fake_guest_settle(g);
	cr_assert(fake_reap(g, 1, NULL, NULL));
}

Test(virtio_pci, rings_outside_memory_break_it_on_driver_ok)
{
	accept_features(VERSION1);
	add_status(VIRTIO_CONFIG_S_FEATURES_OK);
	set_up_queue(0);
	select_queue(1);
	set_address(VIRTIO_PCI_COMMON_Q_DESCLO, 0xfffffffffffffff0);
	wr(common + VIRTIO_PCI_COMMON_Q_ENABLE, 2, 1);
	add_status(VIRTIO_CONFIG_S_DRIVER_OK);
	cr_assert(status() & VIRTIO_CONFIG_S_NEEDS_RESET);
	fake_guest_settle(g);
	cr_assert_eq(probe->kicks[0], 0);
	cr_assert_eq(probe->activations, 0);
}

Test(virtio_pci, reset_with_a_request_in_flight)
{
	struct fake_seg in;
	uint16_t head;

	bring_up();
	probe->hold = true;
	in = publish(0);
	fake_guest_settle(g);
	head = probe->chain.head;
	probe->resets = 0;
	set_status(0);
	cr_assert_eq(status(), 0);
	cr_assert_eq(probe->resets, 1);
	/* The late completion finds no queue. */
	virtq_push(&probe->vdev.queues[0], head, 4);
	virtio_device_flush(&probe->vdev, 0);
	cr_assert(!fake_reap(g, 0, NULL, NULL));
	cr_assert_eq(memcmp(fake_ptr(g, in.addr, 4), "\0\0\0", 4), 0);
	cr_assert_eq(fake_wiring_taken(&fw, 1), 0);
	select_queue(0);
	cr_assert_eq(rd(common + VIRTIO_PCI_COMMON_Q_MSIX, 2), VIRTIO_MSI_NO_VECTOR);
	cr_assert_eq(rd(common + VIRTIO_PCI_COMMON_Q_ENABLE, 2), 0);
	/* A kick that was under way when the reset came. */
	fake_wiring_ring(&fw, notify);
	fake_guest_settle(g);
	cr_assert_eq(probe->kicks[0], 1);
}

Test(virtio_pci, device_configuration_is_bounded)
{
	cr_assert_eq(rd(device, 1), 0x10);
	cr_assert_eq(rd(device + 4, 8), 0x1b1a191817161514);
	cr_assert_eq(rd(device + 8, 8), 0x1b1a1918);
	cr_assert_eq(rd(device + 11, 4), 0x1b);
	cr_assert_eq(rd(device + 12, 4), 0);
	cr_assert_eq(rd(device + 0xff8, 8), 0);
	wr(device + 4, 4, 0xaabbccdd);
	cr_assert_eq(rd(device + 4, 4), 0xaabbccdd);
	cr_assert(probe->config_off == 4 && probe->config_len == 4);
	wr(device + 7, 1, 0);
	cr_assert_eq(rd(device + 4, 4), 0x00bbccdd);
	cr_assert_eq(probe->config_writes, 2);
	/* Only part of it is the driver's. */
	wr(device, 4, 0);
	wr(device + 3, 2, 0);
	wr(device + 6, 4, 0);
	wr(device + 8, 4, 0);
	wr(device + 12, 4, 0);
	wr(device + 0xff8, 8, 0);
	cr_assert_eq(probe->config_writes, 2);
	cr_assert_eq(rd(device, 4), 0x13121110);
}

Test(virtio_pci, a_change_of_configuration_is_told_to_an_active_driver)
{
	uint64_t before = rd(common + VIRTIO_PCI_COMMON_CFGGENERATION, 1);

	virtio_device_config_changed(&probe->vdev);
	cr_assert_neq(rd(common + VIRTIO_PCI_COMMON_CFGGENERATION, 1), before);
	cr_assert_eq(rd(isr, 1), 0);
	bring_up();
	virtio_device_config_changed(&probe->vdev);
	cr_assert_eq(fake_wiring_taken(&fw, 0), 1);
	cr_assert_eq(rd(isr, 1), 2);
}

static void set_window(uint8_t bar, uint32_t off, uint32_t len)
{
	wr(config + window + offsetof(struct virtio_pci_cap, bar), 1, bar);
	wr(config + window + offsetof(struct virtio_pci_cap, offset), 4, off);
	wr(config + window + offsetof(struct virtio_pci_cap, length), 4, len);
}

Test(virtio_pci, the_window_in_configuration_space_reaches_the_bar)
{
	gpa_t data = config + window + offsetof(struct virtio_pci_cfg_cap, pci_cfg_data);
	uint32_t off = (uint32_t)(common - WINDOW);

	set_window(0, off + VIRTIO_PCI_COMMON_NUMQ, 2);
	cr_assert_eq(rd(data, 2), 2);
	set_window(0, off + VIRTIO_PCI_COMMON_STATUS, 1);
	wr(data, 1, VIRTIO_CONFIG_S_ACKNOWLEDGE);
	cr_assert_eq(status(), VIRTIO_CONFIG_S_ACKNOWLEDGE);
	cr_assert_eq(rd(data, 1), VIRTIO_CONFIG_S_ACKNOWLEDGE);
	/* None of these reaches anything. */
	set_window(1, off + VIRTIO_PCI_COMMON_STATUS, 1);
	wr(data, 1, 0);
	set_window(0, off + VIRTIO_PCI_COMMON_STATUS, 3);
	wr(data, 4, 0);
	set_window(0, off + VIRTIO_PCI_COMMON_STATUS, 0);
	wr(data, 4, 0);
	set_window(0, 0x7ffe, 4);
	(void)rd(data, 4);
	set_window(0, 0xfffffffc, 4);
	wr(data, 4, 0);
	set_window(0, off + 1, 2);
	(void)rd(data, 2);
	cr_assert_eq(status(), VIRTIO_CONFIG_S_ACKNOWLEDGE);
}

Test(virtio_pci, configuration_space_is_in_memory_until_the_window_is_used)
{
	cr_assert_eq(pci_bus_show(&pci, &fw.wiring), 0);
	wr(config + window - 4, 4, UINT32_MAX);
	wr(config + window + sizeof(struct virtio_pci_cfg_cap), 4, UINT32_MAX);
	cr_assert_not_null(fw.memory.host);
	/* Its last byte of all. */
	wr(config + window + sizeof(struct virtio_pci_cfg_cap) - 1, 1, 0);
	cr_assert_null(fw.memory.host);
	set_window(0, (uint32_t)(common - WINDOW) + VIRTIO_PCI_COMMON_NUMQ, 2);
	cr_assert_eq(rd(config + window + offsetof(struct virtio_pci_cfg_cap, pci_cfg_data), 2), 2);
}

Test(virtio_pci, accesses_over_the_edge_of_a_structure)
{
	cr_assert_eq(rd(common + 0xffc, 8), 0);
	cr_assert_eq(rd(isr + 0xffc, 8), 0);
	wr(isr, 8, UINT64_MAX);
	wr(table - 4, 8, UINT64_MAX);
	cr_assert_eq(rd(table, 4), 0xfee00000);
	cr_assert_eq(rd(WINDOW + 0x7ff8, 8), 0);
}

Test(virtio_pci, shared_memory_has_a_bar_of_its_own)
{
	static const uint8_t memory[0x3000];
	struct virtio_device *vdev = new_probe();
	struct pci_function *other;

	cr_assert_eq(shm, 0);
	vdev->shm = memory;
	vdev->shm_len = sizeof(memory);
	cr_assert_eq(virtio_pci_new(vdev, &g->mem, &fw.wiring, &other), 0);
	cr_assert_eq(pci_bus_add(&pci, other), 0);
	cr_assert_eq(virtio_pci_connect(other, g->loop), 0);
	config = ECAM + PCI_ECAM_FUNCTION_SIZE;
	wr(config + PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	find_structures();
	cr_assert_eq(shm_len, sizeof(memory));
	cr_assert(fw.memory.addr == shm && fw.memory.host == memory &&
		  fw.memory.len == sizeof(memory));
	cr_assert_eq(shm % 0x4000, 0);
	/* No register shows through: not with a write into it, not behind its end. */
	set_status(VIRTIO_CONFIG_S_ACKNOWLEDGE);
	wr(shm + VIRTIO_PCI_COMMON_STATUS, 1, 0);
	cr_assert_eq(status(), VIRTIO_CONFIG_S_ACKNOWLEDGE);
	cr_assert_eq(rd(shm + 0x3000, 4), 0xffffffff);
	other->dev.ops->destroy(&other->dev);
}

Test(virtio_pci, building_fails_without_a_trace)
{
	struct pci_function *other;

	for (int n = 0; n < 3; n++) {
		fw.fail_after = n;
		cr_assert_eq(virtio_pci_new(new_probe(), &g->mem, &fw.wiring, &other), -ENOSPC);
		cr_assert_eq(alive, 1);
	}
	for (int n = 0; n < 2; n++) {
		fw.fail_after = -1;
		cr_assert_eq(virtio_pci_new(new_probe(), &g->mem, &fw.wiring, &other), 0);
		fw.fail_after = n;
		cr_assert_eq(virtio_pci_connect(other, g->loop), -ENOSPC);
		other->dev.ops->destroy(&other->dev);
		cr_assert_eq(alive, 1);
	}
}

static void reset_meanwhile(void)
{
	const uint8_t before = status();

	probe->meanwhile = NULL;
	set_status(0);
	/* The driver has to wait until it reads 0; what it does before that is for nothing. */
	cr_assert_eq(status(), before);
	set_status(VIRTIO_CONFIG_S_ACKNOWLEDGE);
	cr_assert_eq(status(), before);
	select_queue(0);
	cr_assert_eq(rd(common + VIRTIO_PCI_COMMON_Q_ENABLE, 2), 1);
	cr_assert_eq(probe->resets, 1);
}

/* Registers go through the device's lock, which would never be had if the model kept it. */
Test(virtio_pci, registers_answer_while_a_model_waits_and_a_reset_does, .timeout = 60)
{
	bring_up();
	fake_guest_settle(g);
	cr_assert_eq(probe->resets, 1);
	probe->meanwhile = reset_meanwhile;
	(void)publish(1);
	cr_assert(fake_wiring_ring(&fw, notify + 4));
	fake_guest_settle(g);
	cr_assert_eq(probe->resets, 2);
	cr_assert_eq(status(), 0);
	cr_assert_not(probe->vdev.resetting);
	select_queue(0);
	cr_assert_eq(rd(common + VIRTIO_PCI_COMMON_Q_ENABLE, 2), 0);
	/* And from the start again. */
	bring_up();
	fake_guest_settle(g);
	(void)publish(1);
	cr_assert(fake_wiring_ring(&fw, notify + 4));
	fake_guest_settle(g);
	cr_assert(fake_reap(g, 1, NULL, NULL));
}
