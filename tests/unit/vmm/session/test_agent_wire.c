/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "vmm/config/config.h"
#include "vmm/session/agent_wire.h"
#include "vmm/session/command.h"

/* A message in the making. */
struct raw {
	uint8_t data[8192];
	size_t len;
};

static struct agent_message msg;
static const char *why;

static struct raw begin(uint16_t type, uint32_t id)
{
	struct sc_header h = {.type = htole16(type), .id = htole32(id)};
	struct raw m = {.len = sizeof(h)};

	memcpy(m.data, &h, sizeof(h));
	return m;
}

static void add(struct raw *m, uint32_t tag, const void *data, size_t len)
{
	struct sc_field f = {htole32(tag), htole32((uint32_t)len)};
	uint32_t body;

	memcpy(m->data + m->len, &f, sizeof(f));
	memcpy(m->data + m->len + sizeof(f), data, len);
	m->len += sizeof(f) + len;
	body = htole32((uint32_t)(m->len - sizeof(struct sc_header)));
	memcpy(m->data, &body, sizeof(body));
}

static void add_u32(struct raw *m, uint32_t tag, uint32_t v)
{
	v = htole32(v);
	add(m, tag, &v, sizeof(v));
}

static void expect_good(const struct raw *m)
{
	/* Every shorter prefix asks for more. */
	for (size_t n = 0; n < m->len; n++)
		cr_assert_eq(agent_wire_decode(m->data, n, &msg, &why), 0);
	cr_assert_eq(agent_wire_decode(m->data, sizeof(m->data), &msg, &why), (ssize_t)m->len);
}

static void expect_bad(const struct raw *m)
{
	why = NULL;
	cr_assert_eq(agent_wire_decode(m->data, m->len, &msg, &why), -EPROTO);
	cr_assert_not_null(why);
}

Test(agent_wire, hello)
{
	struct raw m = begin(SC_MSG_HELLO, 0);

	add_u32(&m, SC_FIELD_VERSION, 1);
	add(&m, SC_FIELD_KERNEL, "6.1.0-amd64", 11);
	expect_good(&m);
	cr_assert_eq(msg.type, SC_MSG_HELLO);
	cr_assert_eq(msg.version, 1);
	cr_assert_str_eq(msg.text, "6.1.0-amd64");
}

Test(agent_wire, ready_has_no_body)
{
	struct raw m = begin(SC_MSG_READY, 0);

	expect_good(&m);
	add_u32(&m, SC_FIELD_PID, 1);
	expect_bad(&m);
}

Test(agent_wire, exited_has_status_or_signal)
{
	struct raw m = begin(SC_MSG_EXITED, 7);

	expect_bad(&m);
	add_u32(&m, SC_FIELD_CODE, 255);
	expect_good(&m);
	cr_assert_eq(msg.id, 7);
	cr_assert_eq(msg.code, 255);
	cr_assert_eq(msg.signal, 0);
	add_u32(&m, SC_FIELD_SIGNAL, 9);
	expect_bad(&m);
	m = begin(SC_MSG_EXITED, 7);
	add_u32(&m, SC_FIELD_SIGNAL, 9);
	expect_good(&m);
	cr_assert_eq(msg.signal, 9);
}

Test(agent_wire, exited_may_say_what_was_used)
{
	const uint64_t used[] = {htole64(5), htole64(1ull << 63), htole64(4096)};
	struct raw m = begin(SC_MSG_EXITED, 7);

	add(&m, SC_FIELD_USAGE, used, sizeof(used));
	expect_bad(&m);
	add_u32(&m, SC_FIELD_CODE, 0);
	expect_good(&m);
	cr_expect_eq(msg.usage.user_us, 5);
	cr_expect_eq(msg.usage.system_us, 1ull << 63);
	cr_expect_eq(msg.usage.memory, 4096);
	add(&m, SC_FIELD_USAGE, used, sizeof(used));
	expect_bad(&m);
	m = begin(SC_MSG_EXITED, 7);
	add_u32(&m, SC_FIELD_CODE, 0);
	add(&m, SC_FIELD_USAGE, used, sizeof(used) - 1);
	expect_bad(&m);
}

