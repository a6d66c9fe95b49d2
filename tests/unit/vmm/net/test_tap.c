/* SPDX-License-Identifier: MIT */
#include "vmm/net/tap.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

/* A network of the test's own; false: this host does not allow it. */
static bool alone(void)
{
	return unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0 || unshare(CLONE_NEWNET) == 0;
}

/* A network of the test's own, with a tap "sc9" in it; false: this host does not allow it. */
static bool make_tap(short flags)
{
	struct ifreq ifr = {.ifr_name = "sc9", .ifr_flags = flags};
	int fd;

	if (!alone())
		return false;
	fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	return fd >= 0 && ioctl(fd, TUNSETIFF, &ifr) == 0 && ioctl(fd, TUNSETPERSIST, 1) == 0 &&
	       close(fd) == 0;
}

/* The host is 10.9.9.1 there, and asks for 10.9.9.2 by ARP. */
static bool bring_up(void)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x0a090901)};
	struct ifreq ifr = {.ifr_name = "sc9"};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	memcpy(&ifr.ifr_addr, &at, sizeof(at));
	if (ioctl(fd, SIOCSIFADDR, &ifr) < 0)
		return false;
	ifr.ifr_flags = IFF_UP;
	at.sin_addr.s_addr = htonl(0x0a090902);
	at.sin_port = htons(9);
	return ioctl(fd, SIOCSIFFLAGS, &ifr) == 0 &&
	       sendto(fd, "", 1, 0, (const struct sockaddr *)&at, sizeof(at)) == 1 &&
	       close(fd) == 0;
}

Test(tap, one_that_is_not_there_is_not_made)
{
	int fd = -1;

	if (!alone())
		cr_skip_test("no namespaces");
	cr_assert_eq(tap_open("sc9", &fd), -ENODEV);
	cr_assert_eq(if_nametoindex("sc9"), 0);
	cr_assert_eq(fd, -1);
}

Test(tap, an_interface_that_is_none)
{
	int fd = -1;

	if (!alone() || access("/dev/net/tun", R_OK) < 0)
		cr_skip_test("no namespaces, or no /dev/net/tun");
	cr_assert_eq(tap_open("lo", &fd), -EINVAL);
	cr_assert_eq(fd, -1);
}

/* A whole header goes out before each frame, and nothing is left to be done to that. */
Test(tap, frames_have_headers)
{
	uint8_t frame[sizeof(struct virtio_net_hdr_v1) + 60] = {0};
	struct virtio_net_hdr_v1 h;
	uint8_t got[2048];
	ssize_t n;
	int fd = -1, header = 0;

	if (!make_tap(IFF_TAP | IFF_NO_PI))
		cr_skip_test("no namespaces, or no /dev/net/tun");
	cr_assert_eq(tap_open("sc9", &fd), 0);
	cr_assert_gt(fd, 2);
	cr_assert_eq(ioctl(fd, TUNGETVNETHDRSZ, &header), 0);
	cr_assert_eq(header, (int)sizeof(h));
	cr_assert(bring_up());
	memset(frame + sizeof(h), 0xff, 12);
	cr_assert_eq(write(fd, frame, sizeof(frame)), (ssize_t)sizeof(frame));
	n = read(fd, got, sizeof(got));
	cr_assert_gt(n, (ssize_t)sizeof(h) + 14);
	memcpy(&h, got, sizeof(h));
	cr_assert_eq(h.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM, 0);
	cr_assert_eq(h.gso_type, VIRTIO_NET_HDR_GSO_NONE);
}

Test(tap, one_that_is_in_use)
{
	int fd = -1, other = -1;

	if (!make_tap(IFF_TAP | IFF_NO_PI))
		cr_skip_test("no namespaces, or no /dev/net/tun");
	cr_assert_eq(tap_open("sc9", &fd), 0);
	cr_assert_eq(tap_open("sc9", &other), -EBUSY);
	cr_assert_eq(other, -1);
}
