/* SPDX-License-Identifier: MIT */
/* The test is the renderer: what it is told, and what a driver hears. */
#include <criterion/criterion.h>
#include <endian.h>
#include <string.h>

#include "gpu/filter.h"
#include "gpu/formats.h"
#include "tests/unit/gpu/gpu_3d_guest.h"

static void start(void)
{
	gpu_3d_guest_start();
	be_renderer();
}

TestSuite(commands_3d, .init = start, .fini = gpu_guest_stop);

static const uint32_t nothing[] = {VIRGL_HEADER(0, 0, 0)};

static void create_context(uint32_t id)
{
	const struct virtio_gpu_ctx_create c = ctx_create(id);

	cr_assert_eq(ask(&c, sizeof(c)), OK);
	cr_assert_eq(told_of(RENDER_CTX_CREATE).ctx.ctx, id);
}

static void create_picture(uint32_t id)
{
	const struct virtio_gpu_resource_create_3d c = create_3d(id, WIDTH, HEIGHT);

	cr_assert_eq(ask(&c, sizeof(c)), OK);
	cr_assert_eq(told_of(RENDER_RES_CREATE).create.res, id);
}

Test(commands_3d, offers_a_gpu_and_no_blobs)
{
	cr_expect(virtio_has(&gpu->vdev, VIRTIO_GPU_F_VIRGL));
	cr_expect_not(virtio_device_features(&gpu->vdev) >> VIRTIO_GPU_F_RESOURCE_BLOB & 1);
	cr_expect_eq(gpu->config.num_capsets, htole32(2));
	cr_expect_str_eq(gpu->three_d.render.driver, "Test GPU?");
}

Test(commands_3d, capsets)
{
	struct virtio_gpu_get_capset_info i = {.hdr.type = htole32(VIRTIO_GPU_CMD_GET_CAPSET_INFO),
					       .capset_index = htole32(1)};
	struct virtio_gpu_get_capset c = {.hdr.type = htole32(VIRTIO_GPU_CMD_GET_CAPSET),
					  .capset_id = htole32(2),
					  .capset_version = htole32(2)};
	struct virtio_gpu_resp_capset_info info;
	struct {
		struct virtio_gpu_ctrl_hdr hdr;
		uint8_t data[CAPSET_2];
	} data;

	cr_assert_eq(fake_request(guest, 0, &i, sizeof(i), &info, sizeof(info)), sizeof(info));
	cr_expect_eq(info.capset_id, htole32(2));
	cr_expect_eq(info.capset_max_size, htole32(CAPSET_2));
	cr_assert_eq(fake_request(guest, 0, &c, sizeof(c), &data, sizeof(data)), sizeof(data));
	cr_expect_eq(data.hdr.type, htole32(VIRTIO_GPU_RESP_OK_CAPSET));
	cr_expect_eq(data.data[CAPSET_2 - 1], 'c');
	c.capset_version = htole32(3);
	cr_expect_eq(ask(&c, sizeof(c)), WRONG);
	c.capset_version = 0;
	for (uint32_t id = 0; id < 6; id += 3) {
		c.capset_id = htole32(id);
		cr_expect_eq(ask(&c, sizeof(c)), WRONG);
	}
	i.capset_index = htole32(2);
	cr_assert_eq(fake_request(guest, 0, &i, sizeof(i), &info, sizeof(info)), sizeof(info));
	cr_expect_eq(info.capset_id, 0);
}

Test(commands_3d, contexts_come_and_go)
{
	const struct virtio_gpu_ctx_create zero = ctx_create(0), one = ctx_create(1),
					   more = ctx_create(1000);
	const struct virtio_gpu_ctrl_hdr gone = ctx_destroy(1);

	cr_expect_eq(ask(&zero, sizeof(zero)), UNKNOWN_CONTEXT);
	for (uint32_t id = 1; id <= GPU_MAX_CONTEXTS; id++) {
		create_context(id);
		reply_with(RENDER_DONE, (struct render_reply){.done = gpu->three_d.render.sent});
	}
	cr_expect_eq(ask(&one, sizeof(one)), UNKNOWN_CONTEXT);
	cr_expect_eq(ask(&more, sizeof(more)), NO_MEMORY);
	cr_expect_eq(ask(&gone, sizeof(gone)), OK);
	cr_expect_eq(told_of(RENDER_CTX_DESTROY).ctx.ctx, 1);
	cr_expect_eq(ask(&gone, sizeof(gone)), UNKNOWN_CONTEXT);
	cr_expect_eq(ask(&more, sizeof(more)), OK);
	(void)told_of(RENDER_CTX_CREATE);
	cr_expect(told_nothing());
}

Test(commands_3d, attaches_what_is_there)
{
	struct virtio_gpu_ctx_resource a = ctx_attach(1, 5);

	cr_expect_eq(ask(&a, sizeof(a)), UNKNOWN_CONTEXT);
	create_context(1);
	cr_expect_eq(ask(&a, sizeof(a)), NO_RESOURCE);
	create_picture(5);
	cr_expect_eq(ask(&a, sizeof(a)), OK);
	cr_expect_eq(told_of(RENDER_CTX_ATTACH).ctx.res, 5);
	a.hdr.type = htole32(VIRTIO_GPU_CMD_CTX_DETACH_RESOURCE);
	cr_expect_eq(ask(&a, sizeof(a)), OK);
	cr_expect_eq(told_of(RENDER_CTX_DETACH).ctx.res, 5);
}

