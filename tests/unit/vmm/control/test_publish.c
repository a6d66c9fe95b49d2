/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "common/control_protocol.h"
#include "common/port.h"
#include "tests/unit/vmm/control/control_peers.h"
#include "vmm/config/config.h"

TestSuite(publish, .init = peers_setup, .fini = peers_teardown);

static int listener(struct port *at)
{
	const struct port any = {.family = AF_INET, .address = {127, 0, 0, 1}};
	char why[PORT_WHY_MAX];
	int fd = -1;

	cr_assert_eq(port_listen(&any, &fd, why), 0, "%s", why);
	cr_assert_eq(port_of_socket(fd, at), 0);
	return fd;
}

static void ask_publish(int fd, const char *guest)
{
	char text[128];

	snprintf(text, sizeof(text),
		 "{\"type\":\"request\",\"id\":1,\"op\":\"publish\",\"guest\":%s}", guest);
	send_with(client, text, &fd, fd >= 0 ? 1 : 0);
}

static void ask_unpublish(const char *members)
{
	char text[256];

	snprintf(text, sizeof(text), "{\"type\":\"request\",\"id\":2,\"op\":\"unpublish\"%s}",
		 members);
	ask(client, text);
}

static void expect_refusal(const char *error)
{
	json_t *m = receive(client);

	cr_assert_not_null(m);
	cr_assert(json_is_false(json_object_get(m, "ok")));
	cr_assert_str_eq(json_string_value(json_object_get(m, "error")), error);
	json_decref(m);
}

static void expect_published(size_t n, int port)
{
	json_t *m, *list;

	ask(client, "{\"type\":\"request\",\"id\":3,\"op\":\"info\"}");
	m = receive(client);
	list = json_object_get(m, "published");
	cr_assert(json_is_array(list));
	cr_assert_eq(json_array_size(list), n);
	if (n > 0) {
		json_t *first = json_array_get(list, 0);

		cr_assert_eq(json_integer_value(json_object_get(first, "port")), port);
		cr_assert_eq(json_integer_value(json_object_get(first, "guest")), 80);
		cr_assert_str_eq(json_string_value(json_object_get(first, "address")), "127.0.0.1");
	}
	cr_assert(json_is_null(json_object_get(m, "network")));
	json_decref(m);
}

Test(publish, a_port_comes_and_goes)
{
	char text[128];
	struct port at;
	int fd = listener(&at);

	ask_publish(fd, "80");
	snprintf(text, sizeof(text),
		 "{\"address\":\"127.0.0.1\",\"id\":1,\"ok\":true,\"port\":%u,\"type\":\"reply\"}",
		 at.host);
	expect(client, text);
	expect_published(1, at.host);
	snprintf(text, sizeof(text), ",\"address\":\"127.0.0.1\",\"port\":%u", at.host);
	ask_unpublish(text);
	expect(client, "{\"id\":2,\"ok\":true,\"type\":\"reply\"}");
	expect_published(0, 0);
	ask_unpublish(text);
	expect_refusal(CONTROL_E_NO_PORT);
	close(fd);
}

Test(publish, one_for_datagrams)
{
	const struct port any = {.family = AF_INET, .udp = true, .address = {127, 0, 0, 1}};
	char why[PORT_WHY_MAX], text[128];
	struct port at;
	json_t *m;
	int fd = -1;

	cr_assert_eq(port_listen(&any, &fd, why), 0, "%s", why);
	cr_assert_eq(port_of_socket(fd, &at), 0);
	ask_publish(fd, "80");
	json_decref(receive(client));
	expect_published(1, at.host);
	ask(client, "{\"type\":\"request\",\"id\":3,\"op\":\"info\"}");
	m = receive(client);
	cr_assert_str_eq(json_string_value(json_object_get(
				 json_array_get(json_object_get(m, "published"), 0), "protocol")),
			 "udp");
	json_decref(m);
	/* Without the word it is one of TCP that is taken back. */
	snprintf(text, sizeof(text), ",\"address\":\"127.0.0.1\",\"port\":%u", at.host);
	ask_unpublish(text);
	expect_refusal(CONTROL_E_NO_PORT);
	snprintf(text, sizeof(text), ",\"address\":\"127.0.0.1\",\"port\":%u,\"protocol\":\"udp\"",
		 at.host);
	ask_unpublish(text);
	expect(client, "{\"id\":2,\"ok\":true,\"type\":\"reply\"}");
	close(fd);
}

Test(publish, what_is_wrong)
{
	static const char *const ports[] = {"0", "65536", "-1", "\"80\"", "80.5", "null", "[]"};
	static const char *const others[] = {
		"",
		",\"port\":80",
		",\"address\":\"127.0.0.1\"",
		",\"address\":\"127.0.0.1\",\"port\":0",
		",\"address\":\"::g\",\"port\":80",
		",\"address\":\"localhost\",\"port\":80",
		",\"address\":80,\"port\":80",
		",\"address\":\"127.0.0.1\",\"port\":80,\"protocol\":\"sctp\"",
		",\"address\":\"127.0.0.1\",\"port\":80,\"protocol\":17",
	};
	struct port at;
	int fd = listener(&at), null = open("/dev/null", O_RDWR | O_CLOEXEC);

	for (size_t i = 0; i < ARRAY_SIZE(ports); i++) {
		ask_publish(fd, ports[i]);
		expect_refusal(CONTROL_E_BAD_REQUEST);
	}
	ask_publish(-1, "80");
	expect_refusal(CONTROL_E_BAD_REQUEST);
	ask_publish(null, "80");
	expect_refusal(CONTROL_E_BAD_REQUEST);
	for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
		ask_unpublish(others[i]);
		expect_refusal(CONTROL_E_BAD_REQUEST);
	}
	ask_unpublish(",\"address\":\"::1\",\"port\":80");
	expect_refusal(CONTROL_E_NO_PORT);
	expect_published(0, 0);
	close(fd);
	close(null);
}

Test(publish, not_while_it_stops_and_not_without_end)
{
	struct port at;
	int fd = listener(&at);

	for (unsigned int i = 0; i < PORTS_MAX; i++) {
		json_t *m;

		ask_publish(fd, "80");
		m = receive(client);
		cr_assert(json_is_true(json_object_get(m, "ok")));
		json_decref(m);
	}
	ask_publish(fd, "80");
	expect_refusal(CONTROL_E_BUSY);
	control_stopping(control);
	ask_publish(fd, "80");
	expect_refusal(CONTROL_E_STOPPING);
	close(fd);
}
