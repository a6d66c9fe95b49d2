/* SPDX-License-Identifier: MIT */
#include "common/window_wire.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* What a message is: its length, whether a descriptor comes with it, what its fields may be. */
struct kind {
	size_t len;
	bool has_fd;
	bool (*valid)(const union window_message *m);
};

static bool printable(const char *text, size_t size)
{
	size_t i = 0;

	while (i < size && text[i] >= ' ' && text[i] <= '~')
		i++;
	/* At least one NUL, and nothing behind the first. */
	if (i == size)
		return false;
	while (i < size && text[i] == '\0')
		i++;
	return i == size;
}

static bool within(int32_t v, int32_t max)
{
	return v >= -max && v <= max;
}

static bool hello_valid(const union window_message *m)
{
	return m->hello.version == WINDOW_WIRE_VERSION &&
	       printable(m->hello.name, sizeof(m->hello.name)) &&
	       printable(m->hello.renderer, sizeof(m->hello.renderer));
}

static bool state_valid(const union window_message *m)
{
	return printable(m->state.text, sizeof(m->state.text));
}

static bool scanout_valid(const union window_message *m)
{
	const struct window_scanout *s = &m->scanout;

	return s->id < WINDOW_SCANOUTS && s->width > 0 && s->width <= WINDOW_MAX_SIDE &&
	       s->height > 0 && s->height <= WINDOW_MAX_SIDE && s->stride >= s->width * 4 &&
	       s->stride % 4 == 0 && s->stride <= WINDOW_MAX_SIDE * 4;
}

static bool frame_valid(const union window_message *m)
{
	const struct window_frame *f = &m->frame;

	return f->id < WINDOW_SCANOUTS && f->buffer < WINDOW_BUFFERS && f->width > 0 &&
	       f->width <= WINDOW_MAX_SIDE && f->x <= WINDOW_MAX_SIDE - f->width && f->height > 0 &&
	       f->height <= WINDOW_MAX_SIDE && f->y <= WINDOW_MAX_SIDE - f->height;
}

static bool off_valid(const union window_message *m)
{
	return m->off.id < WINDOW_SCANOUTS;
}

static bool cursor_valid(const union window_message *m)
{
	const struct window_cursor *c = &m->cursor;

	return c->id < WINDOW_SCANOUTS && c->kind <= WINDOW_POINTER_DRAWN &&
	       c->hot_x < WINDOW_CURSOR_SIDE && c->hot_y < WINDOW_CURSOR_SIDE;
}

static bool cursor_at_valid(const union window_message *m)
{
	return m->cursor_at.id < WINDOW_SCANOUTS && within(m->cursor_at.x, WINDOW_MAX_SIDE) &&
	       within(m->cursor_at.y, WINDOW_MAX_SIDE);
}

static bool leds_valid(const union window_message *m)
{
	return m->leds.mask <= 7;
}

static bool size_valid(const union window_message *m)
{
	const struct window_size *s = &m->size;

	return s->id < WINDOW_SCANOUTS && (s->width == 0) == (s->height == 0) &&
	       s->width <= WINDOW_MAX_SIDE && s->height <= WINDOW_MAX_SIDE &&
	       s->mm_width <= 10000 && s->mm_height <= 10000;
}

static bool key_valid(const union window_message *m)
{
	return m->key.usage < 256 && m->key.down <= 1;
}

static bool pointer_valid(const union window_message *m)
{
	return m->pointer.id < WINDOW_SCANOUTS && m->pointer.x <= WINDOW_POINTER_MAX &&
	       m->pointer.y <= WINDOW_POINTER_MAX;
}

static bool motion_valid(const union window_message *m)
{
	return within(m->motion.dx, WINDOW_MAX_SIDE) && within(m->motion.dy, WINDOW_MAX_SIDE);
}

static bool button_valid(const union window_message *m)
{
	return m->button.button < 5 && m->button.down <= 1;
}

static bool wheel_valid(const union window_message *m)
{
	return within(m->wheel.vertical, 12000) && within(m->wheel.horizontal, 12000);
}

static bool focus_valid(const union window_message *m)
{
	return m->focus.has <= 1;
}

static bool shown_valid(const union window_message *m)
{
	return m->shown.id < WINDOW_SCANOUTS;
}

static bool hidden_valid(const union window_message *m)
{
	return m->hidden.id < WINDOW_SCANOUTS && m->hidden.hidden <= 1;
}

