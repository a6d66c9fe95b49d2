/* SPDX-License-Identifier: MIT */
/* The connection of a machine that goes on from a state. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>

#include "common/state.h"
#include "tests/unit/devices/vsock/service.h"

static struct state_writer saved;

TestSuite(vsock_state, .init = start_with_buffers, .fini = stop_vsock);

static void save(void)
{
	saved = (struct state_writer){.error = 0};
	fv.g->vdev->ops->save(fv.g->vdev, &saved);
}

static int load(size_t len)
{
	struct state_reader r = {.next = (uint8_t *)saved.bytes.data, .left = len};

	fv.g->vdev->ops->load(fv.g->vdev, &r);
	return r.error;
}

Test(vsock_state, the_guest_goes_on_speaking)
{
	connect_to(GUEST_PORT);
	svc.drain = true;
	send_data(GUEST_PORT, fake_pattern(0), 1000);
	save();
	cr_assert_eq(saved.error, 0);
	stop_vsock();
	start_with_buffers();
	cr_assert_eq(vsock_adopt(fv.vs), -ENOENT);
	cr_assert_eq(load(saved.bytes.len), 0);
	cr_assert_eq(svc.accepted, 0);
	cr_assert_eq(vsock_adopt(fv.vs), 0);
	cr_assert_eq(svc.accepted, 1);
	cr_assert_eq(vsock_conn_guest_port(svc.conn), GUEST_PORT);
	svc.drain = true;
	send_data(GUEST_PORT, fake_pattern(1000), 500);
	cr_assert_eq(svc.drained, 500);
	svc.to_write = 10;
	vsock_run(fv.vs, push_pattern, &svc);
	expect(GUEST_PORT, VIRTIO_VSOCK_OP_RW);
	/* What was read before counts: the guest's credit goes on where it stood. */
	cr_assert_eq(pkt.fwd_cnt, 1500);
	cr_assert_eq(vsock_adopt(fv.vs), -ENOENT);
	free(saved.bytes.data);
}

Test(vsock_state, a_buffer_that_was_taken_is_put_back)
{
	uint16_t before;

	connect_to(GUEST_PORT);
	before = fv.g->vdev->queues[FAKE_VSOCK_RX].state.next_avail;
	save();
	cr_assert_leq(before - fv.g->vdev->queues[FAKE_VSOCK_RX].state.next_avail, 1);
	cr_assert_eq(fv.g->vdev->queues[FAKE_VSOCK_RX].state.next_avail,
		     fv.g->vdev->queues[FAKE_VSOCK_RX].state.next_used);
	/* And is used as if nothing had been. */
	svc.to_write = 10;
	vsock_run(fv.vs, push_pattern, &svc);
	expect(GUEST_PORT, VIRTIO_VSOCK_OP_RW);
	free(saved.bytes.data);
}

Test(vsock_state, nothing_may_be_under_way)
{
	save();
	cr_assert_eq(saved.error, -EBUSY);
	free(saved.bytes.data);
	connect_to(GUEST_PORT);
	/* Bytes that its service has not read. */
	send_data(GUEST_PORT, fake_pattern(0), 10);
	save();
	cr_assert_eq(saved.error, -EBUSY);
	free(saved.bytes.data);
	connect_to(GUEST_PORT + 1);
	save();
	cr_assert_eq(saved.error, -EBUSY);
	free(saved.bytes.data);
}

Test(vsock_state, cut_short_is_refused)
{
	connect_to(GUEST_PORT);
	save();
	stop_vsock();
	start_with_buffers();
	for (size_t len = 0; len < saved.bytes.len; len++)
		cr_assert_eq(load(len), -EBADMSG);
	cr_assert_eq(vsock_adopt(fv.vs), -ENOENT);
	free(saved.bytes.data);
}
