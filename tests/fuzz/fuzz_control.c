/* SPDX-License-Identifier: MIT */
/*
 * The control channel against clients that say anything: packets, often almost
 * right, with descriptors; clients that come, go, and do not read.
 */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "balloon/figures.h"
#include "common/control_protocol.h"
#include "devices/fs/fs.h"
#include "devices/input.h"
#include "gpu/display.h"
#include "tests/fuzz/fuzz_input.h"
#include "tests/support/fake_handles.h"
#include "tests/support/fake_vsock.h"
#include "vmm/config/config.h"
#include "vmm/confine/confine.h"
#include "vmm/control/control.h"
#include "vmm/session/guest_log.h"
#include "vmm/session/ports.h"
#include "vmm/session/session.h"
#include "vmm/session/shares.h"

enum { N_CLIENTS = 4, MAX_OPS = 100, PACKET_MAX = 1024 };

struct box {
	struct fake_vsock fv;
	struct session *session;
	struct shares *shares;
	struct ports *ports;
	struct control *control;
	struct guest_log log;
	struct console console;
	struct fake_keeper keeper;
	int clients[N_CLIENTS];
	int attached; /* our end of the last stream at the console; -1 */
	int null_fd, tmp_fd; /* the second is what is shared */
};

static void on_stop(void *owner, uint64_t timeout_ms, bool force)
{
	(void)timeout_ms;
	(void)force;
	control_stopping(((struct box *)owner)->control);
}

static void on_idle(void *owner)
{
	(void)owner;
}

static const struct control_ops ops = {
	.stop = on_stop,
	.idle = on_idle,
};

static void on_ready(struct session *s, void *owner)
{
	(void)s;
	(void)owner;
}

static void on_ended(struct session *s, const char *why, void *owner)
{
	(void)s;
	(void)why;
	(void)owner;
}

static const struct session_ops session_ops = {.ready = on_ready, .ended = on_ended};

static void connect_client(struct box *b, unsigned int i)
{
	int ends[2];

	if (b->clients[i] >= 0)
		close(b->clients[i]);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, ends) < 0 ||
	    control_add_client(b->control, ends[0]) < 0)
		abort();
	b->clients[i] = ends[1];
}

static void send_packet(struct box *b, unsigned int i, void *data, size_t len, unsigned int n_fds,
			int fd)
{
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(5 * sizeof(int))];
	} space = {.buf = ""};
	struct iovec iov = {.iov_base = data, .iov_len = len};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

	if (n_fds > 0) {
		struct cmsghdr *head;

		msg.msg_control = space.buf;
		msg.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
		head = CMSG_FIRSTHDR(&msg);
		head->cmsg_level = SOL_SOCKET;
		head->cmsg_type = SCM_RIGHTS;
		head->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
		for (unsigned int k = 0; k < n_fds; k++)
			memcpy(CMSG_DATA(head) + k * sizeof(int), &fd, sizeof(int));
	}
	(void)!sendmsg(b->clients[i], &msg, MSG_NOSIGNAL);
}

/* The same as a file, with the seals that it needs but for one case in eight. */
static void send_file(struct box *b, unsigned int i, const void *data, size_t len, uint8_t n)
{
	char packet[] = CONTROL_FILE_PACKET;
	const int fd = memfd_create("request", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0 || write(fd, data, len) != (ssize_t)len ||
	    (n % 8 && fcntl(fd, F_ADD_SEALS, CONTROL_FILE_SEALS) < 0))
		abort();
	send_packet(b, i, packet, sizeof(packet) - 1, n / 8 % 6, fd);
	close(fd);
}

/* The input's bytes behind a head that gets them past the first check. */
static size_t compose(struct fuzz_input *in, uint8_t kind, char *buf)
{
	static const char *const heads[] = {
		"{\"type\":\"request\",\"id\":1,\"op\":\"exec\",\"argv\":[\"a\"],",
		"{\"type\":\"request\",\"id\":1,\"op\":\"exec\",",
		"{\"type\":\"request\",\"id\":2,\"op\":\"signal\",\"command\":1,",
		"{\"type\":\"request\",\"id\":3,\"op\":\"stop\",",
		"{\"type\":\"request\",\"id\":5,\"op\":\"share\",\"host\":\"/a\",\"guest\":\"/m",
		"{\"type\":\"request\",\"id\":6,\"op\":\"unshare\",\"guest\":\"/m",
		"{\"type\":\"request\",\"id\":7,\"op\":\"input\",\"events\":[{\"",
		"{\"type\":\"request\",\"id\":7,\"op\":\"input\",\"events\":[{\"wheel\":4},{\"",
		"{\"type\":\"request\",\"id\":4,\"op\":\"",
		"{\"type\":\"request\",\"id\":",
		"",
	};
	const char *head = heads[kind % ARRAY_SIZE(heads)];
	size_t len = strlen(head), n = fuzz_u8(in) * 2u;

	memcpy(buf, head, len);
	n = min_size(n, in->left);
	fuzz_bytes(in, buf + len, n);
	return len + n;
}

