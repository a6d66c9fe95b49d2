/* SPDX-License-Identifier: MIT */
#include "tests/unit/vmm/control/control_peers.h"

#include <criterion/criterion.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>

#include "common/control_protocol.h"
#include "vmm/config/config.h"

struct fake_vsock fv;
struct fake_sock socks[N_SOCKS];
static struct fake_sock *all[N_SOCKS];
struct session *session;
struct fs_server *server;
static pthread_mutex_t server_lock = PTHREAD_MUTEX_INITIALIZER;
struct shares *all_shares;
struct ports *all_ports;
uint64_t detach_limit_ms = 1000000;
struct display *peers_display;
uint64_t server_limit_ms;
struct loop *files_loop;
struct control *control;
struct guest_log guest_log;
struct console console;
struct fake_keeper keeper;
int client;
size_t agent_read; /* of what the agent got */

uint64_t stop_timeout;
unsigned int stops, forced, idles;

static char name[] = "quiet-dune", home[] = "/home/kim", shell[] = "/bin/sh", user[] = "kim",
	    env_lang[] = "LANG=C", env_a[] = "A=sandbox", guest[] = "/src", host[] = "/host/\xff";
static char *env[] = {env_lang, env_a, NULL};
static struct config_map map = {.host = host, .guest = guest, .fd = -1};
struct sandbox_config cfg = {
	.name = name,
	.cpus = 2,
	.memory = 1u << 30,
	.env = env,
	.maps = &map,
	.n_maps = 1,
	.user = {.name = user, .home = home, .shell = shell, .uid = 1000, .gid = 1000},
};

static void on_stop(void *owner, uint64_t timeout_ms, bool force)
{
	(void)owner;
	stops++;
	forced += force;
	stop_timeout = timeout_ms;
}

static void on_idle(void *owner)
{
	(void)owner;
	idles++;
}

static const struct control_ops ops = {
	.stop = on_stop,
	.idle = on_idle,
};

static void on_ready(struct session *s, void *owner)
{
	(void)s;
	(void)owner;
	control_ready(control);
}

static void on_session_ended(struct session *s, const char *why, void *owner)
{
	(void)s;
	(void)why;
	(void)owner;
}

static const struct session_ops session_ops = {.ready = on_ready, .ended = on_session_ended};

void settle(void)
{
	do {
		fake_guest_settle(fv.g);
		/* What is posted to the file server's loop comes back by this one as well. */
		fake_guest_settle(fv.g);
	} while (fake_sock_poll(&fv, all, N_SOCKS));
}

json_t *receive(int fd)
{
	static char buf[CONTROL_MESSAGE_MAX + 1];
	ssize_t n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);
	json_t *m;

	if (n <= 0)
		return NULL;
	m = json_loadb(buf, (size_t)n, 0, NULL);
	cr_assert(json_is_object(m));
	return m;
}

void expect(int fd, const char *text)
{
	json_t *m = receive(fd);
	char *got = m ? json_dumps(m, JSON_COMPACT | JSON_SORT_KEYS) : NULL;

	cr_assert_not_null(got, "nothing came, expected %s", text);
	cr_assert_str_eq(got, text);
	free(got);
	json_decref(m);
}

void expect_silence(int fd)
{
	char c;

	cr_assert(recv(fd, &c, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN);
}

void expect_hung_up(int fd)
{
	char buf[1024];
	ssize_t n;

	settle();
	while ((n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT)) > 0)
		;
	cr_assert_eq(n, 0);
}

int new_client(void)
{
	int ends[2];
	json_t *hello;

	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends),
		     0);
	cr_assert_eq(control_add_client(control, ends[0]), 0);
	hello = receive(ends[1]);
	cr_assert_str_eq(json_string_value(json_object_get(hello, "name")), "quiet-dune");
	cr_assert_eq(json_integer_value(json_object_get(hello, "protocol")), CONTROL_PROTOCOL);
	json_decref(hello);
	return ends[1];
}

void send_with(int fd, const char *text, const int *fds, size_t n)
{
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(8 * sizeof(int))];
	} space = {.buf = ""};
	struct iovec iov = {.iov_base = strdup(text), .iov_len = strlen(text)};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

	if (n > 0) {
		struct cmsghdr *head;

		msg.msg_control = space.buf;
		msg.msg_controllen = CMSG_SPACE(n * sizeof(int));
		head = CMSG_FIRSTHDR(&msg);
		head->cmsg_level = SOL_SOCKET;
		head->cmsg_type = SCM_RIGHTS;
		head->cmsg_len = CMSG_LEN(n * sizeof(int));
		memcpy(CMSG_DATA(head), fds, n * sizeof(int));
	}
	cr_assert_eq(sendmsg(fd, &msg, 0), (ssize_t)strlen(text));
	free(iov.iov_base);
	settle();
}

