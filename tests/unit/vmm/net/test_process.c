/* SPDX-License-Identifier: MIT */
/* The network process, as it is: libslirp and its seal, with a guest made of single frames. */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vmm/net/checksum.h"
#include "vmm/net/process.h"

enum { HEADER = sizeof(struct virtio_net_hdr_v1), IP = HEADER + 14, TCP = IP + 20, WAIT_MS = 5000 };

static const struct net_setup setup_of_test = {
	.mode = NETWORK_USER,
	.own = {.mac = {2, 0, 0, 0, 0, 1},
		.net4 = {10, 0, 2, 0},
		.guest4 = {10, 0, 2, 15},
		.gateway4 = {10, 0, 2, 2},
		.dns4 = {10, 0, 2, 3},
		.net6 = {0xfd, 0, 0, 1},
		.guest6 = {0xfd, 0, 0, 1, [15] = 15},
		.dns6 = {0xfd, 0, 0, 1, [15] = 3}},
};

static int cable;
static pid_t process;

/* With standard error on a terminal, as the VMM's; -1: the test's own. */
static void start_on(int terminal)
{
	int ends[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	process = fork();
	cr_assert_geq(process, 0);
	if (process == 0) {
		close(ends[0]);
		if (terminal >= 0 &&
		    (dup2(terminal, STDERR_FILENO) < 0 || close(terminal) < 0 ||
		     dup2(open("/dev/null", O_RDWR | O_CLOEXEC), STDOUT_FILENO) < 0))
			_exit(1);
		/* Not by exit(): what this program would do there the seal forbids. */
		_exit(net_process_run(&setup_of_test, ends[1]));
	}
	close(ends[1]);
	cable = ends[0];
	cr_assert_eq(net_process_wait(cable), 0);
}

static void start(void)
{
	start_on(-1);
}

static void stop(void)
{
	if (process > 0) {
		kill(process, SIGKILL);
		waitpid(process, NULL, 0);
	}
	close(cable);
}

TestSuite(net_process, .init = start, .fini = stop);

/* The next frame that comes within WAIT_MS; its length with the header, 0: none. */
static size_t take(uint8_t *buf, size_t size)
{
	struct pollfd p = {.fd = cable, .events = POLLIN};
	ssize_t n;

	if (poll(&p, 1, WAIT_MS) <= 0)
		return 0;
	n = recv(cable, buf, size, 0);
	return n < 0 ? 0 : (size_t)n;
}

static void put_ethernet(uint8_t *f, uint16_t type)
{
	memset(f, 0, HEADER);
	memset(f + HEADER, 0xff, 6);
	memcpy(f + HEADER + 6, setup_of_test.own.mac, 6);
	f[HEADER + 12] = (uint8_t)(type >> 8);
	f[HEADER + 13] = (uint8_t)type;
}

/* Asks who has the gateway's address, and waits for the answer: so frames before it were seen. */
static bool gateway_answers(void)
{
	uint8_t f[HEADER + 14 + 28] = {0}, got[2048];
	size_t n;

	put_ethernet(f, 0x0806);
	memcpy(f + IP, (const uint8_t[]){0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 1, 10, 0, 2, 15},
	       18);
	memcpy(f + IP + 24, setup_of_test.own.gateway4, 4);
	cr_assert_eq(send(cable, f, sizeof(f), 0), (ssize_t)sizeof(f));
	while ((n = take(got, sizeof(got))) > 0)
		if (n >= HEADER + 14 + 28 && got[HEADER + 12] == 8 && got[HEADER + 13] == 6 &&
		    got[IP + 7] == 2 && memcmp(got + IP + 14, setup_of_test.own.gateway4, 4) == 0)
			return true;
	return false;
}

/* A SYN to addr:port, whose checksums the card is to make. */
static void send_syn(const char *addr, uint16_t port)
{
	uint8_t f[HEADER + 14 + 40] = {0};
	struct virtio_net_hdr_v1 h = {
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .csum_start = 34, .csum_offset = 16};
	uint32_t pseudo = 10 << 8 | 0;
	uint16_t be = htons(port);

	put_ethernet(f, 0x0800);
	memcpy(f, &h, HEADER);
	f[HEADER] = 0x52; /* to one, not to all */
	f[IP] = 0x45;
	f[IP + 3] = 40;
	f[IP + 8] = 64;
	f[IP + 9] = 6;
	memcpy(f + IP + 12, setup_of_test.own.guest4, 4);
	cr_assert_eq(inet_pton(AF_INET, addr, f + IP + 16), 1);
	cr_assert(net_checksum_fill(f + IP, 20, 0, 10));
	f[TCP] = 0x9c;
	memcpy(f + TCP + 2, &be, 2);
	f[TCP + 12] = 5 << 4;
	f[TCP + 13] = 2;
	f[TCP + 14] = 0xff;
	/* The pseudo header's sum: addresses, protocol, length. */
	pseudo = 6 + 20;
	for (size_t i = IP + 12; i < IP + 20; i += 2)
		pseudo += (uint32_t)(f[i] << 8 | f[i + 1]);
	pseudo = (pseudo & 0xffff) + (pseudo >> 16);
	f[TCP + 16] = (uint8_t)(pseudo >> 8);
	f[TCP + 17] = (uint8_t)pseudo;
	cr_assert_eq(send(cable, f, sizeof(f), 0), (ssize_t)sizeof(f));
}

static int listen_on(const char *addr, uint16_t *port)
{
	struct sockaddr_in at = {.sin_family = AF_INET};
	socklen_t len = sizeof(at);
	int s = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

	cr_assert_eq(inet_pton(AF_INET, addr, &at.sin_addr), 1);
	cr_assert_eq(bind(s, (const struct sockaddr *)&at, sizeof(at)), 0);
	cr_assert_eq(listen(s, 4), 0);
	cr_assert_eq(getsockname(s, (struct sockaddr *)&at, &len), 0);
	*port = ntohs(at.sin_port);
	return s;
}

Test(net_process, the_gateway_is_there)
{
	cr_expect(gateway_answers());
}

/* An address of this machine's that is not its loopback; false: it has none. */
static bool own_address(char out[INET_ADDRSTRLEN])
{
	struct ifaddrs *list;
	bool found = false;

	cr_assert_eq(getifaddrs(&list), 0);
	for (const struct ifaddrs *i = list; i && !found; i = i->ifa_next) {
		struct sockaddr_in in;

		if (!i->ifa_addr || i->ifa_addr->sa_family != AF_INET ||
		    (i->ifa_flags & IFF_LOOPBACK))
			continue;
		memcpy(&in, i->ifa_addr, sizeof(in));
		found = inet_ntop(AF_INET, &in.sin_addr, out, INET_ADDRSTRLEN) != NULL;
	}
	freeifaddrs(list);
	return found;
}

/* What the tests of what is not reached prove, they prove by frames that reach this. */
Test(net_process, a_service_of_the_users_network_is_reached)
{
	char addr[INET_ADDRSTRLEN];
	uint16_t port;
	int s = listen_on("0.0.0.0", &port);
	struct pollfd p = {.fd = s, .events = POLLIN};

	if (!own_address(addr))
		cr_skip_test("this machine has no address but the loopback's");
	send_syn(addr, port);
	cr_expect_eq(poll(&p, 1, WAIT_MS), 1);
	close(s);
}

Test(net_process, the_hosts_loopback_is_not_reached)
{
	static const char *const by[] = {"127.0.0.1", "127.1.2.3", "0.0.0.0", "10.0.2.2",
					 "10.0.2.99"};
	uint16_t port;
	int s = listen_on("0.0.0.0", &port);

	for (size_t i = 0; i < sizeof(by) / sizeof(*by); i++)
		send_syn(by[i], port);
	cr_assert(gateway_answers());
	cr_expect_lt(accept(s, NULL, NULL), 0);
	close(s);
}

Test(net_process, the_guest_is_told_what_it_does_not_reach)
{
	uint8_t got[2048];
	size_t n;

	send_syn("127.0.0.1", 1);
	while ((n = take(got, sizeof(got))) > 0)
		if (n >= TCP + 8 && got[IP + 9] == 1)
			break;
	cr_assert_gt(n, 0, "no ICMP");
	cr_expect_eq(got[TCP], 3);
	cr_expect_eq(got[TCP + 1], 13);
	cr_expect(gateway_answers());
}

Test(net_process, frames_that_are_none_end_nothing)
{
	static uint8_t noise[HEADER + NET_FRAME_MAX];

	for (size_t len = 1; len < 200; len++)
		cr_assert_eq(send(cable, noise, len, 0), (ssize_t)len);
	for (unsigned int i = 0; i < 64; i++) {
		memset(noise, (int)(i * 37), sizeof(noise));
		put_ethernet(noise, i % 2 ? 0x0800 : 0x86dd);
		cr_assert_eq(send(cable, noise, 2000 + i, 0), 2000 + (ssize_t)i);
	}
	cr_expect(gateway_answers());
}

/* A terminal: its master, and the name of the other side. */
static int open_terminal(char name[64])
{
	int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);

	cr_assert_geq(master, 0);
	cr_assert_eq(grantpt(master), 0);
	cr_assert_eq(unlockpt(master), 0);
	cr_assert_eq(ptsname_r(master, name, 64), 0);
	return master;
}

