/* SPDX-License-Identifier: MIT */
/*
 * DOC: a request that types
 *
 * The events of an "input" go to the guest one each INPUT_PACE_MS, as a quick hand would give
 * them: Linux keeps 64 events for a program that is busy, two for a key that goes down or up, and
 * forgets all of them with the next; so one may be busy for more than half a second. Before each
 * one the device is asked whether the guest has room for it; a guest that has none for
 * INPUT_PATIENCE_MS ends the request. Whatever a request pressed comes up with its end, so a
 * client that dies leaves no key down. One request at a time plays, and the reply comes behind the
 * last event.
 */
#include <errno.h>
#include <string.h>

#include "devices/input.h"
#include "devices/input_keys.h"
#include "gpu/display.h"
#include "vmm/control/control_priv.h"

enum { INPUT_PACE_MS = 20, INPUT_PATIENCE_MS = 5000, WHEEL_MAX = 100 };

enum kind { KEY, BUTTON, POINT, WHEEL };

struct event {
	enum kind kind;
	bool down; /* of KEY and BUTTON */
	uint32_t what; /* a HID usage, a button, a monitor from 0 on */
	int32_t x, y; /* pixels of the monitor's picture; 120ths of a notch: right, up */
};

struct control_playing {
	struct control *control;
	struct control_client *client;
	int64_t id;
	unsigned int waited_ms; /* for room, since the last event */
	size_t next, n;
	struct event events[];
};

/* The member `key`, a number from min to max. */
static bool get(const json_t *event, const char *key, json_int_t min, json_int_t max, int32_t *out)
{
	const json_t *value = json_object_get(event, key);

	if (!json_is_integer(value) || json_integer_value(value) < min ||
	    json_integer_value(value) > max)
		return false;
	*out = (int32_t)json_integer_value(value);
	return true;
}

static bool get_pressed(const json_t *event, const char *key, json_int_t max, struct event *out)
{
	const json_t *down = json_object_get(event, "down");
	int32_t what;

	if (!get(event, key, 0, max, &what) || !json_is_boolean(down))
		return false;
	out->what = (uint32_t)what;
	out->down = json_is_true(down);
	return true;
}

static bool get_key(const json_t *event, struct event *out)
{
	return get_pressed(event, "key", INPUT_USAGES - 1, out) && input_keys[out->what];
}

static bool get_button(const json_t *event, struct event *out)
{
	return get_pressed(event, "button", INPUT_BUTTONS - 1, out);
}

static bool get_point(const json_t *event, struct event *out)
{
	int32_t monitor;

	if (!get(event, "monitor", 1, GPU_SCANOUTS, &monitor))
		return false;
	out->what = (uint32_t)monitor - 1;
	return get(event, "x", 0, WINDOW_MAX_SIDE - 1, &out->x) &&
	       get(event, "y", 0, WINDOW_MAX_SIDE - 1, &out->y);
}

static bool get_wheel(const json_t *event, struct event *out)
{
	return get(event, "wheel", -WHEEL_MAX * INPUT_NOTCH, WHEEL_MAX * INPUT_NOTCH, &out->y);
}

/* By the member that only this kind has. */
static const struct {
	const char *name;
	bool (*get)(const json_t *event, struct event *out);
} kinds[] = {
	[KEY] = {"key", get_key},
	[BUTTON] = {"button", get_button},
	[POINT] = {"monitor", get_point},
	[WHEEL] = {"wheel", get_wheel},
};

static bool parse(const json_t *event, struct event *out)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		if (json_object_get(event, kinds[i].name)) {
			out->kind = (enum kind)i;
			return kinds[i].get(event, out);
		}
	return false;
}

static struct input *device_of(const struct display *d, const struct event *event)
{
	return event->kind == KEY ? d->keyboard : d->tablet;
}

/* 0, or an error of gpu_point(). */
static int give(const struct display *d, const struct event *event)
{
	uint32_t x, y;
	int r = 0;

	switch (event->kind) {
	case KEY:
		input_key(d->keyboard, event->what, event->down);
		break;
	case BUTTON:
		input_button(d->tablet, event->what, event->down);
		break;
	case POINT:
		r = gpu_point(d->gpu, event->what, (uint32_t)event->x, (uint32_t)event->y, &x, &y);
		if (r == 0)
			input_position(d->tablet, x, y);
		break;
	case WHEEL:
		input_wheel(d->tablet, event->y, 0);
		break;
	}
	return r;
}

