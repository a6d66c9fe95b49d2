/* SPDX-License-Identifier: MIT */
/*
 * The agent's loop as an ordinary process, with UNIX sockets for vsock and this
 * program as the host: real commands, real pipes and ptys. A plain program,
 * because it forks and waits; every check that fails ends it with the line.
 */
#include <dirent.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "guest-agent/files.h"
#include "guest-agent/stream.h"
#include "tests/stress/agent_host.h"

enum { WHOLE = 64 * 1024 * 1024 };

static void test_codes_and_signals(struct host *h)
{
	struct run r = run_sh(h, 1, "exit 7");

	expect_code(h, 1, 7);
	close_run(&r);
	r = run_sh(h, 2, "kill -TERM $$");
	expect_signal(h, 2, SIGTERM);
	close_run(&r);
	r = run_sh(h, 3, "echo up; exec sleep 60");
	read_until(r.stream[1], "up");
	send_u32(h, SC_MSG_SIGNAL, 3, SC_FIELD_SIGNAL, SIGINT);
	expect_signal(h, 3, SIGINT);
	close_run(&r);
	/* The whole group gets it: else "wait" has to wait. A command that is gone is no error. */
	r = run_sh(h, 5, "sleep 60 & trap 'wait; exit 9' TERM; echo up; wait");
	read_until(r.stream[1], "up");
	send_u32(h, SC_MSG_SIGNAL, 5, SC_FIELD_SIGNAL, SIGTERM);
	expect_code(h, 5, 9);
	send_u32(h, SC_MSG_SIGNAL, 5, SC_FIELD_SIGNAL, SIGTERM);
	close_run(&r);
}

static void test_environment(struct host *h)
{
	struct run r = run_sh(h, 4,
			      "echo $HOME $USER $LOGNAME $LANG $COLOUR; pwd; umask;"
			      "grep -E 'SigBlk|SigIgn' /proc/self/status >&2");
	char buf[4096];

	read_text(r.stream[1], buf, sizeof(buf));
	CHECK(strcmp(buf, "/ tester tester C green\n/\n0022\n") == 0);
	read_text(r.stream[2], buf, sizeof(buf));
	CHECK(strcmp(buf, "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n") == 0);
	expect_code(h, 4, 0);
	close_run(&r);
}

static void exec_fails(struct host *h, uint32_t id, const char *cmd, const char *cwd,
		       const char *user, int err, const char *text)
{
	struct run r = {.id = id};
	struct out o;
	struct in in;

	out_begin(&o);
	out_str(&o, SC_FIELD_ARG, cmd);
	if (cwd)
		out_str(&o, SC_FIELD_CWD, cwd);
	if (user)
		out_str(&o, SC_FIELD_USER, user);
	out_send(h, &o, SC_MSG_EXEC, id);
	if (!user) {
		accept_streams(h, &r, 3);
		close_run(&r);
	}
	in = expect(h, SC_MSG_EXEC_FAILED, id);
	CHECK(in.value[SC_FIELD_ERRNO] == (uint32_t)err);
	CHECK(strstr(in.text, text));
}

static void test_exec_failures(struct host *h)
{
	char file[] = "/tmp/sandcastle-agent-XXXXXX";
	int fd = mkstemp(file);

	CHECK(fd >= 0 && fchmod(fd, 0755) == 0 && write(fd, "\1\2\3", 3) == 3);
	close(fd);
	exec_fails(h, 10, "no-such-command", NULL, NULL, ENOENT, "no-such-command");
	exec_fails(h, 11, "/no/such/command", NULL, NULL, ENOENT, "/no/such/command");
	exec_fails(h, 12, "/etc/passwd", NULL, NULL, EACCES, "run /etc/passwd");
	exec_fails(h, 13, "/etc", NULL, NULL, EACCES, "run /etc");
	exec_fails(h, 14, file, NULL, NULL, ENOEXEC, "run");
	exec_fails(h, 15, "true", "/no/such/dir", NULL, EINVAL, "enter the directory /no/such/dir");
	exec_fails(h, 16, "true", NULL, "no-such-user", EINVAL, "no-such-user");
	CHECK(unlink(file) == 0);
}

static uint8_t pattern(size_t at)
{
	return (uint8_t)((at * 2654435761U) >> 13);
}

