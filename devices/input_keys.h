/* SPDX-License-Identifier: MIT */
/* devices/input_keys.h - keys by where they are on the board: USB's numbers and Linux's. */
#ifndef DEVICES_INPUT_KEYS_H
#define DEVICES_INPUT_KEYS_H

#include <stdint.h>

enum { INPUT_USAGES = 256 };

/*
 * The code of <linux/input-event-codes.h> for each usage of the HID page 7 (Keyboard/Keypad;
 * HID Usage Tables, section 10). 0: no keyboard has such a key, or Linux no code for it.
 */
extern const uint8_t input_keys[INPUT_USAGES];

#endif
