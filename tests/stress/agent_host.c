/* SPDX-License-Identifier: MIT */
#include "tests/stress/agent_host.h"

#include <endian.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest-agent/files.h"
#include "guest-agent/session.h"
#include "guest-agent/wire.h"

static void address(pid_t test, unsigned int port, struct sockaddr_un *a, socklen_t *len)
{
	int n;

	memset(a, 0, sizeof(*a));
	a->sun_family = AF_UNIX;
	/* An abstract name (it starts with NUL): nothing is left behind. */
	n = snprintf(a->sun_path + 1, sizeof(a->sun_path) - 1, "sandcastle-agent-%d-%u", (int)test,
		     port);
	*len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n);
}

static int connect_unix(struct link *l, unsigned int port)
{
	struct sockaddr_un a;
	socklen_t len;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)l;
	address(getppid(), port, &a, &len);
	if (fd < 0 || connect(fd, (struct sockaddr *)&a, len) < 0)
		return -errno;
	return fd;
}

static int be_the_agent(void)
{
	struct user invoker = {.name = "tester", .home = "/", .shell = "/bin/sh"};
	struct session s;
	struct link l;
	int r;

	invoker.uid = getuid();
	invoker.gid = getgid();
	CHECK(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
	CHECK(prctl(PR_SET_PDEATHSIG, SIGKILL) == 0);
	CHECK(link_init(&l, connect_unix) == 0);
	CHECK(session_init(&s, &l, &invoker, NULL) == 0);
	r = session_run(&s);
	session_fini(&s);
	link_fini(&l);
	return r == 0 ? 0 : r == -EPIPE ? 3 : 4;
}

void host_start(struct host *h)
{
	static const unsigned int ports[] = {SC_PORT_CONTROL, SC_PORT_STREAM};
	struct sockaddr_un a;
	socklen_t len;

	h->self = getpid();
	for (unsigned int i = 0; i < 2; i++) {
		h->listener[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
		address(h->self, ports[i], &a, &len);
		CHECK(bind(h->listener[i], (struct sockaddr *)&a, len) == 0);
		CHECK(listen(h->listener[i], 256) == 0);
	}
	h->agent = fork();
	CHECK(h->agent >= 0);
	if (h->agent == 0) {
		close(h->listener[0]);
		close(h->listener[1]);
		exit(be_the_agent());
	}
	h->control = accept(h->listener[0], NULL, NULL);
	CHECK(h->control >= 0);
}

int agent_result(struct host *h)
{
	int status;

	CHECK(waitpid(h->agent, &status, 0) == h->agent);
	close(h->listener[0]);
	close(h->listener[1]);
	CHECK(WIFEXITED(status));
	return WEXITSTATUS(status);
}

void wait_readable(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	CHECK(poll(&p, 1, PATIENCE_MS) == 1);
}

void out_begin(struct out *o)
{
	o->len = sizeof(struct sc_header);
}

void out_str(struct out *o, uint32_t tag, const char *s)
{
	struct sc_field f = {.tag = htole32(tag), .length = htole32((uint32_t)strlen(s))};

	CHECK(o->len + sizeof(f) + strlen(s) <= sizeof(o->buf));
	memcpy(o->buf + o->len, &f, sizeof(f));
	memcpy(o->buf + o->len + sizeof(f), s, strlen(s));
	o->len += sizeof(f) + strlen(s);
}

void out_u32(struct out *o, uint32_t tag, uint32_t v)
{
	struct sc_field f = {.tag = htole32(tag), .length = htole32(4)};

	v = htole32(v);
	memcpy(o->buf + o->len, &f, sizeof(f));
	memcpy(o->buf + o->len + sizeof(f), &v, sizeof(v));
	o->len += sizeof(f) + sizeof(v);
}

void out_send(struct host *h, struct out *o, uint16_t type, uint32_t id)
{
	struct sc_header head = {
		.length = htole32((uint32_t)(o->len - sizeof(head))),
		.type = htole16(type),
		.id = htole32(id),
	};

	memcpy(o->buf, &head, sizeof(head));
	CHECK(write_all(h->control, o->buf, o->len) == 0);
}

void send_u32(struct host *h, uint16_t type, uint32_t id, uint32_t tag, uint32_t v)
{
	struct out o;

	out_begin(&o);
	out_u32(&o, tag, v);
	out_send(h, &o, type, id);
}

static void receive_all(int fd, void *data, size_t len)
{
	uint8_t *p = data;

	while (len > 0) {
		ssize_t n;

		wait_readable(fd);
		n = read(fd, p, len);
		CHECK(n > 0);
		p += n;
		len -= (size_t)n;
	}
}

struct in in_receive(struct host *h)
{
	uint8_t raw[sizeof(struct sc_header)], body[SC_BODY_MAX_GUEST];
	struct in in = {.type = 0};
	struct wire_reader r;
	struct sc_header head;
	struct wire_field f;
	struct sc_usage used;

	receive_all(h->control, raw, sizeof(raw));
	CHECK(wire_header(raw, sizeof(body), &head) == 0);
	receive_all(h->control, body, head.length);
	in.type = head.type;
	in.id = head.id;
	r = (struct wire_reader){.next = body, .left = head.length};
	while (wire_next(&r, &f) == 1) {
		if (f.tag == SC_FIELD_USAGE) {
			CHECK(f.length == sizeof(used));
			memcpy(&used, f.data, sizeof(used));
			in.memory = le64toh(used.memory);
			continue;
		}
		CHECK(f.tag <= SC_FIELD_COLUMNS);
		in.has[f.tag] = true;
		if (f.tag == SC_FIELD_TEXT) {
			CHECK(f.length < sizeof(in.text));
			memcpy(in.text, f.data, f.length);
		} else {
			CHECK(wire_u32(&f, &in.value[f.tag]) == 0);
		}
	}
	return in;
}

struct in expect(struct host *h, uint16_t type, uint32_t id)
{
	struct in in = in_receive(h);

	if (in.type != type || in.id != id)
		fprintf(stderr, "message %u for %u, expected %u for %u: %s\n", in.type, in.id, type,
			id, in.text);
	CHECK(in.type == type && in.id == id);
	return in;
}

void expect_code(struct host *h, uint32_t id, uint32_t code)
{
	struct in in = expect(h, SC_MSG_EXITED, id);

	CHECK(in.has[SC_FIELD_CODE] && !in.has[SC_FIELD_SIGNAL]);
	CHECK(in.value[SC_FIELD_CODE] == code);
	CHECK(in.memory >= 64 * 1024);
}

void expect_signal(struct host *h, uint32_t id, uint32_t sig)
{
	struct in in = expect(h, SC_MSG_EXITED, id);

	CHECK(in.has[SC_FIELD_SIGNAL] && !in.has[SC_FIELD_CODE]);
	CHECK(in.value[SC_FIELD_SIGNAL] == sig);
}

void accept_streams(struct host *h, struct run *r, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		struct sc_stream_hello hello;
		int fd;

		wait_readable(h->listener[1]);
		fd = accept4(h->listener[1], NULL, NULL, SOCK_CLOEXEC);
		CHECK(fd >= 0);
		receive_all(fd, &hello, sizeof(hello));
		CHECK(le32toh(hello.id) == r->id && le32toh(hello.stream) < n);
		r->stream[le32toh(hello.stream)] = fd;
	}
}

static void run_args(struct host *h, struct run *r, uint32_t id, struct out *o, bool tty)
{
	*r = (struct run){.id = id, .stream = {-1, -1, -1}};
	out_send(h, o, SC_MSG_EXEC, id);
	accept_streams(h, r, tty ? 1 : 3);
	expect(h, SC_MSG_STARTED, id);
}

struct run run_sh(struct host *h, uint32_t id, const char *script)
{
	struct out o;
	struct run r;

	out_begin(&o);
	out_str(&o, SC_FIELD_ARG, "sh");
	out_str(&o, SC_FIELD_ARG, "-c");
	out_str(&o, SC_FIELD_ARG, script);
	out_str(&o, SC_FIELD_ENV, "LANG=C");
	out_str(&o, SC_FIELD_ENV, "COLOUR=green");
	run_args(h, &r, id, &o, false);
	return r;
}

struct run run_tty(struct host *h, uint32_t id, const char *script)
{
	struct out o;
	struct run r;

	out_begin(&o);
	out_str(&o, SC_FIELD_ARG, "sh");
	out_str(&o, SC_FIELD_ARG, "-c");
	out_str(&o, SC_FIELD_ARG, script);
	out_u32(&o, SC_FIELD_TTY, 1);
	out_u32(&o, SC_FIELD_ROWS, 33);
	out_u32(&o, SC_FIELD_COLUMNS, 111);
	run_args(h, &r, id, &o, true);
	return r;
}

void close_run(struct run *r)
{
	for (unsigned int i = 0; i < 3; i++)
		if (r->stream[i] >= 0)
			close(r->stream[i]);
}

void read_text(int fd, char *buf, size_t size)
{
	size_t len = 0;
	ssize_t n;

	do {
		wait_readable(fd);
		n = read(fd, buf + len, size - 1 - len);
		CHECK(n >= 0 || errno == ECONNRESET);
		len += n > 0 ? (size_t)n : 0;
		CHECK(len < size - 1);
	} while (n > 0);
	buf[len] = '\0';
}

void read_until(int fd, const char *what)
{
	char buf[4096] = "";
	size_t len = 0;

	while (!strstr(buf, what)) {
		ssize_t n;

		CHECK(len < sizeof(buf) - 1);
		wait_readable(fd);
		n = read(fd, buf + len, sizeof(buf) - 1 - len);
		CHECK(n > 0);
		len += (size_t)n;
		buf[len] = '\0';
	}
}
