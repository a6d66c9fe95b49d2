/* SPDX-License-Identifier: MIT */
/*
 * The session against an agent that says anything: control bytes, streams, connections, resets.
 * There are several commands with stdio of all kinds, whose host side reads and writes too, and
 * shares that come and go with the file server behind them, and a published port for datagrams.
 */
#include <endian.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>

#include "common/agent_protocol.h"
#include "common/port.h"
#include "devices/fs/fs.h"
#include "tests/fuzz/fuzz_clock.h"
#include "tests/fuzz/fuzz_input.h"
#include "tests/support/fake_vsock.h"
#include "vmm/config/config.h"
#include "vmm/session/command.h"
#include "vmm/config/map_rules.h"
#include "vmm/session/ports.h"
#include "vmm/session/session.h"
#include "vmm/session/shares.h"

enum {
	N_SOCKS = 6,
	N_COMMANDS = 3,
	N_PEERS = 3,
	N_IDS = 16,
	FIRST_OF_PEERS = 240,
	USE_PEER = 14,
	MAX_OPS = 300,
	Q_REQUEST = 1,
	LIMIT_MS = 2000
};

struct agent;

struct client {
	struct agent *agent;
	struct command *command; /* NULL: there is none, or it was freed */
	unsigned int started, ended;
	int stdio[3]; /* the command's, and */
	int host[3]; /* the other ends; -1: there is none */
};

struct agent {
	struct fake_vsock fv;
	struct fake_sock socks[N_SOCKS]; /* the first is the control connection */
	struct fake_sock *all[N_SOCKS];
	struct session *session;
	struct client clients[N_COMMANDS];
	struct shares *shares;
	struct ports *ports;
	int peers[N_PEERS]; /* who sends datagrams to the port */
	struct loop *files; /* of the shares' file server */
	bool files_stuck; /* in a file system of the host's that does not answer */
	unsigned int asked; /* requests for shares that were not answered */
	unsigned int over;
};

/* The file server of the shares lives as long as the process: it is large. */
static struct {
	struct fake_guest *g;
	struct fs_server *server;
	gpa_t heap;
	pthread_mutex_t lock;
} files = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void on_ready(struct session *s, void *owner)
{
	(void)owner;
	if (session_state(s) == SESSION_WAITING)
		abort();
}

static void on_over(struct session *s, const char *why, void *owner)
{
	struct agent *a = owner;

	if (++a->over != 1 || !why || session_state(s) != SESSION_ENDED)
		abort();
	for (unsigned int i = 0; i < N_COMMANDS; i++)
		if (a->clients[i].command)
			abort();
}

static const struct session_ops session_ops = {.ready = on_ready, .ended = on_over};

static void on_started(struct command *cmd, void *owner)
{
	struct client *c = owner;

	if (++c->started != 1 || c->ended || !command_started(cmd))
		abort();
}

static void on_ended(struct command *cmd, void *owner)
{
	struct client *c = owner;
	const struct command_result *r = command_result(cmd);

	if (++c->ended != 1 || command_state(cmd) != COMMAND_ENDED)
		abort();
	for (const char *p = r->text; *p; p++)
		if (*p < 0x20 || *p > 0x7e)
			abort();
	if (r->code < 0 || r->code > 255 || r->signal < 0 || r->signal > 64)
		abort();
	/* An owner may free it here. */
	command_free(cmd);
	c->command = NULL;
	session_shutdown(c->agent->session);
}

static const struct command_ops command_ops = {.started = on_started, .ended = on_ended};

/* A descriptor of a kind and its other end. */
static void open_pair(uint8_t kind, bool reads, int *own, int *other)
{
	int fds[2] = {-1, -1};

	*own = *other = -1;
	switch (kind % 6) {
	case 0:
		*own = open(reads ? "/dev/zero" : "/dev/null", O_RDWR | O_CLOEXEC);
		return;
	case 1:
		if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
			abort();
		break;
	case 2: /* a terminal that cannot be opened once more */
		*own = posix_openpt(O_RDWR | O_NOCTTY);
		return;
	case 3: /* one that is full, or always empty */
		*own = open("/dev/full", O_RDWR | O_CLOEXEC);
		return;
	case 4:
		return;
	default:
		if (pipe2(fds, O_CLOEXEC) < 0)
			abort();
		break;
	}
	*own = fds[reads ? 0 : 1];
	*other = fds[reads ? 1 : 0];
	(void)fcntl(*other, F_SETFL, O_NONBLOCK);
}