/* Exit codes, of what a process that was taken over would try on its standard error. */
static int type_into(int terminal)
{
	char c = 'x';
	int n;

	if (ioctl(terminal, TIOCSTI, &c) == 0 || errno != EACCES)
		return 1;
	if (ioctl(terminal, TIOCSCTTY, 0) == 0 || errno != EACCES)
		return 2;
	if (ioctl(terminal, TIOCSETD, &(int){0}) == 0 || errno != EACCES)
		return 3;
	return ioctl(terminal, FIONREAD, &n) == 0 ? 0 : 4;
}

Test(net_process, types_nothing_into_a_terminal)
{
	char name[64];
	int master = open_terminal(name), status;
	pid_t child = fork();

	cr_assert_geq(child, 0);
	if (child == 0) {
		int terminal = setsid() < 0 ? -1 : open(name, O_RDWR | O_CLOEXEC);

		_exit(terminal < 0 || net_process_seal() < 0 ? 99 : type_into(terminal));
	}
	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_assert(WIFEXITED(status));
	cr_expect_eq(WEXITSTATUS(status), 0);
	close(master);
}

/* The terminal's other side hangs up when nobody has it open any more. */
Test(net_process, has_no_terminal)
{
	char name[64];
	int master = open_terminal(name), terminal = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
	struct pollfd p = {.fd = master};

	cr_assert_geq(terminal, 0);
	stop();
	start_on(terminal);
	close(terminal);
	cr_expect_eq(poll(&p, 1, WAIT_MS), 1);
	cr_expect(p.revents & POLLHUP);
	cr_expect(gateway_answers());
	close(master);
}

Test(net_process, it_ends_with_the_vmm)
{
	int status;

	close(cable);
	cr_assert_eq(waitpid(process, &status, 0), process);
	cr_expect(WIFEXITED(status));
	cr_expect_eq(WEXITSTATUS(status), 0);
	process = 0;
}
