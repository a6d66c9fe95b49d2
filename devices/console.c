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

	/* The output chain being worked off: one can be longer than the budget. */
	struct virtq_chain out_chain;
	size_t out_done;
	bool out_busy;

	struct virtq_chain in_chain; /* scratch of give_input() */
};

static struct console *to_console(struct virtio_device *vdev)
{
	return CONTAINER_OF(vdev, struct console, vdev);
}

/* Moves waiting input into the guest's buffers, as far as these go. */
static void give_input(struct console *c)
{
	struct virtq *vq = &c->vdev.queues[Q_INPUT];
	struct console_state *s = &c->state;
	unsigned int n = 0;
	int r = 1;

	while (s->input_len > 0 && n++ < VIRTIO_KICK_BUDGET) {
		size_t len;

		r = virtq_pop(vq, &c->in_chain);
		if (r <= 0)
			break;
		len = chain_write(&c->in_chain, 0, s->input, s->input_len);
		s->input_len -= len;
		memmove(s->input, s->input + len, s->input_len);
		virtq_push(vq, c->in_chain.head, (uint32_t)len);
	}
	if (r < 0) {
		virtio_device_break(&c->vdev, "the input queue is malformed");
		return;
	}
	/* Only buffers without room get us here, and then the guest is up to something. */
	if (r > 0 && s->input_len > 0)
		virtio_device_kick_later(&c->vdev, Q_INPUT);
	virtio_device_flush(&c->vdev, Q_INPUT);
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

/* Hands over the rest of the present chain, at most *budget bytes of it. */
static void take_output(struct console *c, size_t *budget)
{
	uint8_t buf[CONSOLE_OUTPUT_CHUNK];

	while (*budget > 0) {
		size_t len =
			chain_read(&c->out_chain, c->out_done, buf, min_size(sizeof(buf), *budget));

		if (len == 0) {
			c->out_busy = false;
			virtq_push(&c->vdev.queues[Q_OUTPUT], c->out_chain.head, 0);
			return;
		}
		if (c->ops)
			c->ops->output(c->owner, buf, len);
		c->out_done += len;
		*budget -= len;
	}
}

static void output_kick(struct console *c)
{
	struct virtq *vq = &c->vdev.queues[Q_OUTPUT];
	size_t budget = CONSOLE_OUTPUT_BUDGET;
	unsigned int chains = 0;
	int r = 1;

	while (budget > 0 && chains < VIRTIO_KICK_BUDGET) {
		if (!c->out_busy) {
			r = virtq_pop(vq, &c->out_chain);
			if (r <= 0)
				break;
			c->out_busy = true;
			c->out_done = 0;
			chains++;
		}
		take_output(c, &budget);
	}
	if (r < 0) {
		virtio_device_break(&c->vdev, "the output queue is malformed");
		return;
	}
	if (r > 0)
		virtio_device_kick_later(&c->vdev, Q_OUTPUT);
	virtio_device_flush(&c->vdev, Q_OUTPUT);
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
