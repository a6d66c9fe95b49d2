/* SPDX-License-Identifier: MIT */
#include "devices/console.h"

#include <assert.h>
#include <endian.h>
#include <errno.h>
#include <linux/virtio_console.h>
#include <linux/virtio_ids.h>
#include <string.h>

enum { Q_INPUT, Q_OUTPUT, N_QUEUES };

/* What the guest sees, or will see: plain data. */
struct console_state {
	struct virtio_console_config config;
	uint8_t input[CONSOLE_INPUT_MAX];
	size_t input_len;
};

struct console {
	struct virtio_device vdev;
	struct console_state state;
	const struct console_ops *ops;
	void *owner;
	struct device *dev; /* whose lock the host side takes; set on attach */
	bool input_was_short;

	/* The output chain being worked off: one can be longer than a kick's share. */
	struct virtq_chain out_chain;
	size_t out_done, out_left; /* bytes: of the chain, and to take in this kick */
	bool out_busy;

	struct virtq_chain in_chain; /* scratch of give_some() */
};

static struct console *to_console(struct virtio_device *vdev)
{
	return CONTAINER_OF(vdev, struct console, vdev);
}

/* Moves waiting input into a buffer of the guest's. */
static bool give_some(struct virtio_device *vdev, unsigned int q)
{
	struct console *c = to_console(vdev);
	struct console_state *s = &c->state;
	size_t len = chain_write(&c->in_chain, 0, s->input, s->input_len);

	s->input_len -= len;
	memmove(s->input, s->input + len, s->input_len);
	virtq_push(&vdev->queues[q], c->in_chain.head, (uint32_t)len);
	return s->input_len > 0;
}

/* As far as the guest's buffers go. */
static void give_input(struct console *c)
{
	if (c->state.input_len > 0)
		(void)virtio_device_serve(&c->vdev, Q_INPUT, &c->in_chain, give_some);
}

static void input_kick(struct console *c)
{
	give_input(c);
	if (c->input_was_short && c->state.input_len < CONSOLE_INPUT_MAX) {
		c->input_was_short = false;
		if (c->ops && c->ops->input_room)
			c->ops->input_room(c->owner);
	}
}

/* Hands over the rest of the present chain. False: the kick's share of bytes is used up. */
static bool take_output(struct console *c)
{
	uint8_t buf[CONSOLE_OUTPUT_CHUNK];

	while (c->out_left > 0) {
		size_t len = chain_read(&c->out_chain, c->out_done, buf,
					min_size(sizeof(buf), c->out_left));

		if (len == 0) {
			c->out_busy = false;
			virtq_push(&c->vdev.queues[Q_OUTPUT], c->out_chain.head, 0);
			return true;
		}
		if (c->ops)
			c->ops->output(c->owner, buf, len);
		c->out_done += len;
		c->out_left -= len;
	}
	virtio_device_kick_later(&c->vdev, Q_OUTPUT);
	return false;
}

static bool take_chain(struct virtio_device *vdev, unsigned int q)
{
	struct console *c = to_console(vdev);

	(void)q;
	c->out_busy = true;
	c->out_done = 0;
	return take_output(c);
}

static void output_kick(struct console *c)
{
	c->out_left = CONSOLE_OUTPUT_BUDGET;
	if (!c->out_busy || take_output(c))
		(void)virtio_device_serve(&c->vdev, Q_OUTPUT, &c->out_chain, take_chain);
}

static int console_attach(struct virtio_device *vdev, struct device *dev, struct loop *loop)
{
	(void)loop;
	to_console(vdev)->dev = dev;
	return 0;
}

static void console_queue_kick(struct virtio_device *vdev, unsigned int q)
{
	if (q == Q_INPUT)
		input_kick(to_console(vdev));
	else
		output_kick(to_console(vdev));
}

static void console_reset(struct virtio_device *vdev)
{
	struct console *c = to_console(vdev);

	c->out_busy = false;
	c->state.input_len = 0;
}

static void console_destroy(struct virtio_device *vdev)
{
	free(to_console(vdev));
}

static const struct virtio_device_ops console_device_ops = {
	.name = "virtio-console",
	.type = VIRTIO_ID_CONSOLE,
	.n_queues = N_QUEUES,
	.queue_max = {64, 64},
	.chain_max = {[Q_OUTPUT] = UINT32_MAX}, /* worked off in pieces */
	.features = 1ull << VIRTIO_CONSOLE_F_SIZE,
	.attach = console_attach,
	.queue_kick = console_queue_kick,
	.reset = console_reset,
	.destroy = console_destroy,
};

int virtio_console_new(struct virtio_device **out_device, struct console **out)
{
	struct console *c = calloc(1, sizeof(*c));

	if (!c)
		return -ENOMEM;
	virtio_device_init(&c->vdev, &console_device_ops, &c->state.config,
			   sizeof(c->state.config));
	*out_device = &c->vdev;
	*out = c;
	return 0;
}

void console_set_ops(struct console *c, const struct console_ops *ops, void *owner)
{
	assert(ops->output);
	c->ops = ops;
	c->owner = owner;
}

size_t console_input(struct console *c, const void *buf, size_t len)
{
	size_t taken = 0, part;

	pthread_mutex_lock(&c->dev->lock);
	do {
		part = min_size(len - taken, sizeof(c->state.input) - c->state.input_len);
		memcpy(c->state.input + c->state.input_len, (const uint8_t *)buf + taken, part);
		c->state.input_len += part;
		taken += part;
		give_input(c);
	} while (part > 0 && taken < len);
	/* Nothing fits any more, so a buffer from the guest will call for more. */
	c->input_was_short = taken < len;
	pthread_mutex_unlock(&c->dev->lock);
	return taken;
}

void console_resize(struct console *c, uint16_t cols, uint16_t rows)
{
	pthread_mutex_lock(&c->dev->lock);
	c->state.config.cols = htole16(cols);
	c->state.config.rows = htole16(rows);
	virtio_device_config_changed(&c->vdev);
	pthread_mutex_unlock(&c->dev->lock);
}
