/* SPDX-License-Identifier: MIT */
/* vmm/net/checksum.h - the Internet checksum that a guest has left to its card. */
#ifndef VMM_NET_CHECKSUM_H
#define VMM_NET_CHECKSUM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Sums frame[start, len) into the two bytes at start + offset, in which the guest
 * has put the sum of the pseudo header (VIRTIO 1.2 section 5.1.6.2, RFC 1071).
 * False: the place does not lie in the frame, which is as it was.
 */
bool net_checksum_fill(uint8_t *frame, size_t len, size_t start, size_t offset);

#endif