Test(agent_wire, numbers_out_of_range)
{
	const struct {
		uint16_t type;
		uint32_t tag, v;
	} bad[] = {
		{SC_MSG_EXITED, SC_FIELD_CODE, 256},
		{SC_MSG_EXITED, SC_FIELD_SIGNAL, 0},
		{SC_MSG_EXITED, SC_FIELD_SIGNAL, 65},
		{SC_MSG_EXITED, SC_FIELD_CODE, UINT32_MAX},
		{SC_MSG_EXEC_FAILED, SC_FIELD_ERRNO, 0},
		{SC_MSG_EXEC_FAILED, SC_FIELD_ERRNO, 4096},
		{SC_MSG_EXITED, SC_FIELD_SIGNAL, 1u << 31},
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct raw m = begin(bad[i].type, 1);

		if (bad[i].type == SC_MSG_EXEC_FAILED)
			add(&m, SC_FIELD_TEXT, "x", 1);
		add_u32(&m, bad[i].tag, bad[i].v);
		expect_bad(&m);
	}
}

Test(agent_wire, text_is_cut_and_made_harmless)
{
	struct raw m = begin(SC_MSG_FAILED, 0);
	char text[1000];

	memset(text, 'x', sizeof(text));
	memcpy(text, "\033[2J\r\n\x7f\x9b\xff ok", 12);
	add(&m, SC_FIELD_TEXT, text, sizeof(text));
	expect_good(&m);
	cr_assert_eq(strlen(msg.text), AGENT_TEXT_MAX - 1);
	cr_assert_eq(strncmp(msg.text, "?[2J????? ok", 12), 0, "%s", msg.text);
}

Test(agent_wire, frames_that_are_wrong)
{
	struct raw m;

	/* Unknown and host-only types. */
	const uint16_t types[] = {
		0, SC_MSG_PARKED + 1, 31, SC_MSG_SETUP, SC_MSG_SHUTDOWN, SC_MSG_PARK, 0xffff};
	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		m = begin(types[i], 0);
		expect_bad(&m);
	}
	/* Too long: refused from the header alone. */
	m = begin(SC_MSG_FAILED, 0);
	m.data[0] = 1;
	m.data[1] = 16;
	expect_bad(&m);
	m.data[3] = 0xff;
	expect_bad(&m);
	/* The reserved half-word. */
	m = begin(SC_MSG_READY, 0);
	m.data[offsetof(struct sc_header, zero)] = 1;
	expect_bad(&m);
	/* An id where none belongs, and none where one does. */
	m = begin(SC_MSG_READY, 1);
	expect_bad(&m);
	m = begin(SC_MSG_STARTED, 0);
	add_u32(&m, SC_FIELD_PID, 1);
	expect_bad(&m);
}

Test(agent_wire, fields_that_are_wrong)
{
	struct raw m = begin(SC_MSG_STARTED, 1);
	uint32_t huge = UINT32_MAX;

	expect_bad(&m); /* missing */
	add(&m, SC_FIELD_PID, "abc", 3);
	expect_bad(&m); /* wrong size */
	m = begin(SC_MSG_STARTED, 1);
	add_u32(&m, SC_FIELD_PID, 1);
	expect_good(&m);
	add_u32(&m, SC_FIELD_PID, 1);
	expect_bad(&m); /* twice */
	m = begin(SC_MSG_STARTED, 1);
	add_u32(&m, SC_FIELD_PID, 1);
	memcpy(m.data + sizeof(struct sc_header) + 4, &huge, 4);
	expect_bad(&m); /* longer than the message */
	m.data[0] = 5;
	expect_bad(&m); /* a field header cut short */
	for (uint32_t tag = 0; tag < 70; tag++) {
		m = begin(SC_MSG_STARTED, 1);
		add_u32(&m, SC_FIELD_PID, 1);
		if (tag != SC_FIELD_PID)
			add_u32(&m, tag, 1);
		else
			continue;
		expect_bad(&m);
	}
	m = begin(SC_MSG_FAILED, 0);
	add(&m, SC_FIELD_TEXT, "a\0b", 3);
	expect_bad(&m); /* NUL */
}

/* The fields of a message to the guest, as "tag=bytes;" text. */
static void spell(const uint8_t *data, size_t len, char *out, size_t size)
{
	out[0] = '\0';
	for (size_t off = sizeof(struct sc_header); off < len;) {
		struct sc_field f;
		char one[600];

		memcpy(&f, data + off, sizeof(f));
		off += sizeof(f);
		if (f.length == 4) {
			uint32_t v;

			memcpy(&v, data + off, 4);
			snprintf(one, sizeof(one), "%u:%u;", f.tag, v);
		} else {
			snprintf(one, sizeof(one), "%u=%.*s;", f.tag, (int)f.length,
				 (const char *)data + off);
		}
		strncat(out, one, size - strlen(out) - 1);
		off += f.length;
	}
}

