/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <endian.h>
#include <linux/virtio_ids.h>
#include <string.h>

#include "tests/unit/gpu/gpu_guest.h"

TestSuite(commands, .init = gpu_guest_start, .fini = gpu_guest_stop);

static uint32_t ask_2d(uint32_t id, uint32_t format, uint32_t width, uint32_t height)
{
	const struct virtio_gpu_resource_create_2d c = create_2d(id, format, width, height);

	return ask(&c, sizeof(c));
}

static uint32_t ask_scanout(uint32_t scanout, uint32_t id, struct gpu_rect r)
{
	const struct virtio_gpu_set_scanout c = set_scanout(scanout, id, r);

	return ask(&c, sizeof(c));
}

static uint32_t ask_flush(uint32_t id, struct gpu_rect r)
{
	const struct virtio_gpu_resource_flush c = flush(id, r);

	return ask(&c, sizeof(c));
}

static uint32_t ask_transfer(uint32_t id, struct gpu_rect r, uint64_t off)
{
	const struct virtio_gpu_transfer_to_host_2d c = transfer(id, r, off);

	return ask(&c, sizeof(c));
}

static uint32_t ask_unref(uint32_t id)
{
	const struct virtio_gpu_resource_unref c = unref(id);

	return ask(&c, sizeof(c));
}

static uint32_t ask_detach(uint32_t id)
{
	const struct virtio_gpu_resource_detach_backing c = detach(id);

	return ask(&c, sizeof(c));
}

Test(commands, display_info_tells_the_first_monitor_only)
{
	const struct virtio_gpu_ctrl_hdr c = {.type = htole32(VIRTIO_GPU_CMD_GET_DISPLAY_INFO)};
	struct virtio_gpu_resp_display_info info;

	cr_assert_eq(fake_request(guest, 0, &c, sizeof(c), &info, sizeof(info)), sizeof(info));
	cr_assert_eq(le32toh(info.hdr.type), VIRTIO_GPU_RESP_OK_DISPLAY_INFO);
	cr_assert_eq(le32toh(info.pmodes[0].r.width), 1920);
	cr_assert_eq(le32toh(info.pmodes[0].r.height), 1080);
	cr_assert_eq(le32toh(info.pmodes[0].enabled), 1);
	for (int i = 1; i < VIRTIO_GPU_MAX_SCANOUTS; i++)
		cr_assert_eq(info.pmodes[i].enabled, 0);
	cr_assert_eq(le32toh(gpu->config.num_scanouts), GPU_SCANOUTS);
	cr_assert_eq(gpu->config.num_capsets, 0);
}

Test(commands, an_answer_without_room_is_an_error)
{
	const struct virtio_gpu_ctrl_hdr c = {.type = htole32(VIRTIO_GPU_CMD_GET_DISPLAY_INFO)};

	cr_assert_eq(ask(&c, sizeof(c)), UNSPEC);
	/* No room for that either: nothing is written, but the chain comes back. */
	cr_assert_eq(fake_request(guest, 0, &c, sizeof(c), NULL, 0), 0);
}

Test(commands, edid_of_each_scanout)
{
	struct virtio_gpu_cmd_get_edid c = {.hdr.type = htole32(VIRTIO_GPU_CMD_GET_EDID)};
	struct virtio_gpu_resp_edid edid;

	cr_assert_eq(fake_request(guest, 0, &c, sizeof(c), &edid, sizeof(edid)), sizeof(edid));
	cr_assert_eq(le32toh(edid.hdr.type), VIRTIO_GPU_RESP_OK_EDID);
	cr_assert_eq(le32toh(edid.size), EDID_BLOCK);
	cr_assert_eq(edid.edid[1], 0xff);
	c.scanout = htole32(1);
	cr_assert_eq(fake_request(guest, 0, &c, sizeof(c), &edid, sizeof(edid)), sizeof(edid));
	cr_assert_eq(edid.size, 0);
	c.scanout = htole32(GPU_SCANOUTS);
	cr_assert_eq(ask(&c, sizeof(c)), NO_SCANOUT);
	c.scanout = UINT32_MAX;
	cr_assert_eq(ask(&c, sizeof(c)), NO_SCANOUT);
}

