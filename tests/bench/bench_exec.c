/* SPDX-License-Identifier: MIT */
/*
 * What a command in a running sandbox costs, taken apart. Called by control.sh.
 *
 *   bench_exec spawn N PROGRAM [ARG...]   a process of that program, to its end
 *   bench_exec sandbox N NAME             the control channel, in this process
 *   bench_exec row N NAME                 N commands in a row
 *   bench_exec guest N                    inside: a vsock round trip, and fork and exec of true
 *   bench_exec qga N SOCKET               guest-exec of QEMU's guest agent
 *
 * Prints lines: what, best and median in microseconds, and of how many, separated by tabs.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/vm_sockets.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "library/client/client.h"
#include "library/client/rundir.h"

enum { RUNS_MAX = 1000, VSOCK_PORT_OF_NOBODY = 4000 };

struct figure {
	const char *name;
	double us[RUNS_MAX];
	size_t n;
};

static _Noreturn void die(const char *what, int err)
{
	fprintf(stderr, "bench_exec: %s: %s\n", what, strerror(err < 0 ? -err : err));
	exit(1);
}

static double now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void add(struct figure *f, double us)
{
	if (f->n < RUNS_MAX)
		f->us[f->n++] = us;
}

static int compare(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void print(struct figure *f)
{
	if (f->n == 0)
		return;
	qsort(f->us, f->n, sizeof(f->us[0]), compare);
	printf("%s\t%.0f\t%.0f\t%zu\n", f->name, f->us[0], f->us[f->n / 2], f->n);
}

static void spawn(char **argv)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		const int null = open("/dev/null", O_RDWR);

		(void)dup2(null, STDIN_FILENO);
		(void)dup2(null, STDOUT_FILENO);
		(void)execv(argv[0], argv);
		_exit(127);
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0)
		die("fork", errno);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
		fprintf(stderr, "bench_exec: %s failed: %d\n", argv[0], status);
		exit(1);
	}
}

static void bench_spawn(size_t n, char **argv)
{
	struct figure f = {.name = "process"};

	/* One more, which brings into memory what it needs. */
	for (size_t i = 0; i <= n; i++) {
		const double start = now_us();

		spawn(argv);
		if (i > 0)
			add(&f, now_us() - start);
	}
	print(&f);
}

static struct client *open_client(const char *name)
{
	AUTO_FREE char *top = rundir_top();
	AUTO_CLOSE int dir = rundir_open(top, name);
	struct client *c = NULL;
	int r = dir < 0 ? dir : client_new(dir, &c);

	if (r < 0)
		die("cannot connect to the sandbox", r);
	return c;
}

static void ask_info(struct client *c)
{
	json_t *reply = NULL;
	int r = client_call(c, json_pack("{s:s}", "op", "info"), NULL, 0, &reply);

	if (r < 0)
		die("info", r);
	json_decref(reply);
}

/* One command, with descriptors as `sandcastle exec` passes them. */
static void exec_true(struct client *c, const int fds[3], double *started, double *ended)
{
	json_t *m = NULL;
	int r = client_call(
		c, json_pack("{s:s, s:[s], s:[]}", "op", "exec", "argv", "/bin/true", "env"), fds,
		3, &m);

	if (r < 0)
		die("exec", r);
	json_decref(m);
	*started = now_us();
	r = client_receive(c, -1, &m);
	if (r < 0 || json_integer_value(json_object_get(m, "code")) != 0)
		die("no exit", r);
	json_decref(m);
	*ended = now_us();
}

static void open_stdio(int fds[3])
{
	for (int i = 0; i < 3; i++)
		if ((fds[i] = open("/dev/null", O_RDWR | O_CLOEXEC)) < 0)
			die("/dev/null", errno);
}

static void bench_sandbox(size_t n, const char *name)
{
	static struct figure connecting = {.name = "connection and hello"};
	static struct figure info = {.name = "info: a request the host answers"};
	static struct figure start = {.name = "exec to its reply: the command runs"};
	static struct figure rest = {.name = "from there to its end"};
	static struct figure all = {.name = "exec to end"};
	int fds[3];

	open_stdio(fds);
	for (size_t i = 0; i <= n; i++) {
		double at[5];
		struct client *c;

		at[0] = now_us();
		c = open_client(name);
		at[1] = now_us();
		ask_info(c);
		at[2] = now_us();
		exec_true(c, fds, &at[3], &at[4]);
		client_free(c);
		if (i == 0)
			continue;
		add(&connecting, at[1] - at[0]);
		add(&info, at[2] - at[1]);
		add(&start, at[3] - at[2]);
		add(&rest, at[4] - at[3]);
		add(&all, at[4] - at[2]);
	}
	print(&connecting);
	print(&info);
	print(&start);
	print(&rest);
	print(&all);
}

