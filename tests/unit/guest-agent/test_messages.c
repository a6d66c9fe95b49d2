/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <endian.h>
#include <errno.h>
#include <string.h>

#include "guest-agent/messages.h"

/* A body under construction, as the host makes them. */
struct body {
	uint8_t buf[16384];
	size_t len;
};

static void add(struct body *b, uint32_t tag, const void *data, size_t len)
{
	struct sc_field f = {.tag = htole32(tag), .length = htole32((uint32_t)len)};

	cr_assert_leq(b->len + sizeof(f) + len, sizeof(b->buf));
	memcpy(b->buf + b->len, &f, sizeof(f));
	memcpy(b->buf + b->len + sizeof(f), data, len);
	b->len += sizeof(f) + len;
}

static void add_str(struct body *b, uint32_t tag, const char *s)
{
	add(b, tag, s, strlen(s));
}

static void add_u32(struct body *b, uint32_t tag, uint32_t v)
{
	v = htole32(v);
	add(b, tag, &v, sizeof(v));
}

static void add_map(struct body *b, uint32_t index, uint32_t writable, const char *path)
{
	struct sc_map m = {.index = htole32(index), .writable = htole32(writable)};
	uint8_t buf[256];

	memcpy(buf, &m, sizeof(m));
	memcpy(buf + sizeof(m), path, strlen(path));
	add(b, SC_FIELD_MAP, buf, sizeof(m) + strlen(path));
}

static void add_setup(struct body *b)
{
	add_str(b, SC_FIELD_HOSTNAME, "castle");
	add_str(b, SC_FIELD_USER, "ann");
	add_u32(b, SC_FIELD_UID, 1000);
	add_u32(b, SC_FIELD_GID, 1001);
	add_str(b, SC_FIELD_HOME, "/home/ann");
	add_str(b, SC_FIELD_SHELL, "/bin/sh");
}

Test(messages, setup)
{
	struct body b = {.len = 0};
	struct setup s;

	add_setup(&b);
	add_map(&b, 0, 1, "/src/a/b");
	add_map(&b, 1, 0, "/src");
	add_map(&b, 2, 0, "/src/a");
	cr_assert_eq(setup_parse(b.buf, b.len, &s), 0);
	cr_assert_str_eq(s.hostname, "castle");
	cr_assert_str_eq(s.user, "ann");
	cr_assert_str_eq(s.home, "/home/ann");
	cr_assert_eq(s.uid, 1000);
	cr_assert_eq(s.gid, 1001);
	/* Parents first, whatever the order they came in. */
	cr_assert_eq(s.n_maps, 3);
	cr_assert_str_eq(s.maps[0].path, "/src");
	cr_assert_eq(s.maps[0].map.index, 1);
	cr_assert_str_eq(s.maps[1].path, "/src/a");
	cr_assert_str_eq(s.maps[2].path, "/src/a/b");
	cr_assert_eq(s.maps[2].map.writable, 1);
	setup_fini(&s);
	setup_fini(&s);
}

Test(messages, setup_needs_each_field)
{
	struct body whole = {.len = 0};
	struct setup s;

	add_setup(&whole);
	for (size_t off = 0; off < whole.len;) {
		struct body b = whole;
		struct sc_field f;
		size_t n;

		memcpy(&f, whole.buf + off, sizeof(f));
		n = sizeof(f) + le32toh(f.length);
		memmove(b.buf + off, b.buf + off + n, b.len - off - n);
		b.len -= n;
		cr_assert_eq(setup_parse(b.buf, b.len, &s), -EPROTO, "without tag %u",
			     le32toh(f.tag));
		off += n;
	}
}

