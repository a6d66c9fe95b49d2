/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <errno.h>
#include <linux/virtio_fs.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_ring.h>
#include <string.h>

#include "tests/unit/devices/fs/fuse_client.h"

static struct fuse_client c;

static void setup(void)
{
	fc_init(&c);
}

static void teardown(void)
{
	fc_fini(&c);
}

TestSuite(virtio_fs, .init = setup, .fini = teardown);

/* A header for an operation, with what it says of its length. */
static struct fuse_in_header header(uint32_t opcode, uint32_t len)
{
	return (struct fuse_in_header){
		.len = len, .opcode = opcode, .unique = 5, .nodeid = FUSE_ROOT_ID};
}

/* Publishes one chain on the request queue and kicks; true if it came back. */
static bool submit(const struct fake_seg *segs, unsigned int n, uint32_t *written)
{
	fake_publish(c.g, FC_Q_REQUEST, segs, n);
	fake_kick(c.g, FC_Q_REQUEST);
	return fake_reap(c.g, FC_Q_REQUEST, NULL, written);
}

Test(virtio_fs, shows_its_tag_and_queues)
{
	const struct virtio_fs_config *cfg = c.g->vdev->config;

	cr_assert_eq(c.g->vdev->ops->type, VIRTIO_ID_FS);
	cr_assert_eq(c.g->vdev->config_len, sizeof(*cfg));
	cr_assert_str_eq((const char *)cfg->tag, "sandcastle");
	cr_assert_eq(cfg->num_request_queues, 1);
	cr_assert_eq(c.g->vdev->ops->n_queues, 2);
}

Test(virtio_fs, a_tag_too_long_is_refused)
{
	struct virtio_device *vdev;
	struct fs_server *s;

	cr_assert_eq(fs_server_new(&s), 0);
	/* Takes the server over all the same: the leak check would tell. */
	cr_assert_eq(virtio_fs_new("a-tag-of-thirty-seven-bytes-is-longer", s, &vdev), -EINVAL);
}

Test(virtio_fs, interrupts_for_what_it_answered)
{
	unsigned int before = c.g->queue_interrupts[FC_Q_REQUEST];
	struct fuse_attr a;

	cr_assert_gt(fc_getattr(&c, FUSE_ROOT_ID, &a), 0);
	cr_assert_eq(c.g->queue_interrupts[FC_Q_REQUEST], before + 1);
}

Test(virtio_fs, several_requests_at_once_are_all_answered)
{
	struct fuse_in_header hdr = header(FUSE_STATFS, sizeof(hdr));
	unsigned int n = 0;

	for (int i = 0; i < 50; i++) {
		const struct fake_seg segs[] = {fake_put(c.g, &hdr, sizeof(hdr)),
						fake_room(c.g, 256)};

		fake_publish(c.g, FC_Q_REQUEST, segs, 2);
	}
	fake_kick(c.g, FC_Q_REQUEST);
	while (fake_reap(c.g, FC_Q_REQUEST, NULL, NULL))
		n++;
	cr_assert_eq(n, 50);
}

Test(virtio_fs, a_chain_without_a_header_breaks_the_device)
{
	struct fuse_in_header hdr = header(FUSE_STATFS, sizeof(hdr));
	const struct fake_seg segs[] = {fake_put(c.g, &hdr, sizeof(hdr) - 1), fake_room(c.g, 256)};

	cr_assert_not(submit(segs, 2, NULL));
	cr_assert(c.g->vdev->broken);
	cr_assert_eq(c.g->config_interrupts, 1);
	/* It works again after a reset. */
	fake_guest_reset(c.g);
	fake_guest_restart(c.g, 0);
	cr_assert_gt(fc_init_session(&c, &(struct fuse_init_out){0}), 0);
	fc_walk(&c, "rw/hello");
}

Test(virtio_fs, a_chain_without_anything_readable_breaks_the_device)
{
	const struct fake_seg seg = fake_room(c.g, 256);

	cr_assert_not(submit(&seg, 1, NULL));
	cr_assert(c.g->vdev->broken);
}

Test(virtio_fs, a_request_without_room_for_a_reply_breaks_the_device)
{
	struct fuse_in_header hdr = header(FUSE_STATFS, sizeof(hdr));
	const struct fake_seg segs[] = {fake_put(c.g, &hdr, sizeof(hdr)), fake_room(c.g, 15)};

	cr_assert_not(submit(segs, 2, NULL));
	cr_assert(c.g->vdev->broken);
}

