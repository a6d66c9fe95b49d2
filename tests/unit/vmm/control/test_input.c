/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <endian.h>
#include <linux/input.h>
#include <linux/virtio_gpu.h>
#include <linux/virtio_input.h>
#include <linux/virtio_ring.h>
#include <string.h>

#include "balloon/figures.h"
#include "common/control_protocol.h"
#include "devices/input.h"
#include "gpu/display.h"
#include "tests/support/fake_guest.h"
#include "tests/unit/vmm/control/control_peers.h"
#include "vmm/control/control_priv.h"

enum { Q_EVENT, BUFFERS = 16 };

/* Each device has a driver of its own. */
enum { GPU, KEYBOARD, TABLET, MOUSE, N_GUESTS };

static struct fake_guest *guests[N_GUESTS];
static struct display display;

static void start_input(int i, enum input_kind kind, struct input **out)
{
	struct virtio_device *vdev;

	guests[i] = fake_guest_new();
	cr_assert_eq(virtio_input_new(kind, NULL, NULL, &vdev, out), 0);
	fake_guest_start(guests[i], vdev, 1ull << VIRTIO_RING_F_EVENT_IDX);
}

static void give_buffers(int i, unsigned int n)
{
	while (n-- > 0) {
		struct fake_seg seg = fake_room(guests[i], sizeof(struct virtio_input_event));

		(void)fake_publish(guests[i], Q_EVENT, &seg, 1);
	}
	fake_kick(guests[i], Q_EVENT);
}

static void setup(void)
{
	struct gpu_setup gpu = {.name = "box", .width = 200, .height = 100};
	struct virtio_device *vdev;

	guests[GPU] = fake_guest_new();
	gpu.mem = &guests[GPU]->mem;
	cr_assert_eq(virtio_gpu_new(&gpu, &vdev, &display.gpu), 0);
	fake_guest_start(guests[GPU], vdev, 0);
	start_input(KEYBOARD, INPUT_KEYBOARD, &display.keyboard);
	start_input(TABLET, INPUT_TABLET, &display.tablet);
	start_input(MOUSE, INPUT_MOUSE, &display.mouse);
	peers_display = &display;
	peers_setup();
	json_decref(receive(client));
}

static void teardown(void)
{
	peers_teardown();
	for (int i = 0; i < N_GUESTS; i++)
		fake_guest_free(guests[i]);
}

TestSuite(control_input, .init = setup, .fini = teardown, .timeout = 20);

static void ask_input(const char *events)
{
	char text[512];

	snprintf(text, sizeof(text),
		 "{\"type\":\"request\",\"id\":1,\"op\":\"input\",\"events\":%s}", events);
	ask(client, text);
}

/* Until it was answered; the events are some hundredths of a second apart. */
static json_t *answer(void)
{
	json_t *m;

	do
		settle();
	while (!(m = receive(client)));
	return m;
}

static void expect_done(void)
{
	json_t *m = answer();

	cr_assert(json_is_true(json_object_get(m, "ok")), "%s",
		  json_string_value(json_object_get(m, "message")));
	json_decref(m);
}

static void expect_error(const char *error)
{
	json_t *m = answer();

	cr_assert_str_eq(json_string_value(json_object_get(m, "error")), error, "%s",
			 json_string_value(json_object_get(m, "message")));
	json_decref(m);
}

/* What the guest got, "type:code=value" by the buffers' order, without SYN. */
static const char *got(int i)
{
	static char text[1024];
	size_t at = 0;
	uint16_t head;

	text[0] = '\0';
	while (fake_reap(guests[i], Q_EVENT, &head, NULL)) {
		struct virtio_input_event e;
		struct vring_desc d;

		memcpy(&d,
		       fake_ptr(guests[i], guests[i]->rings[Q_EVENT].desc + head * sizeof(d),
				sizeof(d)),
		       sizeof(d));
		memcpy(&e, fake_ptr(guests[i], le64toh(d.addr), sizeof(e)), sizeof(e));
		if (le16toh(e.type) != EV_SYN)
			at += (size_t)snprintf(text + at, sizeof(text) - at, "%s%u:%u=%d",
					       at ? " " : "", le16toh(e.type), le16toh(e.code),
					       (int)le32toh(e.value));
	}
	return text;
}