Test(messages, setup_refuses)
{
	static const char *const paths[] = {"", "/", "rel", "/a/../b", "/a/.", "//a", "/a/", "/.."};
	struct body b;
	struct setup s;

	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		b.len = 0;
		add_setup(&b);
		add_map(&b, 0, 0, paths[i]);
		cr_assert_eq(setup_parse(b.buf, b.len, &s), -EPROTO, "map at \"%s\"", paths[i]);
	}
	/* A writable flag that is neither; a map too short; a second user; an unknown field. */
	b.len = 0;
	add_setup(&b);
	add_map(&b, 0, 2, "/a");
	cr_assert_eq(setup_parse(b.buf, b.len, &s), -EPROTO);
	b.len = 0;
	add_setup(&b);
	add(&b, SC_FIELD_MAP, "abc", 3);
	cr_assert_eq(setup_parse(b.buf, b.len, &s), -EPROTO);
	b.len = 0;
	add_setup(&b);
	add_str(&b, SC_FIELD_USER, "bob");
	cr_assert_eq(setup_parse(b.buf, b.len, &s), -EPROTO);
	b.len = 0;
	add_setup(&b);
	add_u32(&b, SC_FIELD_PID, 1);
	cr_assert_eq(setup_parse(b.buf, b.len, &s), -EPROTO);
}

Test(messages, setup_has_a_maximum_of_maps)
{
	struct body b = {.len = 0};
	struct setup s;

	add_setup(&b);
	for (uint32_t i = 0; i < SETUP_MAX_MAPS; i++)
		add_map(&b, i, 0, "/m");
	cr_assert_eq(setup_parse(b.buf, b.len, &s), 0);
	setup_fini(&s);
	add_map(&b, SETUP_MAX_MAPS, 0, "/m");
	cr_assert_eq(setup_parse(b.buf, b.len, &s), -EPROTO);
}

Test(messages, a_line_of_passwd_stays_one)
{
	static const char *const bad[] = {"", "a:b", "a\nroot::0:0::/:/bin/sh"};
	struct setup s;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct body b = {.len = 0};

		add_str(&b, SC_FIELD_HOSTNAME, "castle");
		add_str(&b, SC_FIELD_USER, bad[i]);
		add_u32(&b, SC_FIELD_UID, 1000);
		add_u32(&b, SC_FIELD_GID, 1000);
		add_str(&b, SC_FIELD_HOME, "/home/ann");
		add_str(&b, SC_FIELD_SHELL, "/bin/sh");
		cr_assert_eq(setup_parse(b.buf, b.len, &s), -EPROTO);
	}
}

Test(messages, exec)
{
	struct body b = {.len = 0};
	const uint64_t limits[SC_LIMITS] = {[SC_LIMIT_FILES] = htole64(1ull << 40)};
	struct exec_request e;

	add_str(&b, SC_FIELD_ARG, "ls");
	add_str(&b, SC_FIELD_ENV, "A=1");
	add_str(&b, SC_FIELD_ARG, "");
	add_str(&b, SC_FIELD_ARG, "-l");
	add_str(&b, SC_FIELD_ENV, "B=");
	add_str(&b, SC_FIELD_CWD, "/tmp");
	add_u32(&b, SC_FIELD_TTY, 1);
	add_u32(&b, SC_FIELD_ROWS, 24);
	add_u32(&b, SC_FIELD_COLUMNS, 65535);
	cr_assert_eq(exec_parse(b.buf, b.len, &e), 0);
	cr_assert_str_eq(e.argv[0], "ls");
	cr_assert_str_eq(e.argv[1], "");
	cr_assert_str_eq(e.argv[2], "-l");
	cr_assert_null(e.argv[3]);
	cr_assert_eq(e.n_env, 2);
	cr_assert_str_eq(e.env[1], "B=");
	cr_assert_null(e.env[2]);
	cr_assert_str_eq(e.cwd, "/tmp");
	cr_assert_null(e.user);
	cr_assert(e.tty);
	cr_assert_eq(e.winsize.rows, 24);
	cr_assert_eq(e.winsize.columns, 65535);
	cr_assert_not(e.session);
	cr_assert_eq(e.limits[SC_LIMIT_FILES], 0);
	exec_fini(&e);
	add(&b, SC_FIELD_LIMITS, limits, sizeof(limits));
	cr_assert_eq(exec_parse(b.buf, b.len, &e), 0);
	cr_assert_eq(e.limits[SC_LIMIT_FILES], 1ull << 40);
	cr_assert_eq(e.limits[SC_LIMIT_MEMORY], 0);
	exec_fini(&e);
	add_u32(&b, SC_FIELD_SESSION, 1);
	cr_assert_eq(exec_parse(b.buf, b.len, &e), 0);
	cr_assert(e.session);
	exec_fini(&e);
	add_u32(&b, SC_FIELD_SESSION, 2);
	cr_assert_eq(exec_parse(b.buf, b.len, &e), -EPROTO);
}