static void close_client(struct client *c)
{
	command_free(c->command);
	for (unsigned int i = 0; i < ARRAY_SIZE(c->stdio); i++) {
		if (c->stdio[i] >= 0)
			close(c->stdio[i]);
		if (c->host[i] >= 0)
			close(c->host[i]);
	}
	*c = (struct client){.stdio = {-1, -1, -1}, .host = {-1, -1, -1}};
}

/* In place of the one before, if that has ended. */
static void start_command(struct agent *a, struct client *c, uint8_t how, uint8_t kinds)
{
	static char arg[] = "true", env[] = "K=V";
	static char *argv[] = {arg, NULL}, *envs[] = {env, NULL};
	const struct command_spec spec = {.argv = argv,
					  .env = how & 2 ? envs : NULL,
					  .workdir = how & 4 ? "/tmp" : NULL,
					  .run_as = how & 8 ? "root" : NULL,
					  .tty = how & 1,
					  .rows = how};

	if (c->command)
		return;
	close_client(c);
	c->agent = a;
	for (unsigned int i = 0; i < ARRAY_SIZE(c->stdio); i++)
		open_pair(kinds / (i == 0   ? 1
				   : i == 1 ? 6
					    : 36),
			  i == 0, &c->stdio[i], &c->host[i]);
	if (command_new(a->session, &spec, c->stdio, &command_ops, c, &c->command) < 0)
		c->command = NULL;
}

/* Ends one run of a loop. */
struct turn {
	struct loop_task task;
	struct loop *loop;
};

/* What another process does with its end. */
static void host_side(struct client *c, uint8_t how, uint8_t n)
{
	static char buf[1 << 16];
	int *fd = &c->host[how % 3];

	if (*fd < 0)
		return;
	if (how & 0x80) {
		close(*fd);
		*fd = -1;
	} else if (how % 3 == 0) {
		(void)!write(*fd, buf, n * 200u);
	} else {
		(void)!read(*fd, buf, n * 200u);
	}
}

/* Shares */

static void share_done(void *asker, int64_t id, int error, const char *text)
{
	struct agent *a = asker;

	(void)id;
	if (error > 0 || !text || a->asked-- == 0)
		abort();
}

/* What `share` lists is whole, and no more than there may be. */
static void check_shares(const struct agent *a)
{
	const struct config_map *map;
	bool writable = false;
	size_t n = 0;

	for (; (map = shares_get(a->shares, n)) != NULL; n++) {
		if (!map->host || !map->guest || map->guest[0] != '/')
			abort();
		writable |= map->writable;
	}
	if (n > CONFIG_MAX_MAPS || (!shares_writable(a->shares) && writable))
		abort();
}

static void ask_share(struct agent *a, uint8_t how, uint8_t n)
{
	char guest[24], why[MAP_WHY_MAX];
	struct config_map map = {.fd = -1, .writable = how & 1, .is_file = how & 4};
	int r;

	snprintf(guest, sizeof(guest), n & 8 ? "/m/%u/in" : "/m/%u", n & 3);
	if (n & 0x80)
		snprintf(guest, sizeof(guest), n & 0x20 ? "/proc/x" : "/m/first");
	if (how & 2) {
		r = shares_remove(a->shares, guest, a, how, why);
	} else {
		map.fd = open(how & 4 ? "/etc/hostname" : "/etc", O_PATH | O_CLOEXEC);
		map.host = strdup("/etc");
		map.guest = strdup(guest);
		r = shares_add(a->shares, &map, a, how, why);
	}
	if (r == 0)
		a->asked++;
	else if (strnlen(why, sizeof(why)) == sizeof(why))
		abort();
	/* Who asked goes away. */
	if (n & 0x40) {
		shares_forget(a->shares, a);
		a->asked = 0;
	}
	check_shares(a);
}

