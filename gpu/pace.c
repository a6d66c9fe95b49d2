/* SPDX-License-Identifier: MIT */
#include "gpu/pace.h"

/* A beat that is kept on average: late by less than a period, the next is that much sooner. */
static void advance(struct pace *p, uint64_t period, uint64_t now)
{
	p->next = now - p->next < period ? p->next + period : now + period;
}

enum pace_action pace_ask(struct pace *p, enum pace_viewer viewer, uint64_t now, uint64_t *until)
{
	const uint64_t end = p->out ? p->sent + PACE_PATIENCE : p->next;

	if (now < end) {
		*until = end;
		return PACE_WAIT;
	}
	if (p->out) {
		p->sent = now;
		return PACE_LET_GO;
	}
	advance(p, viewer == PACE_HIDDEN ? PACE_HIDDEN_PERIOD : PACE_PERIOD, now);
	return viewer == PACE_NOBODY ? PACE_LET_GO : PACE_FRAME;
}

void pace_sent(struct pace *p, uint64_t now)
{
	p->out = true;
	p->sent = now;
}

void pace_shown(struct pace *p)
{
	p->out = false;
}
