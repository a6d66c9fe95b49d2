/* SPDX-License-Identifier: MIT */
/*
 * Bytes through the vsock device and a session's stdio, both ways at once,
 * between a fake driver and two pipes in one process: what our half of a stream
 * costs without a hypervisor. Prints the rate and how the process grew.
 */
#include <endian.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "common/agent_protocol.h"
#include "tests/support/fake_vsock.h"
#include "vmm/config/config.h"
#include "vmm/session/session.h"

static const uint8_t hello[] = {
	21,
	0,
	0,
	0,
	SC_MSG_HELLO,
	0,
	0,
	0,
	0,
	0,
	0,
	0,
	SC_FIELD_VERSION,
	0,
	0,
	0,
	4,
	0,
	0,
	0,
	SC_PROTOCOL_VERSION,
	0,
	0,
	0,
	SC_FIELD_KERNEL,
	0,
	0,
	0,
	1,
	0,
	0,
	0,
	'6',
};

/* A whole number of the pattern's periods, so that the next run begins where this one did. */
enum { WARM_UP = 65521 * 256 };

static struct fake_vsock fv;
static struct fake_sock control, in, out;
static struct fake_sock *const all[] = {&control, &in, &out};

static void on_done(struct session *s, void *owner)
{
	(void)s;
	(void)owner;
}

static void settle(void)
{
	fake_guest_settle(fv.g);
	(void)fake_sock_poll(&fv, all, ARRAY_SIZE(all));
}

static void open_stream(struct fake_sock *s, uint32_t number)
{
	struct sc_stream_hello h = {htole32(1), htole32(number)};

	fake_sock_connect(&fv, s, SC_PORT_STREAM, 200 + number);
	settle();
	if (fake_sock_write(&fv, s, &h, sizeof(h)) != sizeof(h))
		abort();
	settle();
}

static void pump(uint64_t bytes, int to_stdin, int from_stdout)
{
	static uint8_t buf[FAKE_PATTERN_RUN];
	uint64_t fed = 0, sent = 0, got = 0;

	while (in.total < bytes || got < bytes) {
		ssize_t n = write(to_stdin, fake_pattern(fed), min_u64(bytes - fed, sizeof(buf)));

		fed += n > 0 ? (uint64_t)n : 0;
		if (sent < bytes)
			sent += fake_sock_write(&fv, &out, fake_pattern(sent),
						(uint32_t)min_u64(bytes - sent, sizeof(buf)));
		settle();
		while ((n = read(from_stdout, buf, sizeof(buf))) > 0) {
			if (memcmp(buf, fake_pattern(got), (size_t)n) != 0)
				abort();
			got += (uint64_t)n;
		}
	}
	if (in.corrupt)
		abort();
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	char *command[] = {argv[0], NULL};
	struct sandbox_config cfg = {.argv = command};
	uint64_t mib = argc > 1 ? strtoull(argv[1], NULL, 10) : 1024;
	struct session *session;
	struct rusage before, after;
	int stdin_pipe[2], stdout_pipe[2];
	double start;

	signal(SIGPIPE, SIG_IGN);
	if (pipe2(stdin_pipe, O_NONBLOCK) < 0 || pipe2(stdout_pipe, O_NONBLOCK) < 0)
		abort();
	fake_vsock_init(&fv, true);
	if (session_new(fv.g->loop, fv.vs, &cfg, (int[]){stdin_pipe[0], stdout_pipe[1], 2}, on_done,
			NULL, &session) < 0)
		abort();
	fake_sock_connect(&fv, &control, SC_PORT_CONTROL, 100);
	settle();
	(void)fake_sock_write(&fv, &control, hello, sizeof(hello));
	settle();
	open_stream(&in, 0);
	open_stream(&out, 1);
	/* Warm: every buffer was used once. */
	pump(WARM_UP, stdin_pipe[1], stdout_pipe[0]);
	getrusage(RUSAGE_SELF, &before);
	in.total = 0;
	start = now();
	pump(mib << 20, stdin_pipe[1], stdout_pipe[0]);
	printf("%lu MiB each way at once: %.0f MiB/s in all\n", (unsigned long)mib,
	       2.0 * (double)mib / (now() - start));
	getrusage(RUSAGE_SELF, &after);
	printf("resident memory grew by %ld KiB\n", after.ru_maxrss - before.ru_maxrss);
	session_free(session);
	fake_vsock_fini(&fv);
	return 0;
}
