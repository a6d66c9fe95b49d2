/* SPDX-License-Identifier: MIT */
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "devices/net.h"
#include "tests/fuzz/fuzz_device.h"

/* What leaves the card is a whole message; what comes back is one of any length. */
static void other_end(void *arg, uint8_t op, struct fuzz_input *in)
{
	static uint8_t buf[2 * NET_MAX_FRAME];
	const int *peer = arg;
	ssize_t n;

	if (op & 1) {
		while ((n = recv(*peer, buf, sizeof(buf), MSG_DONTWAIT)) > 0)
			if (n < 12 + 14 || n > 12 + NET_MAX_FRAME)
				abort();
		return;
	}
	fuzz_bytes(in, buf, op);
	(void)!send(*peer, buf, (op & 2) ? op : 2048 + op, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (op == 0xfe)
		shutdown(*peer, SHUT_RDWR);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t mac[6] = {2, 0, 0, 0, 0, 1};
	struct fuzz_input in = {data, size};
	struct fake_guest *g = fake_guest_new();
	struct virtio_device *vdev;
	struct net_device *net;
	int ends[2];

	signal(SIGPIPE, SIG_IGN);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends) < 0)
		abort();
	if (virtio_net_new(mac, ends[0], &vdev, &net) == 0)
		fuzz_device(g, vdev, &in, other_end, &ends[1]);
	fake_guest_free(g);
	close(ends[1]);
	return 0;
}