/* Feeds `cat` and reads it back at the same time; every byte is compared. */
static void test_whole(struct host *h)
{
	struct run r = run_sh(h, 20, "echo before >&2; cat; echo after >&2");
	static uint8_t out[STREAM_BUFFER], in[STREAM_BUFFER];
	size_t sent = 0, got = 0;
	char text[64];

	while (got < WHOLE) {
		struct pollfd p[2] = {{.fd = r.stream[1], .events = POLLIN},
				      {.fd = sent < WHOLE ? r.stream[0] : -1, .events = POLLOUT}};
		ssize_t n;

		CHECK(poll(p, 2, PATIENCE_MS) > 0);
		if (p[1].revents) {
			size_t len = min_size(sizeof(out), WHOLE - sent);

			for (size_t i = 0; i < len; i++)
				out[i] = pattern(sent + i);
			n = send(r.stream[0], out, len, MSG_DONTWAIT);
			CHECK(n > 0 || errno == EAGAIN);
			sent += n > 0 ? (size_t)n : 0;
			if (sent == WHOLE)
				CHECK(shutdown(r.stream[0], SHUT_WR) == 0);
		}
		if (p[0].revents) {
			n = read(r.stream[1], in, sizeof(in));
			CHECK(n > 0);
			for (size_t i = 0; i < (size_t)n; i++)
				CHECK(in[i] == pattern(got + i));
			got += (size_t)n;
		}
	}
	CHECK(read(r.stream[1], in, 1) == 0);
	read_text(r.stream[2], text, sizeof(text));
	CHECK(strcmp(text, "before\nafter\n") == 0);
	expect_code(h, 20, 0);
	close_run(&r);
}

/* More output than all buffers hold, read only after the command has ended. */
static void test_late_reader(struct host *h)
{
	struct run r = run_sh(h, 21, "head -c 1000000 /dev/zero; echo end");
	static uint8_t buf[STREAM_BUFFER];
	size_t total = 0;
	ssize_t n;

	nanosleep(&(struct timespec){.tv_nsec = 200 * 1000 * 1000}, NULL);
	do {
		wait_readable(r.stream[1]);
		n = read(r.stream[1], buf, sizeof(buf));
		CHECK(n >= 0);
		total += (size_t)n;
	} while (n > 0);
	CHECK(total == 1000004);
	expect_code(h, 21, 0);
	close_run(&r);
}

static void test_broken_pipes(struct host *h)
{
	struct run r = run_sh(h, 30, "exec yes");

	/* The host stops reading, without a word, or only that way. */
	read_until(r.stream[1], "y\ny\n");
	close(r.stream[1]);
	r.stream[1] = -1;
	expect_signal(h, 30, SIGPIPE);
	close_run(&r);
	/* Before its first byte: a full AF_UNIX socket would not tell its writer, as vsock does. */
	r = run_sh(h, 31, "read go; exec yes");
	CHECK(shutdown(r.stream[1], SHUT_RD) == 0);
	CHECK(write_all(r.stream[0], "go\n", 3) == 0);
	expect_signal(h, 31, SIGPIPE);
	close_run(&r);
	/* The command stops reading: the host sees it, though the command goes on. */
	r = run_sh(h, 32, "exec <&-; echo closed; sleep 0.3; exit 5");
	read_until(r.stream[1], "closed");
	wait_readable(r.stream[0]);
	CHECK(send(r.stream[0], "x", 1, MSG_NOSIGNAL) < 0 && errno == EPIPE);
	expect_code(h, 32, 5);
	close_run(&r);
	/* It closes its output and goes on. */
	r = run_sh(h, 33, "exec >&-; sleep 0.3; exit 6");
	CHECK(read(r.stream[1], &(char){0}, 1) == 0);
	expect_code(h, 33, 6);
	close_run(&r);
}

/* How much of stdin has been read, as the host is told the next time. */
static uint32_t next_taken(const struct run *r)
{
	uint32_t taken = 0;

	wait_readable(r->stream[0]);
	CHECK(recv(r->stream[0], &taken, sizeof(taken), MSG_WAITALL) == sizeof(taken));
	return le32toh(taken);
}

static void await_taken(const struct run *r, uint32_t taken)
{
	while (next_taken(r) < taken)
		;
}

/* What was read of stdin is said: at once when it was all, else soon, and at the end. */
static void test_reads(struct host *h)
{
	struct run r = run_sh(h, 35, "read a; read b; echo $a $b; sleep 0.2; read c; exit 3");
	static char big[20000];

	CHECK(write_all(r.stream[0], "one\n", 4) == 0);
	CHECK(next_taken(&r) == 4);
	CHECK(write_all(r.stream[0], "two\nthree\nfour", 14) == 0);
	read_until(r.stream[1], "one two");
	/* Little of much: told when there is nothing else to do. */
	await_taken(&r, 8);
	expect_code(h, 35, 3);
	await_taken(&r, 14);
	close_run(&r);
	/* The command ends after stdin has: what it left is known all the same. */
	r = run_sh(h, 36, "read go; read a; exit 4");
	CHECK(write_all(r.stream[0], "go\n", 3) == 0);
	CHECK(next_taken(&r) == 3);
	CHECK(write_all(r.stream[0], "one\ntwo\n", 8) == 0);
	CHECK(shutdown(r.stream[0], SHUT_WR) == 0);
	expect_code(h, 36, 4);
	CHECK(next_taken(&r) == 7);
	close_run(&r);
	/* One that reads nothing says nothing. */
	r = run_sh(h, 37, "sleep 0.1; exit 5");
	CHECK(write_all(r.stream[0], "unread", 6) == 0);
	expect_code(h, 37, 5);
	CHECK(recv(r.stream[0], big, 4, 0) <= 0);
	close_run(&r);
	/* Its reader has gone before the rest came. */
	r = run_sh(h, 38, "head -c 5000 >/dev/null; exec <&-; echo closed; sleep 0.3; exit 6");
	CHECK(write_all(r.stream[0], big, 5000) == 0);
	read_until(r.stream[1], "closed");
	expect_code(h, 38, 6);
	await_taken(&r, 5000);
	close_run(&r);
}