Test(commands, capset_info_is_answered_though_there_is_none)
{
	const struct virtio_gpu_get_capset_info c = {
		.hdr.type = htole32(VIRTIO_GPU_CMD_GET_CAPSET_INFO),
	};
	struct virtio_gpu_resp_capset_info info;

	cr_assert_eq(fake_request(guest, 0, &c, sizeof(c), &info, sizeof(info)), sizeof(info));
	cr_assert_eq(le32toh(info.hdr.type), VIRTIO_GPU_RESP_OK_CAPSET_INFO);
	cr_assert_eq(info.capset_max_size, 0);
}

Test(commands, the_unknown_is_answered_with_unspec)
{
	static const uint32_t known[] = {
		VIRTIO_GPU_CMD_GET_DISPLAY_INFO,	VIRTIO_GPU_CMD_RESOURCE_CREATE_2D,
		VIRTIO_GPU_CMD_RESOURCE_UNREF,		VIRTIO_GPU_CMD_SET_SCANOUT,
		VIRTIO_GPU_CMD_RESOURCE_FLUSH,		VIRTIO_GPU_CMD_TRANSFER_TO_HOST_2D,
		VIRTIO_GPU_CMD_RESOURCE_ATTACH_BACKING, VIRTIO_GPU_CMD_RESOURCE_DETACH_BACKING,
		VIRTIO_GPU_CMD_GET_CAPSET_INFO,		VIRTIO_GPU_CMD_GET_EDID,
		VIRTIO_GPU_CMD_RESOURCE_CREATE_BLOB,	VIRTIO_GPU_CMD_SET_SCANOUT_BLOB,
	};
	uint8_t c[256] = {0};

	for (uint32_t type = 0; type < 0x400; type++) {
		bool is_known = false;

		for (size_t i = 0; i < ARRAY_SIZE(known); i++)
			is_known |= known[i] == type;
		memcpy(c, &(uint32_t){htole32(type)}, sizeof(uint32_t));
		if (!is_known)
			cr_assert_eq(ask(c, sizeof(c)), UNSPEC, "0x%x", type);
	}
	cr_assert_gt(gpu->figures.errors, 0x300);
}

/* Every command cut to each length below its own is refused, and the chain comes back. */
Test(commands, each_is_refused_when_it_is_short)
{
	static const struct {
		uint32_t type;
		size_t len;
	} commands[] = {
		{VIRTIO_GPU_CMD_RESOURCE_CREATE_2D, sizeof(struct virtio_gpu_resource_create_2d)},
		{VIRTIO_GPU_CMD_RESOURCE_UNREF, sizeof(struct virtio_gpu_resource_unref)},
		{VIRTIO_GPU_CMD_SET_SCANOUT, sizeof(struct virtio_gpu_set_scanout)},
		{VIRTIO_GPU_CMD_RESOURCE_FLUSH, sizeof(struct virtio_gpu_resource_flush)},
		{VIRTIO_GPU_CMD_TRANSFER_TO_HOST_2D, sizeof(struct virtio_gpu_transfer_to_host_2d)},
		{VIRTIO_GPU_CMD_RESOURCE_ATTACH_BACKING,
		 sizeof(struct virtio_gpu_resource_attach_backing)},
		{VIRTIO_GPU_CMD_RESOURCE_DETACH_BACKING,
		 sizeof(struct virtio_gpu_resource_detach_backing)},
		{VIRTIO_GPU_CMD_GET_CAPSET_INFO, sizeof(struct virtio_gpu_get_capset_info)},
		{VIRTIO_GPU_CMD_GET_EDID, sizeof(struct virtio_gpu_cmd_get_edid)},
		{VIRTIO_GPU_CMD_RESOURCE_CREATE_BLOB,
		 sizeof(struct virtio_gpu_resource_create_blob)},
		{VIRTIO_GPU_CMD_SET_SCANOUT_BLOB, sizeof(struct virtio_gpu_set_scanout_blob)},
	};

	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		for (size_t len = sizeof(uint32_t); len < commands[i].len; len++) {
			uint8_t c[128];
			const uint32_t type = htole32(commands[i].type);

			/* Ones everywhere would be good numbers if they were looked at. */
			memset(c, 0, sizeof(c));
			memcpy(c, &type, sizeof(type));
			cr_assert_eq(ask(c, len), WRONG, "0x%x of %zu", commands[i].type, len);
		}
	/* Without a whole type it is none at all. */
	cr_assert_eq(ask("\1", 1), UNSPEC);
}