/* The guest's kernel looks at a share, or at what was one. */
static void look_at_share(uint8_t n)
{
	struct {
		struct fuse_in_header h;
		struct fuse_init_in init;
	} init = {.h = {.len = sizeof(init), .opcode = FUSE_INIT, .unique = 1},
		  .init = {FUSE_KERNEL_VERSION, FUSE_KERNEL_MINOR_VERSION, 0, 0, 0, {0}}};
	struct {
		struct fuse_in_header h;
		char name[8];
	} lookup = {.h = {.opcode = FUSE_LOOKUP, .unique = 2, .nodeid = FUSE_ROOT_ID}};
	uint8_t reply[256];

	snprintf(lookup.name, sizeof(lookup.name), "map%u", n % 40u);
	lookup.h.len = (uint32_t)(sizeof(lookup.h) + strlen(lookup.name) + 1);
	fake_release(files.g, files.heap);
	if (n & 0x80)
		(void)fake_request(files.g, Q_REQUEST, &init, sizeof(init), reply, sizeof(reply));
	(void)fake_request(files.g, Q_REQUEST, &lookup, lookup.h.len, reply, sizeof(reply));
}

static void start_shares(struct agent *a, const struct sandbox_config *cfg)
{
	const struct shares_setup setup = {
		.loop = a->fv.g->loop,
		.session = a->session,
		/* Its loop runs between turns of the other, or does not. */
		.files = {a->files, files.server, &files.lock},
		.config = cfg,
		.done = share_done,
		.mount_limit_ms = LIMIT_MS,
		.detach_limit_ms = LIMIT_MS,
		.server_limit_ms = LIMIT_MS,
	};

	if (shares_new(&setup, &a->shares) < 0)
		abort();
}

/* Datagrams */

static void start_ports(struct agent *a)
{
	const struct port port = {.family = AF_INET, .udp = true, .address = {127, 0, 0, 1}};
	char why[PORT_WHY_MAX];
	struct sockaddr_in at;
	socklen_t len = sizeof(at);
	int fd;

	if (ports_new(a->fv.g->loop, a->session, &a->ports) < 0 ||
	    port_listen(&port, &fd, why) < 0 || ports_add(a->ports, fd, 53) < 0 ||
	    getsockname(fd, (struct sockaddr *)&at, &len) < 0)
		abort();
	for (unsigned int i = 0; i < N_PEERS; i++) {
		a->peers[i] = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		if (connect(a->peers[i], (struct sockaddr *)&at, len) < 0)
			abort();
	}
}

static void end_ports(struct agent *a)
{
	ports_free(a->ports);
	for (unsigned int i = 0; i < N_PEERS; i++)
		close(a->peers[i]);
}

/* A peer sends a datagram, of up to the largest size, or reads what has come. */
static void use_peer(struct agent *a, uint8_t which, uint8_t n)
{
	static uint8_t buf[SC_DATAGRAM_MAX + 1];
	int fd = a->peers[which % N_PEERS];

	if (which & 0x80) {
		while (recv(fd, buf, sizeof(buf), 0) >= 0)
			;
	} else {
		(void)!send(fd, buf, min_size(n * 257u, SC_DATAGRAM_MAX), 0);
	}
	if (ports_peers(a->ports) > N_PEERS)
		abort();
}

static void end_turn(struct loop_task *task)
{
	struct turn *turn = CONTAINER_OF(task, struct turn, task);

	loop_stop(turn->loop);
}

/* The file server's thread does what it was told, unless it is stuck; then ours has its turn. */
static void settle(struct agent *a)
{
	struct turn turn = {.task.fn = end_turn, .loop = a->files};

	if (!a->files_stuck) {
		loop_post(a->files, &turn.task);
		if (loop_run(a->files) < 0)
			abort();
	}
	fake_guest_settle(a->fv.g);
}

static void drop_shares(struct agent *a)
{
	char name[8];

	/* A share in the middle of something has a task in one of the loops. */
	shares_forget(a->shares, a);
	a->files_stuck = false;
	for (unsigned int i = 0; i < 2; i++)
		settle(a);
	shares_free(a->shares);
	loop_free(a->files);
	for (unsigned int i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "map%u", i);
		(void)!fs_server_remove_export(files.server, name);
	}
}

/* The agent */

static void connect_sock(struct agent *a, unsigned int i)
{
	fake_sock_connect(&a->fv, &a->socks[i], i == 0 ? SC_PORT_CONTROL : SC_PORT_STREAM, 100 + i);
}

