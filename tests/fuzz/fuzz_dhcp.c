/* SPDX-License-Identifier: MIT */
/* The answers of a DHCP server, which may be anybody on that network. */
#include <stdlib.h>
#include <string.h>

#include "guest-agent/dhcp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct dhcp_client client = {.mac = {2, 1, 2, 3, 4, 5}, .xid = 0x11223344};
	struct dhcp_lease lease;
	uint8_t out[DHCP_MESSAGE_MAX];
	int type = dhcp_read(&client, data, size, &lease);

	if (type != DHCP_OFFER && type != DHCP_ACK)
		return 0;
	if (lease.n_dns > DHCP_DNS_MAX || lease.seconds < DHCP_SECONDS_MIN ||
	    strnlen(lease.domain, sizeof(lease.domain)) == sizeof(lease.domain) ||
	    strpbrk(lease.domain, " \n\t;#") ||
	    dhcp_write(&client, DHCP_REQUEST, &lease, false, out) > sizeof(out))
		abort();
	return 0;
}
