/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <endian.h>
#include <linux/virtio_gpu.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "common/window_wire.h"
#include "gpu/display.h"
#include "tests/support/fake_guest.h"
#include "tests/unit/vmm/control/control_peers.h"

static struct fake_guest *guest;
static struct display display;

static void setup(void)
{
	struct virtio_device *vdev;
	struct gpu_setup gpu = {.name = "box", .width = 64, .height = 48};

	guest = fake_guest_new();
	gpu.mem = &guest->mem;
	cr_assert_eq(virtio_gpu_new(&gpu, &vdev, &display.gpu), 0);
	fake_guest_start(guest, vdev, 0);
	peers_display = &display;
	peers_setup();
	json_decref(receive(client));
}

static void teardown(void)
{
	peers_teardown();
	fake_guest_free(guest);
}

TestSuite(display, .init = setup, .fini = teardown);

static void request(const void *cmd, size_t len)
{
	struct virtio_gpu_ctrl_hdr answer;

	cr_assert_eq(fake_request(guest, 0, cmd, len, &answer, sizeof(answer)), sizeof(answer));
	cr_assert_eq(le32toh(answer.type), VIRTIO_GPU_RESP_OK_NODATA);
}

/* The guest shows 4 x 2 pixels of 0x11 bytes. */
static void draw(void)
{
	const struct virtio_gpu_resource_create_2d create = {
		.hdr.type = htole32(VIRTIO_GPU_CMD_RESOURCE_CREATE_2D),
		.resource_id = htole32(1),
		.format = htole32(VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM),
		.width = htole32(4),
		.height = htole32(2),
	};
	const gpa_t pixels = fake_alloc(guest, 32, 64);
	const struct {
		struct virtio_gpu_resource_attach_backing c;
		struct virtio_gpu_mem_entry entry;
	} attach = {
		{.hdr.type = htole32(VIRTIO_GPU_CMD_RESOURCE_ATTACH_BACKING),
		 .resource_id = htole32(1),
		 .nr_entries = htole32(1)},
		{.addr = htole64(pixels), .length = htole32(32)},
	};
	const struct virtio_gpu_set_scanout show = {
		.hdr.type = htole32(VIRTIO_GPU_CMD_SET_SCANOUT),
		.r = {.width = htole32(4), .height = htole32(2)},
		.resource_id = htole32(1),
	};

	memset(fake_ptr(guest, pixels, 32), 0x11, 32);
	request(&create, sizeof(create));
	request(&attach, sizeof(attach));
	request(&show, sizeof(show));
}

/* A reply that comes with a descriptor. */
static int receive_fd(char *text, size_t size)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} space;
	struct iovec iov = {text, size - 1};
	struct msghdr mh = {.msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = space.bytes,
			    .msg_controllen = sizeof(space.bytes)};
	ssize_t n = recvmsg(client, &mh, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	int fd;

	cr_assert_gt(n, 0);
	text[n] = '\0';
	cr_assert_not_null(CMSG_FIRSTHDR(&mh));
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&mh)), sizeof(fd));
	return fd;
}

static void expect_error(const char *error)
{
	json_t *m = receive(client);

	cr_assert_str_eq(json_string_value(json_object_get(m, "error")), error);
	json_decref(m);
}

Test(display, a_screenshot_is_a_file_in_memory)
{
	uint8_t pixels[32], want[32];
	char text[256];
	int fd;

	draw();
	ask(client, "{\"type\":\"request\",\"id\":1,\"op\":\"screenshot\"}");
	fd = receive_fd(text, sizeof(text));
	cr_assert(strstr(text, "\"width\":4"));
	cr_assert(strstr(text, "\"height\":2"));
	cr_assert(strstr(text, "\"stride\":16"));
	memset(want, 0x11, sizeof(want));
	cr_assert_eq(read(fd, pixels, sizeof(pixels)), sizeof(pixels));
	cr_assert_eq(memcmp(pixels, want, sizeof(want)), 0);
	close(fd);
}

Test(display, no_picture_and_no_such_monitor)
{
	ask(client, "{\"type\":\"request\",\"id\":1,\"op\":\"screenshot\"}");
	expect_error("no-picture");
	draw();
	ask(client, "{\"type\":\"request\",\"id\":1,\"op\":\"screenshot\",\"monitor\":2}");
	expect_error("no-picture");
	ask(client, "{\"type\":\"request\",\"id\":1,\"op\":\"screenshot\",\"monitor\":0}");
	expect_error("bad-request");
	ask(client, "{\"type\":\"request\",\"id\":1,\"op\":\"screenshot\",\"monitor\":5}");
	expect_error("bad-request");
	ask(client, "{\"type\":\"request\",\"id\":1,\"op\":\"screenshot\",\"monitor\":\"x\"}");
	expect_error("bad-request");
}

Test(display, a_window_gets_its_end_of_the_wire)
{
	union window_message m;
	char text[256];
	int window, fd;

	ask(client, "{\"type\":\"request\",\"id\":1,\"op\":\"display\"}");
	window = receive_fd(text, sizeof(text));
	fake_guest_settle(guest);
	cr_assert_eq(window_wire_receive(window, WINDOW_END_WINDOW, &m, &fd), 0);
	cr_assert_eq(m.type, WINDOW_HELLO);
	cr_assert_str_eq(m.hello.name, "box");
	close(window);
}

static void expect_state(int window, const char *text)
{
	union window_message m = {0};
	int fd;

	fake_guest_settle(guest);
	while (window_wire_receive(window, WINDOW_END_WINDOW, &m, &fd) == 0)
		if (m.type == WINDOW_STATE)
			break;
	cr_assert_eq(m.type, WINDOW_STATE);
	cr_assert_str_eq(m.state.text, text);
}

Test(display, a_window_hears_what_the_guest_is_at)
{
	char text[256];
	int window;

	ask(client, "{\"type\":\"request\",\"id\":1,\"op\":\"display\"}");
	window = receive_fd(text, sizeof(text));
	control_ready(control);
	expect_state(window, "Runs; nothing draws on its screen yet");
	control_stopping(control);
	expect_state(window, "Stops");
	close(window);
}

Test(without_display, all_of_it_is_refused, .init = peers_setup, .fini = peers_teardown)
{
	json_decref(receive(client));
	ask(client, "{\"type\":\"request\",\"id\":1,\"op\":\"display\"}");
	expect_error("no-display");
	ask(client, "{\"type\":\"request\",\"id\":1,\"op\":\"screenshot\"}");
	expect_error("no-display");
}
