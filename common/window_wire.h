/* SPDX-License-Identifier: MIT */
/* common/window_wire.h - the messages between a sandbox's display and one window that shows it. */
#ifndef COMMON_WINDOW_WIRE_H
#define COMMON_WINDOW_WIRE_H

#include <stdint.h>

#include "common/util.h"

/*
 * DOC: the wire of a window
 *
 * The control request `display` is answered with one end of a SOCK_SEQPACKET
 * pair. A packet is one message: a struct of this file whole, in the byte order
 * of the machine, which both ends run on. The type alone says the length, every
 * field has a range, and whatever does not fit ends the connection; a window
 * that goes away takes nothing with it. Neither end waits for the other: a
 * sandbox whose packets find no room drops frames, never its guest.
 *
 * Pixels are not in the packets. SCANOUT brings the descriptor of a sealed
 * memfd with WINDOW_BUFFERS pictures, FRAME says which of them to show and what
 * has changed in it, and SHOWN gives that one back. At most one FRAME of a
 * scanout is without its SHOWN.
 */

enum {
	WINDOW_WIRE_VERSION = 1,
	WINDOW_SCANOUTS = 4,
	WINDOW_BUFFERS = 2,
	WINDOW_MAX_SIDE = 8192, /* pixels */
	WINDOW_CURSOR_SIDE = 64,
	WINDOW_POINTER_MAX = 32767, /* absolute positions are fractions of this */
};

enum window_type {
	/* The sandbox says. */
	WINDOW_HELLO = 1,
	WINDOW_STATE,
	WINDOW_SCANOUT, /* with a descriptor */
	WINDOW_FRAME,
	WINDOW_OFF,
	WINDOW_CURSOR,
	WINDOW_CURSOR_AT,
	WINDOW_LEDS,
	/* The window says. */
	WINDOW_SIZE = 64,
	WINDOW_KEY,
	WINDOW_POINTER,
	WINDOW_MOTION,
	WINDOW_BUTTON,
	WINDOW_WHEEL,
	WINDOW_FOCUS,
	WINDOW_SHOWN,
	WINDOW_HIDDEN,
};

/* First, once. */
struct window_hello {
	uint32_t type;
	uint32_t version; /* WINDOW_WIRE_VERSION */
	char name[64]; /* of the sandbox, printable, NUL-padded */
	char renderer[128]; /* who draws, and why not the GPU: printable, NUL-padded */
};

/* What the guest is at, until it draws: a line for the user; replaces the one before. */
struct window_state {
	uint32_t type;
	char text[188]; /* printable, NUL-padded */
};

/*
 * The guest shows a picture of this size. Buffer b begins at b * stride * height
 * of the memfd; each pixel is 4 bytes, blue first, the last one ignored. Replaces
 * the scanout's buffers: FRAMEs are of the new ones from here on.
 */
struct window_scanout {
	uint32_t type;
	uint32_t id; /* below WINDOW_SCANOUTS */
	uint32_t width, height; /* 1 to WINDOW_MAX_SIDE */
	uint32_t stride; /* bytes, at least width * 4 */
};

/* The rectangle of `buffer` differs from what was last shown; it lies inside the picture. */
struct window_frame {
	uint32_t type;
	uint32_t id;
	uint32_t buffer; /* below WINDOW_BUFFERS */
	uint32_t seq; /* for SHOWN */
	uint32_t x, y, width, height;
};

/* The guest shows nothing there any more. */
struct window_off {
	uint32_t type;
	uint32_t id;
};

/*
 * How the guest's pointer is shown. DRAWN: over the picture, where CURSOR_AT says, since it is not known
 * where its tip is and so the host's own pointer cannot have its picture.
 */
enum window_pointer_kind {
	WINDOW_POINTER_NONE,
	WINDOW_POINTER_HOST,
	WINDOW_POINTER_DRAWN,
};