static const struct kind from_sandbox[] = {
	[WINDOW_HELLO] = {sizeof(struct window_hello), false, hello_valid},
	[WINDOW_STATE] = {sizeof(struct window_state), false, state_valid},
	[WINDOW_SCANOUT] = {sizeof(struct window_scanout), true, scanout_valid},
	[WINDOW_FRAME] = {sizeof(struct window_frame), false, frame_valid},
	[WINDOW_OFF] = {sizeof(struct window_off), false, off_valid},
	[WINDOW_CURSOR] = {sizeof(struct window_cursor), false, cursor_valid},
	[WINDOW_CURSOR_AT] = {sizeof(struct window_cursor_at), false, cursor_at_valid},
	[WINDOW_LEDS] = {sizeof(struct window_leds), false, leds_valid},
};

/* From WINDOW_SIZE on. */
static const struct kind from_window[] = {
	[0] = {sizeof(struct window_size), false, size_valid},
	[WINDOW_KEY - WINDOW_SIZE] = {sizeof(struct window_key), false, key_valid},
	[WINDOW_POINTER - WINDOW_SIZE] = {sizeof(struct window_pointer), false, pointer_valid},
	[WINDOW_MOTION - WINDOW_SIZE] = {sizeof(struct window_motion), false, motion_valid},
	[WINDOW_BUTTON - WINDOW_SIZE] = {sizeof(struct window_button), false, button_valid},
	[WINDOW_WHEEL - WINDOW_SIZE] = {sizeof(struct window_wheel), false, wheel_valid},
	[WINDOW_FOCUS - WINDOW_SIZE] = {sizeof(struct window_focus), false, focus_valid},
	[WINDOW_SHOWN - WINDOW_SIZE] = {sizeof(struct window_shown), false, shown_valid},
	[WINDOW_HIDDEN - WINDOW_SIZE] = {sizeof(struct window_hidden), false, hidden_valid},
};

/* NULL: no message of that end has this type. */
static const struct kind *kind_from_sandbox(uint32_t type)
{
	if (type >= ARRAY_SIZE(from_sandbox) || !from_sandbox[type].valid)
		return NULL;
	return &from_sandbox[type];
}

static const struct kind *kind_from_window(uint32_t type)
{
	if (type < WINDOW_SIZE || type - WINDOW_SIZE >= ARRAY_SIZE(from_window))
		return NULL;
	return &from_window[type - WINDOW_SIZE];
}

/* The descriptors of mh; -1: none. More than one are closed, and *many is set. */
static int take_fd(struct msghdr *mh, bool *many)
{
	int taken = -1;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(mh); c; c = CMSG_NXTHDR(mh, c)) {
		size_t n;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
			if (taken >= 0) {
				close(fd);
				*many = true;
			} else {
				taken = fd;
			}
		}
	}
	return taken;
}

int window_wire_receive(int socket, enum window_end end, union window_message *out, int *fd)
{
	/* Room for a second descriptor, which then is seen and closed. */
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(2 * sizeof(int))];
	} control;
	struct iovec iov = {.iov_base = out, .iov_len = sizeof(*out)};
	struct msghdr mh = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes),
	};
	const struct kind *kind = NULL;
	bool wrong = false;
	ssize_t n = recvmsg(socket, &mh, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	int got;

	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? -EAGAIN : -EPIPE;
	got = take_fd(&mh, &wrong);
	if (n == 0 && got < 0)
		return -EPIPE;
	if (n >= (ssize_t)sizeof(uint32_t))
		kind = end == WINDOW_END_WINDOW ? kind_from_sandbox(out->type)
						: kind_from_window(out->type);
	wrong |= !kind || (size_t)n != kind->len || (got >= 0) != kind->has_fd ||
		 (mh.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0 || !kind->valid(out);
	if (wrong) {
		if (got >= 0)
			close(got);
		return -EPROTO;
	}
	*fd = got;
	return 0;
}

int window_wire_send(int socket, const union window_message *m, int fd)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = {.align = {.cmsg_len = CMSG_LEN(sizeof(int)),
			       .cmsg_level = SOL_SOCKET,
			       .cmsg_type = SCM_RIGHTS}};
	const struct kind *kind =
		m->type < WINDOW_SIZE ? kind_from_sandbox(m->type) : kind_from_window(m->type);
	union window_message copy = *m;
	struct iovec iov = {.iov_base = &copy, .iov_len = kind->len};
	struct msghdr mh = {.msg_iov = &iov, .msg_iovlen = 1};

	if (fd >= 0) {
		memcpy(CMSG_DATA(&control.align), &fd, sizeof(fd));
		mh.msg_control = control.bytes;
		mh.msg_controllen = sizeof(control.bytes);
	}
	if (sendmsg(socket, &mh, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
		return 0;
	return errno == EAGAIN || errno == EINTR || errno == ENOBUFS ? -EAGAIN : -EPIPE;
}
