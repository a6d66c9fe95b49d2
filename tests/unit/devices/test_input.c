/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <endian.h>
#include <errno.h>
#include <linux/input.h>
#include <linux/virtio_input.h>
#include <linux/virtio_ring.h>
#include <string.h>

#include "devices/input.h"
#include "devices/input_keys.h"
#include "tests/support/fake_guest.h"

enum { Q_EVENT, Q_STATUS, BUFFERS = 64 };

/* HID usages */
enum { USAGE_A = 0x04, USAGE_B = 0x05, USAGE_LEFT_SHIFT = 0xe1 };

static struct fake_guest *g;
static struct input *input;
static unsigned int lights, light_calls;

/* The guest's buffers in the order they were published; descriptor i has buffer at[i]. */
static gpa_t at[BUFFERS];

static void leds(void *owner, unsigned int mask)
{
	cr_assert_eq(owner, &lights);
	lights = mask;
	light_calls++;
}

static void start(enum input_kind kind)
{
	struct virtio_device *vdev;

	g = fake_guest_new();
	cr_assert_eq(virtio_input_new(kind, leds, &lights, &vdev, &input), 0);
	fake_guest_start(g, vdev,
			 1ull << VIRTIO_RING_F_INDIRECT_DESC | 1ull << VIRTIO_RING_F_EVENT_IDX);
}

static void keyboard(void)
{
	start(INPUT_KEYBOARD);
}

static void tablet(void)
{
	start(INPUT_TABLET);
}

static void mouse(void)
{
	start(INPUT_MOUSE);
}

static void teardown(void)
{
	fake_guest_free(g);
}

static void give_buffers(unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		struct fake_seg seg = fake_room(g, sizeof(struct virtio_input_event));

		at[fake_publish(g, Q_EVENT, &seg, 1)] = seg.addr;
	}
}

/* The next event must be this one. */
static void expect(unsigned int type, unsigned int code, int value)
{
	struct virtio_input_event e;
	uint32_t written;
	uint16_t head;

	cr_assert(fake_reap(g, Q_EVENT, &head, &written), "no event where %u/%u was due", type,
		  code);
	cr_assert_eq(written, sizeof(e));
	memcpy(&e, fake_ptr(g, at[head], sizeof(e)), sizeof(e));
	cr_assert_eq(le16toh(e.type), type);
	cr_assert_eq(le16toh(e.code), code, "code %u, not %u", le16toh(e.code), code);
	cr_assert_eq((int)le32toh(e.value), value);
}

static void expect_syn(void)
{
	expect(EV_SYN, SYN_REPORT, 0);
}

static void expect_none(void)
{
	cr_assert(!fake_reap(g, Q_EVENT, NULL, NULL));
}

static struct virtio_input_config *config(void)
{
	return g->vdev->config;
}

/* As Linux's driver: two writes of a byte, then the size. */
static unsigned int query(uint8_t select, uint8_t subsel)
{
	config()->select = select;
	g->vdev->ops->config_written(g->vdev, 0, 1);
	config()->subsel = subsel;
	g->vdev->ops->config_written(g->vdev, 1, 1);
	return config()->size;
}

static bool announced(unsigned int code)
{
	return code / 8 < config()->size && (config()->u.bitmap[code / 8] >> code % 8 & 1);
}

TestSuite(keyboard, .init = keyboard, .fini = teardown);
TestSuite(tablet, .init = tablet, .fini = teardown);
TestSuite(mouse, .init = mouse, .fini = teardown);

/* Keys */

Test(keyboard, a_key_is_a_batch_of_its_own)
{
	give_buffers(BUFFERS);
	input_key(input, USAGE_A, true);
	expect(EV_KEY, KEY_A, 1);
	expect_syn();
	cr_assert_eq(g->queue_interrupts[Q_EVENT], 1);
	fake_set_used_event(g, Q_EVENT, 3);
	input_key(input, USAGE_A, false);
	expect(EV_KEY, KEY_A, 0);
	expect_syn();
	expect_none();
	cr_assert_eq(g->queue_interrupts[Q_EVENT], 2);
	cr_assert_eq(input_dropped(input), 0);
}

