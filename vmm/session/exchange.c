/* SPDX-License-Identifier: MIT */
#include "vmm/session/exchange.h"

#include <errno.h>

int exchanges_add(struct exchanges *all, struct exchange *x)
{
	struct exchange **end = &all->first;

	if (all->last_id == UINT32_MAX)
		return -EAGAIN;
	while (*end)
		end = &(*end)->next;
	x->id = ++all->last_id;
	x->next = NULL;
	*end = x;
	return 0;
}

void exchanges_remove(struct exchanges *all, struct exchange *x)
{
	struct exchange **at = &all->first;

	while (*at && *at != x)
		at = &(*at)->next;
	if (*at)
		*at = x->next;
}

unsigned int exchanges_count(const struct exchanges *all, const struct exchange_ops *ops)
{
	unsigned int n = 0;

	for (const struct exchange *x = all->first; x; x = x->next)
		n += x->ops == ops;
	return n;
}

struct exchange *exchanges_find(const struct exchanges *all, uint32_t id)
{
	struct exchange *x = all->first;

	while (x && x->id != id)
		x = x->next;
	return x;
}

bool exchanges_compose(const struct exchanges *all, struct agent_buffer *buf)
{
	for (struct exchange *x = all->first; x; x = x->next)
		if (x->ops->compose(x, buf))
			return true;
	return false;
}

const char *exchanges_hear(const struct exchanges *all, const struct agent_message *m)
{
	struct exchange *x = exchanges_find(all, m->id);

	if (m->id > all->last_id)
		return "answered what it was not asked";
	return x && !x->ops->heard(x, m) ? "sent a message out of order" : NULL;
}

void exchanges_lose(const struct exchanges *all, bool failed, const char *why)
{
	for (struct exchange *x = all->first; x; x = x->next)
		x->ops->lost(x, failed, why);
}

/* One call may remove any of them, so the list is gone through anew after each. */
static bool deliver_one(const struct exchanges *all)
{
	for (struct exchange *x = all->first; x; x = x->next)
		if (x->ops->deliver(x))
			return true;
	return false;
}

void exchanges_deliver(const struct exchanges *all)
{
	while (deliver_one(all))
		;
}