/* A message that is well framed, and often right. */
static void send_message(struct agent *a, uint8_t type, struct fuzz_input *in)
{
	uint8_t buf[256] = "";
	struct sc_header h = {.type = htole16(type), .id = htole32(fuzz_u8(in) & 7)};
	uint8_t n_fields = fuzz_u8(in) & 3;
	size_t len = sizeof(h);

	for (uint8_t i = 0; i < n_fields; i++) {
		uint8_t length = fuzz_u8(in) & 31;
		struct sc_field f = {htole32(fuzz_u8(in) & 31), htole32(length)};

		memcpy(buf + len, &f, sizeof(f));
		fuzz_bytes(in, buf + len + sizeof(f), length);
		len += sizeof(f) + length;
	}
	h.length = htole32((uint32_t)(len - sizeof(h)));
	memcpy(buf, &h, sizeof(h));
	(void)fake_sock_write(&a->fv, &a->socks[0], buf, (uint32_t)len);
}

/* What a good agent would say now, so that inputs get beyond the first message. */
static void send_next(struct agent *a, uint8_t code)
{
	const struct {
		uint16_t type;
		uint8_t id, tag, value;
	} next[] = {
		[SESSION_HELLO] = {SC_MSG_READY, 0, 0, 0},
		[SESSION_READY] = {SC_MSG_STARTED, 1, SC_FIELD_PID, 2},
		[SESSION_N_STATES] = {SC_MSG_EXITED, 1, SC_FIELD_CODE, code},
	};
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
	enum session_state state = session_state(a->session);
	const struct command *cmd = a->clients[code % N_COMMANDS].command;
	uint8_t msg[24] = {0};

	if (state == SESSION_ENDED || (state == SESSION_READY && !cmd))
		return;
	if (state == SESSION_READY && command_state(cmd) == COMMAND_STARTED)
		state = SESSION_N_STATES;
	if (state == SESSION_WAITING) {
		if (!a->socks[0].connected)
			connect_sock(a, 0);
		(void)fake_sock_poll(&a->fv, a->all, N_SOCKS);
		(void)fake_sock_write(&a->fv, &a->socks[0], hello, sizeof(hello));
		return;
	}
	msg[0] = next[state].tag ? 12 : 0;
	msg[4] = (uint8_t)next[state].type;
	msg[8] = next[state].id ? (uint8_t)command_id(cmd) : 0;
	msg[12] = next[state].tag;
	msg[16] = 4;
	msg[20] = next[state].value;
	(void)fake_sock_write(&a->fv, &a->socks[0], msg, 12u + msg[0]);
}

/* MAP_DONE or MAP_FAILED of an exchange that may be under way. */
static void answer_map(struct agent *a, uint8_t how, uint8_t id)
{
	struct {
		struct sc_header h;
		struct sc_field f;
		uint32_t error;
	} __attribute__((packed)) msg = {
		.h = {.type = htole16(how & 1 ? SC_MSG_MAP_FAILED : SC_MSG_MAP_DONE),
		      .id = htole32(id & 15)},
		.f = {htole32(SC_FIELD_ERRNO), htole32(4)},
		.error = htole32(how),
	};
	const size_t len = how & 1 ? sizeof(msg) : sizeof(msg.h);

	msg.h.length = htole32((uint32_t)(len - sizeof(msg.h)));
	(void)fake_sock_write(&a->fv, &a->socks[0], &msg, (uint32_t)len);
}

static void act_on_command(struct agent *a, uint8_t what, uint8_t i, uint8_t n)
{
	struct client *c = &a->clients[i % N_COMMANDS];

	if (what & 0x80)
		start_command(a, c, i, n);
	else if (what & 0x40)
		host_side(c, i, n);
	else if (what & 0x20)
		close_client(c);
	else if (c->command) {
		command_signal(c->command, n);
		command_winsize(c->command, n, i);
	}
}

/* A stream for a command, and its first bytes. */
static void open_stream(struct agent *a, uint8_t i, uint8_t n)
{
	/* Most for one of the commands from the start, some for what came later. */
	const unsigned int ids = n < 0xc0 ? N_COMMANDS : N_IDS;
	const struct sc_stream_hello hello = {htole32(1 + (n >> 2) % ids), htole32(n & 3)};
	struct fake_sock *sock = &a->socks[i];

	if (i == 0)
		return;
	if (!sock->connected || sock->reset)
		connect_sock(a, i);
	(void)fake_sock_poll(&a->fv, a->all, N_SOCKS);
	(void)fake_sock_write(&a->fv, sock, &hello, sizeof(hello));
}

