/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "desktop/view.h"
#include "tests/fuzz/fuzz_input.h"

enum { SIDE = 40, MAX_PACKETS = 64 };

static int make_fd(uint8_t how)
{
	const int fd = memfd_create("fuzz", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0 || ftruncate(fd, (off_t)(how >> 2) << 10) < 0)
		abort();
	if (how & 1 && fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK) < 0)
		abort();
	return fd;
}

/* A packet of the fuzzer's, with a descriptor if it says so. */
static void send_packet(int socket, struct fuzz_input *in, union window_message *m)
{
	static const size_t lengths[] = {
		0,
		sizeof(struct window_hello),
		sizeof(struct window_state),
		sizeof(struct window_scanout),
		sizeof(struct window_frame),
		sizeof(struct window_off),
		sizeof(struct window_cursor),
		sizeof(struct window_cursor_at),
		sizeof(struct window_leds),
	};
	const uint8_t type = fuzz_u8(in), with_fd = fuzz_u8(in);
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = {.align = {CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS}};
	struct iovec iov = {.iov_base = m};
	struct msghdr mh = {.msg_iov = &iov, .msg_iovlen = 1};
	int fd = -1;

	memset(m, 0, sizeof(*m));
	m->type = type;
	iov.iov_len = type < ARRAY_SIZE(lengths) ? lengths[type] : type;
	fuzz_bytes(in, (uint8_t *)m + 4, min_size(iov.iov_len, 40));
	if (type == WINDOW_HELLO)
		m->hello = (struct window_hello){.type = type, .version = 1};
	if (with_fd & 2) {
		fd = make_fd(with_fd);
		memcpy(CMSG_DATA(&control.align), &fd, sizeof(fd));
		mh.msg_control = control.bytes;
		mh.msg_controllen = sizeof(control.bytes);
	}
	(void)sendmsg(socket, &mh, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (fd >= 0)
		close(fd);
}

/* Reads all that a window would read of it. */
static void show(const struct view *v)
{
	static uint8_t pixels[SIDE * SIDE * 4];
	const struct canvas c = {pixels, SIDE, SIDE, (size_t)SIDE * 4};

	for (int i = 0; i < WINDOW_SCANOUTS; i++) {
		struct source from;

		if (!v->pictures[i].drawn)
			continue;
		from = picture_source(&v->pictures[i]);
		(void)canvas_show(&c, canvas_fit(from.width, from.height, SIDE, SIDE), &from,
				  (struct box){0, 0, from.width, from.height});
	}
	canvas_pointer(&c, v->cursor_at.x, v->cursor_at.y, &v->cursor);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static union window_message m;
	struct fuzz_input in = {data, size};
	static struct view v;
	int ends[2], fd;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		abort();
	for (int n = 0; n < MAX_PACKETS && in.left > 0; n++) {
		send_packet(ends[0], &in, &m);
		if (window_wire_receive(ends[1], WINDOW_END_WINDOW, &m, &fd) < 0)
			continue;
		if (view_take(&v, &m, fd) == 0)
			show(&v);
	}
	view_fini(&v);
	close(ends[0]);
	close(ends[1]);
	return 0;
}