static void bench_row(size_t n, const char *name)
{
	struct client *c = open_client(name);
	const double start = now_us();
	double at[2];
	int fds[3];

	open_stdio(fds);
	for (size_t i = 0; i < n; i++)
		exec_true(c, fds, &at[0], &at[1]);
	printf("in a row, each\t%.0f\t%.0f\t%zu\n", (now_us() - start) / (double)n,
	       (now_us() - start) / (double)n, n);
	client_free(c);
}

/* A connection to a port of the host's where nobody listens is refused by the device's other end. */
static double vsock_round_trip(void)
{
	const struct sockaddr_vm addr = {
		.svm_family = AF_VSOCK,
		.svm_cid = VMADDR_CID_HOST,
		.svm_port = VSOCK_PORT_OF_NOBODY,
	};
	AUTO_CLOSE int fd = socket(AF_VSOCK, SOCK_STREAM, 0);
	const double start = now_us();

	if (fd < 0)
		die("vsock", errno);
	if (connect(fd, (const struct sockaddr *)&addr, sizeof(addr)) == 0 || errno != ECONNRESET)
		die("vsock was expected to be refused", errno);
	return now_us() - start;
}

static void bench_guest(size_t n)
{
	static char true_path[] = "/bin/true";
	struct figure trip = {.name = "guest: vsock round trip"};
	struct figure forks = {.name = "guest: fork, exec and end of true"};
	char *argv[] = {true_path, NULL};

	for (size_t i = 0; i <= n; i++) {
		const double us = vsock_round_trip(), start = now_us();

		spawn(argv);
		if (i == 0)
			continue;
		add(&trip, us);
		add(&forks, now_us() - start);
	}
	print(&trip);
	print(&forks);
}

/* One command of the guest agent's; its "return", or death. */
static json_t *qga_call(FILE *f, const char *command)
{
	static char line[65536];
	json_t *answer, *value;

	if (dprintf(fileno(f), "%s\n", command) < 0 || !fgets(line, sizeof(line), f))
		die("the guest agent does not answer", errno);
	answer = json_loads(line, 0, NULL);
	value = json_incref(json_object_get(answer, "return"));
	if (!value)
		fprintf(stderr, "bench_exec: the guest agent says: %s", line);
	json_decref(answer);
	if (!value)
		exit(1);
	return value;
}

static void qga_exec(FILE *f)
{
	json_t *value = qga_call(f, "{\"execute\":\"guest-exec\",\"arguments\":{\"path\":\"/bin/"
				    "true\",\"capture-output\":true}}");
	const json_int_t pid = json_integer_value(json_object_get(value, "pid"));
	bool exited = false;
	char status[128];

	json_decref(value);
	snprintf(status, sizeof(status),
		 "{\"execute\":\"guest-exec-status\",\"arguments\":{\"pid\":%lld}}",
		 (long long)pid);
	while (!exited) {
		value = qga_call(f, status);
		exited = json_is_true(json_object_get(value, "exited"));
		json_decref(value);
	}
}

static void bench_qga(size_t n, const char *path)
{
	static struct figure ping = {.name = "qemu-ga: guest-ping"};
	static struct figure exec = {.name = "qemu-ga: guest-exec to its end"};
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	FILE *f;

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s", path);
	if (fd < 0 || connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 ||
	    !(f = fdopen(fd, "r")))
		die(path, errno);
	for (size_t i = 0; i <= n; i++) {
		double start = now_us();

		json_decref(qga_call(f, "{\"execute\":\"guest-ping\"}"));
		if (i > 0)
			add(&ping, now_us() - start);
		start = now_us();
		qga_exec(f);
		if (i > 0)
			add(&exec, now_us() - start);
	}
	fclose(f);
	print(&ping);
	print(&exec);
}

int main(int argc, char **argv)
{
	const char *what = argc > 2 ? argv[1] : "";
	const size_t n = argc > 2 ? strtoul(argv[2], NULL, 10) : 0;

	if (n > 0 && argc > 3 && strcmp(what, "spawn") == 0)
		bench_spawn(n, argv + 3);
	else if (n > 0 && argc == 4 && strcmp(what, "sandbox") == 0)
		bench_sandbox(n, argv[3]);
	else if (n > 0 && argc == 4 && strcmp(what, "row") == 0)
		bench_row(n, argv[3]);
	else if (n > 0 && argc == 3 && strcmp(what, "guest") == 0)
		bench_guest(n);
	else if (n > 0 && argc == 4 && strcmp(what, "qga") == 0)
		bench_qga(n, argv[3]);
	else
		return fprintf(stderr, "bench_exec: see the top of bench_exec.c\n"), 1;
	return 0;
}