void ask(int fd, const char *text)
{
	send_with(fd, text, NULL, 0);
}

/* ---- the guest's side ---- */

void agent_says(uint16_t type, uint32_t id, uint32_t tag, uint32_t number)
{
	uint8_t buf[64];
	struct sc_header h = {
		.length = htole32(tag ? 12 : 0), .type = htole16(type), .id = htole32(id)};
	struct sc_field f = {htole32(tag), htole32(4)};

	number = htole32(number);
	memcpy(buf, &h, sizeof(h));
	memcpy(buf + sizeof(h), &f, sizeof(f));
	memcpy(buf + sizeof(h) + sizeof(f), &number, 4);
	(void)fake_sock_write(&fv, &socks[AGENT], buf, (uint32_t)sizeof(h) + (tag ? 12u : 0u));
	settle();
}

uint16_t agent_hears(uint32_t *id, char *fields, size_t size)
{
	const uint8_t *at = socks[AGENT].first + agent_read;
	struct sc_header h;
	size_t len;

	cr_assert_leq(agent_read + sizeof(h), socks[AGENT].total, "no message");
	memcpy(&h, at, sizeof(h));
	len = le32toh(h.length);
	agent_read += sizeof(h) + len;
	if (id)
		*id = le32toh(h.id);
	if (fields) {
		cr_assert_lt(len, size);
		for (size_t i = 0; i < len; i++)
			fields[i] = at[sizeof(h) + i] >= 32 ? (char)at[sizeof(h) + i] : '.';
		fields[len] = '\0';
	}
	return le16toh(h.type);
}

void start_agent(void)
{
	static const uint8_t hello[] = {21,
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
					'6'};

	fake_sock_connect(&fv, &socks[AGENT], SC_PORT_CONTROL, 100);
	settle();
	(void)fake_sock_write(&fv, &socks[AGENT], hello, sizeof(hello));
	settle();
	agent_says(SC_MSG_READY, 0, 0, 0);
	cr_assert_eq(agent_hears(NULL, NULL, 0), SC_MSG_RESUME);
	cr_assert_eq(agent_hears(NULL, NULL, 0), SC_MSG_SETUP);
}

void open_stream(uint32_t id, uint32_t number)
{
	struct sc_stream_hello h = {htole32(id), htole32(number)};

	fake_sock_connect(&fv, &socks[STREAM0 + number], SC_PORT_STREAM, 200 + 8 * id + number);
	settle();
	(void)fake_sock_write(&fv, &socks[STREAM0 + number], &h, sizeof(h));
	settle();
}

struct confinement peers_confinement;

void peers_setup(void)
{
	struct control_setup s = {
		.config = &cfg,
		.log = &guest_log,
		.console = &console,
		.keeper = &keeper.obs,
		.display = peers_display,
		.kernel = "6.1",
		.confinement = &peers_confinement,
		.ops = &ops,
	};
	struct shares_setup sh = {
		.files.lock = &server_lock,
		.config = &cfg,
		.done = control_shared,
		.mount_limit_ms = 1000000,
		.detach_limit_ms = detach_limit_ms,
		.server_limit_ms = server_limit_ms,
	};
	struct fs_export_config first = {.name = "map0"};

	signal(SIGPIPE, SIG_IGN);
	for (unsigned int i = 0; i < N_SOCKS; i++)
		all[i] = &socks[i];
	keeper.resident = 190840832;
	guest_log_init(&guest_log, false);
	fake_vsock_init(&fv, true);
	cr_assert_eq(session_new(fv.g->loop, fv.vs, &cfg, &session_ops, NULL, &session), 0);
	s.loop = fv.g->loop;
	s.session = session;
	cr_assert_eq(fs_server_new(&server), 0);
	first.fd = open("/tmp", O_PATH | O_CLOEXEC);
	cr_assert_eq(fs_server_add_export(server, &first), 0);
	sh.loop = fv.g->loop;
	sh.files.loop = files_loop ? files_loop : fv.g->loop;
	sh.files.server = server;
	sh.session = session;
	cr_assert_eq(shares_new(&sh, &all_shares), 0);
	s.base_files = s.map_files = server;
	s.shares = all_shares;
	cr_assert_eq(ports_new(fv.g->loop, session, &all_ports), 0);
	s.ports = all_ports;
	cr_assert_eq(control_new(&s, -1, &control), 0);
	client = new_client();
}

void peers_teardown(void)
{
	control_free(control);
	ports_free(all_ports);
	session_free(session);
	shares_free(all_shares);
	fs_server_free(server);
	fake_vsock_fini(&fv);
	guest_log_fini(&guest_log);
	close(client);
}
