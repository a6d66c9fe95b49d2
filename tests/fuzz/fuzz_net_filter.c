/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/fuzz_input.h"
#include "vmm/net/checksum.h"
#include "vmm/net/filter.h"
#include "vmm/net/refusal.h"

static struct net_filter filter = {
	.own = {.mac = {2, 0, 0, 0, 0, 1},
		.net4 = {10, 0, 2, 0},
		.guest4 = {10, 0, 2, 15},
		.gateway4 = {10, 0, 2, 2},
		.dns4 = {10, 0, 2, 3},
		.net6 = {0xfd, 0, 0x5c, 0xa5},
		.guest6 = {0xfd, 0, 0x5c, 0xa5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x15},
		.dns6 = {0xfd, 0, 0x5c, 0xa5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3},
		.gateway6 = {0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2}},
};

/* What no frame of a guest may be, said in other words than the filter's own. */
static void look_at_ipv4(const uint8_t *ip, size_t len)
{
	const uint8_t *dst = ip + 16;

	if (len < 20 || memcmp(ip + 12, filter.own.guest4, 4) != 0)
		abort();
	if (dst[0] == 0 || dst[0] == 127 || dst[0] >= 224)
		abort();
	if (memcmp(dst, filter.own.net4, 3) == 0 && dst[3] != 2 && dst[3] != 3)
		abort();
	if (filter.mode == NETWORK_INTERNET && memcmp(dst, filter.own.net4, 3) != 0 &&
	    (dst[0] == 10 || (dst[0] == 192 && dst[1] == 168) || (dst[0] == 169 && dst[1] == 254)))
		abort();
	if ((ip[6] & 0x3f) != 0 || ip[7] != 0)
		abort();
}

static void look_at_ipv6(const uint8_t *ip, size_t len)
{
	static const uint8_t zero[10];
	const uint8_t *dst = ip + 24;

	if (len < 40 || memcmp(dst, zero, sizeof(zero)) == 0)
		abort();
	if (ip[6] != 6 && ip[6] != 17 && ip[6] != 58)
		abort();
	if (ip[6] != 58 && (dst[0] == 0xff || dst[0] == 0xfe))
		abort();
}

/* What the guest is told of a frame that goes nowhere is something that it may be told. */
static void look_at_refusal(const uint8_t *frame, size_t len)
{
	uint8_t answer[NET_REFUSAL_MAX];
	size_t n = net_refusal(&filter, frame, len, answer);

	if (n > sizeof(answer) || (n > 0 && net_filter_in(&filter, answer, n) != NET_PASS))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t frame[NET_FRAME_MAX + 16];
	size_t len;

	if (size < 4)
		return 0;
	filter.mode = data[0] & 1 ? NETWORK_USER : NETWORK_INTERNET;
	len = size - 4 < sizeof(frame) ? size - 4 : sizeof(frame);
	memcpy(frame, data + 4, len);
	if (data[0] & 2)
		(void)net_checksum_fill(frame, len, data[1], data[2]);
	if (data[0] & 4 && len >= 12)
		memcpy(frame + 6, filter.own.mac, 6);
	switch (net_filter_out(&filter, frame, len)) {
	case NET_PASS:
		if (frame[12] == 8 && frame[13] == 0)
			look_at_ipv4(frame + 14, len - 14);
		else if (frame[12] == 0x86)
			look_at_ipv6(frame + 14, len - 14);
		break;
	case NET_DROP_ADDRESS:
		look_at_refusal(frame, len);
		break;
	default:
		break;
	}
	(void)net_filter_in(&filter, frame, len);
	return 0;
}