/* One at the console in the place of the last, who types something at once. */
static void attach(struct box *b, unsigned int i, struct fuzz_input *in, uint8_t n)
{
	static char request[] = "{\"type\":\"request\",\"id\":5,\"op\":\"attach\"}";
	char typed[256] = "";
	int ends[2];

	if (b->attached >= 0)
		close(b->attached);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends) < 0)
		abort();
	b->attached = ends[1];
	send_packet(b, i, request, sizeof(request) - 1, 1, ends[0]);
	close(ends[0]);
	fuzz_bytes(in, typed, min_size(n, in->left));
	(void)!write(b->attached, typed, n);
	if (n % 8 == 0)
		(void)shutdown(b->attached, SHUT_WR);
}

/* The guest writes to its console, or reads from it. */
static void use_console(struct box *b, uint8_t n)
{
	static char output[64 * 1024];

	fake_console_output(&b->console, output, n * 256u + 1);
	b->console.room = n * 2u;
	if (n % 2)
		fake_console_room(&b->console);
	if (n % 4 == 0)
		while (b->attached >= 0 && read(b->attached, output, sizeof(output)) > 0)
			;
}

static void step(struct box *b, struct fuzz_input *in)
{
	static const struct figures figures = {.pressure = "calm"};
	static const char *const plain[] = {
		"{\"type\":\"request\",\"id\":9,\"op\":\"info\"}",
		"{\"type\":\"request\",\"id\":9,\"op\":\"stats\"}",
		"{\"type\":\"request\",\"id\":9,\"op\":\"watch\"}",
		"{\"type\":\"request\",\"id\":9,\"op\":\"logs\",\"wait\":true}",
		"{\"type\":\"request\",\"id\":9,\"op\":\"share\",\"host\":\"/a\",\"guest\":\"/m\"}",
		"{\"type\":\"request\",\"id\":9,\"op\":\"unshare\",\"guest\":\"/m\"}",
		"{\"type\":\"request\",\"id\":9,\"op\":\"exec\",\"argv\":[\"a\"],\"detach\":true}",
		"{\"type\":\"request\",\"id\":9,\"op\":\"screenshot\"}",
		"{\"type\":\"request\",\"id\":9,\"op\":\"display\"}",
		"{\"type\":\"request\",\"id\":9,\"op\":\"input\",\"events\":[{\"key\":4,\"down\":"
		"true},"
		"{\"button\":1,\"down\":true},{\"wheel\":9},{\"monitor\":1,\"x\":0,\"y\":0}]}",
	};
	const uint8_t what = fuzz_u8(in), n = fuzz_u8(in);
	const unsigned int i = what / 10 % N_CLIENTS;
	char buf[PACKET_MAX];
	size_t len;

	switch (what % 10) {
	case 0:
		connect_client(b, i);
		break;
	case 1:
		len = compose(in, n, buf);
		send_file(b, i, buf, len, n);
		break;
	case 2:
	case 3:
		len = compose(in, n, buf);
		send_packet(b, i, buf, len, n / 8 % 6, n / 8 % 6 == 1 ? b->tmp_fd : b->null_fd);
		break;
	case 4:
		len = (size_t)snprintf(buf, sizeof(buf), "%s", plain[n % ARRAY_SIZE(plain)]);
		send_packet(b, i, buf, len, n / 8 % 4, n / 8 % 4 == 1 ? b->tmp_fd : b->null_fd);
		break;
	case 5:
		while (recv(b->clients[i], buf, sizeof(buf), 0) > 0)
			;
		break;
	case 6:
		fake_keeper_answer(&b->keeper, &figures);
		break;
	case 7:
		attach(b, i, in, n);
		break;
	case 8:
		use_console(b, n);
		break;
	default:
		(void)control_signal_all(b->control, n % 64 + 1);
		break;
	}
}