Test(messages, exec_refuses)
{
	struct exec_request e;
	struct body b = {.len = 0};

	cr_assert_eq(exec_parse(b.buf, 0, &e), -EPROTO);
	add_str(&b, SC_FIELD_ARG, "");
	cr_assert_eq(exec_parse(b.buf, b.len, &e), -EPROTO);
	b.len = 0;
	add_str(&b, SC_FIELD_ARG, "ls");
	add_str(&b, SC_FIELD_ENV, "NOVALUE");
	cr_assert_eq(exec_parse(b.buf, b.len, &e), -EPROTO);
	b.len = 0;
	add_str(&b, SC_FIELD_ARG, "ls");
	add(&b, SC_FIELD_LIMITS, "1234567", 7);
	cr_assert_eq(exec_parse(b.buf, b.len, &e), -EPROTO);
	b.len = 0;
	add(&b, SC_FIELD_ARG, "l\0s", 3);
	cr_assert_eq(exec_parse(b.buf, b.len, &e), -EPROTO);
	b.len = 0;
	add_str(&b, SC_FIELD_ARG, "ls");
	add_u32(&b, SC_FIELD_TTY, 2);
	cr_assert_eq(exec_parse(b.buf, b.len, &e), -EPROTO);
	b.len = 0;
	add_str(&b, SC_FIELD_ARG, "ls");
	add_u32(&b, SC_FIELD_ROWS, 65536);
	cr_assert_eq(exec_parse(b.buf, b.len, &e), -EPROTO);
	cr_assert_eq(exec_parse(b.buf, b.len - 1, &e), -EPROTO);
}

Test(messages, signal_and_winsize)
{
	struct winsize_request w;
	struct body b = {.len = 0};
	int sig;

	add_u32(&b, SC_FIELD_SIGNAL, 15);
	cr_assert_eq(signal_parse(b.buf, b.len, &sig), 0);
	cr_assert_eq(sig, 15);
	add_u32(&b, SC_FIELD_SIGNAL, 15);
	cr_assert_eq(signal_parse(b.buf, b.len, &sig), -EPROTO);
	b.len = 0;
	add_u32(&b, SC_FIELD_SIGNAL, 65);
	cr_assert_eq(signal_parse(b.buf, b.len, &sig), -EPROTO);
	cr_assert_eq(signal_parse(b.buf, 0, &sig), -EPROTO);
	b.len = 0;
	add_u32(&b, SC_FIELD_COLUMNS, 80);
	cr_assert_eq(winsize_parse(b.buf, b.len, &w), 0);
	cr_assert_eq(w.rows, 0);
	cr_assert_eq(w.columns, 80);
	add_u32(&b, SC_FIELD_TTY, 1);
	cr_assert_eq(winsize_parse(b.buf, b.len, &w), -EPROTO);
}

