/* SPDX-License-Identifier: MIT */
/*
 * fake_display NAME: a sandbox without a machine, for tests of sandcastle-window. Lines on stdin say
 * what it does; what it is sent is written to stdout, a line a message. It also looks at the X
 * display, as a user would.
 */
#include <X11/Xatom.h>
#include <X11/Xlib.h>
#include <X11/Xutil.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "common/control_protocol.h"
#include "common/window_wire.h"
#include "library/client/rundir.h"

struct scanout {
	uint8_t *map;
	int width, height;
	uint32_t seq;
};

static struct {
	const char *name;
	struct rundir dir;
	int client, wire;
	bool silent; /* SHOWN is not written, and brings the next frame */
	int frames_left;
	struct scanout scanouts[WINDOW_SCANOUTS];
	Display *x;
} fake = {.client = -1, .wire = -1};

static void say(const char *text)
{
	puts(text);
	fflush(stdout);
}

static void hang_up(void)
{
	if (fake.wire >= 0)
		close(fake.wire);
	fake.wire = -1;
}

/* The control socket */

static void send_control(const char *text, int fd)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = {.align = {CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS}};
	struct iovec iov = {.iov_base = (void *)(uintptr_t)text, .iov_len = strlen(text)};
	struct msghdr mh = {.msg_iov = &iov, .msg_iovlen = 1};

	if (fd >= 0) {
		memcpy(CMSG_DATA(&control.align), &fd, sizeof(fd));
		mh.msg_control = control.bytes;
		mh.msg_controllen = sizeof(control.bytes);
	}
	(void)sendmsg(fake.client, &mh, MSG_NOSIGNAL);
}

static void accept_client(void)
{
	char hello[256];

	fake.client = accept4(fake.dir.listen_fd, NULL, NULL, SOCK_CLOEXEC);
	snprintf(
		hello, sizeof(hello),
		"{\"type\":\"hello\",\"protocol\":%d,\"version\":\"0\",\"name\":\"%s\",\"pid\":%d}",
		CONTROL_PROTOCOL, fake.name, (int)getpid());
	send_control(hello, -1);
}

static void answer_display(json_int_t id)
{
	char reply[128];
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		abort();
	hang_up();
	fake.wire = pair[0];
	snprintf(reply, sizeof(reply), "{\"type\":\"reply\",\"id\":%d,\"ok\":true}", (int)id);
	send_control(reply, pair[1]);
	close(pair[1]);
}

/* A sandbox named "headless" has no display. */
static void answer_stats(json_int_t id)
{
	char reply[128];

	snprintf(reply, sizeof(reply), "{\"type\":\"reply\",\"id\":%d,\"ok\":true,\"display\":%s}",
		 (int)id, strcmp(fake.name, "headless") != 0 ? "{}" : "null");
	send_control(reply, -1);
}

static void read_client(void)
{
	char buf[4096];
	const ssize_t n = recv(fake.client, buf, sizeof(buf), 0);
	json_t *m = n > 0 ? json_loadb(buf, (size_t)n, 0, NULL) : NULL;
	const char *op = json_string_value(json_object_get(m, "op"));

	if (n <= 0) {
		close(fake.client);
		fake.client = -1;
		say("gone");
	}
	if (op && strcmp(op, "display") == 0)
		answer_display(json_integer_value(json_object_get(m, "id")));
	else if (op && strcmp(op, "stats") == 0)
		answer_stats(json_integer_value(json_object_get(m, "id")));
	else if (op)
		printf("op %s\n", op);
	fflush(stdout);
	json_decref(m);
}

/* The wire */

static void send_wire(const void *m, size_t len, int fd)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = {.align = {CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS}};
	struct iovec iov = {.iov_base = (void *)(uintptr_t)m, .iov_len = len};
	struct msghdr mh = {.msg_iov = &iov, .msg_iovlen = 1};

	if (fd >= 0) {
		memcpy(CMSG_DATA(&control.align), &fd, sizeof(fd));
		mh.msg_control = control.bytes;
		mh.msg_controllen = sizeof(control.bytes);
	}
	(void)sendmsg(fake.wire, &mh, MSG_NOSIGNAL);
}

static int make_memfd(size_t size, int seals)
{
	const int fd = memfd_create("picture", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0 || ftruncate(fd, (off_t)size) < 0 ||
	    (seals && fcntl(fd, F_ADD_SEALS, seals) < 0))
		abort();
	return fd;
}

/* A colour for each place, so that a pixel that is elsewhere is seen. */
static uint32_t pattern(int x, int y)
{
	return (uint32_t)(x * 7 & 0xff) << 16 | (uint32_t)(y * 5 & 0xff) << 8 |
	       (uint32_t)((x ^ y) & 0xff);
}

