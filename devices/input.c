/* SPDX-License-Identifier: MIT */
#include "devices/input.h"

#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <linux/input.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_input.h>
#include <string.h>

#include "devices/input_keys.h"

enum {
	Q_EVENT,
	Q_STATUS,
	N_QUEUES,
	MAX_BATCH =
		8, /* events with SYN; a wheel's are the most: two directions, coarse and fine */
	KEY_BYTES = KEY_CNT / 8,
	N_LEDS = 3,
};

/* What the guest sees or was told: plain data. */
struct input_state {
	struct virtio_input_config config;
	uint8_t down[KEY_BYTES]; /* keys and buttons that are down in the guest, by Linux's code */
	uint8_t up
		[KEY_BYTES]; /* those of `down` of which the guest is still to hear that they came up */
	unsigned int leds;
	int wheel_rest[2]; /* vertical, horizontal: less than a notch that was told as fine only */
	uint64_t dropped;
};

/* What a kind is; constant. */
struct input_model {
	const char *name;
	uint16_t product;
	bool keys, leds, absolute, relative;
};

struct input {
	struct virtio_device vdev;
	struct input_state state;
	const struct input_model *model;
	input_leds_fn leds;
	void *owner;
	struct device *dev; /* whose lock the host side takes; set on attach */
	struct virtq_chain chain; /* scratch of whoever pops */
};

/* Events that are told together; end_batch() adds SYN. */
struct batch {
	unsigned int n;
	struct virtio_input_event events[MAX_BATCH];
};

static const struct input_model models[] = {
	[INPUT_KEYBOARD] = {"Sandcastle Keyboard", 1, .keys = true, .leds = true},
	[INPUT_TABLET] = {"Sandcastle Tablet", 2, .absolute = true},
	[INPUT_MOUSE] = {"Sandcastle Mouse", 3, .relative = true},
};

static const uint16_t buttons[INPUT_BUTTONS] = {BTN_LEFT, BTN_MIDDLE, BTN_RIGHT, BTN_SIDE,
						BTN_EXTRA};

static struct input *to_input(struct virtio_device *vdev)
{
	return CONTAINER_OF(vdev, struct input, vdev);
}

static bool bit_get(const uint8_t *bits, unsigned int n)
{
	return (bits[n / 8] >> n % 8) & 1;
}

static void bit_set(uint8_t *bits, unsigned int n)
{
	bits[n / 8] = (uint8_t)(bits[n / 8] | 1 << n % 8);
}

static void bit_clear(uint8_t *bits, unsigned int n)
{
	bits[n / 8] = (uint8_t)(bits[n / 8] & ~(1 << n % 8));
}

/* The configuration space (5.8.4): what the driver selected, or size 0. */

static void show_string(struct virtio_input_config *c, const char *text)
{
	c->size = (uint8_t)strlen(text);
	memcpy(c->u.string, text, c->size);
}

static void show_ids(struct virtio_input_config *c, const struct input_model *model)
{
	c->size = sizeof(c->u.ids);
	c->u.ids = (struct virtio_input_devids){
		.bustype = htole16(BUS_VIRTUAL),
		.product = htole16(model->product),
		.version = htole16(1),
	};
}

/* As short as the highest bit allows, as the specification has it. */
static void show_bits(struct virtio_input_config *c)
{
	size_t n = sizeof(c->u.bitmap);

	while (n > 0 && c->u.bitmap[n - 1] == 0)
		n--;
	c->size = (uint8_t)n;
}

static void keys_of(const struct input_model *model, uint8_t *bits)
{
	if (model->keys) {
		for (unsigned int usage = 0; usage < INPUT_USAGES; usage++)
			if (input_keys[usage] != KEY_RESERVED)
				bit_set(bits, input_keys[usage]);
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(buttons); i++)
		bit_set(bits, buttons[i]);
}

static void relative_of(const struct input_model *model, uint8_t *bits)
{
	if (model->keys)
		return;
	bit_set(bits, REL_WHEEL);
	bit_set(bits, REL_HWHEEL);
	bit_set(bits, REL_WHEEL_HI_RES);
	bit_set(bits, REL_HWHEEL_HI_RES);
	if (model->relative) {
		bit_set(bits, REL_X);
		bit_set(bits, REL_Y);
	}
}

