/* SPDX-License-Identifier: MIT */
/*
 * bench_network TAP: joins the network process with a new tap, as a sandbox's card does with its
 * guest, and prints both processes' numbers. What is behind the tap takes the guest's place. Ends when
 * it is told to. For tests/bench/network.sh, which runs it as root.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "vmm/config/config.h"
#include "vmm/net/addresses.h"
#include "vmm/net/keeper.h"
#include "vmm/net/tap.h"

enum { HEADER = sizeof(struct virtio_net_hdr_v1), FRAME_MAX = HEADER + 14 + 65535, TURN = 128 };

/* One that leaves checksums and segments to us, as a guest's driver does. */
static int make_tap(const char *name)
{
	struct ifreq ifr = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);

	memcpy(ifr.ifr_name, name, strnlen(name, IFNAMSIZ - 1));
	if (fd < 0 || ioctl(fd, TUNSETIFF, &ifr) < 0 || tap_prepare(fd) < 0 ||
	    ioctl(fd, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6) < 0)
		return -errno;
	return fd;
}

/* What is there, a turn's worth at most. False: the other end is gone. */
static bool carry(int from, int to)
{
	static uint8_t frame[FRAME_MAX];
	ssize_t n = 1;

	for (int i = 0; i < TURN && n > 0; i++) {
		n = read(from, frame, sizeof(frame));
		/* A frame that finds no room is lost, and TCP sends it again. */
		if (n > HEADER)
			(void)!write(to, frame, (size_t)n);
	}
	return n > 0 || (n < 0 && errno == EAGAIN);
}

/* The keeper's only child; 0: it has none. */
static int process_of(pid_t keeper)
{
	char path[64];
	int pid = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)keeper, (int)keeper);
	f = fopen(path, "re");
	/* NOLINTNEXTLINE(cert-err34-c): the kernel's own number */
	if (f && fscanf(f, "%d", &pid) != 1)
		pid = 0;
	if (f)
		fclose(f);
	return pid;
}

int main(int argc, char **argv)
{
	static const uint8_t mac[6] = {2, 1, 2, 3, 4, 5};
	struct net_setup setup = {.mode = NETWORK_INTERNET};
	struct net_filter host = {.n_host = 0};
	struct pollfd p[2] = {{.events = POLLIN}, {.events = POLLIN}};
	pid_t keeper;
	int line;

	if (argc == 2 && strcmp(argv[1], NET_KEEPER_WORD) == 0)
		return net_keeper_main(NET_KEEPER_LINE);
	if (argc != 2 || net_addresses_choose(&host, &setup.own) < 0)
		return 1;
	memcpy(setup.own.mac, mac, sizeof(mac));
	p[0].fd = make_tap(argv[1]);
	if (p[0].fd < 0 || net_keeper_start(&setup, &line, &keeper) < 0 ||
	    net_keeper_ask(line, &p[1].fd) < 0 || net_process_wait(p[1].fd) < 0 ||
	    fcntl(p[1].fd, F_SETFL, O_RDWR | O_NONBLOCK) < 0)
		return 1;
	printf("%d %d\n", process_of(keeper), (int)getpid());
	fflush(stdout);
	while (poll(p, 2, -1) > 0)
		for (int i = 0; i < 2; i++)
			if (p[i].revents && !carry(p[i].fd, p[!i].fd))
				return 0;
	return 1;
}
