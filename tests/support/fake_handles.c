/* SPDX-License-Identifier: MIT */
#include "tests/support/fake_handles.h"

#include <string.h>

#include "battery/battery.h"

void console_set_ops(struct console *c, const struct console_ops *ops, void *owner)
{
	c->ops = ops;
	c->owner = owner;
}

size_t console_input(struct console *c, const void *buf, size_t len)
{
	const size_t n = min_size(len, c->room);

	if (c->typed_len < sizeof(c->typed))
		memcpy(c->typed + c->typed_len, buf, min_size(n, sizeof(c->typed) - c->typed_len));
	c->typed_len += n;
	c->room -= n;
	return n;
}

void console_resize(struct console *c, uint16_t columns, uint16_t rows)
{
	c->rows = rows;
	c->columns = columns;
}

void fake_console_output(struct console *c, const void *buf, size_t len)
{
	c->ops->output(c->owner, buf, len);
}

void fake_console_room(struct console *c)
{
	c->ops->input_room(c->owner);
}

static struct fake_keeper *to_fake(struct balloon_observer *obs)
{
	return CONTAINER_OF(obs, struct fake_keeper, obs);
}

void keeper_ask(struct balloon_observer *obs, keeper_figures_fn fn, void *owner)
{
	to_fake(obs)->asked = fn;
	to_fake(obs)->asker = owner;
}

void keeper_on_pressure(struct balloon_observer *obs, keeper_pressure_fn fn, void *owner)
{
	to_fake(obs)->pressure = fn;
	to_fake(obs)->pressure_owner = owner;
}

uint64_t keeper_resident(struct balloon_observer *obs)
{
	return to_fake(obs)->resident;
}

void fake_keeper_answer(struct fake_keeper *k, const struct figures *figures)
{
	const keeper_figures_fn fn = k->asked;

	k->asked = NULL;
	if (fn)
		fn(k->asker, figures);
}

void fake_keeper_pressure(struct fake_keeper *k, bool squeezing)
{
	k->pressure(k->pressure_owner, squeezing);
}

json_t *battery_json(struct device *dev)
{
	(void)dev;
	return json_pack("{s:b, s:[]}", "ac", 1, "batteries");
}
