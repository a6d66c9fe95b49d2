/* SPDX-License-Identifier: MIT */
/* devices/acpi_events.h - events to, and power-off and reset from, a hardware-reduced ACPI guest. */
#ifndef DEVICES_ACPI_EVENTS_H
#define DEVICES_ACPI_EVENTS_H

#include "devices/board/device.h"
#include "devices/board/wiring.h"

/*
 * DOC: registers
 *
 *   0  32 bits  pending events, bit = enum acpi_event; a read clears them
 *   4   8 bits  sleep control (ACPI 6.5 section 4.8.3.7): SLP_TYP 5 with SLP_EN powers off
 *   5   8 bits  sleep status: zero, writes ignored
 *   6   8 bits  reset: ACPI_EVENTS_RESET_VALUE resets
 *
 * The guest's AML (vmm/kvm/acpi/dsdt.asl) reads register 0 when the device's line
 * is raised and notifies the device each bit stands for.
 */
enum {
	ACPI_EVENTS_PENDING = 0,
	ACPI_EVENTS_SLEEP_CONTROL = 4,
	ACPI_EVENTS_SLEEP_STATUS = 5,
	ACPI_EVENTS_RESET = 6,
	ACPI_EVENTS_RESET_VALUE = 0x5a,
};

enum acpi_event { ACPI_EVENT_POWER_BUTTON = 0 };

enum acpi_request { ACPI_REQUEST_POWER_OFF, ACPI_REQUEST_RESET };

/* The guest asked for an end; on a vCPU thread. */
typedef void (*acpi_request_fn)(void *owner, enum acpi_request request);

int acpi_events_new(struct wiring *wiring, unsigned int gsi, acpi_request_fn requested, void *owner,
		    struct device **out) MUST_CHECK;

/* Makes an event pending and interrupts the guest. Any thread. */
void acpi_events_raise(struct device *dev, enum acpi_event event);

#endif
