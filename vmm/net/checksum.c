/* SPDX-License-Identifier: MIT */
#include "vmm/net/checksum.h"

#include <string.h>

/* The sum of 16-bit words in the order of the wire, folded to 16 bits. */
static uint16_t sum(const uint8_t *p, size_t len)
{
	uint64_t s = 0;

	for (; len >= 4; p += 4, len -= 4) {
		uint32_t word;

		memcpy(&word, p, sizeof(word));
		s += word;
	}
	for (; len >= 2; p += 2, len -= 2) {
		uint16_t word;

		memcpy(&word, p, sizeof(word));
		s += word;
	}
	if (len > 0)
		s += *p;
	while (s >> 16)
		s = (s & 0xffff) + (s >> 16);
	return (uint16_t)s;
}

bool net_checksum_fill(uint8_t *frame, size_t len, size_t start, size_t offset)
{
	uint16_t value;

	if (len < 2 || start > len - 2 || offset > len - 2 - start)
		return false;
	value = (uint16_t)~sum(frame + start, len - start);
	/* 0 would say that UDP has none; both mean the same. */
	if (value == 0)
		value = 0xffff;
	memcpy(frame + start + offset, &value, sizeof(value));
	return true;
}
