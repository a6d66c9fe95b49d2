/* SPDX-License-Identifier: MIT */
#include "vmm/net/process.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_net.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <termios.h>

#include "common/log.h"
#include "vmm/confine/seal.h"
#include "vmm/net/checksum.h"
#include "vmm/net/hostaddr.h"
#include "vmm/net/refusal.h"
#include "vmm/net/slirp_lib.h"

enum {
	HEADER = sizeof(struct virtio_net_hdr_v1),
	/* What the guest may keep open: libslirp looks at each socket in each turn. */
	MAX_FILES = 1024,
	/* Frames taken from the guest before the host's sockets are looked at again. */
	BURST = 64,
	/* How long a frame for the guest waits for room; then the guest does not take any. */
	ROOM_WAIT_MS = 100,
	MAX_TIMERS = 4,
	LOOK_MS = 60 * 1000,
	MTU = 1500,
	START_LIMIT_MS = 30 * 1000,
};

struct timer {
	SlirpTimerCb fn;
	void *opaque;
	int64_t due_ms; /* 0: not set */
	bool used;
};

struct net_process {
	int cable;
	int address_watch; /* hostaddr_watch() */
	struct net_filter filter;
	struct slirp_lib lib;
	Slirp *slirp;
	struct timer timers[MAX_TIMERS];
	uint64_t dropped, told; /* frames the filter did not let through, and what the VMM knows */
	bool guest_stuck; /* it took no frame for ROOM_WAIT_MS */

	/* What libslirp waits for, behind our own two. */
	struct pollfd *fds;
	size_t n_fds, max_fds;

	uint8_t frame[HEADER + NET_FRAME_MAX + 1];
};

/* ---- what libslirp asks of its program ---- */

static int64_t clock_ns(void *opaque)
{
	struct timespec ts;

	(void)opaque;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ll + ts.tv_nsec;
}

static int64_t now_ms(void)
{
	return clock_ns(NULL) / 1000000;
}

static void *timer_new(SlirpTimerCb fn, void *fn_opaque, void *opaque)
{
	struct net_process *p = opaque;

	for (size_t i = 0; i < MAX_TIMERS; i++) {
		if (p->timers[i].used)
			continue;
		p->timers[i] = (struct timer){.fn = fn, .opaque = fn_opaque, .used = true};
		return &p->timers[i];
	}
	return NULL;
}

static void timer_free(void *timer, void *opaque)
{
	(void)opaque;
	if (timer)
		*(struct timer *)timer = (struct timer){0};
}

static void timer_mod(void *timer, int64_t expire_ms, void *opaque)
{
	(void)opaque;
	if (timer)
		((struct timer *)timer)->due_ms = expire_ms;
}

static void guest_error(const char *msg, void *opaque)
{
	(void)opaque;
	log_debug("network: the guest's frame: %s", msg);
}

static void poll_fd(int fd, void *opaque)
{
	(void)fd;
	(void)opaque;
}

static void notify(void *opaque)
{
	(void)opaque;
}

/* True once the guest takes frames; waits a while for it. */
static bool has_room(struct net_process *p)
{
	struct pollfd room = {.fd = p->cable, .events = POLLOUT};
	int n = poll(&room, 1, p->guest_stuck ? 0 : ROOM_WAIT_MS);

	p->guest_stuck = n == 0;
	return n > 0;
}