Test(commands_3d, memory_is_counted_before_it_is_asked_for)
{
	/* 256 MiB each; one more pixel is too much for one, and one more picture for all. */
	struct virtio_gpu_resource_create_3d c = create_3d(1, 8192, 8192);
	const struct virtio_gpu_resource_unref u = unref(2);

	c.height = htole32(8193);
	cr_expect_eq(ask(&c, sizeof(c)), NO_MEMORY);
	c.height = htole32(8192);
	for (uint32_t id = 1; id <= 4; id++) {
		c.resource_id = htole32(id);
		cr_expect_eq(ask(&c, sizeof(c)), OK);
		(void)told_of(RENDER_RES_CREATE);
	}
	c = create_3d(5, 1, 1);
	cr_expect_eq(ask(&c, sizeof(c)), NO_MEMORY);
	cr_expect_eq(ask(&u, sizeof(u)), OK);
	cr_expect_eq(told_of(RENDER_RES_UNREF).bytes.res, 2);
	cr_expect_eq(ask(&c, sizeof(c)), OK);
	(void)told_of(RENDER_RES_CREATE);
	c.width = htole32(0);
	cr_expect_eq(ask(&c, sizeof(c)), WRONG);
	cr_expect(told_nothing());
}

Test(commands_3d, backings_are_ranges_of_the_file)
{
	const gpa_t at = fake_alloc(guest, PICTURE, 4096);
	const struct virtio_gpu_resource_detach_backing d = detach(5);
	struct render_message m;
	struct render_run run;

	create_picture(5);
	cr_expect_eq(attach(5, at, PICTURE), OK);
	m = told_of(RENDER_RES_BACKING);
	cr_assert_eq(m.bytes.n, 1);
	memcpy(&run, area + m.bytes.off, sizeof(run));
	cr_expect_eq(run.off, at - FAKE_RAM_BASE);
	cr_expect_eq(run.len, PICTURE);
	cr_expect_eq(attach(5, at, PICTURE), WRONG);
	cr_expect_eq(ask(&d, sizeof(d)), OK);
	cr_expect_eq(told_of(RENDER_RES_UNBACK).bytes.res, 5);
	cr_expect_eq(attach(5, FAKE_RAM_BASE + FAKE_RAM_SIZE, 4096), WRONG);
	cr_expect(told_nothing());
}

Test(commands_3d, a_picture_of_2d_lives_there_too)
{
	const struct virtio_gpu_transfer_to_host_2d t =
		transfer(7, (struct gpu_rect){1, 1, 2, 2}, (WIDTH + 1) * 4);

	(void)show_picture(7);
	cr_expect_eq(told_of(RENDER_RES_CREATE).create.flags, VIRGL_FLAG_Y_0_TOP);
	(void)told_of(RENDER_RES_BACKING);
	cr_expect_eq(ask(&t, sizeof(t)), OK);
	cr_expect_eq(told_of(RENDER_TRANSFER_TO).transfer.off, (WIDTH + 1) * 4);
	cr_expect(told_nothing());
}

/* A resource of 3D has any format a GPU knows; a pointer's picture is made of pixels. */
Test(commands_3d, a_pointer_is_made_of_pixels)
{
	struct virtio_gpu_update_cursor c = {.hdr.type = htole32(VIRTIO_GPU_CMD_UPDATE_CURSOR)};
	const gpa_t at = fake_alloc(guest, 64 * 64 * 4, 4096);
	struct virtio_gpu_ctrl_hdr answer;

	for (uint32_t format = 1; format < VIRGL_FORMATS; format++) {
		struct virtio_gpu_resource_create_3d r = create_3d(format, 64, 64);

		r.format = htole32(format);
		if (ask(&r, sizeof(r)) != OK)
			continue;
		(void)told_of(RENDER_RES_CREATE);
		cr_assert_eq(attach(format, at, 64 * 64 * 4), OK);
		(void)told_of(RENDER_RES_BACKING);
		c.resource_id = htole32(format);
		cr_assert_eq(fake_request(guest, 1, &c, sizeof(c), &answer, sizeof(answer)),
			     sizeof(answer));
		cr_expect_eq(le32toh(answer.type), gpu_format_known(format) ? OK : WRONG, "%u",
			     format);
		reply_with(RENDER_DONE, (struct render_reply){.done = gpu->three_d.render.sent});
	}
}

