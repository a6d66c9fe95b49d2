/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <endian.h>
#include <string.h>
#include <time.h>

#include "common/agent_protocol.h"
#include "tests/support/fake_vsock.h"
#include "vmm/session/host_clock.h"

static struct fake_vsock fv;
static struct host_clock *hc;
static struct fake_sock sock, other, *all[] = {&sock, &other};

static void setup(void)
{
	fake_vsock_init(&fv, true);
	cr_assert_eq(host_clock_new(fv.g->loop, fv.vs, &hc), 0);
}

static void teardown(void)
{
	host_clock_free(hc);
	fake_vsock_fini(&fv);
}

TestSuite(host_clock, .init = setup, .fini = teardown);

static void settle(void)
{
	do
		fake_guest_settle(fv.g);
	while (fake_sock_poll(&fv, all, ARRAY_SIZE(all)));
}

static void connect_from(struct fake_sock *s, uint32_t port)
{
	fake_sock_connect(&fv, s, SC_PORT_CLOCK, port);
	settle();
}

static uint64_t seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec;
}

Test(host_clock, answers_with_its_time)
{
	const uint64_t before = seconds();
	uint64_t ns;

	connect_from(&sock, 10);
	cr_assert(sock.connected);
	cr_assert_eq(sock.total, 0);
	cr_assert_eq(fake_sock_write(&fv, &sock, "?", 1), 1);
	settle();
	cr_assert_eq(sock.total, sizeof(ns));
	memcpy(&ns, sock.first, sizeof(ns));
	cr_assert_geq(le64toh(ns) / 1000000000, before);
	cr_assert_leq(le64toh(ns) / 1000000000, seconds() + 1);
	/* A flood of questions is one. */
	cr_assert_eq(fake_sock_write(&fv, &sock, "????????", 8), 8);
	settle();
	cr_assert_eq(sock.total, 2 * sizeof(ns));
}

Test(host_clock, answers_the_agent_only)
{
	connect_from(&sock, SC_PORT_GUEST_MAX + 1);
	cr_assert_not(sock.connected);
	connect_from(&sock, SC_PORT_GUEST_MAX);
	cr_assert(sock.connected);
	connect_from(&other, 11);
	cr_assert_not(other.connected);
}

Test(host_clock, one_who_hangs_up_may_come_again)
{
	connect_from(&sock, 10);
	fake_sock_shutdown(&fv, &sock, 3);
	settle();
	connect_from(&other, 11);
	cr_assert(other.connected);
	cr_assert_eq(fake_sock_write(&fv, &other, "?", 1), 1);
	settle();
	cr_assert_eq(other.total, 8);
}
