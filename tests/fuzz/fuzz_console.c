/* SPDX-License-Identifier: MIT */
#include "devices/console.h"
#include "tests/fuzz/fuzz_device.h"

static void output(void *owner, const void *buf, size_t len)
{
	uint8_t *sum = owner;

	if (len == 0 || len > CONSOLE_OUTPUT_CHUNK)
		abort();
	for (size_t i = 0; i < len; i++)
		*sum ^= ((const uint8_t *)buf)[i];
}

static void host_side(void *arg, uint8_t op, struct fuzz_input *in)
{
	struct console *console = arg;
	uint8_t buf[CONSOLE_INPUT_MAX + 1];
	size_t len = op & 1 ? sizeof(buf) : op;

	if (op == 0xff) {
		console_resize(console, fuzz_u16(in), fuzz_u16(in));
		return;
	}
	fuzz_bytes(in, buf, len);
	if (console_input(console, buf, len) > len)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct console_ops ops = {.output = output};
	struct fuzz_input in = {data, size};
	struct fake_guest *g = fake_guest_new();
	struct virtio_device *vdev;
	struct console *console;
	uint8_t sum = 0;

	if (virtio_console_new(&vdev, &console) == 0) {
		console_set_ops(console, &ops, &sum);
		fuzz_device(g, vdev, &in, host_side, console);
	}
	fake_guest_free(g);
	return 0;
}
