/* SPDX-License-Identifier: MIT */
/*
 * DOC: the guest's first process
 *
 * The kernel starts this program as /init of the initramfs. main() is the
 * whole start in order; what the host has to do meanwhile (SETUP, EXEC) it is
 * asked for as early as possible. The process never returns: a pid 1 that ends
 * is a kernel panic, so every way out powers the machine off, with the reason
 * told to the host if it can still be, and to the kernel's log in any case.
 */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timex.h>
#include <sys/utsname.h>

#include "guest-agent/clock.h"
#include "guest-agent/files.h"
#include "guest-agent/link.h"
#include "guest-agent/messages.h"
#include "guest-agent/modules.h"
#include "guest-agent/mounts.h"
#include "guest-agent/session.h"
#include "guest-agent/steps.h"
#include "guest-agent/text.h"
#include "guest-agent/unique.h"

struct agent {
	int initramfs; /* its root directory, O_PATH */
	struct link link;
	struct mounts mounts;
	struct setup setup;
	struct user invoker;
	struct session session;
	struct clock clock;
	struct steps steps;
};

/* A whole line at once, or the kernel's log would cut it. */
static void log_line(const char *s)
{
	struct text line = {.len = 0};
	int fd = open("/dev/kmsg", O_WRONLY | O_CLOEXEC);

	text_add(&line, "<2>sandcastle-agent: ");
	text_add(&line, s);
	text_add(&line, "\n");
	if (fd >= 0) {
		(void)!write_all(fd, line.buf, line.len);
		close(fd);
	}
}

static _Noreturn void power_off(void)
{
	for (;;) {
		(void)reboot(RB_POWER_OFF);
		/* A machine without a switch stays here; the host ends it. */
		pause();
	}
}

/* What was sent may still be queued: waits, a second at most, until the host hangs up. */
static void linger(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	char unread[256];

	while (poll(&p, 1, 1000) > 0 && recv(fd, unread, sizeof(unread), MSG_DONTWAIT) > 0)
		;
}

static _Noreturn void fail(struct agent *a, const struct text *why)
{
	struct wire_message m;

	log_line(why->buf);
	if (a->link.control > 0) {
		wire_begin(&m, SC_MSG_FAILED, 0);
		wire_put_str(&m, SC_FIELD_TEXT, why->buf);
		if (link_send(&a->link, &m) == 0)
			linger(a->link.control);
	}
	power_off();
}

/* Async-signal-safe but for the log, whose use here is worth the risk. */
static void crashed(int sig)
{
	struct text what = {.len = 0};

	text_add(&what, "crashed with signal ");
	text_add_u32(&what, (uint32_t)sig);
	log_line(what.buf);
	power_off();
}

static void guard(void)
{
	static const int signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGSYS};
	struct sigaction act = {.sa_handler = crashed};

	for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
		(void)sigaction(signals[i], &act, NULL);
	umask(0);
}

/* The OOM killer is not to choose the agent. Commands get 0 back when they start. */
static void avoid_oom_killer(void)
{
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	if (fd >= 0) {
		(void)!write_all(fd, "-1000", 5);
		close(fd);
	}
}

/* Six descriptors a command. The kernel's 1024 are for programs that use select(). */
static void allow_many_files(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) < 0)
		return;
	files.rlim_cur = files.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &files);
}

static int say_hello(struct agent *a, struct text *why)
{
	struct wire_message m;
	struct utsname uts;
	int r = link_init(&a->link, link_connect_vsock);

	if (r < 0)
		return text_fail(why, r, "connect to the host", NULL);
	if (uname(&uts) < 0)
		return text_fail(why, -errno, "learn the kernel's version", NULL);
	wire_begin(&m, SC_MSG_HELLO, 0);
	wire_put_u32(&m, SC_FIELD_VERSION, SC_PROTOCOL_VERSION);
	wire_put_str(&m, SC_FIELD_KERNEL, uts.release);
	r = link_send(&a->link, &m);
	return r < 0 ? text_fail(why, r, "greet the host", NULL) : 0;
}