Test(commands_3d, transfers_lie_inside)
{
	struct virtio_gpu_transfer_host_3d t = transfer_from(0, 5, WIDTH, HEIGHT);

	cr_expect_eq(ask(&t, sizeof(t)), NO_RESOURCE);
	create_picture(5);
	cr_expect_eq(ask(&t, sizeof(t)), WRONG, "without a backing");
	cr_assert_eq(attach(5, fake_alloc(guest, PICTURE, 4096), PICTURE), OK);
	(void)told_of(RENDER_RES_BACKING);
	cr_expect_eq(ask(&t, sizeof(t)), OK);
	cr_expect_eq(told_of(RENDER_TRANSFER_FROM).transfer.box[3], WIDTH);
	t.box.x = htole32(1);
	cr_expect_eq(ask(&t, sizeof(t)), WRONG);
	t.box.x = htole32(UINT32_MAX);
	cr_expect_eq(ask(&t, sizeof(t)), WRONG);
	t.box.x = 0;
	t.box.d = 0;
	cr_expect_eq(ask(&t, sizeof(t)), WRONG);
	t.box.d = htole32(2);
	cr_expect_eq(ask(&t, sizeof(t)), WRONG);
	t.box.d = htole32(1);
	t.level = htole32(1);
	cr_expect_eq(ask(&t, sizeof(t)), WRONG);
	t.level = 0;
	t.offset = htole64(PICTURE);
	cr_expect_eq(ask(&t, sizeof(t)), WRONG);
	t.offset = 0;
	t.hdr.ctx_id = htole32(9);
	cr_expect_eq(ask(&t, sizeof(t)), UNKNOWN_CONTEXT);
	cr_expect(told_nothing());
}

Test(commands_3d, streams_are_looked_through)
{
	const uint32_t bad[] = {VIRGL_HEADER(VIRGL_GET_QUERY_RESULT_QBO, 0, 0)};
	struct virtio_gpu_cmd_submit s = {.hdr.type = htole32(VIRTIO_GPU_CMD_SUBMIT_3D),
					  .hdr.ctx_id = htole32(1)};
	struct render_message m;

	cr_expect_eq(submit(1, nothing, 1), UNKNOWN_CONTEXT);
	create_context(1);
	cr_expect_eq(submit(1, nothing, 1), OK);
	m = told_of(RENDER_SUBMIT);
	cr_expect_eq(m.bytes.n, 1);
	cr_expect_eq(memcmp(area + m.bytes.off, nothing, 4), 0);
	cr_expect_eq(submit(1, bad, 1), WRONG);
	cr_expect_eq(submit(1, nothing, 0), OK);
	s.size = htole32(4);
	cr_expect_eq(ask(&s, sizeof(s)), WRONG, "longer than its chain");
	s.size = htole32(GPU_STREAM_MAX + 4);
	cr_expect_eq(ask(&s, sizeof(s)), WRONG);
	s.size = htole32(UINT32_MAX);
	cr_expect_eq(ask(&s, sizeof(s)), WRONG);
	cr_expect(told_nothing());
}

Test(commands_3d, fences_are_answered_in_order)
{
	struct virtio_gpu_ctrl_hdr answer;
	const struct virtio_gpu_resource_unref nobody = unref(99);
	uint32_t first;

	create_context(1);
	cr_expect_eq(submit_fenced(1, nothing, 1), -1);
	(void)told_of(RENDER_SUBMIT);
	first = told_of(RENDER_FENCE).n;
	/* An error with a fence waits for what came before it. */
	cr_expect_eq(ask_fenced(&nobody, sizeof(nobody), &answer), -1);
	cr_expect_eq(submit_fenced(1, nothing, 1), -1);
	(void)told_of(RENDER_SUBMIT);
	cr_expect_eq(told_of(RENDER_FENCE).n, first + 1);
	cr_expect_not(answered());
	reply_with(RENDER_FENCED, (struct render_reply){.n = first, .done = 3});
	cr_expect(answered());
	cr_expect(answered());
	cr_expect_not(answered());
	finish();
	cr_expect(answered());
}

Test(commands_3d, short_ones_are_wrong)
{
	for (uint32_t type = VIRTIO_GPU_CMD_CTX_CREATE; type <= VIRTIO_GPU_CMD_SUBMIT_3D; type++) {
		const struct virtio_gpu_ctrl_hdr h = {.type = htole32(type)};
		const uint32_t answer = ask(&h, sizeof(h));

		cr_expect(answer == WRONG || answer == UNKNOWN_CONTEXT, "0x%x: 0x%x", type, answer);
	}
	cr_expect(told_nothing());
}

Test(commands_3d, reset_is_told_once)
{
	create_context(1);
	for (int i = 0; i < 3; i++)
		find_gpu();
	for (int i = 0; i < 3; i++)
		(void)told_of(RENDER_RESET);
	cr_expect(told_nothing());
	cr_expect_eq(submit(1, nothing, 1), UNKNOWN_CONTEXT);
	create_context(1);
}

Test(commands_3d, without_a_gpu_there_are_no_commands)
{
	const struct virtio_gpu_ctx_create c = ctx_create(1);

	fake_guest_reset(guest);
	fake_guest_restart(guest, 1ull << VIRTIO_GPU_F_EDID);
	fake_guest_settle(guest);
	cr_expect_eq(ask(&c, sizeof(c)), UNSPEC);
}