/* Tries to put a frame, whose checksums are made, on the cable. False: errno says why not. */
static bool send_frame(struct net_process *p, const void *frame, size_t len)
{
	struct virtio_net_hdr_v1 h = {.flags = VIRTIO_NET_HDR_F_DATA_VALID};
	struct iovec iov[2] = {{.iov_base = &h, .iov_len = sizeof(h)},
			       {.iov_base = (void *)(uintptr_t)frame, .iov_len = len}};
	const struct msghdr mh = {.msg_iov = iov, .msg_iovlen = 2};

	return sendmsg(p->cable, &mh, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0;
}

/*
 * A frame for the guest. Where there is no room it waits, since a frame lost on
 * this side of the wire costs TCP a second; a guest that takes none at all loses them.
 */
static ssize_t send_packet(const void *frame, size_t len, void *opaque)
{
	struct net_process *p = opaque;

	if (net_filter_in(&p->filter, frame, len) != NET_PASS) {
		p->dropped++;
		return (ssize_t)len;
	}
	while (!send_frame(p, frame, len))
		if ((errno != EAGAIN && errno != ENOBUFS) || !has_room(p))
			break;
	return (ssize_t)len;
}

/* Tells the guest that its frame went nowhere; where there is no room for that it is not told. */
static void refuse(struct net_process *p, const uint8_t *frame, size_t len)
{
	uint8_t answer[NET_REFUSAL_MAX];
	size_t n = net_refusal(&p->filter, frame, len, answer);

	if (n > 0)
		(void)send_frame(p, answer, n);
}

static const SlirpCb callbacks = {
	.send_packet = send_packet,
	.guest_error = guest_error,
	.clock_get_ns = clock_ns,
	.timer_new = timer_new,
	.timer_free = timer_free,
	.timer_mod = timer_mod,
	.register_poll_fd = poll_fd,
	.unregister_poll_fd = poll_fd,
	.notify = notify,
};

/* ---- its loop ---- */

static int add_poll(int fd, int events, void *opaque)
{
	struct net_process *p = opaque;
	short want = 0;

	if (p->n_fds == p->max_fds)
		return -1;
	if (events & SLIRP_POLL_IN)
		want |= POLLIN;
	if (events & SLIRP_POLL_OUT)
		want |= POLLOUT;
	if (events & SLIRP_POLL_PRI)
		want |= POLLPRI;
	p->fds[p->n_fds] = (struct pollfd){.fd = fd, .events = want};
	return (int)p->n_fds++;
}

static int get_revents(int index, void *opaque)
{
	const struct net_process *p = opaque;
	short got = index < 0 ? 0 : p->fds[index].revents;
	int events = 0;

	if (got & POLLIN)
		events |= SLIRP_POLL_IN;
	if (got & POLLOUT)
		events |= SLIRP_POLL_OUT;
	if (got & POLLPRI)
		events |= SLIRP_POLL_PRI;
	if (got & POLLERR)
		events |= SLIRP_POLL_ERR;
	if (got & POLLHUP)
		events |= SLIRP_POLL_HUP;
	return events;
}

/* A frame of the guest: checked as it is in our own memory, with its checksum filled in. */
static void take_frame(struct net_process *p, size_t len)
{
	struct virtio_net_hdr_v1 h;
	uint8_t *frame = p->frame + HEADER;
	enum net_verdict v;

	if (len < HEADER)
		return;
	len -= HEADER;
	memcpy(&h, p->frame, sizeof(h));
	if ((h.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) &&
	    !net_checksum_fill(frame, len, h.csum_start, h.csum_offset))
		return;
	v = net_filter_out(&p->filter, frame, len);
	if (v == NET_PASS) {
		p->lib.input(p->slirp, frame, (int)len);
		return;
	}
	p->dropped++;
	if (v == NET_DROP_ADDRESS)
		refuse(p, frame, len);
}

/* Where there is no room for it the next one says as much. */
static void report(struct net_process *p)
{
	if (p->dropped != p->told && send(p->cable, &p->dropped, sizeof(p->dropped),
					  MSG_DONTWAIT | MSG_NOSIGNAL) == sizeof(p->dropped))
		p->told = p->dropped;
}

/* False: the VMM is gone. */
static bool take_frames(struct net_process *p)
{
	for (unsigned int i = 0; i < BURST; i++) {
		ssize_t n = recv(p->cable, p->frame, sizeof(p->frame), MSG_DONTWAIT);

		if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
			return false;
		if (n < 0)
			return true;
		take_frame(p, (size_t)n);
	}
	return true;
}

/* Runs the timers that are due; how long until the next, in ms. */
static uint32_t run_timers(struct net_process *p)
{
	uint32_t wait = LOOK_MS;

	for (size_t i = 0; i < MAX_TIMERS; i++) {
		struct timer *t = &p->timers[i];
		int64_t left = t->due_ms - now_ms();

		if (!t->used || t->due_ms == 0)
			continue;
		if (left <= 0) {
			t->due_ms = 0;
			t->fn(t->opaque);
		} else if (left < wait) {
			wait = (uint32_t)left;
		}
	}
	return wait;
}

static int serve(struct net_process *p)
{
	for (;;) {
		uint32_t wait = run_timers(p);
		int n;

		p->fds[0] = (struct pollfd){.fd = p->cable, .events = POLLIN};
		p->fds[1] = (struct pollfd){.fd = p->address_watch, .events = POLLIN};
		p->n_fds = 2;
		p->lib.pollfds_fill(p->slirp, &wait, add_poll, p);
		n = poll(p->fds, p->n_fds, (int)min_size(wait, LOOK_MS));
		if (n < 0 && errno != EINTR)
			return 1;
		/* Before any frame is judged by what was. */
		if (n > 0 && p->fds[1].revents) {
			hostaddr_drain(p->address_watch);
			hostaddr_read(&p->filter);
		}
		p->lib.pollfds_poll(p->slirp, n < 0, get_revents, p);
		if (n > 0 && p->fds[0].revents && !take_frames(p))
			return 0;
		report(p);
	}
}

/* ---- its start ---- */

static Slirp *open_slirp(struct net_process *p)
{
	const struct net_addresses *own = &p->filter.own;
	SlirpConfig cfg = {
		.version = 4,
		.in_enabled = true,
		.in6_enabled = true,
		.vprefix_len = 64,
		.if_mtu = MTU,
		.if_mru = MTU,
		.disable_host_loopback = true,
		.disable_dhcp = true,
	};

	inet_pton(AF_INET, "255.255.255.0", &cfg.vnetmask);
	memcpy(&cfg.vnetwork, own->net4, sizeof(cfg.vnetwork));
	memcpy(&cfg.vhost, own->gateway4, sizeof(cfg.vhost));
	memcpy(&cfg.vdhcp_start, own->guest4, sizeof(cfg.vdhcp_start));
	memcpy(&cfg.vnameserver, own->dns4, sizeof(cfg.vnameserver));
	memcpy(&cfg.vprefix_addr6, own->net6, sizeof(cfg.vprefix_addr6));
	memcpy(&cfg.vnameserver6, own->dns6, sizeof(cfg.vnameserver6));
	memcpy(&cfg.vhost6, own->net6, sizeof(cfg.vhost6));
	cfg.vhost6.s6_addr[15] = 2;
	return p->lib.new(&cfg, &callbacks, p);
}

/*
 * What libslirp and the C library call from here on, as traced. /etc/resolv.conf
 * is read anew when it changes, and it may be a link to one of the others. Of ioctls there are
 * no more than they make: one of the others types into the user's terminal (TIOCSTI).
 */
int net_process_seal(void)
{
	static const char *const readable[] = {"/etc", "/run/systemd/resolve",
					       "/run/NetworkManager", "/run/resolvconf"};
	static const struct seal_call calls[] = {
		{.nr = SYS_poll},
		{.nr = SYS_ppoll},
		{.nr = SYS_read},
		{.nr = SYS_write},
		{.nr = SYS_readv},
		{.nr = SYS_writev},
		{.nr = SYS_recvfrom},
		{.nr = SYS_recvmsg},
		{.nr = SYS_sendto},
		{.nr = SYS_sendmsg},
		{.nr = SYS_connect},
		{.nr = SYS_bind},
		{.nr = SYS_listen},
		{.nr = SYS_accept},
		{.nr = SYS_accept4},
		{.nr = SYS_shutdown},
		{.nr = SYS_getsockopt},
		{.nr = SYS_setsockopt},
		{.nr = SYS_getsockname},
		{.nr = SYS_getpeername},
		{.nr = SYS_ioctl, .arg = 1, .n_values = 2, .values = {FIONREAD, TCGETS}},
		{.nr = SYS_dup2},
		{.nr = SYS_fcntl},
		{.nr = SYS_close},
		{.nr = SYS_openat},
		{.nr = SYS_newfstatat},
		{.nr = SYS_fstat},
		{.nr = SYS_stat},
		{.nr = SYS_lseek},
		{.nr = SYS_brk},
		{.nr = SYS_mmap},
		{.nr = SYS_munmap},
		{.nr = SYS_mremap},
		{.nr = SYS_madvise},
		{.nr = SYS_futex},
		{.nr = SYS_clock_gettime},
		{.nr = SYS_gettimeofday},
		{.nr = SYS_sigaltstack},
		{.nr = SYS_getpid},
		{.nr = SYS_getrandom},
		{.nr = SYS_exit_group},
		{.nr = SYS_rt_sigreturn},
		{.nr = SYS_rt_sigprocmask},
		{.nr = SYS_restart_syscall},
		{.nr = SYS_socket,
		 .arg = 0,
		 .n_values = 3,
		 .values = {AF_INET, AF_INET6, AF_NETLINK}},
	};
	int r = seal_limits(MAX_FILES, SEAL_ALONE);

	if (r == 0)
		r = seal_paths(readable, ARRAY_SIZE(readable));
	if (r == -ENOTSUP) {
		log_info("the host's kernel has no Landlock: the network process could read the "
			 "user's files, if it were taken over");
		r = 0;
	}
	return r < 0 ? r : seal_calls(calls, ARRAY_SIZE(calls));
}

static int prepare(struct net_process *p)
{
	int r = hostaddr_watch(&p->address_watch);

	if (r < 0) {
		log_error("the network process cannot start: %s", strerror(-r));
		return r;
	}
	hostaddr_read(&p->filter);
	r = slirp_lib_open(&p->lib);
	if (r < 0) {
		log_error(
			"there is no network in the sandbox: libslirp is not installed; on Debian "
			"`apt-get install libslirp0`");
		return r;
	}
	p->max_fds = MAX_FILES + 2;
	p->fds = calloc(p->max_fds, sizeof(*p->fds));
	p->slirp = p->fds ? open_slirp(p) : NULL;
	r = p->slirp ? net_process_seal() : -ENOMEM;
	if (r < 0)
		log_error("there is no network in the sandbox: its process cannot be sealed: %s",
			  strerror(-r));
	/* What it wrote there from here on, a guest could have made it write. */
	else if (dup2(STDOUT_FILENO, STDERR_FILENO) < 0)
		r = -errno;
	return r;
}

bool net_process_possible(void)
{
	struct slirp_lib lib;

	return slirp_lib_open(&lib) == 0;
}

int net_process_run(const struct net_setup *setup, int cable)
{
	struct net_process *p = calloc(1, sizeof(*p));
	int code;

	/* The VMM's end of the cable says when it is over; this is for one that does not look. */
	if (!p || prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		return 1;
	signal(SIGPIPE, SIG_IGN);
	p->cable = cable;
	p->filter.mode = setup->mode;
	p->filter.own = setup->own;
	code = prepare(p) < 0 || send(cable, "", 1, MSG_NOSIGNAL) < 0 ? 1 : serve(p);
	if (p->slirp)
		p->lib.cleanup(p->slirp);
	free(p->fds);
	free(p);
	return code;
}

int net_process_wait(int cable)
{
	struct pollfd ready = {.fd = cable, .events = POLLIN};
	char word;

	if (poll(&ready, 1, START_LIMIT_MS) <= 0) {
		log_error("the network process does not answer; the host may have too much to do");
		return -ETIMEDOUT;
	}
	return recv(cable, &word, 1, MSG_DONTWAIT) == 1 ? 0 : -ECHILD;
}