/* The picture of the pointer. Pixels are blue, green, red, alpha, not premultiplied. */
struct window_cursor {
	uint32_t type;
	uint32_t id;
	uint32_t kind; /* enum window_pointer_kind */
	uint32_t hot_x, hot_y; /* below WINDOW_CURSOR_SIDE */
	uint8_t pixels[WINDOW_CURSOR_SIDE * WINDOW_CURSOR_SIDE * 4];
};

/* Where the guest has put the picture's hotspot; for a pointer that is drawn. */
struct window_cursor_at {
	uint32_t type;
	uint32_t id;
	int32_t x, y; /* pixels of the scanout, may lie outside */
};

/* The keyboard's lights: bit 0 Num, 1 Caps, 2 Scroll Lock. */
struct window_leds {
	uint32_t type;
	uint32_t mask;
};

/* The window's size in pixels, for scanout `id`; 0 x 0: that monitor is unplugged. */
struct window_size {
	uint32_t type;
	uint32_t id;
	uint32_t width, height; /* both 0, or both 1 to WINDOW_MAX_SIDE */
	uint32_t mm_width, mm_height; /* of the same part of the monitor, at most 10000 */
};

/* A key by its USB usage (HID usage page 7), which is where it is on the board, not what is on it. */
struct window_key {
	uint32_t type;
	uint32_t usage; /* below 256 */
	uint32_t down; /* 0 or 1 */
};

/* The pointer's place in scanout `id`. */
struct window_pointer {
	uint32_t type;
	uint32_t id;
	uint32_t x, y; /* at most WINDOW_POINTER_MAX */
};

/* How far a captured pointer moved. */
struct window_motion {
	uint32_t type;
	int32_t dx, dy; /* at most WINDOW_MAX_SIDE either way */
};

struct window_button {
	uint32_t type;
	uint32_t button; /* 0 left, 1 middle, 2 right, 3 side, 4 extra */
	uint32_t down; /* 0 or 1 */
};

/* In 120ths of a notch; up and right are positive. */
struct window_wheel {
	uint32_t type;
	int32_t vertical, horizontal; /* at most 12000 either way */
};

/* 0: the window lost the keyboard, so every key counts as released. */
struct window_focus {
	uint32_t type;
	uint32_t has; /* 0 or 1 */
};

struct window_shown {
	uint32_t type;
	uint32_t id;
	uint32_t seq;
};

/* Nobody can see the scanout now: frames come at a tenth of a second. */
struct window_hidden {
	uint32_t type;
	uint32_t id;
	uint32_t hidden; /* 0 or 1 */
};

union window_message {
	uint32_t type;
	struct window_hello hello;
	struct window_state state;
	struct window_scanout scanout;
	struct window_frame frame;
	struct window_off off;
	struct window_cursor cursor;
	struct window_cursor_at cursor_at;
	struct window_leds leds;
	struct window_size size;
	struct window_key key;
	struct window_pointer pointer;
	struct window_motion motion;
	struct window_button button;
	struct window_wheel wheel;
	struct window_focus focus;
	struct window_shown shown;
	struct window_hidden hidden;
};

/* The end that reads. It accepts only the messages that the other end says. */
enum window_end { WINDOW_END_SANDBOX, WINDOW_END_WINDOW };

/*
 * Takes one packet without waiting. On success the message is whole and every
 * field in its range, and *fd is the descriptor that came with it, the caller's
 * to close, or -1. -EAGAIN: nothing there; -EPIPE: the other end is gone;
 * -EPROTO: a packet that is none of ours, whatever came with it was closed.
 */
int window_wire_receive(int socket, enum window_end end, union window_message *out,
			int *fd) MUST_CHECK;

/*
 * Sends m, and fd with it unless it is -1; fd stays the caller's. Does not wait:
 * -EAGAIN: no room, nothing was sent; -EPIPE: the other end is gone.
 */
int window_wire_send(int socket, const union window_message *m, int fd) MUST_CHECK;

#endif