static char arg0[] = "printf", arg1[] = "", arg2[] = "a b";
static char *argv[] = {arg0, arg1, arg2, NULL};
static char env0[] = "A=1", env1[] = "B=";
static char *env[] = {env0, env1, NULL};
static char name[] = "box", user[] = "kim", home[] = "/home/kim", shell[] = "/bin/sh",
	    work[] = "/source", run_as[] = "nobody", guest[] = "/home/kim/x";

static const struct sandbox_config cfg = {
	.name = name,
	.user = {.name = user, .home = home, .shell = shell, .uid = 1000, .gid = 1001},
};

static const struct command_spec spec = {
	.argv = argv,
	.env = env,
	.workdir = work,
	.run_as = run_as,
};

Test(agent_wire, exec_lists_what_the_command_needs)
{
	struct agent_buffer buf = {.data = NULL};
	struct command_spec tty = spec;
	char text[1000];

	cr_assert_eq(agent_wire_exec(&buf, &spec, 1), 0);
	spell(buf.data, buf.len, text, sizeof(text));
	cr_assert_str_eq(text, "15=printf;15=;15=a b;16=A=1;16=B=;17=/source;9=nobody;");
	buf.len = 0;
	tty.tty = true;
	tty.rows = 24;
	tty.columns = 80;
	tty.env = NULL;
	tty.workdir = tty.run_as = NULL;
	tty.session = true;
	cr_assert_eq(agent_wire_exec(&buf, &tty, 1), 0);
	spell(buf.data, buf.len, text, sizeof(text));
	cr_assert_str_eq(text, "15=printf;15=;15=a b;29:1;18:1;19:24;20:80;");
	agent_buffer_fini(&buf);
}

Test(agent_wire, setup_lists_user_and_maps)
{
	struct agent_buffer buf = {.data = NULL};
	struct config_map maps[] = {{.guest = guest, .writable = true},
				    {.guest = work, .is_file = true}};
	struct sandbox_config c = cfg;
	char text[1000];
	struct sc_map map;
	uint8_t *at;

	c.maps = maps;
	c.n_maps = 2;
	cr_assert_eq(agent_wire_setup(&buf, &c), 0);
	spell(buf.data, buf.len, text, sizeof(text));
	cr_assert_eq(strncmp(text, "8=box;9=kim;10:1000;11:1001;12=/home/kim;13=/bin/sh;", 51), 0,
		     "%s", text);
	at = memmem(buf.data, buf.len, "/source", 7);
	cr_assert_not_null(at);
	memcpy(&map, at - sizeof(map), sizeof(map));
	cr_assert_eq(le32toh(map.index), 1);
	cr_assert_eq(map.writable, 0);
	cr_assert_eq(le32toh(map.is_file), 1);
	agent_buffer_fini(&buf);
}

Test(agent_wire, resume_is_another_each_time)
{
	struct agent_buffer one = {.data = NULL}, two = {.data = NULL};
	const size_t len = sizeof(struct sc_header) + 2 * sizeof(struct sc_field) +
			   SC_ENTROPY_BYTES + sizeof(struct sc_realtime);
	const size_t entropy = sizeof(struct sc_header) + sizeof(struct sc_field);
	struct sc_realtime at;

	cr_assert_eq(agent_wire_resume(&one), 0);
	cr_assert_eq(agent_wire_resume(&two), 0);
	cr_assert_eq(one.len, len);
	cr_assert_neq(memcmp(one.data + entropy, two.data + entropy, SC_ENTROPY_BYTES), 0);
	memcpy(&at, one.data + len - sizeof(at), sizeof(at));
	cr_assert_geq(le64toh(at.ns) / 1000000000 + 60, (uint64_t)time(NULL));
	cr_assert_eq(agent_buffer_append(&one, &two), 0);
	cr_assert_eq(one.len, 2 * len);
	agent_buffer_fini(&one);
	agent_buffer_fini(&two);
}