static void show_events(struct virtio_input_config *c, const struct input_model *model)
{
	uint8_t *bits = c->u.bitmap;

	switch (c->subsel) {
	case EV_KEY:
		keys_of(model, bits);
		break;
	case EV_REL:
		relative_of(model, bits);
		break;
	case EV_ABS:
		if (model->absolute)
			bits[0] = 1 << ABS_X | 1 << ABS_Y;
		break;
	case EV_LED:
		if (model->leds)
			bits[0] = 1 << LED_NUML | 1 << LED_CAPSL | 1 << LED_SCROLLL;
		break;
	case EV_REP:
		/* The guest repeats keys by itself; Linux asks for no more than a size. */
		if (model->keys)
			bits[0] = 1 << REP_DELAY | 1 << REP_PERIOD;
		break;
	default:
		break;
	}
	show_bits(c);
}

static void show_axis(struct virtio_input_config *c, const struct input_model *model)
{
	if (!model->absolute || (c->subsel != ABS_X && c->subsel != ABS_Y))
		return;
	c->size = sizeof(c->u.abs);
	c->u.abs = (struct virtio_input_absinfo){.max = htole32(INPUT_POSITION_MAX)};
}

static void show_config(struct virtio_input_config *c, const struct input_model *model)
{
	c->size = 0;
	memset(&c->u, 0, sizeof(c->u));
	if (c->select == VIRTIO_INPUT_CFG_EV_BITS)
		show_events(c, model);
	else if (c->select == VIRTIO_INPUT_CFG_ABS_INFO)
		show_axis(c, model);
	else if (c->subsel != 0)
		return;
	else if (c->select == VIRTIO_INPUT_CFG_ID_NAME)
		show_string(c, model->name);
	else if (c->select == VIRTIO_INPUT_CFG_ID_DEVIDS)
		show_ids(c, model);
}

static void input_config_written(struct virtio_device *vdev, size_t off, size_t len)
{
	struct input *in = to_input(vdev);

	(void)off;
	(void)len;
	show_config(&in->state.config, in->model);
}

/* Events to the guest */

static void add_event(struct batch *b, unsigned int type, unsigned int code, int value)
{
	assert(b->n < MAX_BATCH);
	b->events[b->n++] = (struct virtio_input_event){
		.type = htole16((uint16_t)type),
		.code = htole16((uint16_t)code),
		.value = htole32((uint32_t)value),
	};
}

/*
 * One event into one buffer. False: there is none, though virtq_waiting() counted it, which only a
 * driver that takes buffers back can bring about; or the ring is malformed, and the device broke.
 */
static bool give_event(struct input *in, const struct virtio_input_event *event)
{
	struct virtq *vq = &in->vdev.queues[Q_EVENT];
	int r = virtq_pop(vq, &in->chain);

	if (r < 0)
		virtio_device_break(&in->vdev, "the event queue is malformed");
	if (r <= 0)
		return false;
	virtq_push(vq, in->chain.head, (uint32_t)chain_write(&in->chain, 0, event, sizeof(*event)));
	return true;
}

static bool give_key(struct input *in, unsigned int code, bool down)
{
	struct batch b = {0};

	add_event(&b, EV_KEY, code, down);
	return give_event(in, &b.events[0]);
}

static bool give_syn(struct input *in)
{
	struct batch b = {0};

	add_event(&b, EV_SYN, SYN_REPORT, 0);
	return give_event(in, &b.events[0]);
}

/* How many events the guest can take now. */
static unsigned int room(const struct input *in)
{
	return virtq_waiting(&in->vdev.queues[Q_EVENT]);
}

static bool releases_wait(const struct input *in)
{
	static const uint8_t none[KEY_BYTES];

	return memcmp(in->state.up, none, sizeof(none)) != 0;
}

/* As many of the waiting releases as there are buffers for, with a SYN behind them. */
static void give_releases(struct input *in)
{
	struct input_state *s = &in->state;
	unsigned int left = room(in);

	if (left < 2)
		return;
	for (unsigned int code = 0; code < KEY_CNT && left > 1; code++) {
		if (!bit_get(s->up, code))
			continue;
		if (!give_key(in, code, false))
			break;
		bit_clear(s->up, code);
		bit_clear(s->down, code);
		left--;
	}
	(void)give_syn(in);
}

