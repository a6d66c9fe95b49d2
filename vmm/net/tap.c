/* SPDX-License-Identifier: MIT */
#include "vmm/net/tap.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>

#include "common/log.h"

int tap_prepare(int fd)
{
	const int header = sizeof(struct virtio_net_hdr_v1);

	return ioctl(fd, TUNSETVNETHDRSZ, &header) < 0 || ioctl(fd, TUNSETOFFLOAD, 0ul) < 0 ? -errno
											    : 0;
}

static int explain(const char *name, int error)
{
	if (error == -ENODEV)
		log_error("--network: this host has no tap '%s'; `sudo ip tuntap add dev %s mode "
			  "tap user $USER` makes one",
			  name, name);
	else if (error == -EPERM)
		log_error("--network: the tap '%s' is not this user's; root gives it by `ip tuntap "
			  "add dev %s mode tap user USER`",
			  name, name);
	else if (error == -EBUSY)
		log_error("--network: the tap '%s' is in use by another program", name);
	else if (error == -EINVAL)
		log_error("--network: '%s' is no tap with one queue", name);
	else
		log_error("--network: cannot open the tap '%s': %s", name, strerror(-error));
	return error;
}

static int open_named(const char *name)
{
	struct ifreq ifr = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
	AUTO_CLOSE int fd = -1;
	int r;

	/* Root, asking for one that is not there, would make it. */
	if (if_nametoindex(name) == 0)
		return -ENODEV;
	fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	memcpy(ifr.ifr_name, name, strnlen(name, IFNAMSIZ - 1));
	if (ioctl(fd, TUNSETIFF, &ifr) < 0)
		return -errno;
	r = tap_prepare(fd);
	return r < 0 ? r : steal_fd(&fd);
}

int tap_open(const char *name, int *fd)
{
	AUTO_CLOSE int tap = open_named(name);
	/* Also where whoever started us left out stdin. */
	int high = tap < 0 ? tap : fcntl(tap, F_DUPFD_CLOEXEC, 3);

	if (high < 0)
		return explain(name, tap < 0 ? tap : -errno);
	*fd = high;
	return 0;
}