Test(agent_wire, maps_that_come_and_go)
{
	static char path[] = "/srv";
	const struct config_map map = {.guest = path, .writable = true};
	struct agent_buffer buf = {.data = NULL};
	struct sc_header h;
	struct sc_map sent;

	cr_assert_eq(agent_wire_map(&buf, &map, 7, false, 3), 0);
	memcpy(&h, buf.data, sizeof(h));
	cr_assert_eq(le16toh(h.type), SC_MSG_MAP);
	cr_assert_eq(le32toh(h.id), 3);
	memcpy(&sent, buf.data + sizeof(h) + sizeof(struct sc_field), sizeof(sent));
	cr_assert(le32toh(sent.index) == 7 && le32toh(sent.writable) == 1 && sent.is_file == 0);
	cr_assert_eq(memcmp(buf.data + buf.len - 4, path, 4), 0);
	buf.len = 0;
	cr_assert_eq(agent_wire_map(&buf, &map, 7, true, 4), 0);
	memcpy(&h, buf.data, sizeof(h));
	cr_assert_eq(le16toh(h.type), SC_MSG_UNMAP);
	agent_buffer_fini(&buf);
}

Test(agent_wire, answers_about_maps)
{
	struct raw m = begin(SC_MSG_MAP_DONE, 3);

	expect_good(&m);
	cr_assert(msg.type == SC_MSG_MAP_DONE && msg.id == 3 && msg.error == 0);
	m = begin(SC_MSG_MAP_DONE, 0);
	expect_bad(&m);
	m = begin(SC_MSG_MAP_FAILED, 3);
	add_u32(&m, SC_FIELD_ERRNO, 20);
	expect_bad(&m);
	add(&m, SC_FIELD_TEXT, "no", 2);
	expect_good(&m);
	cr_assert_eq(msg.error, 20);
	cr_assert_str_eq(msg.text, "no");
}

Test(agent_wire, too_much_is_refused_and_leaves_the_buffer_alone)
{
	struct agent_buffer buf = {.data = NULL};
	char *big = malloc(SC_BODY_MAX_HOST + 1);
	char *big_argv[] = {big, NULL};
	const struct command_spec c = {.argv = big_argv};
	size_t before;

	cr_assert_eq(agent_wire_signal(&buf, 1, 15), 0);
	before = buf.len;
	memset(big, 'x', SC_BODY_MAX_HOST);
	big[SC_BODY_MAX_HOST] = '\0';
	cr_assert_eq(agent_wire_exec(&buf, &c, 1), -E2BIG);
	cr_assert_eq(buf.len, before);
	/* The field's own header counts. */
	big[SC_BODY_MAX_HOST - 7] = '\0';
	cr_assert_eq(agent_wire_exec(&buf, &c, 1), -E2BIG);
	big[SC_BODY_MAX_HOST - 8] = '\0';
	cr_assert_eq(agent_wire_exec(&buf, &c, 1), 0);
	cr_assert_eq(buf.len, before + sizeof(struct sc_header) + SC_BODY_MAX_HOST);
	free(big);
	agent_buffer_fini(&buf);
}

static void add_step(struct raw *m, uint64_t begin_ns, uint64_t end_ns, const char *text)
{
	struct sc_step step = {htole64(begin_ns), htole64(end_ns), htole32(1)};
	uint8_t data[sizeof(step) + 200];

	memcpy(data, &step, sizeof(step));
	memcpy(data + sizeof(step), text, strlen(text));
	add(m, SC_FIELD_STEP, data, sizeof(step) + strlen(text));
}

Test(agent_wire, ready_with_steps)
{
	struct raw m = begin(SC_MSG_READY, 0);

	add_step(&m, 1, 2, "one\n");
	add_step(&m, 2, UINT64_MAX, "");
	expect_good(&m);
	cr_assert_eq(msg.n_steps, 2);
	cr_assert_str_eq(msg.steps[0].name, "one?");
	cr_assert(msg.steps[0].kernel);
	cr_assert_eq(msg.steps[1].end, UINT64_MAX);
}

Test(agent_wire, bad_steps)
{
	struct raw m = begin(SC_MSG_READY, 0);

	add_u32(&m, SC_FIELD_STEP, 1);
	expect_bad(&m);
	m = begin(SC_MSG_READY, 0);
	for (int i = 0; i < AGENT_STEPS_MAX; i++)
		add_step(&m, 1, 2, "a step");
	cr_assert_gt(agent_wire_decode(m.data, m.len, &msg, &why), 0);
	add_step(&m, 1, 2, "a step");
	expect_bad(&m);
	m = begin(SC_MSG_STARTED, 1);
	add_u32(&m, SC_FIELD_PID, 1);
	add_step(&m, 1, 2, "a step");
	expect_bad(&m);
}