static void send_frame(unsigned int id)
{
	struct scanout *s = &fake.scanouts[id];
	const struct window_frame m = {
		.type = WINDOW_FRAME,
		.id = id,
		.buffer = ++s->seq % WINDOW_BUFFERS,
		.seq = s->seq,
		.width = (uint32_t)s->width,
		.height = (uint32_t)s->height,
	};

	send_wire(&m, sizeof(m), -1);
}

static void set_scanout(unsigned int id, int width, int height)
{
	struct scanout *s = &fake.scanouts[id];
	const size_t size = (size_t)width * (size_t)height * 4 * WINDOW_BUFFERS;
	const struct window_scanout m = {WINDOW_SCANOUT, id, (uint32_t)width, (uint32_t)height,
					 (uint32_t)width * 4};
	const int fd = make_memfd(size, F_SEAL_SHRINK | F_SEAL_GROW);
	uint32_t *pixels;

	s->width = width;
	s->height = height;
	s->map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	pixels = (uint32_t *)(void *)s->map;
	for (int b = 0; b < WINDOW_BUFFERS; b++)
		for (int y = 0; y < height; y++)
			for (int x = 0; x < width; x++)
				*pixels++ = pattern(x, y) | 0xff000000U;
	send_wire(&m, sizeof(m), fd);
	close(fd);
}

static void send_cursor(int kind)
{
	struct window_cursor m = {
		.type = WINDOW_CURSOR, .kind = (uint32_t)kind, .hot_x = 3, .hot_y = 5};

	for (size_t i = 0; i < sizeof(m.pixels); i++)
		m.pixels[i] = i % 4 == 3 || i % 4 == 2 ? 255 : 0;
	send_wire(&m, sizeof(m), -1);
}

static void read_wire(void)
{
	union window_message m;
	int fd;
	const int r = window_wire_receive(fake.wire, WINDOW_END_SANDBOX, &m, &fd);

	if (r == -EAGAIN)
		return;
	if (r < 0) {
		hang_up();
		say(r == -EPROTO ? "nonsense" : "hung up");
		return;
	}
	if (m.type == WINDOW_SHOWN && fake.silent) {
		if (--fake.frames_left > 0)
			send_frame(m.shown.id);
		else
			say("done");
		return;
	}
	switch (m.type) {
	case WINDOW_SIZE:
		printf("size %u %u %u\n", m.size.id, m.size.width, m.size.height);
		break;
	case WINDOW_KEY:
		printf("key %#x %u\n", m.key.usage, m.key.down);
		break;
	case WINDOW_POINTER:
		printf("pointer %u %u %u\n", m.pointer.id, m.pointer.x, m.pointer.y);
		break;
	case WINDOW_MOTION:
		printf("motion %d %d\n", m.motion.dx, m.motion.dy);
		break;
	case WINDOW_BUTTON:
		printf("button %u %u\n", m.button.button, m.button.down);
		break;
	case WINDOW_WHEEL:
		printf("wheel %d %d\n", m.wheel.vertical, m.wheel.horizontal);
		break;
	case WINDOW_FOCUS:
		printf("focus %u\n", m.focus.has);
		break;
	case WINDOW_SHOWN:
		printf("shown %u %u\n", m.shown.id, m.shown.seq);
		break;
	default:
		printf("hidden %u %u\n", m.hidden.id, m.hidden.hidden);
		break;
	}
	fflush(stdout);
}

/* Messages that no honest sandbox sends, each to a window that was greeted and shows 64 x 48. */
static const char *const bad_names[] = {
	"short",	 "unknown",	  "from-window",
	"long",		 "no-descriptor", "unwanted-descriptor",
	"unsealed",	 "too-small",	  "frame-outside",
	"frame-nowhere", "hello-again",	  "not-printable",
	"huge",		 "cursor-hot",
};