/* CLOCK_MONOTONIC goes on as it did. */
static void adjust_clock(int64_t ns)
{
	const int64_t second = 1000000000;
	struct timex change = {.modes = ADJ_SETOFFSET | ADJ_NANO};

	change.time.tv_sec = ns / second - (ns % second < 0);
	change.time.tv_usec = ns % second + (ns % second < 0 ? second : 0);
	(void)adjtimex(&change);
}

/* The answer comes while there is something else to do. */
static int ask_time(struct agent *a, struct text *why)
{
	int fd = link_open(&a->link, SC_PORT_CLOCK);

	if (fd < 0)
		return text_fail(why, fd, "ask the host for the time", NULL);
	clock_init(&a->clock, fd, adjust_clock);
	clock_ask(&a->clock);
	return 0;
}

static int receive(struct agent *a, struct sc_header *h, uint8_t **body)
{
	struct pollfd p = {.fd = a->link.control, .events = POLLIN};
	int r;

	while ((r = link_receive(&a->link, h, body)) == 0)
		(void)poll(&p, 1, -1);
	return r < 0 ? r : 0;
}

/* The next message is RESUME, or asks to park before it. */
static int receive_resume(struct agent *a, struct text *why)
{
	struct wire_message m;
	bool parked = false;
	struct resume from;
	struct sc_header h;
	uint8_t *body = NULL;
	int r = receive(a, &h, &body);

	if (r == 0 && h.type == SC_MSG_PARK) {
		parked = true;
		free(body);
		body = NULL;
		wire_begin(&m, SC_MSG_PARKED, 0);
		r = link_send(&a->link, &m);
		if (r == 0)
			r = receive(a, &h, &body);
	}
	if (r == 0)
		r = h.type == SC_MSG_RESUME ? resume_parse(body, h.length, &from) : -EPROTO;
	free(body);
	if (r < 0)
		return text_fail(why, r, "go on as the host says", NULL);
	r = unique_take(&from, parked, why);
	explicit_bzero(&from, sizeof(from));
	return r;
}

static int receive_setup(struct agent *a, struct text *why)
{
	struct sc_header h;
	uint8_t *body = NULL;
	int r = receive(a, &h, &body);

	if (r == 0)
		r = h.type == SC_MSG_SETUP ? setup_parse(body, h.length, &a->setup) : -EPROTO;
	free(body);
	if (r < 0)
		return text_fail(why, r, "understand the host's setup", NULL);
	a->invoker.uid = a->setup.uid;
	a->invoker.gid = a->setup.gid;
	if (strlen(a->setup.user) >= sizeof(a->invoker.name) ||
	    strlen(a->setup.home) >= sizeof(a->invoker.home) ||
	    strlen(a->setup.shell) >= sizeof(a->invoker.shell))
		return text_fail(why, -ENAMETOOLONG, "use the account of", a->setup.user);
	memcpy(a->invoker.name, a->setup.user, strlen(a->setup.user) + 1);
	memcpy(a->invoker.home, a->setup.home, strlen(a->setup.home) + 1);
	memcpy(a->invoker.shell, a->setup.shell, strlen(a->setup.shell) + 1);
	return 0;
}

static int say_ready(struct agent *a, struct text *why)
{
	struct wire_message m;
	uint32_t address; /* 0 without a network */
	int r;

	wire_begin(&m, SC_MSG_READY, 0);
	memcpy(&address, a->setup.network.guest4, sizeof(address));
	if (address != 0)
		wire_put_u32(&m, SC_FIELD_ADDRESS, be32toh(address));
	if (a->setup.timeline) {
		steps_add_kernel(&a->steps);
		steps_mark(&a->steps, "read the kernel's log", NULL);
		steps_put(&a->steps, &m);
	}
	r = link_send(&a->link, &m);
	return r < 0 ? text_fail(why, r, "tell the host", "ready") : 0;
}

/*
 * In a process of its own, so that no driver's start holds up the command. It
 * keeps none of the agent's descriptors: a copy of a pipe's end would hide an
 * end of file.
 */
