/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <endian.h>
#include <string.h>

#include "tests/unit/gpu/gpu_guest.h"

enum { SIDE = WINDOW_CURSOR_SIDE, IMAGE = SIDE * SIDE * 4, ID = 7 };

static uint8_t *image;

static void setup(void)
{
	const struct virtio_gpu_resource_create_2d c =
		create_2d(ID, VIRTIO_GPU_FORMAT_B8G8R8A8_UNORM, SIDE, SIDE);
	gpa_t at;

	gpu_guest_start();
	(void)show_picture(1);
	at = fake_alloc(guest, IMAGE, 4096);
	cr_assert_eq(ask(&c, sizeof(c)), OK);
	cr_assert_eq(attach(ID, at, IMAGE), OK);
	image = fake_ptr(guest, at, IMAGE);
}

TestSuite(cursor, .init = setup, .fini = gpu_guest_stop);

static struct virtio_gpu_update_cursor cursor(uint32_t type, uint32_t id, int32_t x, int32_t y)
{
	return (struct virtio_gpu_update_cursor){
		.hdr.type = htole32(type),
		.pos = {.x = htole32((uint32_t)x), .y = htole32((uint32_t)y)},
		.resource_id = htole32(id),
	};
}

/* As Linux sends it: without room for an answer. */
static void send_cursor(const struct virtio_gpu_update_cursor *c)
{
	cr_assert_eq(fake_request(guest, 1, c, sizeof(*c), NULL, 0), 0);
}

static uint32_t ask_cursor(const void *c, size_t len)
{
	struct virtio_gpu_ctrl_hdr answer;

	cr_assert_eq(fake_request(guest, 1, c, len, &answer, sizeof(answer)), sizeof(answer));
	return le32toh(answer.type);
}

static void update(uint32_t id, uint32_t hot_x, uint32_t hot_y)
{
	struct virtio_gpu_update_cursor c = cursor(VIRTIO_GPU_CMD_UPDATE_CURSOR, id, 10, 20);

	c.hot_x = htole32(hot_x);
	c.hot_y = htole32(hot_y);
	send_cursor(&c);
}

static void move(int32_t x, int32_t y)
{
	const struct virtio_gpu_update_cursor c = cursor(VIRTIO_GPU_CMD_MOVE_CURSOR, 0, x, y);

	send_cursor(&c);
}

/* The user points at this pixel of the scanout. */
static void point(int window, uint32_t x, uint32_t y)
{
	const union window_message m = {
		.pointer = {.type = WINDOW_POINTER,
			    .x = (x * 32768 + 16384) / WIDTH,
			    .y = (y * 32768 + 16384) / HEIGHT},
	};

	say(window, &m);
}

Test(cursor, its_picture_and_place_are_told)
{
	const int window = open_window();
	union window_message m;

	/* Half a blue, premultiplied as DRM has it; and one that is all there. */
	memcpy(image, "\x40\x00\x00\x80\x01\x02\x03\xff", 8);
	update(ID, 3, 4);
	m = message_of(window, WINDOW_CURSOR, NULL);
	cr_assert_eq(m.cursor.kind, WINDOW_POINTER_HOST);
	cr_assert_eq(m.cursor.hot_x, 3);
	cr_assert_eq(m.cursor.hot_y, 4);
	cr_assert_eq(memcmp(m.cursor.pixels, "\x80\x00\x00\x80\x01\x02\x03\xff", 8), 0);
	m = next_message(window, NULL);
	cr_assert_eq(m.type, WINDOW_CURSOR_AT);
	cr_assert_eq(m.cursor_at.x, 13);
	cr_assert_eq(m.cursor_at.y, 24);
	update(0, 0, 0);
	cr_assert_eq(next_message(window, NULL).cursor.kind, WINDOW_POINTER_NONE);
}

Test(cursor, of_many_moves_the_last_one_is_told)
{
	const struct virtio_gpu_update_cursor c[] = {
		cursor(VIRTIO_GPU_CMD_MOVE_CURSOR, 0, 1, 1),
		cursor(VIRTIO_GPU_CMD_MOVE_CURSOR, 0, -5, -6),
	};
	const int window = open_window();
	union window_message m;

	(void)message_of(window, WINDOW_FRAME, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(c); i++) {
		const struct fake_seg seg = fake_put(guest, &c[i], sizeof(c[i]));

		(void)fake_publish(guest, 1, &seg, 1);
	}
	fake_kick(guest, 1);
	m = next_message(window, NULL);
	cr_assert_eq(m.cursor_at.x, -5);
	cr_assert_eq(m.cursor_at.y, -6);
	cr_assert(silent(window));
}

Test(cursor, a_place_far_outside_is_cut)
{
	const int window = open_window();
	union window_message m;

	(void)message_of(window, WINDOW_FRAME, NULL);
	move(INT32_MAX, INT32_MIN);
	m = next_message(window, NULL);
	cr_assert_leq(m.cursor_at.x, WINDOW_MAX_SIDE);
	cr_assert_eq(m.cursor_at.y, -WINDOW_MAX_SIDE);
}