static void command(const void *cmd, size_t len)
{
	struct virtio_gpu_ctrl_hdr answer_hdr;

	cr_assert_eq(fake_request(guests[GPU], 0, cmd, len, &answer_hdr, sizeof(answer_hdr)),
		     sizeof(answer_hdr));
	cr_assert_eq(le32toh(answer_hdr.type), VIRTIO_GPU_RESP_OK_NODATA);
}

/* The guest shows 200 x 100 pixels. */
static void draw(void)
{
	const struct virtio_gpu_resource_create_2d create = {
		.hdr.type = htole32(VIRTIO_GPU_CMD_RESOURCE_CREATE_2D),
		.resource_id = htole32(1),
		.format = htole32(VIRTIO_GPU_FORMAT_B8G8R8X8_UNORM),
		.width = htole32(200),
		.height = htole32(100),
	};
	const struct virtio_gpu_set_scanout show = {
		.hdr.type = htole32(VIRTIO_GPU_CMD_SET_SCANOUT),
		.r = {.width = htole32(200), .height = htole32(100)},
		.resource_id = htole32(1),
	};

	command(&create, sizeof(create));
	command(&show, sizeof(show));
}

Test(control_input, keys_in_their_order)
{
	give_buffers(KEYBOARD, BUFFERS);
	ask_input("[{\"key\":224,\"down\":true},{\"key\":23,\"down\":true},{\"key\":23,\"down\":"
		  "false},"
		  "{\"key\":224,\"down\":false}]");
	expect_done();
	cr_assert_str_eq(got(KEYBOARD), "1:29=1 1:20=1 1:20=0 1:29=0");
}

Test(control_input, a_click_at_a_pixel)
{
	int x, y;

	draw();
	give_buffers(TABLET, BUFFERS);
	ask_input("[{\"monitor\":1,\"x\":199,\"y\":0},{\"button\":2,\"down\":true},"
		  "{\"button\":2,\"down\":false},{\"wheel\":-120}]");
	expect_done();
	cr_assert_eq(sscanf(got(TABLET), "3:0=%d 3:1=%d 1:273=1 1:273=0 2:11=-120 2:8=-1", &x, &y),
		     2);
	/* What libinput makes of it. */
	cr_assert_eq(x * 200 / (INPUT_POSITION_MAX + 1), 199);
	cr_assert_eq(y * 100 / (INPUT_POSITION_MAX + 1), 0);
}

Test(control_input, what_is_still_down_comes_up)
{
	give_buffers(KEYBOARD, BUFFERS);
	give_buffers(TABLET, BUFFERS);
	ask_input("[{\"key\":4,\"down\":true},{\"button\":0,\"down\":true}]");
	expect_done();
	cr_assert_str_eq(got(KEYBOARD), "1:30=1 1:30=0");
	cr_assert_str_eq(got(TABLET), "1:272=1 1:272=0");
}

Test(control_input, a_client_that_goes_lets_go_too)
{
	const int other = new_client();

	give_buffers(KEYBOARD, BUFFERS);
	ask(other,
	    "{\"type\":\"request\",\"id\":1,\"op\":\"input\",\"events\":[{\"key\":4,\"down\":true},"
	    "{\"key\":5,\"down\":true}]}");
	settle();
	cr_assert_str_eq(got(KEYBOARD), "1:30=1");
	close(other);
	settle();
	cr_assert_str_eq(got(KEYBOARD), "1:30=0");
	/* The next one has its turn. */
	ask_input("[{\"key\":6,\"down\":true}]");
	expect_done();
	cr_assert_str_eq(got(KEYBOARD), "1:46=1 1:46=0");
}

Test(control_input, one_request_at_a_time)
{
	give_buffers(KEYBOARD, BUFFERS);
	ask_input("[{\"key\":4,\"down\":true}]");
	ask(client, "{\"type\":\"request\",\"id\":2,\"op\":\"input\",\"events\":[{\"key\":4,"
		    "\"down\":true}]}");
	expect_error("busy");
	expect_done();
}

Test(control_input, it_waits_for_room)
{
	ask_input("[{\"key\":4,\"down\":true}]");
	settle();
	cr_assert_str_eq(got(KEYBOARD), "");
	give_buffers(KEYBOARD, BUFFERS);
	expect_done();
	cr_assert_str_eq(got(KEYBOARD), "1:30=1 1:30=0");
	cr_assert_eq(input_dropped(display.keyboard), 0);
}