Test(commands, what_follows_a_command_does_not_matter)
{
	struct {
		struct virtio_gpu_resource_create_2d c;
		uint8_t more[100];
	} longer = {.c = create_2d(1, BGRX, 4, 4)};

	memset(longer.more, 0xff, sizeof(longer.more));
	cr_assert_eq(ask(&longer, sizeof(longer)), OK);
}

Test(commands, resources_that_are_not_there)
{
	const struct gpu_rect r = {0, 0, 1, 1};

	cr_assert_eq(ask_unref(1), NO_RESOURCE);
	cr_assert_eq(ask_scanout(0, 1, r), NO_RESOURCE);
	cr_assert_eq(ask_flush(1, r), NO_RESOURCE);
	cr_assert_eq(ask_transfer(1, r, 0), NO_RESOURCE);
	cr_assert_eq(attach(1, FAKE_RAM_BASE, 4096), NO_RESOURCE);
	cr_assert_eq(ask_detach(1), NO_RESOURCE);
	cr_assert_eq(ask_2d(0, BGRX, 1, 1), NO_RESOURCE);
}

Test(commands, each_twice)
{
	const struct gpu_rect r = {0, 0, 4, 4};

	cr_assert_eq(ask_2d(1, BGRX, 4, 4), OK);
	cr_assert_eq(ask_2d(1, BGRX, 4, 4), NO_RESOURCE);
	cr_assert_eq(attach(1, FAKE_RAM_BASE, 64), OK);
	cr_assert_eq(attach(1, FAKE_RAM_BASE, 64), WRONG);
	for (int i = 0; i < 2; i++) {
		cr_assert_eq(ask_scanout(0, 1, r), OK);
		cr_assert_eq(ask_transfer(1, r, 0), OK);
		cr_assert_eq(ask_flush(1, r), OK);
	}
	cr_assert_eq(ask_detach(1), OK);
	cr_assert_eq(ask_detach(1), WRONG);
	cr_assert_eq(ask_unref(1), OK);
	cr_assert_eq(ask_unref(1), NO_RESOURCE);
	cr_assert_eq(gpu->resources.entries, 0);
}

/* CVE-2016-10029: a scanout's number was not looked at. */
Test(commands, scanouts_have_numbers_below_four)
{
	const struct gpu_rect r = {0, 0, 4, 4};

	cr_assert_eq(ask_2d(1, BGRX, 4, 4), OK);
	cr_assert_eq(ask_scanout(GPU_SCANOUTS, 1, r), NO_SCANOUT);
	cr_assert_eq(ask_scanout(16, 1, r), NO_SCANOUT);
	cr_assert_eq(ask_scanout(UINT32_MAX, 0, r), NO_SCANOUT);
	cr_assert_eq(ask_scanout(GPU_SCANOUTS - 1, 1, r), OK);
}

Test(commands, rectangles_lie_inside_the_resource)
{
	static const struct gpu_rect outside[] = {
		{0, 0, 5, 1}, {0, 0, 1, 5}, {4, 0, 1, 1},	   {0, 4, 1, 1},
		{1, 1, 4, 1}, {1, 1, 1, 4}, {UINT32_MAX, 0, 2, 1}, {1, 1, UINT32_MAX, UINT32_MAX},
	};

	cr_assert_eq(ask_2d(1, BGRX, 4, 4), OK);
	cr_assert_eq(attach(1, FAKE_RAM_BASE, 64), OK);
	for (size_t i = 0; i < ARRAY_SIZE(outside); i++) {
		cr_assert_eq(ask_scanout(0, 1, outside[i]), WRONG);
		cr_assert_eq(ask_flush(1, outside[i]), WRONG);
		cr_assert_eq(ask_transfer(1, outside[i], 0), WRONG);
	}
	cr_assert_eq(ask_scanout(0, 1, (struct gpu_rect){0}), WRONG);
	cr_assert_eq(ask_transfer(1, (struct gpu_rect){0}, 0), WRONG);
	cr_assert_eq(ask_scanout(0, 1, (struct gpu_rect){3, 3, 1, 1}), OK);
}