/* Sends what waits; if some still does, the guest is to say when it has laid out buffers. */
static void settle_releases(struct input *in)
{
	struct virtq *vq = &in->vdev.queues[Q_EVENT];

	if (!releases_wait(in))
		return;
	give_releases(in);
	if (releases_wait(in)) {
		virtq_want_kick(vq, true);
		/* A buffer may have come before the guest could know. */
		give_releases(in);
	}
	if (!releases_wait(in))
		virtq_want_kick(vq, false);
	virtio_device_flush(&in->vdev, Q_EVENT);
}

/* The batch, if it fits behind the releases that wait; false: it was dropped. */
static bool give_batch(struct input *in, struct batch *b)
{
	settle_releases(in);
	add_event(b, EV_SYN, SYN_REPORT, 0);
	if (releases_wait(in) || room(in) < b->n) {
		in->state.dropped++;
		return false;
	}
	for (unsigned int i = 0; i < b->n; i++)
		if (!give_event(in, &b->events[i]))
			return false;
	virtio_device_flush(&in->vdev, Q_EVENT);
	return true;
}

/* Host side. A device without a driver, or broken, hears nothing. */
static bool listens(const struct input *in)
{
	return in->vdev.active && !in->vdev.broken;
}

static void set_key(struct input *in, unsigned int code, bool down)
{
	struct input_state *s = &in->state;
	struct batch b = {0};

	if (!listens(in))
		return;
	if (!down) {
		if (bit_get(s->down, code))
			bit_set(s->up, code);
		settle_releases(in);
		return;
	}
	if (bit_get(s->down, code) && !bit_get(s->up, code))
		return;
	add_event(&b, EV_KEY, code, 1);
	if (give_batch(in, &b))
		bit_set(s->down, code);
}

void input_key(struct input *in, unsigned int usage, bool down)
{
	if (!in->model->keys || usage >= INPUT_USAGES || input_keys[usage] == KEY_RESERVED)
		return;
	pthread_mutex_lock(&in->dev->lock);
	set_key(in, input_keys[usage], down);
	pthread_mutex_unlock(&in->dev->lock);
}

void input_button(struct input *in, unsigned int button, bool down)
{
	if (in->model->keys || button >= INPUT_BUTTONS)
		return;
	pthread_mutex_lock(&in->dev->lock);
	set_key(in, buttons[button], down);
	pthread_mutex_unlock(&in->dev->lock);
}

void input_release_all(struct input *in)
{
	pthread_mutex_lock(&in->dev->lock);
	memcpy(in->state.up, in->state.down, sizeof(in->state.up));
	if (listens(in))
		settle_releases(in);
	pthread_mutex_unlock(&in->dev->lock);
}

void input_position(struct input *in, unsigned int x, unsigned int y)
{
	struct batch b = {0};

	if (!in->model->absolute)
		return;
	add_event(&b, EV_ABS, ABS_X, (int)min_size(x, INPUT_POSITION_MAX));
	add_event(&b, EV_ABS, ABS_Y, (int)min_size(y, INPUT_POSITION_MAX));
	pthread_mutex_lock(&in->dev->lock);
	if (listens(in))
		(void)give_batch(in, &b);
	pthread_mutex_unlock(&in->dev->lock);
}

static int cut(int v)
{
	if (v > INPUT_MOTION_MAX)
		return INPUT_MOTION_MAX;
	return v < -INPUT_MOTION_MAX ? -INPUT_MOTION_MAX : v;
}

void input_motion(struct input *in, int dx, int dy)
{
	struct batch b = {0};

	if (!in->model->relative || (dx == 0 && dy == 0))
		return;
	if (dx != 0)
		add_event(&b, EV_REL, REL_X, cut(dx));
	if (dy != 0)
		add_event(&b, EV_REL, REL_Y, cut(dy));
	pthread_mutex_lock(&in->dev->lock);
	if (listens(in))
		(void)give_batch(in, &b);
	pthread_mutex_unlock(&in->dev->lock);
}

/* The fine event, and the coarse one for the whole notches that are full; returns the new rest. */
static int add_wheel(struct batch *b, unsigned int coarse, unsigned int fine, int rest, int v)
{
	v = cut(v);
	if (v == 0)
		return rest;
	rest += v;
	add_event(b, EV_REL, fine, v);
	if (rest / INPUT_NOTCH != 0)
		add_event(b, EV_REL, coarse, rest / INPUT_NOTCH);
	return rest % INPUT_NOTCH;
}

