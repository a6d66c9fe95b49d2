/* SPDX-License-Identifier: MIT */
#include "devices/input.h"
#include "tests/fuzz/fuzz_device.h"

static void leds(void *owner, unsigned int mask)
{
	unsigned int *lights = owner;

	if (mask > 7 || mask == *lights)
		abort();
	*lights = mask;
}

static void write_config(struct fake_guest *g, struct fuzz_input *in)
{
	uint8_t *config = g->vdev->config;
	size_t off = fuzz_u8(in) & 1;

	config[off] = fuzz_u8(in);
	g->vdev->ops->config_written(g->vdev, off, 1);
	if (config[2] > g->vdev->config_len - 8)
		abort();
}

struct host {
	struct fake_guest *g;
	struct input *input;
};

static void host_side(void *arg, uint8_t op, struct fuzz_input *in)
{
	const struct host *h = arg;
	uint16_t a = fuzz_u16(in), b = fuzz_u16(in);

	switch (op % 8) {
	case 0:
		input_key(h->input, a, op & 8);
		break;
	case 1:
		input_button(h->input, a & 7, op & 8);
		break;
	case 2:
		input_position(h->input, a, b);
		break;
	case 3:
		input_motion(h->input, (int16_t)a * 256, (int16_t)b);
		break;
	case 4:
		input_wheel(h->input, (int16_t)a, (int16_t)b * 256);
		break;
	case 5:
		input_release_all(h->input);
		break;
	default:
		write_config(h->g, in);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = {data, size};
	struct host h = {.g = fake_guest_new()};
	struct virtio_device *vdev;
	unsigned int lights = 0;

	if (virtio_input_new(fuzz_u8(&in) % 3, leds, &lights, &vdev, &h.input) == 0)
		fuzz_device(h.g, vdev, &in, host_side, &h);
	fake_guest_free(h.g);
	return 0;
}