static void load_optional_modules(struct session *s)
{
	struct agent *a = CONTAINER_OF(s, struct agent, session);
	struct text why;

	if (fork() != 0) {
		close(a->initramfs);
		return;
	}
	if (dup2(a->initramfs, 3) == 3 && close_range(4, ~0U, 0) == 0)
		(void)!modules_load(3, MODULES_OPTIONAL, &a->steps, &why);
	_exit(0);
}

static int change_map(struct session *s, const struct setup_map *map, bool remove, struct text *why)
{
	struct agent *a = CONTAINER_OF(s, struct agent, session);

	return remove ? mounts_remove(&a->mounts, map, why)
		      : mounts_add(&a->mounts, map, &a->setup, why);
}

/*
 * `run` has sent its command by now, and the modules wait until that is started.
 * A sandbox that waits for its clients has nothing to wait for.
 */
static void load_optional_modules_if_idle(struct agent *a)
{
	struct pollfd p = {.fd = a->link.control, .events = POLLIN};

	if (poll(&p, 1, 0) != 0)
		return;
	a->session.started = NULL;
	load_optional_modules(&a->session);
}

/* A kernel without a console starts us without the three; nothing else may get their numbers. */
static void open_stdio(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd < 3);
	if (fd >= 3)
		close(fd);
}

static int start(struct agent *a, struct text *why)
{
	int r;

	steps_mark(&a->steps, "kernel", NULL);
	r = mounts_early(why);
	if (r < 0)
		return r;
	open_stdio();
	a->initramfs = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (a->initramfs < 0)
		return text_fail(why, -errno, "open", "/");
	steps_mark(&a->steps, "first mounts", NULL);
	if ((r = modules_load(a->initramfs, MODULES_NEEDED, &a->steps, why)) < 0 ||
	    (r = say_hello(a, why)) < 0)
		return r;
	steps_mark(&a->steps, "connection to the host", NULL);
	r = mounts_root(&a->mounts, why);
	if (r < 0)
		return r;
	steps_mark(&a->steps, "mounts", NULL);
	avoid_oom_killer();
	allow_many_files();
	/* The connection for the time is of this machine alone: not before it goes on. */
	if ((r = receive_resume(a, why)) < 0 || (r = ask_time(a, why)) < 0 ||
	    (r = receive_setup(a, why)) < 0)
		return r;
	steps_mark(&a->steps, "set-up received", NULL);
	/* The host's shell for this user, which another system's tree may lack. */
	if (access(a->setup.shell, X_OK) < 0) {
		a->setup.shell = "/bin/sh";
		memcpy(a->invoker.shell, a->setup.shell, strlen(a->setup.shell) + 1);
	}
	r = mounts_finish(&a->mounts, &a->setup, why);
	if (r < 0)
		return r;
	steps_mark(&a->steps, "maps, /etc", NULL);
	r = session_init(&a->session, &a->link, &a->invoker,
			 a->setup.has_network ? &a->setup.network : NULL);
	if (r < 0)
		return text_fail(why, r, "start its loop", NULL);
	a->session.started = load_optional_modules;
	a->session.map = change_map;
	clock_await(&a->clock);
	r = session_keep_clock(&a->session, &a->clock);
	if (r < 0)
		return text_fail(why, r, "watch its clock", NULL);
	return say_ready(a, why);
}

int main(void)
{
	/* Static because it is large and lives as long as the machine. */
	static struct agent agent;
	struct text why = {.len = 0};
	int r;

	/* By hand on a host it would do harm. */
	if (getpid() != 1)
		return 1;
	guard();
	if (start(&agent, &why) < 0)
		fail(&agent, &why);
	load_optional_modules_if_idle(&agent);
	r = session_run(&agent.session);
	/* Nothing may write any more once the writable folders are synced. */
	(void)kill(-1, SIGKILL);
	(void)mounts_sync(&agent.mounts);
	if (r < 0 && r != -EPIPE) {
		(void)text_fail(&why, r, "go on serving the host", NULL);
		fail(&agent, &why);
	}
	power_off();
}