Test(commands, a_transfer_needs_the_pages_it_names)
{
	const struct gpu_rect all = {0, 0, 4, 4}, top = {0, 0, 4, 2}, last = {3, 3, 1, 1};

	cr_assert_eq(ask_2d(1, BGRX, 4, 4), OK);
	cr_assert_eq(ask_transfer(1, all, 0), WRONG);
	cr_assert_eq(attach(1, FAKE_RAM_BASE, 32), OK);
	cr_assert_eq(ask_transfer(1, top, 0), OK);
	cr_assert_eq(ask_transfer(1, all, 0), WRONG);
	cr_assert_eq(ask_transfer(1, last, 60), WRONG);
	/* Another place than its own. */
	cr_assert_eq(ask_transfer(1, top, 4), WRONG);
	cr_assert_eq(ask_transfer(1, top, UINT64_MAX), WRONG);
}

/* CVE-2021-3544: what was attached was not freed by unref. The leak checker looks on. */
Test(commands, create_attach_and_unref_in_all_orders)
{
	for (unsigned int order = 0; order < 81; order++) {
		unsigned int o = order;

		for (int step = 0; step < 4; step++, o /= 3) {
			if (o % 3 == 0)
				(void)ask_2d(1, BGRX, 4, 4);
			else if (o % 3 == 1)
				(void)attach(1, FAKE_RAM_BASE, 64);
			else
				(void)ask_unref(1);
		}
		(void)ask_unref(1);
		cr_assert_eq(gpu->resources.n, 0);
		cr_assert_eq(gpu->resources.entries, 0);
	}
}

Test(commands, a_freed_resource_leaves_its_scanouts_first)
{
	const struct gpu_rect r = {0, 0, 4, 4};

	cr_assert_eq(ask_2d(1, BGRX, 4, 4), OK);
	cr_assert_eq(attach(1, FAKE_RAM_BASE, 64), OK);
	cr_assert_eq(ask_scanout(0, 1, r), OK);
	cr_assert_eq(ask_scanout(2, 1, r), OK);
	cr_assert_eq(ask_unref(1), OK);
	cr_assert_null(gpu->scanouts[0].res);
	cr_assert_null(gpu->scanouts[2].res);
}

static struct virtio_gpu_set_scanout_blob blob_scanout(uint32_t id, uint32_t width, uint32_t height)
{
	return (struct virtio_gpu_set_scanout_blob){
		.hdr.type = htole32(VIRTIO_GPU_CMD_SET_SCANOUT_BLOB),
		.r = {.width = htole32(width), .height = htole32(height)},
		.resource_id = htole32(id),
		.width = htole32(width),
		.height = htole32(height),
		.format = htole32(BGRX),
		.strides = {htole32(width * 4)},
	};
}

