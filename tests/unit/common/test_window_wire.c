/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/window_wire.h"

static int ends[2];

static void connect_ends(void)
{
	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
}

TestSuite(window_wire, .init = connect_ends);

static const union window_message scanout = {
	.scanout = {.type = WINDOW_SCANOUT, .id = 1, .width = 640, .height = 480, .stride = 2560},
};
static const union window_message key = {.key = {.type = WINDOW_KEY, .usage = 4, .down = 1}};

Test(window_wire, a_message_arrives_with_its_descriptor)
{
	union window_message m;
	int fd = -1, sent = open("/dev/null", O_RDONLY | O_CLOEXEC);

	cr_assert_eq(window_wire_send(ends[0], &scanout, sent), 0);
	cr_assert_eq(window_wire_receive(ends[1], WINDOW_END_WINDOW, &m, &fd), 0);
	cr_assert_eq(m.scanout.stride, 2560);
	cr_assert_geq(fd, 0);
	cr_assert_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
	close(fd);
	close(sent);
}

Test(window_wire, nothing_there_and_nobody_there_are_told_apart)
{
	union window_message m;
	int fd;

	cr_assert_eq(window_wire_receive(ends[1], WINDOW_END_WINDOW, &m, &fd), -EAGAIN);
	close(ends[0]);
	cr_assert_eq(window_wire_receive(ends[1], WINDOW_END_WINDOW, &m, &fd), -EPIPE);
	cr_assert_eq(window_wire_send(ends[1], &key, -1), -EPIPE);
}

Test(window_wire, no_room_is_said_and_nothing_is_sent)
{
	int r, n = 0;

	while ((r = window_wire_send(ends[0], &key, -1)) == 0)
		n++;
	cr_assert_eq(r, -EAGAIN);
	cr_assert_gt(n, 0);
}

Test(window_wire, each_end_takes_only_what_the_other_one_says)
{
	union window_message m;
	int fd;

	cr_assert_eq(window_wire_send(ends[0], &key, -1), 0);
	cr_assert_eq(window_wire_receive(ends[1], WINDOW_END_WINDOW, &m, &fd), -EPROTO);
	cr_assert_eq(window_wire_send(ends[0], &key, -1), 0);
	cr_assert_eq(window_wire_receive(ends[1], WINDOW_END_SANDBOX, &m, &fd), 0);
}

/* How many descriptors this process has. */
static int count_fds(void)
{
	int n = 0;

	for (int fd = 0; fd < 64; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

Test(window_wire, a_descriptor_too_few_or_too_many_is_refused_and_closed)
{
	union window_message m;
	int fd, before = count_fds();

	cr_assert_eq(window_wire_send(ends[0], &scanout, -1), 0);
	cr_assert_eq(window_wire_receive(ends[1], WINDOW_END_WINDOW, &m, &fd), -EPROTO);
	cr_assert_eq(window_wire_send(ends[0], &key, ends[0]), 0);
	cr_assert_eq(window_wire_receive(ends[1], WINDOW_END_SANDBOX, &m, &fd), -EPROTO);
	cr_assert_eq(count_fds(), before);
}

/* What `end` says to a packet of m's first len bytes. */
static int said(const union window_message *m, size_t len, enum window_end end)
{
	union window_message got;
	int fd;

	cr_assert_eq(send(ends[0], m, len, 0), (ssize_t)len);
	return window_wire_receive(ends[1], end, &got, &fd);
}

Test(window_wire, every_length_but_the_right_one_is_refused)
{
	for (size_t len = 1; len <= sizeof(struct window_key) + 4; len++)
		cr_assert_eq(said(&key, len, WINDOW_END_SANDBOX),
			     len == sizeof(struct window_key) ? 0 : -EPROTO, "%zu", len);
}

Test(window_wire, every_type_that_is_none_is_refused)
{
	union window_message m = {0};

	for (uint32_t type = 0; type < 256; type++) {
		m.type = type;
		/* Lengths differ, so a single word is right for none. */
		cr_assert_eq(said(&m, sizeof(type), WINDOW_END_SANDBOX), -EPROTO);
		cr_assert_eq(said(&m, sizeof(type), WINDOW_END_WINDOW), -EPROTO);
	}
}

Test(window_wire, fields_out_of_range_are_refused)
{
	const struct {
		union window_message m;
		size_t len;
	} bad[] = {
		{{.key = {WINDOW_KEY, 256, 1}}, sizeof(struct window_key)},
		{{.key = {WINDOW_KEY, 4, 2}}, sizeof(struct window_key)},
		{{.pointer = {WINDOW_POINTER, 0, WINDOW_POINTER_MAX + 1, 0}},
		 sizeof(struct window_pointer)},
		{{.pointer = {WINDOW_POINTER, WINDOW_SCANOUTS, 0, 0}},
		 sizeof(struct window_pointer)},
		{{.motion = {WINDOW_MOTION, INT32_MIN, 0}}, sizeof(struct window_motion)},
		{{.button = {WINDOW_BUTTON, 5, 1}}, sizeof(struct window_button)},
		{{.wheel = {WINDOW_WHEEL, 12001, 0}}, sizeof(struct window_wheel)},
		{{.size = {WINDOW_SIZE, 0, 640, 0, 0, 0}}, sizeof(struct window_size)},
		{{.size = {WINDOW_SIZE, 0, 8193, 1, 0, 0}}, sizeof(struct window_size)},
		{{.shown = {WINDOW_SHOWN, 4, 0}}, sizeof(struct window_shown)},
		{{.hidden = {WINDOW_HIDDEN, 0, 2}}, sizeof(struct window_hidden)},
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		cr_assert_eq(said(&bad[i].m, bad[i].len, WINDOW_END_SANDBOX), -EPROTO, "%zu", i);
}

Test(window_wire, a_window_refuses_frames_outside_and_text_for_terminals)
{
	union window_message frame = {.frame = {WINDOW_FRAME, 0, 0, 1, 8000, 0, 193, 1}};
	union window_message state = {.state = {.type = WINDOW_STATE, .text = "\033[31m"}};
	union window_message full = {.state = {.type = WINDOW_STATE}};

	cr_assert_eq(said(&frame, sizeof(frame.frame), WINDOW_END_WINDOW), -EPROTO);
	frame.frame.width = 192;
	cr_assert_eq(said(&frame, sizeof(frame.frame), WINDOW_END_WINDOW), 0);
	cr_assert_eq(said(&state, sizeof(state.state), WINDOW_END_WINDOW), -EPROTO);
	memset(full.state.text, 'a', sizeof(full.state.text));
	cr_assert_eq(said(&full, sizeof(full.state), WINDOW_END_WINDOW), -EPROTO);
}