static struct input *make_input(enum input_kind kind)
{
	struct fake_guest *g = fake_guest_new();
	struct virtio_device *vdev;
	struct input *input;

	if (virtio_input_new(kind, NULL, NULL, &vdev, &input) < 0)
		abort();
	fake_guest_start(g, vdev, 0);
	for (int i = 0; i < 64; i++) {
		/* An event of Linux's is eight bytes. */
		struct fake_seg room = fake_room(g, 8);

		(void)fake_publish(g, 0, &room, 1);
	}
	return input;
}

/* One for all inputs, with room for as many events as the guest once laid out; nothing is on it. */
static struct display *the_display(void)
{
	static struct display d;
	struct gpu_setup setup = {.name = "box", .width = 64, .height = 48};
	struct fake_guest *g;
	struct virtio_device *vdev;

	if (d.gpu)
		return &d;
	g = fake_guest_new();
	setup.mem = &g->mem;
	d.keyboard = make_input(INPUT_KEYBOARD);
	d.tablet = make_input(INPUT_TABLET);
	d.mouse = make_input(INPUT_MOUSE);
	if (virtio_gpu_new(&setup, &vdev, &d.gpu) < 0)
		abort();
	fake_guest_start(g, vdev, 0);
	return &d;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char name[] = "box";
	static struct box b;
	static const struct confinement unconfined;
	/* Its tables are large: one for all inputs. */
	static struct fs_server *server;
	static pthread_mutex_t server_lock = PTHREAD_MUTEX_INITIALIZER;
	struct fuzz_input in = {data, size};
	struct sandbox_config cfg = {.name = name};
	struct control_setup setup = {
		.config = &cfg,
		.log = &b.log,
		.console = &b.console,
		.keeper = &b.keeper.obs,
		.kernel = "6.1",
		.confinement = &unconfined,
		.ops = &ops,
		.owner = &b,
	};
	struct shares_setup shares = {
		.files.lock = &server_lock,
		.config = &cfg,
		.done = control_shared,
		.mount_limit_ms = 1000,
		.detach_limit_ms = 1,
	};

	signal(SIGPIPE, SIG_IGN);
	b = (struct box){
		.attached = -1,
		.null_fd = open("/dev/null", O_RDWR | O_CLOEXEC),
		.tmp_fd = open("/tmp", O_PATH | O_CLOEXEC),
	};
	guest_log_init(&b.log, false);
	fake_vsock_init(&b.fv, true);
	if (session_new(b.fv.g->loop, b.fv.vs, &cfg, &session_ops, NULL, &b.session) < 0)
		abort();
	setup.loop = b.fv.g->loop;
	setup.session = b.session;
	shares.loop = shares.files.loop = b.fv.g->loop;
	shares.session = b.session;
	if (!server && fs_server_new(&server) < 0)
		abort();
	shares.files.server = server;
	setup.base_files = setup.map_files = server;
	if (shares_new(&shares, &b.shares) < 0)
		abort();
	setup.shares = b.shares;
	if (ports_new(b.fv.g->loop, b.session, &b.ports) < 0)
		abort();
	setup.ports = b.ports;
	/* Every other sandbox has one. */
	setup.display = size / 2 % 2 ? the_display() : NULL;
	if (control_new(&setup, -1, &b.control) < 0)
		abort();
	for (unsigned int i = 0; i < N_CLIENTS; i++) {
		b.clients[i] = -1;
		connect_client(&b, i);
	}
	for (unsigned int n = 0; n < MAX_OPS && in.left > 0; n++) {
		step(&b, &in);
		fake_guest_settle(b.fv.g);
	}
	if (size % 2)
		control_end(b.control, "stopped", "");
	control_free(b.control);
	ports_free(b.ports);
	session_free(b.session);
	shares_free(b.shares);
	for (unsigned int i = 0; i <= MAX_OPS; i++) {
		char export_name[16];

		snprintf(export_name, sizeof(export_name), "map%u", i);
		(void)!fs_server_remove_export(server, export_name);
	}
	fake_vsock_fini(&b.fv);
	guest_log_fini(&b.log);
	for (unsigned int i = 0; i < N_CLIENTS; i++)
		close(b.clients[i]);
	if (b.attached >= 0)
		close(b.attached);
	close(b.null_fd);
	close(b.tmp_fd);
	return 0;
}