/* A process left in the background keeps stdout open; the command's end does not wait for it. */
static void test_background(struct host *h)
{
	struct run r = run_sh(h, 40, "sleep 60 & echo $!; yes >&2 & echo $!");
	struct timespec begin, end;
	char buf[256];
	int sleeper, yes;

	clock_gettime(CLOCK_MONOTONIC, &begin);
	/* The endless one is cut at what its pipe held. */
	for (;;) {
		static char sink[STREAM_BUFFER];
		ssize_t n;

		wait_readable(r.stream[2]);
		n = read(r.stream[2], sink, sizeof(sink));
		if (n <= 0)
			break;
	}
	read_text(r.stream[1], buf, sizeof(buf));
	expect_code(h, 40, 0);
	clock_gettime(CLOCK_MONOTONIC, &end);
	CHECK(end.tv_sec - begin.tv_sec < 20);
	CHECK(sscanf(buf, "%d %d", &sleeper, &yes) == 2);
	CHECK(kill(sleeper, SIGKILL) == 0);
	(void)kill(yes, SIGKILL);
	close_run(&r);
}

/* An orphan that ends is collected: no zombie keeps its number. */
static void test_orphans(struct host *h)
{
	struct run r = run_sh(h, 41, "sh -c 'sleep 0.1; exit 3' >/dev/null 2>&1 & echo $!");
	char buf[64];
	int pid;

	read_text(r.stream[1], buf, sizeof(buf));
	expect_code(h, 41, 0);
	pid = atoi(buf);
	CHECK(pid > 1);
	for (int i = 0; kill(pid, 0) == 0; i++) {
		CHECK(i < PATIENCE_MS / 10);
		nanosleep(&(struct timespec){.tv_nsec = 10 * 1000 * 1000}, NULL);
	}
	CHECK(errno == ESRCH);
	close_run(&r);
}

static void test_tty(struct host *h)
{
	struct run r = run_tty(h, 50,
			       "stty size; trap 'stty size; exit 4' WINCH; echo ready;"
			       "while :; do sleep 0.02; done");
	struct out o;

	read_until(r.stream[0], "33 111\r\nready");
	out_begin(&o);
	out_u32(&o, SC_FIELD_ROWS, 44);
	out_u32(&o, SC_FIELD_COLUMNS, 99);
	out_send(h, &o, SC_MSG_WINSIZE, 50);
	read_until(r.stream[0], "44 99\r\n");
	expect_code(h, 50, 4);
	close_run(&r);
	/* ^C is a byte, the terminal makes the signal; ^D ends input. */
	r = run_tty(h, 51, "echo ready; exec cat");
	read_until(r.stream[0], "ready");
	CHECK(write(r.stream[0], "\3", 1) == 1);
	expect_signal(h, 51, SIGINT);
	close_run(&r);
	r = run_tty(h, 52, "tty; cat");
	read_until(r.stream[0], "/dev/pts/");
	CHECK(write(r.stream[0], "line\n\4", 6) == 6);
	read_until(r.stream[0], "line\r\nline\r\n");
	expect_code(h, 52, 0);
	close_run(&r);
	/* The host's terminal goes away. */
	r = run_tty(h, 53, "echo ready; exec sleep 60");
	read_until(r.stream[0], "ready");
	close_run(&r);
	expect_signal(h, 53, SIGHUP);
	/* The last words come whole, also with someone in the background on the terminal. */
	r = run_tty(h, 54, "trap '' HUP; sleep 60 & seq 2000; echo pid $!.");
	{
		static char buf[65536];
		const char *pid;

		read_text(r.stream[0], buf, sizeof(buf));
		pid = strstr(buf, "2000\r\npid ");
		CHECK(pid);
		expect_code(h, 54, 0);
		(void)kill(atoi(pid + 10), SIGKILL);
	}
	close_run(&r);
}

