/* SPDX-License-Identifier: MIT */
/* devices/serial.h - a 16550 UART that only speaks: the kernel's messages before it has drivers. */
#ifndef DEVICES_SERIAL_H
#define DEVICES_SERIAL_H

#include <stddef.h>

#include "devices/board/device.h"

/*
 * Eight ports. Polled output only: the transmitter is always empty, nothing is
 * ever received, no interrupt is raised. That is what an early console needs.
 */

/* A byte the guest sent; on a vCPU thread, under the device's lock. */
typedef void (*serial_output_fn)(void *owner, const void *buf, size_t len);

int serial_new(serial_output_fn output, void *owner, struct device **out) MUST_CHECK;

#endif
