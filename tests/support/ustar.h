/* SPDX-License-Identifier: MIT */
/* tests/support/ustar.h - headers of tar archives, right or wrong, as no tar would make them. */
#ifndef TESTS_SUPPORT_USTAR_H
#define TESTS_SUPPORT_USTAR_H

#include <string.h>

#include "common/util.h"

enum { USTAR_BLOCK = 512, USTAR_NAME = 100 };

/* A number in a field of that many bytes, the last of which is left alone. */
static inline void ustar_octal(char *field, size_t size, unsigned long value)
{
	for (size_t i = size - 1; i-- > 0; value >>= 3)
		field[i] = (char)('0' + (value & 7));
}

/* A header as POSIX has it, with a true checksum; names are cut to USTAR_NAME bytes. */
static inline void ustar_header(char block[USTAR_BLOCK], const char *name, char type,
				unsigned int mode, const char *link, unsigned long size)
{
	unsigned int sum = 0;

	memset(block, 0, USTAR_BLOCK);
	memcpy(block, name, min_size(strlen(name), USTAR_NAME));
	ustar_octal(block + 100, 8, mode);
	ustar_octal(block + 108, 8, 0);
	ustar_octal(block + 116, 8, 0);
	ustar_octal(block + 124, 12, size);
	ustar_octal(block + 136, 12, 1000000000);
	memset(block + 148, ' ', 8);
	block[156] = type;
	memcpy(block + 157, link, min_size(strlen(link), USTAR_NAME));
	memcpy(block + 257, "ustar\00000", 8);
	ustar_octal(block + 329, 8, 1);
	ustar_octal(block + 337, 8, 5);
	for (size_t i = 0; i < USTAR_BLOCK; i++)
		sum += (unsigned char)block[i];
	ustar_octal(block + 148, 7, sum);
	block[154] = '\0';
}

#endif