static void send_bad(const char *name)
{
	struct window_scanout scanout = {WINDOW_SCANOUT, 0, 64, 48, 256};
	struct window_frame frame = {WINDOW_FRAME, 0, 0, 9, 0, 0, 64, 48};
	struct window_state state = {WINDOW_STATE, "fine"};
	struct window_hello hello = {WINDOW_HELLO, WINDOW_WIRE_VERSION, "a", "b"};
	struct window_cursor cursor = {.type = WINDOW_CURSOR, .hot_x = WINDOW_CURSOR_SIDE};
	const uint32_t unknown[2] = {WINDOW_LEDS + 1, 0};
	const struct window_key key = {WINDOW_KEY, 4, 1};
	const size_t whole = (size_t)64 * 48 * 4 * WINDOW_BUFFERS;
	int fd = -1;

	if (!strcmp(name, "short")) {
		send_wire(&frame, 3, -1);
	} else if (!strcmp(name, "unknown")) {
		send_wire(unknown, sizeof(unknown), -1);
	} else if (!strcmp(name, "from-window")) {
		send_wire(&key, sizeof(key), -1);
	} else if (!strcmp(name, "long")) {
		send_wire(&cursor, sizeof(state) + 1, -1);
	} else if (!strcmp(name, "no-descriptor")) {
		send_wire(&scanout, sizeof(scanout), -1);
	} else if (!strcmp(name, "unwanted-descriptor")) {
		send_wire(&frame, sizeof(frame), 0);
	} else if (!strcmp(name, "unsealed")) {
		fd = make_memfd(whole, F_SEAL_GROW);
		send_wire(&scanout, sizeof(scanout), fd);
	} else if (!strcmp(name, "too-small")) {
		fd = make_memfd(whole - 1, F_SEAL_SHRINK);
		send_wire(&scanout, sizeof(scanout), fd);
	} else if (!strcmp(name, "frame-outside")) {
		frame.x = 1;
		send_wire(&frame, sizeof(frame), -1);
	} else if (!strcmp(name, "frame-nowhere")) {
		frame.id = 3;
		send_wire(&frame, sizeof(frame), -1);
	} else if (!strcmp(name, "hello-again")) {
		send_wire(&hello, sizeof(hello), -1);
	} else if (!strcmp(name, "not-printable")) {
		state.text[1] = '\033';
		send_wire(&state, sizeof(state), -1);
	} else if (!strcmp(name, "huge")) {
		scanout.width = scanout.height = WINDOW_MAX_SIDE + 1;
		fd = make_memfd(whole, F_SEAL_SHRINK);
		send_wire(&scanout, sizeof(scanout), fd);
	} else if (!strcmp(name, "cursor-hot")) {
		send_wire(&cursor, sizeof(cursor), -1);
	} else {
		abort();
	}
	if (fd >= 0)
		close(fd);
}

/* The X display */

/* The mapped window whose title begins with the name; 0: none. */
static Window find_window(Window in, int depth)
{
	Window root, parent, *children = NULL, found = 0;
	unsigned int n = 0;
	char *title = NULL;
	XWindowAttributes a;

	if (XFetchName(fake.x, in, &title) && title) {
		if (!strncmp(title, fake.name, strlen(fake.name)) &&
		    XGetWindowAttributes(fake.x, in, &a) && a.map_state == IsViewable)
			found = in;
		XFree(title);
	}
	if (found || depth == 0 || !XQueryTree(fake.x, in, &root, &parent, &children, &n))
		return found;
	for (unsigned int i = 0; i < n && !found; i++)
		found = find_window(children[i], depth - 1);
	XFree(children);
	return found;
}

static Window window(void)
{
	return find_window(DefaultRootWindow(fake.x), 3);
}

/*
 * Compares the window with the pattern of scanout 0, scaled by nearest neighbour into the largest
 * box of its shape, black around it.
 */
static void compare(void)
{
	const struct scanout *s = &fake.scanouts[0];
	const Window w = window();
	XWindowAttributes a;
	XImage *image;
	int bw, bh, left, top, wrong = 0;

	if (!w || !XGetWindowAttributes(fake.x, w, &a)) {
		say("no window");
		return;
	}
	image = XGetImage(fake.x, w, 0, 0, (unsigned int)a.width, (unsigned int)a.height, AllPlanes,
			  ZPixmap);
	bw = a.width;
	bh = s->height * a.width / s->width;
	if (bh > a.height) {
		bh = a.height;
		bw = s->width * a.height / s->height;
	}
	left = (a.width - bw) / 2;
	top = (a.height - bh) / 2;
	for (int y = 0; y < a.height; y++)
		for (int x = 0; x < a.width; x++) {
			const int u = x - left, v = y - top;
			uint32_t want = 0;

			if (u >= 0 && u < bw && v >= 0 && v < bh)
				want = pattern(u * s->width / bw, v * s->height / bh);
			wrong += (XGetPixel(image, x, y) & 0xffffff) != want;
		}
	XDestroyImage(image);
	printf(wrong ? "differs %dx%d %d\n" : "same %dx%d\n", a.width, a.height, wrong);
	fflush(stdout);
}

/* Whether scanout 0 has its pattern from `left`, `top` on, pixel by pixel. */
static bool is_at(XImage *screen, int left, int top)
{
	const struct scanout *s = &fake.scanouts[0];

	for (int y = 0; y < s->height; y++)
		for (int x = 0; x < s->width; x++)
			if ((XGetPixel(screen, left + x, top + y) & 0xffffff) != pattern(x, y))
				return false;
	return true;
}