Test(keyboard, all_256_usages)
{
	unsigned int with_key = 0;

	cr_assert_gt(query(VIRTIO_INPUT_CFG_EV_BITS, EV_KEY), 0);
	for (unsigned int usage = 0; usage < 256; usage++) {
		unsigned int code = input_keys[usage];

		if (code != KEY_RESERVED)
			give_buffers(4);
		input_key(input, usage, true);
		input_key(input, usage, false);
		if (code == KEY_RESERVED)
			continue;
		with_key++;
		cr_assert(announced(code), "key %u is sent but not announced", code);
		expect(EV_KEY, code, 1);
		expect_syn();
		expect(EV_KEY, code, 0);
		expect_syn();
		/* Back to an empty ring, for the table of descriptors is small. */
		fake_guest_reset(g);
		fake_guest_restart(g, 0);
	}
	cr_assert_eq(with_key, 151, "%u usages have a key", with_key);
	cr_assert_eq(input_dropped(input), 0);
}

Test(keyboard, each_key_has_a_code_of_its_own)
{
	uint8_t seen[256] = {0};

	for (unsigned int usage = 0; usage < 256; usage++)
		if (input_keys[usage] != KEY_RESERVED && usage != 0x32)
			cr_assert_eq(seen[input_keys[usage]]++, 0, "usage %#x", usage);
}