Test(cursor, the_tip_is_found_when_two_moves_agree)
{
	const int window = open_window();
	union window_message m;

	update(ID, 0, 0);
	m = message_of(window, WINDOW_CURSOR, NULL);
	cr_assert_eq(m.cursor.hot_x, 0);
	cr_assert_eq(m.cursor.kind, WINDOW_POINTER_DRAWN);
	point(window, 100, 30);
	move(95, 22);
	cr_assert_eq(gpu->scanouts[0].cursor.hot_x, 0);
	point(window, 200, 40);
	move(195, 32);
	cr_assert_eq(gpu->scanouts[0].cursor.hot_x, 5);
	cr_assert_eq(gpu->scanouts[0].cursor.hot_y, 8);
	m = message_of(window, WINDOW_CURSOR, NULL);
	cr_assert_eq(m.cursor.hot_x, 5);
	cr_assert_eq(m.cursor.kind, WINDOW_POINTER_HOST);
}

Test(cursor, a_tip_in_the_corner_is_found_too)
{
	const int window = open_window();

	update(ID, 0, 0);
	for (uint32_t i = 1; i < 3; i++) {
		point(window, 100 * i, 30);
		move((int32_t)(100 * i), 30);
	}
	cr_assert_eq(message_of(window, WINDOW_CURSOR, NULL).cursor.kind, WINDOW_POINTER_DRAWN);
	cr_assert_eq(message_of(window, WINDOW_CURSOR, NULL).cursor.kind, WINDOW_POINTER_HOST);
}

Test(cursor, moves_that_do_not_agree_or_prove_nothing)
{
	const struct gpu_cursor *c = &gpu->scanouts[0].cursor;
	const int window = open_window();

	update(ID, 0, 0);
	point(window, 100, 30);
	move(95, 22);
	/* No place in between: the same difference once more is no second word. */
	move(95, 22);
	cr_assert_eq(c->hot_x, 0);
	point(window, 200, 40);
	move(190, 32);
	cr_assert_eq(c->hot_x, 0);
	/* Both outside the picture. */
	point(window, 300, 10);
	move(100, 10);
	point(window, 400, 20);
	move(200, 20);
	cr_assert_eq(c->hot_x, 0);
}

Test(cursor, what_the_guest_says_counts)
{
	const struct gpu_cursor *c = &gpu->scanouts[0].cursor;
	const int window = open_window();

	update(ID, 9, 9);
	for (uint32_t i = 1; i < 4; i++) {
		point(window, 100 * i, 30);
		move((int32_t)(100 * i) - 2, 28);
	}
	cr_assert_eq(c->hot_x, 9);
	/* Nonsense is as nothing said. */
	update(ID, UINT32_MAX, 1);
	cr_assert_eq(c->hot_x, 9);
	cr_assert_not(c->told);
}

Test(cursor, pictures_that_are_none_are_refused)
{
	const struct virtio_gpu_resource_create_2d big =
		create_2d(8, VIRTIO_GPU_FORMAT_B8G8R8A8_UNORM, SIDE + 1, 1);
	const struct virtio_gpu_resource_create_2d empty =
		create_2d(9, VIRTIO_GPU_FORMAT_B8G8R8A8_UNORM, SIDE, SIDE);
	struct virtio_gpu_update_cursor c = cursor(VIRTIO_GPU_CMD_UPDATE_CURSOR, 8, 0, 0);

	cr_assert_eq(ask(&big, sizeof(big)), OK);
	cr_assert_eq(ask(&empty, sizeof(empty)), OK);
	cr_assert_eq(create_blob(11, FAKE_RAM_BASE, IMAGE - 1), OK);
	cr_assert_eq(create_blob(12, FAKE_RAM_BASE, IMAGE), OK);
	cr_assert_eq(ask_cursor(&c, sizeof(c)), WRONG);
	c.resource_id = htole32(9);
	cr_assert_eq(ask_cursor(&c, sizeof(c)), WRONG);
	c.resource_id = htole32(10);
	cr_assert_eq(ask_cursor(&c, sizeof(c)), NO_RESOURCE);
	c.resource_id = htole32(11);
	cr_assert_eq(ask_cursor(&c, sizeof(c)), WRONG);
	c.resource_id = htole32(12);
	cr_assert_eq(ask_cursor(&c, sizeof(c)), OK);
	c.pos.scanout_id = htole32(GPU_SCANOUTS);
	cr_assert_eq(ask_cursor(&c, sizeof(c)), NO_SCANOUT);
	c.hdr.type = htole32(VIRTIO_GPU_CMD_MOVE_CURSOR);
	cr_assert_eq(ask_cursor(&c, sizeof(c)), NO_SCANOUT);
	cr_assert_eq(ask_cursor(&c, sizeof(c) - 1), WRONG);
	c.hdr.type = htole32(VIRTIO_GPU_CMD_GET_EDID);
	cr_assert_eq(ask_cursor(&c, sizeof(c)), UNSPEC);
	/* Nor are they commands of the other queue. */
	c.hdr.type = htole32(VIRTIO_GPU_CMD_UPDATE_CURSOR);
	cr_assert_eq(ask(&c, sizeof(c)), UNSPEC);
}
