/* SPDX-License-Identifier: MIT */
#include "guest-agent/dhcp.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

enum { OPTIONS = 240 };

static const struct dhcp_client client = {.mac = {2, 1, 2, 3, 4, 5}, .xid = 0x11223344};

/* A server's answer, to which options are added. */
struct answer {
	uint8_t data[DHCP_MESSAGE_MAX];
	size_t len;
};

static void put(struct answer *a, uint8_t tag, const void *data, uint8_t len)
{
	a->data[a->len] = tag;
	a->data[a->len + 1] = len;
	memcpy(a->data + a->len + 2, data, len);
	a->len += 2u + len;
}

static void begin(struct answer *a, uint8_t type)
{
	static const uint8_t head[] = {2, 1, 6, 0, 0x11, 0x22, 0x33, 0x44};
	static const uint8_t yours[] = {192, 168, 7, 9}, cookie[] = {99, 130, 83, 99};

	*a = (struct answer){.len = OPTIONS};
	memcpy(a->data, head, sizeof(head));
	memcpy(a->data + 16, yours, 4);
	memcpy(a->data + 28, client.mac, 6);
	memcpy(a->data + 236, cookie, 4);
	put(a, 53, &type, 1);
}

static int take(const struct answer *a, struct dhcp_lease *out)
{
	return dhcp_read(&client, a->data, a->len, out);
}

Test(dhcp, an_answer_says_everything)
{
	struct dhcp_lease lease;
	struct answer a;

	begin(&a, DHCP_ACK);
	put(&a, 1, "\377\377\374\0", 4);
	put(&a, 3, "\300\250\4\1\300\250\4\2", 8);
	put(&a, 54, "\300\250\4\3", 4);
	put(&a, 6, "\1\1\1\1\2\2\2\2\3\3\3\3\4\4\4\4", 16);
	put(&a, 15, "home.Example-1", 14);
	put(&a, 51, "\0\0\16\20", 4);
	a.data[a.len++] = 255;
	a.data[a.len++] = 53; /* nothing counts behind the end */
	cr_assert_eq(take(&a, &lease), DHCP_ACK);
	cr_assert_arr_eq(lease.address, ((uint8_t[]){192, 168, 7, 9}), 4);
	cr_assert_arr_eq(lease.mask, ((uint8_t[]){255, 255, 252, 0}), 4);
	cr_assert_arr_eq(lease.router, ((uint8_t[]){192, 168, 4, 1}), 4);
	cr_assert_arr_eq(lease.server, ((uint8_t[]){192, 168, 4, 3}), 4);
	cr_assert_eq(lease.n_dns, DHCP_DNS_MAX);
	cr_assert_arr_eq(lease.dns[2], ((uint8_t[]){3, 3, 3, 3}), 4);
	cr_assert_str_eq(lease.domain, "home.Example-1");
	cr_assert_eq(lease.seconds, 3600);
}

Test(dhcp, what_is_not_said)
{
	struct dhcp_lease lease;
	struct answer a;

	begin(&a, DHCP_OFFER);
	cr_assert_eq(take(&a, &lease), DHCP_OFFER);
	cr_assert_arr_eq(lease.mask, ((uint8_t[]){255, 255, 255, 0}), 4);
	cr_assert_arr_eq(lease.router, ((uint8_t[]){0, 0, 0, 0}), 4);
	cr_assert_eq(lease.n_dns, 0);
	cr_assert_str_eq(lease.domain, "");
	cr_assert_eq(lease.seconds, DHCP_SECONDS_MIN);
	begin(&a, DHCP_NAK);
	memset(a.data + 16, 0, 4);
	cr_assert_eq(take(&a, &lease), DHCP_NAK);
}

Test(dhcp, a_domain_is_a_name_and_nothing_else)
{
	static const char *const bad[] = {"a b", "a\nnameserver 6.6.6.6", "a;", "\0a"};
	struct dhcp_lease lease;
	char longest[DHCP_DOMAIN_MAX];
	struct answer a;

	memset(longest, 'a', sizeof(longest));
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		begin(&a, DHCP_ACK);
		put(&a, 15, bad[i], (uint8_t)(i == 3 ? 2 : strlen(bad[i])));
		cr_assert_eq(take(&a, &lease), DHCP_ACK);
		cr_assert_str_eq(lease.domain, "", "%zu", i);
	}
	begin(&a, DHCP_ACK);
	put(&a, 15, longest, sizeof(longest));
	cr_assert_eq(take(&a, &lease), DHCP_ACK);
	cr_assert_str_eq(lease.domain, "");
	put(&a, 15, longest, sizeof(longest) - 1);
	cr_assert_eq(take(&a, &lease), DHCP_ACK);
	cr_assert_eq(strlen(lease.domain), DHCP_DOMAIN_MAX - 1);
}

/* Each of them with one byte of a good answer changed. */
Test(dhcp, answers_that_are_none)
{
	static const struct {
		size_t at;
		uint8_t byte;
	} wrong[] = {
		{0, 1}, /* a request */
		{4, 0}, /* another conversation */
		{28, 0}, /* another card */
		{236, 0}, /* no options follow */
		{16, 0}, /* address 0.x */
		{16, 127}, {16, 224}, {242, 1}, /* DISCOVER */
		{242, 7},
	};
	struct dhcp_lease lease = {.seconds = 42};
	struct answer a;

	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		begin(&a, DHCP_ACK);
		a.data[wrong[i].at] = wrong[i].byte;
		cr_assert_eq(take(&a, &lease), -EPROTO, "%zu", i);
	}
	begin(&a, DHCP_ACK);
	put(&a, 1, "\377\0\377\0", 4);
	cr_assert_eq(take(&a, &lease), -EPROTO);
	for (a.len = 0; a.len < OPTIONS + 3; a.len++)
		cr_assert_eq(take(&a, &lease), -EPROTO, "%zu", a.len);
	/* Options whose length goes past the end. */
	begin(&a, DHCP_ACK);
	a.data[a.len++] = 1;
	cr_assert_eq(take(&a, &lease), -EPROTO);
	a.data[a.len++] = 1;
	cr_assert_eq(take(&a, &lease), -EPROTO);
	cr_assert_eq(lease.seconds, 42);
}

Test(dhcp, what_is_asked)
{
	const struct dhcp_lease lease = {.address = {10, 1, 2, 3}, .server = {10, 1, 2, 1}};
	uint8_t out[DHCP_MESSAGE_MAX];
	size_t len = dhcp_write(&client, DHCP_DISCOVER, NULL, false, out);

	cr_assert_eq(out[0], 1);
	cr_assert_arr_eq(out + 4, "\x11\x22\x33\x44", 4);
	cr_assert_eq(out[10], 0x80);
	cr_assert_arr_eq(out + 28, client.mac, 6);
	cr_assert_arr_eq(out + OPTIONS, "\65\1\1", 3);
	cr_assert_eq(out[len - 1], 255);
	len = dhcp_write(&client, DHCP_REQUEST, &lease, false, out);
	cr_assert_arr_eq(out + 12, "\0\0\0\0", 4);
	cr_assert_arr_eq(out + len - 13, "\62\4\12\1\2\3\66\4\12\1\2\1\377", 13);
	/* Who has an address asks by that, of any server. */
	len = dhcp_write(&client, DHCP_REQUEST, &lease, true, out);
	cr_assert_arr_eq(out + 12, lease.address, 4);
	cr_assert_eq(out[10], 0);
	cr_assert_eq(len, OPTIONS + 3 + 7 + 1);
}