/* Corners of each row of the table, by the names that HID gives them. */
Test(keyboard, what_the_table_says)
{
	static const struct {
		unsigned int usage, code;
	} cases[] = {
		{0x03, 0},
		{0x04, KEY_A},
		{0x1d, KEY_Z},
		{0x1e, KEY_1},
		{0x27, KEY_0},
		{0x28, KEY_ENTER},
		{0x2c, KEY_SPACE},
		{0x30, KEY_RIGHTBRACE},
		{0x32, KEY_BACKSLASH},
		{0x33, KEY_SEMICOLON},
		{0x35, KEY_GRAVE},
		{0x38, KEY_SLASH},
		{0x39, KEY_CAPSLOCK},
		{0x3a, KEY_F1},
		{0x45, KEY_F12},
		{0x46, KEY_SYSRQ},
		{0x48, KEY_PAUSE},
		{0x4c, KEY_DELETE},
		{0x4f, KEY_RIGHT},
		{0x52, KEY_UP},
		{0x53, KEY_NUMLOCK},
		{0x58, KEY_KPENTER},
		{0x59, KEY_KP1},
		{0x62, KEY_KP0},
		{0x63, KEY_KPDOT},
		{0x64, KEY_102ND},
		{0x65, KEY_COMPOSE},
		{0x73, KEY_F24},
		{0x7f, KEY_MUTE},
		{0x81, KEY_VOLUMEDOWN},
		{0x87, KEY_RO},
		{0x89, KEY_YEN},
		{0x91, KEY_HANJA},
		{0xa4, 0},
		{0xdf, 0},
		{0xe0, KEY_LEFTCTRL},
		{0xe6, KEY_RIGHTALT},
		{0xe7, KEY_RIGHTMETA},
		{0xe8, 0},
		{0xff, 0},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		cr_assert_eq(input_keys[cases[i].usage], cases[i].code, "usage %#x",
			     cases[i].usage);
}

Test(keyboard, a_usage_beyond_the_page_is_ignored)
{
	give_buffers(8);
	input_key(input, 256, true);
	input_key(input, UINT32_MAX, true);
	expect_none();
}

Test(keyboard, repeats_and_releases_of_what_is_up_are_ignored)
{
	give_buffers(8);
	input_key(input, USAGE_A, false);
	expect_none();
	input_key(input, USAGE_A, true);
	input_key(input, USAGE_A, true);
	expect(EV_KEY, KEY_A, 1);
	expect_syn();
	expect_none();
}

Test(keyboard, it_has_no_pointer)
{
	give_buffers(8);
	input_position(input, 1, 1);
	input_motion(input, 1, 1);
	input_button(input, 0, true);
	input_wheel(input, 120, 0);
	expect_none();
	cr_assert_eq(query(VIRTIO_INPUT_CFG_EV_BITS, EV_ABS), 0);
	cr_assert_eq(query(VIRTIO_INPUT_CFG_EV_BITS, EV_REL), 0);
}

/* Buffers */

Test(keyboard, a_press_without_room_is_dropped_whole_with_its_release)
{
	give_buffers(1);
	input_key(input, USAGE_A, true);
	expect_none();
	cr_assert_eq(input_dropped(input), 1);
	give_buffers(7);
	input_key(input, USAGE_A, false);
	expect_none();
	input_key(input, USAGE_B, true);
	expect(EV_KEY, KEY_B, 1);
	expect_syn();
	cr_assert_eq(input_dropped(input), 1);
}

Test(keyboard, releases_wait_and_go_first)
{
	give_buffers(4);
	input_key(input, USAGE_A, true);
	input_key(input, USAGE_LEFT_SHIFT, true);
	for (int i = 0; i < 4; i++)
		cr_assert(fake_reap(g, Q_EVENT, NULL, NULL));
	input_key(input, USAGE_A, false);
	input_key(input, USAGE_LEFT_SHIFT, false);
	/* Pressed again before the guest could hear of it: dropped, or A would seem held. */
	input_key(input, USAGE_A, true);
	expect_none();
	cr_assert_eq(input_dropped(input), 1);
	give_buffers(5);
	input_key(input, USAGE_B, true);
	expect(EV_KEY, KEY_A, 0);
	expect(EV_KEY, KEY_LEFTSHIFT, 0);
	expect_syn();
	expect(EV_KEY, KEY_B, 1);
	expect_syn();
	expect_none();
}

Test(keyboard, buffers_that_come_bring_the_releases)
{
	give_buffers(2);
	input_key(input, USAGE_A, true);
	cr_assert(fake_reap(g, Q_EVENT, NULL, NULL));
	cr_assert(fake_reap(g, Q_EVENT, NULL, NULL));
	input_key(input, USAGE_A, false);
	/* The device asks for a kick at the very next buffer, also when one is too few. */
	cr_assert_eq(fake_avail_event(g, Q_EVENT), 2);
	give_buffers(1);
	fake_kick(g, Q_EVENT);
	expect_none();
	cr_assert_eq(fake_avail_event(g, Q_EVENT), 3);
	give_buffers(1);
	fake_kick(g, Q_EVENT);
	expect(EV_KEY, KEY_A, 0);
	expect_syn();
	cr_assert_eq(input_dropped(input), 0);
}

Test(keyboard, nobody_is_asked_to_kick_while_nothing_waits)
{
	give_buffers(BUFFERS);
	for (int i = 0; i < 16; i++)
		input_key(input, USAGE_A, i % 2 == 0);
	cr_assert_eq(fake_avail_event(g, Q_EVENT), 0);
}

Test(keyboard, many_releases_come_as_there_is_room)
{
	unsigned int came_up = 0;
	uint16_t head;

	give_buffers(BUFFERS);
	for (unsigned int usage = 4; usage < 4 + 32; usage++)
		input_key(input, usage, true);
	while (fake_reap(g, Q_EVENT, NULL, NULL))
		continue;
	input_release_all(input);
	for (int turn = 0; turn < 20; turn++) {
		give_buffers(3);
		fake_kick(g, Q_EVENT);
		while (fake_reap(g, Q_EVENT, &head, NULL)) {
			struct virtio_input_event e;

			memcpy(&e, fake_ptr(g, at[head], sizeof(e)), sizeof(e));
			came_up += le16toh(e.type) == EV_KEY && e.value == 0;
		}
	}
	cr_assert_eq(came_up, 32);
}

Test(keyboard, a_buffer_in_pieces_holds_an_event)
{
	struct fake_seg segs[2] = {fake_room(g, 3), fake_room(g, 5)};
	struct virtio_input_event e;
	uint32_t written;

	(void)fake_publish(g, Q_EVENT, segs, 2);
	give_buffers(1);
	input_key(input, USAGE_A, true);
	cr_assert(fake_reap(g, Q_EVENT, NULL, &written));
	cr_assert_eq(written, sizeof(e));
	memcpy(&e, fake_ptr(g, segs[0].addr, 3), 3);
	memcpy((uint8_t *)&e + 3, fake_ptr(g, segs[1].addr, 5), 5);
	cr_assert_eq(le16toh(e.code), KEY_A);
}

Test(keyboard, buffers_without_room_break_nothing)
{
	struct fake_seg readable = fake_put(g, "1234567", 8), tiny = fake_room(g, 1);
	uint32_t written;

	(void)fake_publish(g, Q_EVENT, &readable, 1);
	(void)fake_publish(g, Q_EVENT, &tiny, 1);
	input_key(input, USAGE_A, true);
	cr_assert(fake_reap(g, Q_EVENT, NULL, &written));
	cr_assert_eq(written, 0);
	cr_assert(fake_reap(g, Q_EVENT, NULL, &written));
	cr_assert_eq(written, 1);
	cr_assert_eq(memcmp(fake_ptr(g, readable.addr, 8), "1234567", 8), 0);
}

Test(keyboard, a_malformed_event_queue_breaks_it_until_reset)
{
	fake_raw_avail_idx(g, Q_EVENT, 200);
	input_key(input, USAGE_A, true);
	cr_assert(g->vdev->broken);
	input_key(input, USAGE_B, true);
	input_release_all(input);
	fake_guest_reset(g);
	fake_guest_restart(g, 0);
	give_buffers(4);
	input_key(input, USAGE_B, true);
	expect(EV_KEY, KEY_B, 1);
	expect_syn();
}

Test(keyboard, a_bad_descriptor_breaks_it_in_the_middle_of_a_batch)
{
	give_buffers(1);
	fake_raw_desc(g, Q_EVENT, 9, FAKE_RAM_BASE, 0, VRING_DESC_F_WRITE, 0);
	fake_raw_avail(g, Q_EVENT, 9);
	input_key(input, USAGE_A, true);
	cr_assert(g->vdev->broken);
}

Test(keyboard, a_reset_forgets_what_was_held)
{
	give_buffers(4);
	input_key(input, USAGE_A, true);
	fake_guest_reset(g);
	input_key(input, USAGE_B, true);
	cr_assert_eq(input_dropped(input), 0);
	fake_guest_restart(g, 0);
	give_buffers(4);
	input_release_all(input);
	expect_none();
}

/* Lights */

static void send_status(uint16_t type, uint16_t code, uint32_t value)
{
	struct virtio_input_event e = {htole16(type), htole16(code), htole32(value)};

	cr_assert_eq(fake_request(g, Q_STATUS, &e, sizeof(e), NULL, 0), 0);
}

Test(keyboard, lights_are_told_when_they_change)
{
	send_status(EV_LED, LED_CAPSL, 1);
	cr_assert_eq(lights, 2);
	send_status(EV_LED, LED_NUML, 0xffffffff);
	cr_assert_eq(lights, 3);
	send_status(EV_LED, LED_NUML, 1);
	cr_assert_eq(light_calls, 2);
	send_status(EV_LED, LED_CAPSL, 0);
	cr_assert_eq(lights, 1);
}

Test(keyboard, other_status_is_taken_and_means_nothing)
{
	uint8_t room[8];

	send_status(EV_LED, 3, 1);
	send_status(EV_LED, 0xffff, 1);
	send_status(EV_REP, REP_DELAY, 250);
	send_status(EV_SYN, SYN_REPORT, 0);
	cr_assert_eq(fake_request(g, Q_STATUS, "1234567", 7, NULL, 0), 0);
	cr_assert_eq(fake_request(g, Q_STATUS, NULL, 0, room, sizeof(room)), 0);
	cr_assert_eq(light_calls, 0);
	cr_assert(!g->vdev->broken);
	fake_raw_avail(g, Q_STATUS, 64);
	fake_kick(g, Q_STATUS);
	cr_assert(g->vdev->broken);
}

/* The configuration space, byte by byte */

Test(keyboard, each_selection_fits_and_the_rest_is_empty)
{
	for (unsigned int select = 0; select < 256; select++)
		for (unsigned int subsel = 0; subsel < 256; subsel++) {
			unsigned int size = query((uint8_t)select, (uint8_t)subsel);
			bool known = (select == VIRTIO_INPUT_CFG_EV_BITS &&
				      (subsel == EV_KEY || subsel == EV_LED || subsel == EV_REP)) ||
				     (subsel == 0 && (select == VIRTIO_INPUT_CFG_ID_NAME ||
						      select == VIRTIO_INPUT_CFG_ID_DEVIDS));

			cr_assert_eq(size > 0, known, "select %u, %u", select, subsel);
			cr_assert_leq(size, sizeof(config()->u));
			for (unsigned int i = size; i < sizeof(config()->u); i++)
				cr_assert_eq(config()->u.bitmap[i], 0);
		}
}

Test(keyboard, what_it_is)
{
	cr_assert_eq(query(VIRTIO_INPUT_CFG_ID_NAME, 0), strlen("Sandcastle Keyboard"));
	cr_assert_eq(memcmp(config()->u.string, "Sandcastle Keyboard", config()->size), 0);
	cr_assert_eq(query(VIRTIO_INPUT_CFG_ID_DEVIDS, 0), sizeof(struct virtio_input_devids));
	cr_assert_eq(le16toh(config()->u.ids.bustype), BUS_VIRTUAL);
	cr_assert_eq(query(VIRTIO_INPUT_CFG_EV_BITS, EV_LED), 1);
	cr_assert_eq(config()->u.bitmap[0], 7);
	/* The driver may write the two selectors and nothing else. */
	cr_assert_eq(g->vdev->config_writable_off, 0);
	cr_assert_eq(g->vdev->config_writable_len, 2);
	cr_assert_eq(g->vdev->config_len, 136);
}

/* Tablet and mouse */

Test(tablet, a_position_is_one_batch)
{
	give_buffers(8);
	input_position(input, 0, INPUT_POSITION_MAX);
	expect(EV_ABS, ABS_X, 0);
	expect(EV_ABS, ABS_Y, INPUT_POSITION_MAX);
	expect_syn();
	input_position(input, UINT32_MAX, 7);
	expect(EV_ABS, ABS_X, INPUT_POSITION_MAX);
	expect(EV_ABS, ABS_Y, 7);
	expect_syn();
	input_motion(input, 1, 1);
	input_key(input, USAGE_A, true);
	expect_none();
}

Test(tablet, a_position_that_does_not_fit_is_dropped_whole)
{
	give_buffers(2);
	input_position(input, 1, 1);
	expect_none();
	cr_assert_eq(input_dropped(input), 1);
	give_buffers(1);
	input_position(input, 2, 3);
	expect(EV_ABS, ABS_X, 2);
	expect(EV_ABS, ABS_Y, 3);
	expect_syn();
}

Test(tablet, sixty_four_buffers_are_what_a_flood_gets)
{
	give_buffers(BUFFERS);
	for (int i = 0; i < 1000; i++)
		input_position(input, (unsigned int)i, 0);
	cr_assert_eq(input_dropped(input), 1000 - BUFFERS / 3);
	for (int i = 0; i < BUFFERS / 3; i++) {
		expect(EV_ABS, ABS_X, i);
		expect(EV_ABS, ABS_Y, 0);
		expect_syn();
	}
	expect_none();
}

Test(tablet, what_it_is)
{
	cr_assert_eq(query(VIRTIO_INPUT_CFG_EV_BITS, EV_ABS), 1);
	cr_assert_eq(config()->u.bitmap[0], 3);
	cr_assert_eq(query(VIRTIO_INPUT_CFG_ABS_INFO, ABS_Y), sizeof(struct virtio_input_absinfo));
	cr_assert_eq(le32toh(config()->u.abs.max), INPUT_POSITION_MAX);
	cr_assert_eq(query(VIRTIO_INPUT_CFG_ABS_INFO, ABS_Z), 0);
	(void)query(VIRTIO_INPUT_CFG_EV_BITS, EV_KEY);
	cr_assert(announced(BTN_LEFT) && announced(BTN_EXTRA) && !announced(KEY_A));
	(void)query(VIRTIO_INPUT_CFG_EV_BITS, EV_REL);
	cr_assert(announced(REL_WHEEL_HI_RES) && announced(REL_HWHEEL) && !announced(REL_X));
	cr_assert_eq(query(VIRTIO_INPUT_CFG_EV_BITS, EV_LED), 0);
	cr_assert_eq(query(VIRTIO_INPUT_CFG_EV_BITS, EV_REP), 0);
}

Test(tablet, buttons)
{
	static const unsigned int codes[] = {BTN_LEFT, BTN_MIDDLE, BTN_RIGHT, BTN_SIDE, BTN_EXTRA};

	give_buffers(BUFFERS);
	for (unsigned int i = 0; i < ARRAY_SIZE(codes); i++) {
		input_button(input, i, true);
		expect(EV_KEY, codes[i], 1);
		expect_syn();
	}
	input_button(input, 5, true);
	expect_none();
	input_button(input, 2, false);
	expect(EV_KEY, BTN_RIGHT, 0);
	expect_syn();
	send_status(EV_LED, LED_CAPSL, 1);
	cr_assert_eq(light_calls, 0);
}

Test(mouse, motion)
{
	give_buffers(16);
	input_motion(input, -3, 4);
	expect(EV_REL, REL_X, -3);
	expect(EV_REL, REL_Y, 4);
	expect_syn();
	input_motion(input, 0, INT32_MAX);
	expect(EV_REL, REL_Y, INPUT_MOTION_MAX);
	expect_syn();
	input_motion(input, 0, 0);
	input_position(input, 1, 1);
	expect_none();
	(void)query(VIRTIO_INPUT_CFG_EV_BITS, EV_REL);
	cr_assert(announced(REL_X) && announced(REL_Y) && announced(REL_WHEEL));
	cr_assert_eq(query(VIRTIO_INPUT_CFG_ABS_INFO, ABS_X), 0);
}

Test(mouse, parts_of_a_notch_add_up)
{
	give_buffers(32);
	input_wheel(input, 50, 0);
	expect(EV_REL, REL_WHEEL_HI_RES, 50);
	expect_syn();
	input_wheel(input, 100, -240);
	expect(EV_REL, REL_WHEEL_HI_RES, 100);
	expect(EV_REL, REL_WHEEL, 1);
	expect(EV_REL, REL_HWHEEL_HI_RES, -240);
	expect(EV_REL, REL_HWHEEL, -2);
	expect_syn();
	input_wheel(input, -150, 0);
	expect(EV_REL, REL_WHEEL_HI_RES, -150);
	expect(EV_REL, REL_WHEEL, -1);
	expect_syn();
	input_wheel(input, 0, 0);
	expect_none();
}

Test(mouse, a_turn_that_was_dropped_did_not_happen)
{
	give_buffers(2);
	input_wheel(input, 60, 0);
	expect(EV_REL, REL_WHEEL_HI_RES, 60);
	expect_syn();
	input_wheel(input, 60, 0);
	cr_assert_eq(input_dropped(input), 1);
	give_buffers(3);
	input_wheel(input, 60, 0);
	expect(EV_REL, REL_WHEEL_HI_RES, 60);
	expect(EV_REL, REL_WHEEL, 1);
	expect_syn();
}

Test(tablet, is_ready_for_whatever_comes)
{
	/* The largest batch is eight events. */
	give_buffers(7);
	cr_assert_eq(input_ready(input), 0);
	give_buffers(1);
	cr_assert_eq(input_ready(input), 1);
	input_button(input, 0, true);
	cr_assert_eq(input_ready(input), 0);
	fake_guest_reset(g);
	cr_assert_eq(input_ready(input), -ENODEV);
}
