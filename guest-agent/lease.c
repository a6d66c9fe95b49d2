/* SPDX-License-Identifier: MIT */
#include "guest-agent/lease.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "guest-agent/files.h"

enum {
	CLIENT_PORT = 68,
	SERVER_PORT = 67,
	/* For an answer; twice as long each time. */
	WAIT_MS = 1000,
	WAIT_MAX_MS = 64 * 1000,
	/* Between two tries to keep a lease (RFC 2131 4.4.5). */
	RENEW_MIN_S = 60,
};

struct keeper {
	struct dhcp_client client;
	const char *card;
	lease_apply_fn apply;
	int fd;
};

static int64_t now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* For one card, whether it has an address or not. */
static int open_socket(const char *card)
{
	struct sockaddr_in any = {.sin_family = AF_INET, .sin_port = htons(CLIENT_PORT)};
	AUTO_CLOSE int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	const int on = 1;

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_BROADCAST, &on, sizeof(on)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
	    setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, card, (socklen_t)strlen(card)) < 0 ||
	    bind(fd, (struct sockaddr *)&any, sizeof(any)) < 0)
		return -errno;
	return steal_fd(&fd);
}

/* The type of the first answer within ms, 0: there was none. */
static int hear(const struct keeper *k, int ms, struct dhcp_lease *out)
{
	const int64_t end = now_ms() + ms;
	struct pollfd p = {.fd = k->fd, .events = POLLIN};
	uint8_t data[DHCP_MESSAGE_MAX];
	int64_t left;

	while ((left = end - now_ms()) > 0) {
		ssize_t n;
		int type;

		if (poll(&p, 1, (int)left) <= 0)
			continue;
		n = recv(k->fd, data, sizeof(data), MSG_DONTWAIT);
		type = n < 0 ? -errno : dhcp_read(&k->client, data, (size_t)n, out);
		if (type > 0)
			return type;
	}
	return 0;
}

static int ask(const struct keeper *k, enum dhcp_type type, const struct dhcp_lease *lease,
	       bool renew, int ms, struct dhcp_lease *out)
{
	const struct sockaddr_in all = {.sin_family = AF_INET,
					.sin_port = htons(SERVER_PORT),
					.sin_addr.s_addr = htonl(INADDR_BROADCAST)};
	uint8_t data[DHCP_MESSAGE_MAX];
	size_t len = dhcp_write(&k->client, type, lease, renew, data);

	/* Where it cannot be sent now there is no answer, and the next try comes. */
	(void)!sendto(k->fd, data, len, 0, (const struct sockaddr *)&all, sizeof(all));
	return hear(k, ms, out);
}

static void obtain(const struct keeper *k, struct dhcp_lease *out)
{
	struct dhcp_lease offer;
	int ms = WAIT_MS;

	while (ask(k, DHCP_DISCOVER, NULL, false, ms, &offer) != DHCP_OFFER ||
	       ask(k, DHCP_REQUEST, &offer, false, ms, out) != DHCP_ACK)
		ms = ms < WAIT_MAX_MS ? 2 * ms : WAIT_MAX_MS;
}

static void sleep_seconds(uint32_t seconds)
{
	/* A clock that goes on while the machine is suspended: so does the server's. */
	struct timespec left = {.tv_sec = seconds};

	while (clock_nanosleep(CLOCK_BOOTTIME, 0, &left, &left) == EINTR)
		;
}

/* Keeps the lease up to its end, and beyond if the server prolongs it. False: it is over. */
static bool renew(const struct keeper *k, struct dhcp_lease *lease)
{
	struct dhcp_lease next = *lease;

	for (uint32_t left = lease->seconds, wait; left > 0; left -= wait) {
		int answer;

		wait = left / 2 > RENEW_MIN_S ? left / 2 : (uint32_t)min_size(left, RENEW_MIN_S);
		sleep_seconds(wait);
		answer = ask(k, DHCP_REQUEST, lease, true, WAIT_MS, &next);
		if (answer == DHCP_ACK && memcmp(next.address, lease->address, 4) == 0) {
			lease->seconds = next.seconds;
			return true;
		}
		if (answer == DHCP_NAK)
			return false;
	}
	return false;
}

static _Noreturn void keep(const struct keeper *k, int tell)
{
	for (;;) {
		struct dhcp_lease lease;

		obtain(k, &lease);
		if (k->apply(k->card, &lease) == 0 && tell >= 0) {
			(void)!write_all(tell, lease.address, sizeof(lease.address));
			close(steal_fd(&tell));
		}
		while (renew(k, &lease))
			;
		(void)k->apply(k->card, NULL);
	}
}

/* The child has nothing of the agent's: a copy of a pipe's end would hide an end of file. */
static _Noreturn void child(struct keeper *k, int tell)
{
	/* First out of the way of the two numbers that stay. */
	const int asks = fcntl(k->fd, F_DUPFD, 5), tells = fcntl(tell, F_DUPFD, 5);

	/* SIGPIPE: the agent may have waited long enough. */
	if (dup2(asks, 3) != 3 || dup2(tells, 4) != 4 || close_range(5, ~0U, 0) < 0 ||
	    signal(SIGPIPE, SIG_IGN) == SIG_ERR)
		_exit(1);
	k->fd = 3;
	keep(k, 4);
}

int lease_keep(const char *card, const uint8_t mac[6], lease_apply_fn apply, int wait_ms,
	       uint8_t address[4])
{
	struct keeper k = {.card = card, .apply = apply, .fd = open_socket(card)};
	struct pollfd p = {.events = POLLIN};
	AUTO_CLOSE int asks = k.fd;
	int ends[2];
	pid_t pid;

	if (asks < 0)
		return asks;
	memcpy(k.client.mac, mac, sizeof(k.client.mac));
	if (getrandom(&k.client.xid, sizeof(k.client.xid), 0) != sizeof(k.client.xid) ||
	    pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	pid = fork();
	if (pid == 0)
		child(&k, ends[1]);
	close(ends[1]);
	p.fd = ends[0];
	if (pid > 0 && poll(&p, 1, wait_ms) == 1)
		(void)!read(ends[0], address, 4);
	close(ends[0]);
	return pid < 0 ? -EAGAIN : 0;
}
