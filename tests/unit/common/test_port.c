/* SPDX-License-Identifier: MIT */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "common/port.h"

/* What `text` is read as, written anew with the guest's port behind it. */
static void expect_read(const char *text, bool guest, const char *name, uint16_t guest_port)
{
	char got[PORT_NAME_MAX];
	struct port port;

	cr_assert_eq(port_parse(text, guest, &port), 0, "%s", text);
	port_name(&port, got);
	cr_assert_str_eq(got, name);
	cr_assert_eq(port.guest, guest_port);
}

Test(port, what_is_one)
{
	expect_read("8080:80", true, "127.0.0.1:8080", 80);
	expect_read("0:80", true, "127.0.0.1:0", 80);
	expect_read("0.0.0.0:65535:65535", true, "0.0.0.0:65535", 65535);
	expect_read("[::1]:8080:80", true, "[::1]:8080", 80);
	expect_read("[fe80::1:2]:1:2", true, "[fe80::1:2]:1", 2);
	expect_read("8080", false, "127.0.0.1:8080", 0);
	expect_read("10.1.2.3:8080", false, "10.1.2.3:8080", 0);
	expect_read("[::]:8080", false, "[::]:8080", 0);
	expect_read("5353:53/udp", true, "127.0.0.1:5353/udp", 53);
	expect_read("[::1]:0:53/udp", true, "[::1]:0/udp", 53);
	expect_read("127.0.0.1:5353/udp", false, "127.0.0.1:5353/udp", 0);
}

Test(port, what_is_none)
{
	static const char *const bad[] = {
		"",
		"80",
		":",
		"::",
		"8080:",
		":80",
		"8080:0",
		"65536:80",
		"80:65536",
		"a:80",
		"-1:80",
		"80:80/tcp",
		"80:80/UDP",
		"80:80/udp/udp",
		"80/udp:80",
		"80:80udp",
		"/udp",
		"::1:1:2",
		"[::1:8080:80",
		"1.2.3:80:80",
		"1.2.3.4.5:1:2",
		"localhost:80:80",
		"[]:1:2",
		" 80:80",
		"[::g]:1:2",
		"8080:80:",
		"[1111:1111:1111:1111:1111:1111:1111:1111:1111:1111:1111]:12345:12345",
	};
	struct port port;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		cr_assert_eq(port_parse(bad[i], true, &port), -EINVAL, "%s", bad[i]);
	cr_assert_eq(port_parse("8080:80", false, &port), -EINVAL);
}

Test(port, a_socket_tells_where_it_listens)
{
	struct port any = {.family = AF_INET, .address = {127, 0, 0, 1}}, first, again;
	char why[PORT_WHY_MAX] = "", address[INET6_ADDRSTRLEN];
	int fd, other;

	cr_assert_eq(port_listen(&any, &fd, why), 0, "%s", why);
	cr_assert_eq(port_of_socket(fd, &first), 0);
	cr_assert_gt(first.host, 0);
	port_address(&first, address);
	cr_assert_str_eq(address, "127.0.0.1");
	cr_assert_eq(port_listen(&first, &other, why), -EADDRINUSE);
	cr_assert_not_null(strstr(why, "is in use"), "%s", why);
	close(fd);
	cr_assert_eq(port_listen(&first, &fd, why), 0, "%s", why);
	cr_assert_eq(port_of_socket(fd, &again), 0);
	cr_assert_eq(again.host, first.host);
	close(fd);
}

Test(port, one_for_datagrams)
{
	struct port any = {.family = AF_INET, .udp = true, .address = {127, 0, 0, 1}}, first, tcp;
	char why[PORT_WHY_MAX] = "", name[PORT_NAME_MAX];
	int fd, other;

	cr_assert_eq(port_listen(&any, &fd, why), 0, "%s", why);
	cr_assert_eq(port_of_socket(fd, &first), 0);
	cr_assert(first.udp);
	port_name(&first, name);
	cr_assert_not_null(strstr(name, "/udp"));
	/* Nobody else has it meanwhile. */
	cr_assert_eq(port_listen(&first, &other, why), -EADDRINUSE);
	cr_assert_not_null(strstr(why, name), "%s", why);
	/* TCP has ports of its own. */
	tcp = first;
	tcp.udp = false;
	if (port_listen(&tcp, &other, why) == 0) {
		cr_assert_eq(port_of_socket(other, &tcp), 0);
		cr_assert_not(tcp.udp);
		close(other);
	}
	close(fd);
}

Test(port, an_address_of_somebody_else)
{
	const struct port port = {.family = AF_INET, .address = {192, 0, 2, 1}};
	char why[PORT_WHY_MAX] = "";
	int fd;

	cr_assert_eq(port_listen(&port, &fd, why), -EADDRNOTAVAIL);
	cr_assert_not_null(strstr(why, "192.0.2.1"), "%s", why);
}

Test(port, sockets_that_do_not_listen)
{
	struct sockaddr_in peer = {.sin_family = AF_INET,
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
				   .sin_port = htons(9)};
	struct port port;
	int ends[2], fd = socket(AF_INET, SOCK_STREAM, 0);

	cr_assert_eq(port_of_socket(fd, &port), -EINVAL);
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
	cr_assert_eq(port_of_socket(ends[0], &port), -EINVAL);
	close(ends[0]);
	close(ends[1]);
	close(fd);
	/* One for datagrams that is bound to nothing, and one that hears one peer alone. */
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	cr_assert_eq(port_of_socket(fd, &port), -EINVAL);
	cr_assert_eq(connect(fd, (struct sockaddr *)&peer, sizeof(peer)), 0);
	cr_assert_eq(port_of_socket(fd, &port), -EINVAL);
	close(fd);
}
