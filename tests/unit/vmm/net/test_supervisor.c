/* SPDX-License-Identifier: MIT */
/* A card and a supervisor, and cables whose other ends this test holds. */
#include <criterion/criterion.h>
#include <errno.h>
#include <linux/virtio_net.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/loop.h"
#include "devices/net.h"
#include "tests/support/fake_guest.h"
#include "vmm/net/supervisor.h"

enum { LINE = 1234 }; /* nothing is sent there */

static struct fake_guest *g;
static struct net_device *card;
static struct net_supervisor *supervisor;
static int peer; /* the other end of the last cable */
static unsigned int starts;
static int start_result; /* of the next starts */

static int ask(int line, int *cable)
{
	int ends[2];

	cr_assert_eq(line, LINE);
	starts++;
	if (start_result < 0)
		return start_result;
	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends),
		     0);
	*cable = ends[0];
	peer = ends[1];
	return 0;
}

static void setup(void)
{
	static const uint8_t mac[6] = {2, 1, 2, 3, 4, 5};
	struct net_supervisor_setup s = {
		.line = LINE,
		.ask = ask,
		.pause_ms = 1,
	};
	struct virtio_device *vdev;
	int ends[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	peer = ends[1];
	g = fake_guest_new();
	cr_assert_eq(virtio_net_new(mac, ends[0], &vdev, &card), 0);
	fake_guest_start(g, vdev, 1ull << VIRTIO_NET_F_STATUS);
	s.loop = s.card_loop = g->loop;
	s.card = card;
	cr_assert_eq(net_supervisor_new(&s, &supervisor), 0);
}

static void teardown(void)
{
	net_supervisor_free(supervisor);
	fake_guest_free(g);
}

TestSuite(net_supervisor, .init = setup, .fini = teardown);

static struct net_figures figures(void)
{
	struct net_figures f;

	net_device_figures(card, &f);
	return f;
}

/* The process's end of the cable goes. */
static void pull(void)
{
	close(peer);
	fake_guest_settle(g);
	fake_guest_settle(g);
}

static void settle_until_start(unsigned int n)
{
	while (starts < n) {
		(void)poll(NULL, 0, 1);
		fake_guest_settle(g);
	}
}

/* The new process has sealed itself. */
static void answer(void)
{
	cr_assert_eq(send(peer, "", 1, 0), 1);
	fake_guest_settle(g);
	fake_guest_settle(g);
}

Test(net_supervisor, a_process_that_ends_is_followed_by_another)
{
	cr_assert(figures().up);
	pull();
	cr_assert_not(figures().up);
	settle_until_start(1);
	cr_assert_not(figures().up, "it has not answered yet");
	answer();
	cr_assert(figures().up);
	cr_assert_eq(figures().plugs, 1);
	pull();
	cr_assert_not(figures().up);
	settle_until_start(2);
	answer();
	cr_assert_eq(figures().plugs, 2);
}

Test(net_supervisor, one_that_dies_before_it_answers)
{
	pull();
	settle_until_start(1);
	pull();
	settle_until_start(2);
	answer();
	cr_assert(figures().up);
	cr_assert_eq(figures().plugs, 1);
}

Test(net_supervisor, not_without_end)
{
	start_result = -EAGAIN;
	pull();
	/* The pause doubles, so a few tell as much as all. */
	settle_until_start(6);
	start_result = 0;
	settle_until_start(7);
	answer();
	cr_assert(figures().up);
}