static void step(struct agent *a, struct fuzz_input *in)
{
	uint8_t what = fuzz_u8(in), arg = fuzz_u8(in), i = arg % N_SOCKS, n = fuzz_u8(in);
	uint8_t buf[256];

	switch (what < FIRST_OF_PEERS ? what % 14 : USE_PEER) {
	case 0:
		connect_sock(a, i);
		break;
	case 1:
		send_message(a, n % 10, in);
		break;
	case 2:
		ask_share(a, arg, n);
		break;
	case 3:
		fuzz_bytes(in, buf, n);
		(void)fake_sock_write(&a->fv, &a->socks[i], buf, n);
		break;
	case 4:
	case 5:
		open_stream(a, i, n);
		break;
	case 6:
		(void)fake_sock_write(&a->fv, &a->socks[i], fake_pattern(0), n * 257u);
		break;
	case 7:
		fake_sock_shutdown(&a->fv, &a->socks[i], n & 3);
		break;
	case 8:
		a->socks[i].lazy = n & 1;
		break;
	case 9:
	case 10:
		act_on_command(a, what ^ n, arg, n);
		break;
	case 11:
		answer_map(a, arg, n);
		look_at_share(arg);
		break;
	case 12:
		a->files_stuck = arg & 0x80;
		fuzz_clock_pass(n * 16u, 0);
		break;
	case USE_PEER:
		use_peer(a, arg, n);
		break;
	default:
		if (n < 250) {
			send_next(a, n);
			break;
		}
		fake_guest_reset(a->fv.g);
		fake_vsock_restart(&a->fv);
		break;
	}
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	struct virtio_device *vdev;

	(void)argc;
	(void)argv;
	signal(SIGPIPE, SIG_IGN);
	files.g = fake_guest_new();
	if (fs_server_new(&files.server) < 0 || virtio_fs_new("fuzz", files.server, &vdev) < 0)
		abort();
	fake_guest_start(files.g, vdev, 0);
	files.heap = files.g->heap;
	return 0;
}

static void begin(struct agent *a, const struct sandbox_config *cfg, struct fuzz_input *in)
{
	uint8_t how = fuzz_u8(in);

	*a = (struct agent){.over = 0};
	fuzz_clock_start();
	fake_vsock_init(&a->fv, true);
	for (unsigned int i = 0; i < N_SOCKS; i++)
		a->all[i] = &a->socks[i];
	if (session_new(a->fv.g->loop, a->fv.vs, cfg, &session_ops, a, &a->session) < 0)
		abort();
	for (unsigned int i = 0; i < N_COMMANDS; i++) {
		a->clients[i] = (struct client){.stdio = {-1, -1, -1}, .host = {-1, -1, -1}};
		if (how >> i & 1)
			start_command(a, &a->clients[i], how >> 3, fuzz_u8(in));
	}
	if (loop_new(&a->files) < 0)
		abort();
	start_shares(a, cfg);
	start_ports(a);
}

static void end(struct agent *a)
{
	for (unsigned int i = 0; i < N_COMMANDS; i++)
		close_client(&a->clients[i]);
	end_ports(a);
	drop_shares(a);
	session_free(a->session);
	fake_vsock_fini(&a->fv);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char name[] = "fuzz", host[] = "/etc", guest[] = "/m/first";
	static struct agent a;
	struct fuzz_input in = {data, size};
	/* There from the start; the server was never told, so it cannot take it back. */
	static struct config_map first = {.host = host, .guest = guest, .fd = -1};
	const struct sandbox_config cfg = {.name = name, .maps = &first, .n_maps = 1};

	begin(&a, &cfg, &in);
	for (unsigned int n = 0; n < MAX_OPS && in.left > 0 && a.over == 0; n++) {
		step(&a, &in);
		if (a.fv.g->vdev->broken)
			abort();
		settle(&a);
		(void)fake_sock_poll(&a.fv, a.all, N_SOCKS);
	}
	end(&a);
	return 0;
}