Test(virtio_fs, a_length_that_lies_breaks_the_device)
{
	struct fuse_in_header hdr = header(FUSE_STATFS, sizeof(hdr) + 1);
	const struct fake_seg segs[] = {fake_put(c.g, &hdr, sizeof(hdr)), fake_room(c.g, 256)};

	cr_assert_not(submit(segs, 2, NULL));
	cr_assert(c.g->vdev->broken);
}

Test(virtio_fs, a_length_below_the_header_breaks_the_device)
{
	struct fuse_in_header hdr = header(FUSE_STATFS, 39);
	const struct fake_seg segs[] = {fake_put(c.g, &hdr, sizeof(hdr)), fake_room(c.g, 256)};

	cr_assert_not(submit(segs, 2, NULL));
	cr_assert(c.g->vdev->broken);
}

Test(virtio_fs, room_for_a_header_only_gets_an_error)
{
	struct fuse_in_header hdr = header(FUSE_STATFS, sizeof(hdr));
	const struct fake_seg segs[] = {fake_put(c.g, &hdr, sizeof(hdr)), fake_room(c.g, 16)};
	struct fuse_out_header out;
	uint32_t written;

	cr_assert(submit(segs, 2, &written));
	cr_assert_eq(written, 16);
	memcpy(&out, fake_ptr(c.g, segs[1].addr, sizeof(out)), sizeof(out));
	cr_assert_eq(out.error, -EINVAL);
	cr_assert_eq(out.unique, 5);
	cr_assert_not(c.g->vdev->broken);
}

Test(virtio_fs, a_forget_with_room_for_a_reply_gets_none)
{
	struct {
		struct fuse_in_header hdr;
		struct fuse_forget_in in;
	} rq = {.hdr = header(FUSE_FORGET, sizeof(rq)), .in = {1}};
	const struct fake_seg segs[] = {fake_put(c.g, &rq, sizeof(rq)), fake_room(c.g, 16)};
	uint32_t written;

	cr_assert(submit(segs, 2, &written));
	cr_assert_eq(written, 0);
	/* Nor does a forget that is too short, without room. */
	rq.hdr.len = sizeof(rq.hdr);
	cr_assert_eq(fake_request(c.g, FC_Q_HIPRIO, &rq, sizeof(rq.hdr), NULL, 0), 0);
}

Test(virtio_fs, a_buffer_outside_memory_breaks_the_device)
{
	struct fuse_in_header hdr = header(FUSE_STATFS, sizeof(hdr));
	const struct fake_seg segs[] = {fake_put(c.g, &hdr, sizeof(hdr)),
					{.addr = 0x7ffff000, .len = 4096, .writable = true}};

	cr_assert_not(submit(segs, 2, NULL));
	cr_assert(c.g->vdev->broken);
}

Test(virtio_fs, a_loop_of_descriptors_breaks_the_device)
{
	gpa_t at = fake_alloc(c.g, 64, 8);

	fake_raw_desc(c.g, FC_Q_REQUEST, 0, at, 40, VRING_DESC_F_NEXT, 1);
	fake_raw_desc(c.g, FC_Q_REQUEST, 1, at, 40, VRING_DESC_F_NEXT, 0);
	fake_raw_avail(c.g, FC_Q_REQUEST, 0);
	fake_kick(c.g, FC_Q_REQUEST);
	cr_assert(c.g->vdev->broken);
}

Test(virtio_fs, both_queues_serve_any_request)
{
	struct fuse_in_header hdr = header(FUSE_STATFS, sizeof(hdr));
	uint8_t in[256];

	cr_assert_eq(fake_request(c.g, FC_Q_HIPRIO, &hdr, sizeof(hdr), in, sizeof(in)),
		     sizeof(struct fuse_out_header) + sizeof(struct fuse_statfs_out));
}

Test(virtio_fs, an_interrupt_request_is_taken_and_not_answered)
{
	struct {
		struct fuse_in_header hdr;
		struct fuse_interrupt_in in;
	} rq = {.hdr = header(FUSE_INTERRUPT, sizeof(rq)), .in = {77}};

	cr_assert_eq(fake_request(c.g, FC_Q_HIPRIO, &rq, sizeof(rq), NULL, 0), 0);
}