Test(messages, connections_and_datagrams)
{
	struct connect_request c;
	struct body b = {.len = 0};

	cr_assert_eq(connect_parse(b.buf, 0, &c), -EPROTO);
	add_u32(&b, SC_FIELD_PORT, 80);
	cr_assert_eq(connect_parse(b.buf, b.len, &c), 0);
	cr_assert(c.port == 80 && !c.udp);
	add_u32(&b, SC_FIELD_UDP, 1);
	cr_assert_eq(connect_parse(b.buf, b.len, &c), 0);
	cr_assert(c.port == 80 && c.udp);
	add_u32(&b, SC_FIELD_PORT, 80);
	cr_assert_eq(connect_parse(b.buf, b.len, &c), -EPROTO);
	b.len = 0;
	add_u32(&b, SC_FIELD_UDP, 1);
	cr_assert_eq(connect_parse(b.buf, b.len, &c), -EPROTO);
	add_u32(&b, SC_FIELD_PORT, 65536);
	cr_assert_eq(connect_parse(b.buf, b.len, &c), -EPROTO);
	b.len = 0;
	add_u32(&b, SC_FIELD_PORT, 80);
	add_u32(&b, SC_FIELD_UDP, 2);
	cr_assert_eq(connect_parse(b.buf, b.len, &c), -EPROTO);
	b.len = 0;
	add_u32(&b, SC_FIELD_PORT, 0);
	cr_assert_eq(connect_parse(b.buf, b.len, &c), -EPROTO);
}

Test(messages, a_map_that_comes_or_goes)
{
	static const char *const bad[] = {"srv",       "/",	 "/srv/", "/srv//a",
					  "/srv/../a", "/./srv", ""};
	struct body b = {.len = 0};
	struct setup_map map;
	char *path = NULL;

	cr_assert_eq(map_parse(b.buf, 0, &map, &path), -EPROTO);
	add_map(&b, 7, 1, "/srv/a");
	cr_assert_eq(map_parse(b.buf, b.len, &map, &path), 0);
	cr_assert(map.map.index == 7 && map.map.writable == 1 && map.map.is_file == 0);
	cr_assert_eq(map.map.discard, 0);
	cr_assert_str_eq(map.path, "/srv/a");
	free(path);
	cr_assert_eq(map_parse(b.buf, b.len - 1, &map, &path), -EPROTO);
	add_map(&b, 8, 1, "/srv/b");
	cr_assert_eq(map_parse(b.buf, b.len, &map, &path), -EPROTO);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		b.len = 0;
		add_map(&b, 1, 0, bad[i]);
		cr_assert_eq(map_parse(b.buf, b.len, &map, &path), -EPROTO, "%s", bad[i]);
	}
	b.len = 0;
	add_map(&b, 1, 2, "/srv");
	cr_assert_eq(map_parse(b.buf, b.len, &map, &path), -EPROTO);
	b.len = 0;
	add_str(&b, SC_FIELD_CWD, "/srv");
	cr_assert_eq(map_parse(b.buf, b.len, &map, &path), -EPROTO);
}

Test(messages, resume)
{
	uint8_t entropy[SC_ENTROPY_BYTES] = {[0] = 1, [SC_ENTROPY_BYTES - 1] = 2};
	struct sc_realtime at = {.ns = htole64(1234567890123456789)};
	struct body b = {.len = 0};
	struct resume out;

	add(&b, SC_FIELD_ENTROPY, entropy, sizeof(entropy));
	cr_assert_eq(resume_parse(b.buf, b.len, &out), -EPROTO);
	add(&b, SC_FIELD_REALTIME, &at, sizeof(at));
	cr_assert_eq(resume_parse(b.buf, b.len, &out), 0);
	cr_assert_eq(memcmp(out.entropy, entropy, sizeof(entropy)), 0);
	cr_assert_eq(out.realtime_ns, 1234567890123456789);
	cr_assert_eq(resume_parse(b.buf, b.len - 1, &out), -EPROTO);
	add(&b, SC_FIELD_REALTIME, &at, sizeof(at));
	cr_assert_eq(resume_parse(b.buf, b.len, &out), -EPROTO);

	b.len = 0;
	add(&b, SC_FIELD_ENTROPY, entropy, sizeof(entropy) - 1);
	add(&b, SC_FIELD_REALTIME, &at, sizeof(at));
	cr_assert_eq(resume_parse(b.buf, b.len, &out), -EPROTO);
}