Test(commands, a_blob_is_shown_as_it_is_said)
{
	struct virtio_gpu_set_scanout_blob c = blob_scanout(1, 16, 16);

	cr_assert_eq(create_blob(1, FAKE_RAM_BASE, 1024), OK);
	cr_assert_eq(ask(&c, sizeof(c)), OK);
	c.offsets[0] = htole32(4);
	cr_assert_eq(ask(&c, sizeof(c)), WRONG);
	c = blob_scanout(1, 16, 16);
	c.strides[0] = htole32(1);
	cr_assert_eq(ask(&c, sizeof(c)), WRONG);
	c.strides[0] = htole32(1u << 31);
	cr_assert_eq(ask(&c, sizeof(c)), WRONG);
	c = blob_scanout(1, 16, 17);
	cr_assert_eq(ask(&c, sizeof(c)), WRONG);
	c = blob_scanout(1, UINT32_MAX, 1);
	cr_assert_eq(ask(&c, sizeof(c)), WRONG);
	c = blob_scanout(1, 16, 16);
	c.format = htole32(3000);
	cr_assert_eq(ask(&c, sizeof(c)), WRONG);
	c = blob_scanout(1, 16, 16);
	c.r.x = htole32(1);
	cr_assert_eq(ask(&c, sizeof(c)), WRONG);
	c = blob_scanout(2, 16, 16);
	cr_assert_eq(ask(&c, sizeof(c)), NO_RESOURCE);
	c = blob_scanout(1, 16, 16);
	c.scanout_id = htole32(4);
	cr_assert_eq(ask(&c, sizeof(c)), NO_SCANOUT);
	/* Neither command takes what is the other's. */
	cr_assert_eq(ask_scanout(0, 1, (struct gpu_rect){0, 0, 1, 1}), WRONG);
	cr_assert_eq(ask_2d(3, BGRX, 16, 16), OK);
	c = blob_scanout(3, 16, 16);
	cr_assert_eq(ask(&c, sizeof(c)), WRONG);
	/* Linux transfers blobs all the same. */
	cr_assert_eq(ask_transfer(1, (struct gpu_rect){0, 0, 99, 99}, 0), OK);
	c = blob_scanout(0, 16, 16);
	cr_assert_eq(ask(&c, sizeof(c)), OK);
	cr_assert_null(gpu->scanouts[0].res);
}

Test(commands, only_blobs_of_the_guests_memory)
{
	struct virtio_gpu_resource_create_blob c = {
		.hdr.type = htole32(VIRTIO_GPU_CMD_RESOURCE_CREATE_BLOB),
		.resource_id = htole32(1),
		.size = htole64(4096),
		.nr_entries = htole32(1),
	};

	for (uint32_t mem = 0; mem < 5; mem++) {
		c.blob_mem = htole32(mem);
		/* Its list is missing, so the good kind is wrong, too. */
		cr_assert_eq(ask(&c, sizeof(c)), WRONG);
	}
	cr_assert_eq(gpu->resources.n, 0);
}

Test(commands, blobs_need_their_feature)
{
	struct virtio_gpu_set_scanout_blob c = blob_scanout(1, 16, 16);

	fake_guest_reset(guest);
	fake_guest_restart(guest, 1ull << VIRTIO_GPU_F_EDID);
	cr_assert_eq(create_blob(1, FAKE_RAM_BASE, 4096), UNSPEC);
	cr_assert_eq(ask(&c, sizeof(c)), UNSPEC);
}

/* A list of pages in a buffer of single pages is an indirect chain longer than the queue. */
Test(commands, a_list_in_514_buffers)
{
	enum { SEGS = 514, PER_SEG = 1 };
	static struct fake_seg segs[SEGS];
	const struct virtio_gpu_resource_attach_backing c = {
		.hdr.type = htole32(VIRTIO_GPU_CMD_RESOURCE_ATTACH_BACKING),
		.resource_id = htole32(1),
		.nr_entries = htole32(SEGS - 2),
	};
	struct virtio_gpu_ctrl_hdr answer;

	cr_assert_eq(ask_2d(1, BGRX, 1024, 1024), OK);
	segs[0] = fake_put(guest, &c, sizeof(c));
	for (unsigned int i = 1; i + 1 < SEGS; i++) {
		const struct virtio_gpu_mem_entry e = {
			.addr = htole64(FAKE_RAM_BASE + FAKE_RAM_SIZE - 2 * 4096 * (i % 9 + 1)),
			.length = htole32(4096),
		};

		segs[i] = fake_put(guest, &e, sizeof(e));
	}
	segs[SEGS - 1] = fake_room(guest, sizeof(answer));
	(void)fake_publish_indirect(guest, 0, segs, SEGS);
	fake_kick(guest, 0);
	cr_assert(answered());
	memcpy(&answer, fake_ptr(guest, segs[SEGS - 1].addr, sizeof(answer)), sizeof(answer));
	cr_assert_eq(le32toh(answer.type), OK);
	cr_assert_eq(gpu_resource_find(&gpu->resources, 1)->n_runs, SEGS - 2);
	cr_assert_not(guest->vdev->broken);
}