static void turn_wheels(struct input *in, int vertical, int horizontal)
{
	int *rest = in->state.wheel_rest, new_rest[2];
	struct batch b = {0};

	new_rest[0] = add_wheel(&b, REL_WHEEL, REL_WHEEL_HI_RES, rest[0], vertical);
	new_rest[1] = add_wheel(&b, REL_HWHEEL, REL_HWHEEL_HI_RES, rest[1], horizontal);
	if (b.n > 0 && give_batch(in, &b))
		memcpy(rest, new_rest, sizeof(new_rest));
}

void input_wheel(struct input *in, int vertical, int horizontal)
{
	if (in->model->keys)
		return;
	pthread_mutex_lock(&in->dev->lock);
	if (listens(in))
		turn_wheels(in, vertical, horizontal);
	pthread_mutex_unlock(&in->dev->lock);
}

int input_ready(struct input *in)
{
	int r = -ENODEV;

	pthread_mutex_lock(&in->dev->lock);
	if (listens(in)) {
		settle_releases(in);
		r = !releases_wait(in) && room(in) >= MAX_BATCH;
	}
	pthread_mutex_unlock(&in->dev->lock);
	return r;
}

uint64_t input_dropped(struct input *in)
{
	uint64_t n;

	pthread_mutex_lock(&in->dev->lock);
	n = in->state.dropped;
	pthread_mutex_unlock(&in->dev->lock);
	return n;
}

/* What the guest says */

/* One event of the status queue (5.8.6.2); anything but a light is none of ours. */
static void take_status(struct input *in, const struct virtio_input_event *event)
{
	unsigned int code = le16toh(event->code), mask = in->state.leds;

	if (!in->model->leds || le16toh(event->type) != EV_LED || code >= N_LEDS)
		return;
	if (event->value != 0)
		mask |= 1u << code;
	else
		mask &= ~(1u << code);
	if (mask == in->state.leds)
		return;
	in->state.leds = mask;
	if (in->leds)
		in->leds(in->owner, mask);
}

static bool serve_status(struct virtio_device *vdev, unsigned int q)
{
	struct input *in = to_input(vdev);
	struct virtio_input_event event;

	if (chain_read(&in->chain, 0, &event, sizeof(event)) == sizeof(event))
		take_status(in, &event);
	virtq_push(&vdev->queues[q], in->chain.head, 0);
	return true;
}

static void status_kick(struct input *in)
{
	(void)virtio_device_serve(&in->vdev, Q_STATUS, &in->chain, serve_status);
}

static int input_attach(struct virtio_device *vdev, struct device *dev, struct loop *loop)
{
	(void)loop;
	to_input(vdev)->dev = dev;
	return 0;
}

static void input_activate(struct virtio_device *vdev)
{
	virtq_want_kick(&vdev->queues[Q_EVENT], false);
}

static void input_queue_kick(struct virtio_device *vdev, unsigned int q)
{
	if (q == Q_EVENT)
		settle_releases(to_input(vdev));
	else
		status_kick(to_input(vdev));
}

static void input_reset(struct virtio_device *vdev)
{
	struct input_state *s = &to_input(vdev)->state;

	memset(s->down, 0, sizeof(s->down));
	memset(s->up, 0, sizeof(s->up));
	memset(s->wheel_rest, 0, sizeof(s->wheel_rest));
}

static void input_destroy(struct virtio_device *vdev)
{
	free(to_input(vdev));
}

static const struct virtio_device_ops input_ops = {
	.name = "virtio-input",
	.type = VIRTIO_ID_INPUT,
	.n_queues = N_QUEUES,
	.queue_max = {64, 64},
	.attach = input_attach,
	.activate = input_activate,
	.queue_kick = input_queue_kick,
	.reset = input_reset,
	.config_written = input_config_written,
	.destroy = input_destroy,
};

int virtio_input_new(enum input_kind kind, input_leds_fn leds, void *owner,
		     struct virtio_device **out_device, struct input **out)
{
	struct input *in = calloc(1, sizeof(*in));

	if (!in)
		return -ENOMEM;
	virtio_device_init(&in->vdev, &input_ops, &in->state.config, sizeof(in->state.config));
	in->vdev.config_writable_off = offsetof(struct virtio_input_config, select);
	in->vdev.config_writable_len = 2;
	in->model = &models[kind];
	in->leds = leds;
	in->owner = owner;
	*out_device = &in->vdev;
	*out = in;
	return 0;
}
