/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/window_wire.h"
#include "tests/fuzz/fuzz_input.h"

enum { LONGEST = sizeof(union window_message) + 8, MAX_FDS = 3 };

/* One packet of these bytes, with so many descriptors. */
static void send_packet(int socket, const void *bytes, size_t len, int fd, unsigned int n_fds)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(MAX_FDS * sizeof(int))];
	} control = {.align = {.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS}};
	const int fds[MAX_FDS] = {fd, fd, fd};
	struct iovec iov = {0};
	struct msghdr mh = {.msg_iov = &iov, .msg_iovlen = 1};

	memcpy(&iov.iov_base, &bytes, sizeof(bytes));
	iov.iov_len = len;
	if (n_fds > 0) {
		control.align.cmsg_len = CMSG_LEN(n_fds * sizeof(int));
		memcpy(CMSG_DATA(&control.align), fds, n_fds * sizeof(int));
		mh.msg_control = control.bytes;
		mh.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
	}
	(void)!sendmsg(socket, &mh, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* What was taken is sent on, and comes out the same. */
static void send_on(const union window_message *m, enum window_end end, int fd)
{
	union window_message again;
	int ends[2], came = -1;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		return;
	if (window_wire_send(ends[0], m, fd) != 0 ||
	    window_wire_receive(ends[1], end, &again, &came) != 0 || again.type != m->type ||
	    (came >= 0) != (fd >= 0))
		abort();
	if (came >= 0)
		close(came);
	close(ends[0]);
	close(ends[1]);
}

static void receive(int socket, enum window_end end)
{
	union window_message m;
	int fd = -1, r;

	do {
		r = window_wire_receive(socket, end, &m, &fd);
		if (r == 0)
			send_on(&m, end, fd);
		if (r == 0 && fd >= 0)
			close(fd);
	} while (r == 0);
	if (r != -EPROTO && r != -EAGAIN && r != -EPIPE)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = {data, size};
	const uint8_t how = fuzz_u8(&in);
	const int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	int ends[2];

	if (fd < 0 || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
		abort();
	while (in.left > 0) {
		static uint8_t packet[LONGEST];
		const size_t len = min_size(fuzz_u16(&in), LONGEST);

		fuzz_bytes(&in, packet, len);
		send_packet(ends[0], packet, len, fd, fuzz_u8(&in) % (MAX_FDS + 1));
		receive(ends[1], how & 1 ? WINDOW_END_WINDOW : WINDOW_END_SANDBOX);
	}
	close(ends[0]);
	close(ends[1]);
	close(fd);
	return 0;
}