/* Looks for it on the whole screen, where its window is not one of X. */
static void find_picture(void)
{
	const int width = DisplayWidth(fake.x, 0), height = DisplayHeight(fake.x, 0);
	XImage *screen = XGetImage(fake.x, DefaultRootWindow(fake.x), 0, 0, (unsigned int)width,
				   (unsigned int)height, AllPlanes, ZPixmap);
	bool found = false;

	for (int y = 0; y + fake.scanouts[0].height <= height && !found; y++)
		for (int x = 0; x + fake.scanouts[0].width <= width && !found; x++)
			found = is_at(screen, x, y);
	XDestroyImage(screen);
	say(found ? "found" : "not found");
}

static void ask_to_close(void)
{
	XEvent e = {.xclient = {.type = ClientMessage,
				.window = window(),
				.message_type = XInternAtom(fake.x, "WM_PROTOCOLS", False),
				.format = 32}};

	e.xclient.data.l[0] = (long)XInternAtom(fake.x, "WM_DELETE_WINDOW", False);
	if (e.xclient.window)
		XSendEvent(fake.x, e.xclient.window, False, NoEventMask, &e);
	XFlush(fake.x);
}

/* Commands */

static bool command(char *line)
{
	const struct window_hello hello = {WINDOW_HELLO, WINDOW_WIRE_VERSION, "fake", "software"};
	struct window_state state = {.type = WINDOW_STATE};
	unsigned int id;
	int a, b;
	char word[32];

	line[strcspn(line, "\n")] = '\0';
	if (!strcmp(line, "hello")) {
		send_wire(&hello, sizeof(hello), -1);
	} else if (!strncmp(line, "state ", 6)) {
		memcpy(state.text, line + 6, min_size(strlen(line + 6), sizeof(state.text) - 1));
		send_wire(&state, sizeof(state), -1);
	} else if (sscanf(line, "scanout %u %d %d", &id, &a, &b) == 3) {
		set_scanout(id, a, b);
	} else if (sscanf(line, "frame %u", &id) == 1) {
		send_frame(id);
	} else if (sscanf(line, "frames %d", &a) == 1) {
		fake.silent = true;
		fake.frames_left = a;
		send_frame(0);
	} else if (sscanf(line, "cursor %d", &a) == 1) {
		send_cursor(a);
	} else if (sscanf(line, "lights %d", &a) == 1) {
		const struct window_leds m = {WINDOW_LEDS, (uint32_t)a};

		send_wire(&m, sizeof(m), -1);
	} else if (sscanf(line, "pointer %d %d", &a, &b) == 2) {
		const struct window_cursor_at m = {WINDOW_CURSOR_AT, 0, a, b};

		send_wire(&m, sizeof(m), -1);
	} else if (sscanf(line, "bad %31s", word) == 1) {
		send_bad(word);
	} else if (!strncmp(line, "control ", 8)) {
		send_control(line + 8, -1);
	} else if (!strcmp(line, "compare")) {
		compare();
	} else if (!strcmp(line, "find")) {
		find_picture();
	} else if (!strcmp(line, "window")) {
		printf("window %lu\n", window());
		fflush(stdout);
	} else if (!strcmp(line, "close")) {
		ask_to_close();
	} else if (!strcmp(line, "hangup")) {
		hang_up();
	} else {
		return false;
	}
	return true;
}

int main(int argc, char **argv)
{
	AUTO_FREE char *top = rundir_top();
	char line[512];
	bool goes_on = true;

	if (argc == 2 && !strcmp(argv[1], "--bad")) {
		for (size_t i = 0; i < ARRAY_SIZE(bad_names); i++)
			puts(bad_names[i]);
		return 0;
	}
	fake.name = argv[1];
	fake.x = XOpenDisplay(NULL);
	if (argc != 2 || !top || !fake.x || rundir_create(top, fake.name, &fake.dir) < 0)
		return 2;
	setvbuf(stdin, NULL, _IONBF, 0);
	say("listening");
	while (goes_on) {
		struct pollfd fds[] = {
			{.fd = STDIN_FILENO, .events = POLLIN},
			{.fd = fake.client < 0 ? fake.dir.listen_fd : -1, .events = POLLIN},
			{.fd = fake.client, .events = POLLIN},
			{.fd = fake.wire, .events = POLLIN},
		};

		if (poll(fds, ARRAY_SIZE(fds), -1) < 0)
			return 2;
		if (fds[1].revents)
			accept_client();
		if (fds[2].revents)
			read_client();
		if (fds[3].revents)
			read_wire();
		if (fds[0].revents)
			goes_on = fgets(line, sizeof(line), stdin) && command(line);
	}
	rundir_remove(&fake.dir);
	return 0;
}
