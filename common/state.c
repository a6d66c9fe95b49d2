/* SPDX-License-Identifier: MIT */
#include "common/state.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

void state_put(struct state_writer *w, const void *data, size_t len)
{
	if (w->error == 0)
		w->error = buffer_add(&w->bytes, data, len);
}

void state_put_int(struct state_writer *w, uint64_t v, unsigned int bytes)
{
	v = htole64(v);
	state_put(w, &v, bytes);
}

void state_put_mark(struct state_writer *w, uint32_t mark)
{
	state_put_int(w, mark, sizeof(mark));
}

void state_refuse(struct state_writer *w, int error)
{
	if (w->error == 0)
		w->error = error;
}

const void *state_get_bytes(struct state_reader *r, size_t len)
{
	const uint8_t *at = r->next;

	if (r->error == 0 && len > r->left)
		r->error = -EBADMSG;
	if (r->error < 0)
		return NULL;
	r->next += len;
	r->left -= len;
	return at;
}

void state_get(struct state_reader *r, void *data, size_t len)
{
	const void *at = state_get_bytes(r, len);

	if (at && len > 0)
		memcpy(data, at, len);
}

uint64_t state_get_int(struct state_reader *r, unsigned int bytes)
{
	uint64_t v = 0;

	state_get(r, &v, bytes);
	return le64toh(v);
}

void state_get_mark(struct state_reader *r, uint32_t mark)
{
	if (state_get_int(r, sizeof(mark)) != mark)
		state_fail(r, -EBADMSG);
}

void state_fail(struct state_reader *r, int error)
{
	if (r->error == 0)
		r->error = error;
}
