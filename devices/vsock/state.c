/* SPDX-License-Identifier: MIT */
/* The one connection that a machine's state may have. */
#include <errno.h>

#include "common/state.h"
#include "devices/vsock/vsock_priv.h"

enum { MARK = STATE_MARK('V', 'S', 'C', 'K') };

/* Nothing is under way on it, in either direction. */
static bool at_rest(const struct vsock_conn *conn)
{
	return conn->attached && !conn->wants_credit && !conn->wants_turn && conn->owes == 0 &&
	       conn->due == 0 && conn->used == 0 && conn->state.guest_shutdown == 0 &&
	       conn->state.host_shutdown == 0;
}

void vsock_conns_save(struct vsock *vs, struct state_writer *w)
{
	const struct vsock_conn *conn = TAILQ_FIRST(&vs->all);

	state_put_mark(w, MARK);
	if (vs->n_conns != 1 || vs->n_refusals > 0 || !at_rest(conn)) {
		state_refuse(w, -EBUSY);
		return;
	}
	state_put_int(w, conn->state.host_port, 4);
	state_put_int(w, conn->state.guest_port, 4);
	state_put_int(w, conn->state.guest_buf_alloc, 4);
	state_put_int(w, conn->state.guest_fwd_cnt, 4);
	state_put_int(w, conn->state.sent, 4);
	state_put_int(w, conn->state.fwd_cnt, 4);
	state_put_int(w, conn->state.fwd_cnt_told, 4);
}

void vsock_conns_load(struct vsock *vs, struct state_reader *r)
{
	struct vsock_conn_state state = {0};

	state_get_mark(r, MARK);
	state.host_port = (uint32_t)state_get_int(r, 4);
	state.guest_port = (uint32_t)state_get_int(r, 4);
	state.guest_buf_alloc = (uint32_t)state_get_int(r, 4);
	state.guest_fwd_cnt = (uint32_t)state_get_int(r, 4);
	state.sent = (uint32_t)state_get_int(r, 4);
	state.fwd_cnt = (uint32_t)state_get_int(r, 4);
	state.fwd_cnt_told = (uint32_t)state_get_int(r, 4);
	if (r->error < 0)
		return;
	vs->loaded = vsock_conn_restore(vs, &state);
	if (!vs->loaded)
		state_fail(r, -ENOMEM);
}

int vsock_adopt(struct vsock *vs)
{
	struct vsock_conn *conn = vs->loaded;
	int r = conn ? vsock_conn_accept(conn) : -ENOENT;

	if (r == 0)
		vs->loaded = NULL;
	return r;
}
