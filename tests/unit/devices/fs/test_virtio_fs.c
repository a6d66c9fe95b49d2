/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <errno.h>
#include <linux/virtio_fs.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_ring.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

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

Test(virtio_fs, a_reply_outside_memory_is_not_given)
{
	struct fuse_in_header hdr = header(FUSE_STATFS, sizeof(hdr));
	const struct fake_seg segs[] = {fake_put(c.g, &hdr, sizeof(hdr)),
					{.addr = 0x7ffff000, .len = 4096, .writable = true}};
	uint32_t written = 1;

	cr_assert(submit(segs, 2, &written));
	cr_assert_eq(written, 0);
	/* Nor is a header there looked for, nor an answer to a forget. */
	cr_assert(submit(segs + 1, 1, &written));
	cr_assert_eq(written, 0);
	cr_assert_not(c.g->vdev->broken);
}

/* As a program does with O_DIRECT and memory that is a file in the DAX window. */
Test(virtio_fs, an_operand_outside_memory_fails_its_request_alone)
{
	const struct fake_seg foreign = {.addr = 0x7ffff000, .len = 4096};
	struct {
		struct fuse_in_header hdr;
		struct fuse_write_in in;
	} rq = {.hdr = header(FUSE_WRITE, sizeof(rq) + 4096)};
	struct fuse_out_header out = {0};
	struct fake_seg room = fake_room(c.g, sizeof(out));
	uint64_t node, fh;
	uint32_t written;

	cr_assert_gt(fc_create(&c, fc_walk(&c, "rw"), "new", O_RDWR, 0644, &node, &fh), 0);
	rq.hdr.nodeid = node;
	rq.in = (struct fuse_write_in){.fh = fh, .size = 4096};
	cr_assert(submit((struct fake_seg[]){fake_put(c.g, &rq, sizeof(rq)), foreign, room}, 3,
			 &written));
	cr_assert_eq(written, sizeof(out));
	memcpy(&out, fake_ptr(c.g, room.addr, sizeof(out)), sizeof(out));
	cr_assert_eq(out.error, -EFAULT);
	cr_assert_eq(out.unique, rq.hdr.unique);
	cr_assert_not(c.g->vdev->broken);
	cr_assert_eq(fc_write(&c, node, fh, 0, "abc", 3, 0), 3);
	cr_assert_eq(fc_host_stat(&c, "tree/new").st_size, 3);
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

/* A request for `size` bytes at `in`, into 15 buffers that are all the same 128 KiB. */
static uint32_t ask_for_much(uint32_t opcode, uint64_t node, const void *in, size_t len)
{
	struct fuse_in_header hdr = header(opcode, (uint32_t)(sizeof(hdr) + len));
	struct fake_seg segs[18] = {fake_put(c.g, &hdr, sizeof(hdr))};
	const struct fake_seg room = fake_room(c.g, 128 << 10);
	struct fuse_out_header out;
	uint32_t written = 0;

	hdr.nodeid = node;
	memcpy(fake_ptr(c.g, segs[0].addr, sizeof(hdr)), &hdr, sizeof(hdr));
	segs[1] = fake_put(c.g, in, len);
	segs[2] = fake_room(c.g, sizeof(out));
	for (unsigned int i = 3; i < ARRAY_SIZE(segs); i++)
		segs[i] = room;
	cr_assert(submit(segs, ARRAY_SIZE(segs), &written));
	memcpy(&out, fake_ptr(c.g, segs[2].addr, sizeof(out)), sizeof(out));
	cr_assert_eq(out.error, 0);
	cr_assert_eq(out.len, written);
	return written - (uint32_t)sizeof(out);
}

/* What INIT says, as any driver may know it. */
static uint32_t max_write(void)
{
	struct fuse_init_out out;

	cr_assert_gt(fc_init_session(&c, &out), 0);
	return out.max_write;
}

Test(virtio_fs, a_read_gets_no_more_than_was_announced)
{
	const uint32_t most = max_write();
	struct fuse_setattr_in grow = {.valid = FATTR_SIZE, .size = 3ull << 30};
	uint64_t node = fc_walk(&c, "rw/hello");
	struct fuse_read_in in = {.size = 0x7ffff000};

	cr_assert_geq(fc_setattr(&c, node, &grow), 0);
	cr_assert_gt(fc_open(&c, node, O_RDONLY, &in.fh), 0);
	cr_assert_eq(ask_for_much(FUSE_READ, node, &in, sizeof(in)), most);
}

Test(virtio_fs, a_listing_is_bounded)
{
	uint64_t node = fc_walk(&c, "ro");
	struct fuse_read_in in = {.size = 0x7ffff000};
	char name[32];

	for (unsigned int i = 0; i < 2000; i++) {
		snprintf(name, sizeof(name), "tree/a-longish-name-%u", i);
		fc_host_write(&c, name, "", 0644);
	}
	cr_assert_gt(fc_opendir(&c, node, &in.fh), 0);
	cr_assert_leq(ask_for_much(FUSE_READDIRPLUS, node, &in, sizeof(in)), 64 << 10);
	cr_assert_leq(ask_for_much(FUSE_READDIR, node, &in, sizeof(in)), 64 << 10);
}

Test(virtio_fs, a_write_above_what_was_announced_is_refused)
{
	const uint32_t most = max_write();
	uint64_t node = fc_walk(&c, "rw/hello"), fh;
	struct fuse_in_header hdr = header(FUSE_WRITE, 0);
	struct fuse_write_in in = {.size = most + 1};
	struct fuse_out_header out;
	struct fake_seg segs[4];

	cr_assert_gt(fc_open(&c, node, O_WRONLY, &fh), 0);
	in.fh = fh;
	for (; in.size >= most; in.size--) {
		const int error = in.size > most ? -EINVAL : 0;

		hdr.nodeid = node;
		hdr.len = (uint32_t)(sizeof(hdr) + sizeof(in)) + in.size;
		segs[0] = fake_put(c.g, &hdr, sizeof(hdr));
		segs[1] = fake_put(c.g, &in, sizeof(in));
		segs[2] = (struct fake_seg){FAKE_RAM_BASE, in.size, false};
		segs[3] = fake_room(c.g, 64);
		cr_assert(submit(segs, 4, NULL));
		memcpy(&out, fake_ptr(c.g, segs[3].addr, sizeof(out)), sizeof(out));
		cr_assert_eq(out.error, error);
		cr_assert_eq(fc_host_stat(&c, "tree/hello").st_size, error ? 13 : most);
	}
}

Test(virtio_fs, a_copy_moves_no_more_than_was_announced)
{
	const uint32_t most = max_write();
	struct fuse_setattr_in grow = {.valid = FATTR_SIZE, .size = 1ull << 30};
	uint64_t from = fc_walk(&c, "rw/hello"), to, fh_in, fh_out;
	struct fuse_copy_file_range_in in = {.len = 1ull << 30};
	struct fuse_write_out out;

	cr_assert_geq(fc_setattr(&c, from, &grow), 0);
	cr_assert_gt(fc_open(&c, from, O_RDONLY, &fh_in), 0);
	cr_assert_gt(fc_create(&c, fc_walk(&c, "rw"), "copy", O_WRONLY, 0644, &to, &fh_out), 0);
	in.fh_in = fh_in;
	in.nodeid_out = to;
	in.fh_out = fh_out;
	cr_assert_gt(fc_call(&c, FUSE_COPY_FILE_RANGE, from, &in, sizeof(in), NULL, 0, &out,
			     sizeof(out)),
		     0);
	cr_assert_leq(out.size, most);
}

Test(virtio_fs, a_chain_of_more_than_any_request_breaks_the_device)
{
	struct fuse_in_header hdr = header(FUSE_STATFS, sizeof(hdr));
	const struct fake_seg segs[] = {fake_put(c.g, &hdr, sizeof(hdr)),
					{FAKE_RAM_BASE, FAKE_RAM_SIZE, true}};

	cr_assert_not(submit(segs, 2, NULL));
	cr_assert(c.g->vdev->broken);
}

/* A lease on the host makes an open of the file wait, until the lease is given up. */
struct stuck {
	int lease_fd;
	uint64_t node;
	int result;
};

static void *open_stuck(void *arg)
{
	struct stuck *s = arg;
	uint64_t fh;

	/* As the loop does, on the thread `files`. */
	pthread_mutex_lock(&c.g->dev.lock);
	s->result = fc_open(&c, s->node, O_RDONLY, &fh);
	pthread_mutex_unlock(&c.g->dev.lock);
	return NULL;
}

static void wait_until_stuck(void)
{
	bool away = false;

	while (!away) {
		sched_yield();
		pthread_mutex_lock(&c.g->dev.lock);
		away = c.g->vdev->away;
		pthread_mutex_unlock(&c.g->dev.lock);
	}
}

Test(virtio_fs, a_register_answers_while_the_host_does_not)
{
	struct stuck s = {.node = fc_walk(&c, "rw/hello")};
	pthread_t thread;

	signal(SIGIO, SIG_IGN);
	s.lease_fd = openat(c.dirfd, "tree/hello", O_RDWR | O_CLOEXEC);
	if (fcntl(s.lease_fd, F_SETLEASE, F_WRLCK) < 0)
		cr_skip("the file system of this place has no leases");
	c.g->vdev->dev = &c.g->dev;
	cr_assert_eq(pthread_create(&thread, NULL, open_stuck, &s), 0);
	/* The lock can be had although a request is at work: that is all a register needs. */
	wait_until_stuck();
	pthread_mutex_lock(&c.g->dev.lock);
	cr_assert(c.g->vdev->away);
	/* A vCPU that met a missing page comes again, rather than look at tables in use. */
	cr_assert(fs_server_mend_window(c.server));
	pthread_mutex_unlock(&c.g->dev.lock);
	cr_assert_eq(fcntl(s.lease_fd, F_SETLEASE, F_UNLCK), 0);
	pthread_join(thread, NULL);
	cr_assert_gt(s.result, 0);
	cr_assert_not(c.g->vdev->away);
	cr_assert_not(fs_server_mend_window(c.server));
	c.g->vdev->dev = NULL;
	close(s.lease_fd);
}

Test(virtio_fs, a_reset_that_may_wait_is_the_loops)
{
	uint64_t node = fc_walk(&c, "rw/hello");
	struct fuse_attr a;

	c.g->vdev->dev = &c.g->dev;
	pthread_mutex_lock(&c.g->dev.lock);
	virtio_device_reset(c.g->vdev);
	cr_assert(c.g->vdev->resetting && c.g->vdev->active);
	fake_kick(c.g, FC_Q_HIPRIO);
	pthread_mutex_unlock(&c.g->dev.lock);
	cr_assert_not(c.g->vdev->resetting || c.g->vdev->active);
	cr_assert_eq(c.g->late_resets, 1);
	c.g->vdev->dev = NULL;
	fake_guest_restart(c.g, 0);
	cr_assert_gt(fc_init_session(&c, &(struct fuse_init_out){0}), 0);
	cr_assert_eq(fc_getattr(&c, node, &a), -ESTALE);
}