/* The clock is the timer's: a turn is 20 ms. */
Test(control_input, it_waits_five_seconds_for_room)
{
	unsigned int turns = 0;
	json_t *m;

	ask_input("[{\"key\":4,\"down\":true}]");
	settle();
	for (; control->playing; turns++)
		control->input_timer.fn(&control->input_timer);
	/* On a slow machine the timer itself may have had some. */
	cr_assert(turns > 100 && turns <= 250, "%u", turns);
	m = receive(client);
	cr_assert_str_eq(json_string_value(json_object_get(m, "error")), "failed");
	cr_assert_str_eq(json_string_value(json_object_get(m, "message")),
			 "event 1: the guest does not take it");
	json_decref(m);
	/* Whoever comes next is not kept waiting by that. */
	give_buffers(KEYBOARD, BUFFERS);
	ask_input("[{\"key\":4,\"down\":true}]");
	expect_done();
}

Test(control_input, a_guest_without_a_driver)
{
	fake_guest_reset(guests[KEYBOARD]);
	ask_input("[{\"key\":4,\"down\":true}]");
	expect_error("failed");
}

Test(control_input, places_that_are_none)
{
	give_buffers(TABLET, BUFFERS);
	ask_input("[{\"monitor\":1,\"x\":0,\"y\":0}]");
	expect_error("no-picture");
	draw();
	ask_input("[{\"monitor\":1,\"x\":200,\"y\":0}]");
	expect_error("bad-request");
	ask_input("[{\"monitor\":1,\"x\":0,\"y\":100}]");
	expect_error("bad-request");
	cr_assert_str_eq(got(TABLET), "");
}

Test(control_input, what_is_no_event)
{
	static const char *const bad[] = {
		"[]",
		"{}",
		"[1]",
		"[{}]",
		"[{\"key\":4}]",
		"[{\"key\":4,\"down\":1}]",
		"[{\"key\":256,\"down\":true}]",
		"[{\"key\":-1,\"down\":true}]",
		"[{\"key\":\"a\",\"down\":true}]",
		"[{\"key\":0,\"down\":true}]",
		"[{\"button\":5,\"down\":true}]",
		"[{\"monitor\":0,\"x\":1,\"y\":1}]",
		"[{\"monitor\":5,\"x\":1,\"y\":1}]",
		"[{\"monitor\":1,\"x\":8192,\"y\":1}]",
		"[{\"monitor\":1,\"x\":1}]",
		"[{\"wheel\":12001}]",
		"[{\"wheel\":1.5}]",
		"[{\"key\":4,\"down\":true},{\"key\":4}]",
	};

	give_buffers(KEYBOARD, BUFFERS);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		ask_input(bad[i]);
		expect_error("bad-request");
	}
	cr_assert_str_eq(got(KEYBOARD), "");
}

Test(control_input, too_many)
{
	json_t *events = json_array(),
	       *request = json_pack("{s:s, s:i, s:s, s:o}", "type", "request", "id", 1, "op",
				    "input", "events", events);
	char *text;

	for (int i = 0; i <= CONTROL_MAX_INPUT; i++)
		(void)json_array_append_new(events, json_pack("{s:i}", "wheel", 120));
	text = json_dumps(request, JSON_COMPACT);
	ask(client, text);
	expect_error("bad-request");
	free(text);
	json_decref(request);
}

/* What "stats" says of it, which comes when the balloon has spoken. */
Test(control_input, stats_count_what_was_dropped)
{
	const struct figures figures = {.pressure = "calm"};
	json_t *m, *d;

	/* There are no buffers: a key that a window sends now is lost. */
	display_input_ops.key(&display, 4, true);
	ask(client, "{\"type\":\"request\",\"id\":1,\"op\":\"stats\"}");
	settle();
	fake_keeper_answer(&keeper, &figures);
	m = answer();
	d = json_object_get(m, "display");
	cr_assert_eq(json_integer_value(json_object_get(d, "input_dropped")), 1);
	cr_assert_eq(json_integer_value(json_object_get(d, "flushes")), 0);
	cr_assert_eq(json_array_size(json_object_get(d, "monitors")), 4);
	json_decref(m);
}

Test(without_display, input_is_refused, .init = peers_setup, .fini = peers_teardown)
{
	json_decref(receive(client));
	ask_input("[{\"key\":4,\"down\":true}]");
	expect_error("no-display");
}