static void test_many(struct host *h)
{
	enum { N = 12 };
	struct run r[N];
	unsigned int ended = 0, seen = 0;

	for (uint32_t i = 0; i < N; i++)
		r[i] = run_sh(h, 100 + i, "read x; exit $x");
	for (uint32_t i = 0; i < N; i++) {
		char line[16];
		int n = snprintf(line, sizeof(line), "%u\n", i);

		CHECK(write(r[i].stream[0], line, (size_t)n) == n);
	}
	for (; ended < N; ended++) {
		struct in in = in_receive(h);

		CHECK(in.type == SC_MSG_EXITED && in.id >= 100 && in.id < 100 + N);
		CHECK(in.value[SC_FIELD_CODE] == in.id - 100);
		seen |= 1U << (in.id - 100);
	}
	CHECK(seen == (1U << N) - 1);
	for (uint32_t i = 0; i < N; i++)
		close_run(&r[i]);
}

static unsigned int count_fds(pid_t pid)
{
	unsigned int n = 0;
	char path[64];
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	dir = opendir(path);
	CHECK(dir);
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static unsigned long resident_pages(pid_t pid)
{
	unsigned long all = 0, resident = 0;
	char path[64];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/statm", (int)pid);
	f = fopen(path, "r");
	CHECK(f && fscanf(f, "%lu %lu", &all, &resident) == 2);
	fclose(f);
	return resident;
}

static void run_true(struct host *h, uint32_t first, uint32_t n)
{
	for (uint32_t id = first; id < first + n; id++) {
		struct run r = run_sh(h, id, "exit 0");

		expect_code(h, id, 0);
		close_run(&r);
	}
}

/* Sanitizers keep what was freed, so that memory says nothing under them. */
#define SANITIZED 0
#ifdef __has_feature
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#undef SANITIZED
#define SANITIZED 1
#endif
#endif

/* What one command leaves behind would be seen here a thousand times. */
static void test_row(struct host *h)
{
	enum { FIRST = 100000, ROW = 1000, SLACK = 16 /* pages */ };
	unsigned int fds;
	unsigned long pages;

	run_true(h, FIRST, 100);
	fds = count_fds(h->agent);
	pages = resident_pages(h->agent);
	run_true(h, FIRST + 100, ROW);
	CHECK(count_fds(h->agent) == fds);
	CHECK(SANITIZED || resident_pages(h->agent) < pages + SLACK);
}

static void test_endings(void)
{
	struct host h;
	struct out o;

	/* The host goes, with a command running. */
	host_start(&h);
	{
		struct run r = run_sh(&h, 1, "exec sleep 5");

		close(h.control);
		CHECK(agent_result(&h) == 3);
		close_run(&r);
	}
	/* Nonsense: an id in use; an unknown message; a body that is too long. */
	host_start(&h);
	{
		struct run r = run_sh(&h, 1, "exec sleep 5");

		out_begin(&o);
		out_str(&o, SC_FIELD_ARG, "true");
		out_send(&h, &o, SC_MSG_EXEC, 1);
		CHECK(agent_result(&h) == 4);
		close_run(&r);
		close(h.control);
	}
	host_start(&h);
	out_begin(&o);
	out_send(&h, &o, SC_MSG_READY, 0);
	CHECK(agent_result(&h) == 4);
	close(h.control);
	host_start(&h);
	{
		struct sc_header head = {.length = htole32(SC_BODY_MAX_HOST + 1),
					 .type = htole16(SC_MSG_EXEC)};

		CHECK(write_all(h.control, &head, sizeof(head)) == 0);
	}
	CHECK(agent_result(&h) == 4);
	close(h.control);
}

int main(void)
{
	static const struct {
		const char *name;
		void (*fn)(struct host *h);
	} tests[] = {
		{"exit codes and signals", test_codes_and_signals},
		{"environment", test_environment},
		{"exec failures", test_exec_failures},
		{"64 MiB both ways", test_whole},
		{"late reader", test_late_reader},
		{"broken pipes", test_broken_pipes},
		{"reads of stdin", test_reads},
		{"background process", test_background},
		{"orphans", test_orphans},
		{"tty", test_tty},
		{"many at once", test_many},
		{"a thousand in a row", test_row},
	};
	struct host h;
	struct out o;

	signal(SIGPIPE, SIG_IGN);
	host_start(&h);
	for (size_t i = 0; i < ARRAY_SIZE(tests); i++) {
		printf("%s\n", tests[i].name);
		fflush(stdout);
		tests[i].fn(&h);
	}
	out_begin(&o);
	out_send(&h, &o, SC_MSG_SHUTDOWN, 0);
	CHECK(agent_result(&h) == 0);
	close(h.control);
	printf("endings\n");
	test_endings();
	return 0;
}