/* Lets go of what was pressed; what is up already stays so. */
static void release(const struct control_playing *p)
{
	for (size_t i = 0; i < p->next; i++) {
		struct event up = p->events[i];

		up.down = false;
		if (up.kind == KEY || up.kind == BUTTON)
			(void)give(p->control->setup.display, &up);
	}
}

static void end(struct control_playing *p)
{
	release(p);
	p->control->playing = NULL;
	loop_timer_fini(&p->control->input_timer);
	free(p);
}

static void refuse(struct control_playing *p, const char *error, int err, const char *why)
{
	control_refuse(p->client, p->id, error, err, "event %zu: %s", p->next + 1, why);
	end(p);
}

static void refuse_point(struct control_playing *p, int r)
{
	if (r == -ENODATA)
		refuse(p, CONTROL_E_NO_PICTURE, 0, "the guest shows nothing on that monitor");
	else
		refuse(p, CONTROL_E_BAD_REQUEST, 0, "outside of what the monitor shows");
}

static void play(struct control_playing *p)
{
	const struct display *d = p->control->setup.display;
	int ready = p->next < p->n ? input_ready(device_of(d, &p->events[p->next])) : 0;

	if (p->next == p->n) {
		control_reply(p->client, p->id, NULL);
		end(p);
		return;
	}
	if (ready < 0) {
		refuse(p, CONTROL_E_FAILED, ENODEV,
		       "the guest has no driver of it: its kernel lacks virtio_input");
		return;
	}
	if (ready == 0 && p->waited_ms >= INPUT_PATIENCE_MS) {
		refuse(p, CONTROL_E_FAILED, ETIMEDOUT, "the guest does not take it");
		return;
	}
	p->waited_ms += INPUT_PACE_MS;
	if (ready > 0) {
		const int r = give(d, &p->events[p->next]);

		if (r < 0) {
			refuse_point(p, r);
			return;
		}
		p->next++;
		p->waited_ms = 0;
	}
	loop_timer_set(&p->control->input_timer, INPUT_PACE_MS);
}

static void tick(struct loop_timer *timer)
{
	play(CONTAINER_OF(timer, struct control, input_timer)->playing);
}

/* NULL after a refusal. */
static struct control_playing *take(struct control *ctl, const struct control_request *req)
{
	const json_t *list = json_object_get(req->body, "events");
	const size_t n = json_array_size(list);
	struct control_playing *p;

	if (n == 0 || n > CONTROL_MAX_INPUT) {
		control_refuse(req->client, req->id, CONTROL_E_BAD_REQUEST, 0,
			       "events: an array of 1 to %d is needed", CONTROL_MAX_INPUT);
		return NULL;
	}
	p = calloc(1, sizeof(*p) + n * sizeof(p->events[0]));
	if (!p) {
		control_refuse(req->client, req->id, CONTROL_E_FAILED, ENOMEM, "out of memory");
		return NULL;
	}
	*p = (struct control_playing){.control = ctl, .client = req->client, .id = req->id, .n = n};
	for (size_t i = 0; i < n; i++)
		if (!parse(json_array_get(list, i), &p->events[i])) {
			control_refuse(req->client, req->id, CONTROL_E_BAD_REQUEST, 0,
				       "event %zu is no key, button, place or wheel", i + 1);
			free(p);
			return NULL;
		}
	return p;
}

void control_input(struct control *ctl, struct control_request *req)
{
	struct control_playing *p;
	int r;

	if (!control_has_display(ctl, req))
		return;
	if (ctl->playing) {
		control_refuse(req->client, req->id, CONTROL_E_BUSY, 0,
			       "other input is being given");
		return;
	}
	p = take(ctl, req);
	if (!p)
		return;
	r = loop_timer_init(&ctl->input_timer, ctl->setup.loop, tick, "control-input");
	if (r < 0) {
		control_refuse(req->client, req->id, CONTROL_E_FAILED, -r, "no timer: %s",
			       strerror(-r));
		free(p);
		return;
	}
	ctl->playing = p;
	play(p);
}

void control_forget_input(struct control *ctl, const struct control_client *client)
{
	if (ctl->playing && (!client || ctl->playing->client == client))
		end(ctl->playing);
}
