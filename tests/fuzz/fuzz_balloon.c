/* SPDX-License-Identifier: MIT */
#include <linux/virtio_balloon.h>

#include "balloon/balloon.h"
#include "balloon/keeper.h"
#include "devices/board/ram.h"
#include "tests/fuzz/fuzz_device.h"

#define RAM_BASE 0x200000000ull

enum { RAM_SIZE = 4 << 20 };

/* What a driver writes to the configuration, and the target the host happens to have. */
static void other(void *arg, uint8_t op, struct fuzz_input *in)
{
	struct virtio_device *vdev = arg;
	size_t off = vdev->config_writable_off + op % vdev->config_writable_len;
	size_t len = min_size(1u << (op >> 6), vdev->config_len - off);

	fuzz_bytes(in, (uint8_t *)vdev->config + off, len);
	vdev->ops->config_written(vdev, off, len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = {data, size};
	struct fake_guest *g = fake_guest_new();
	struct keeper_config cfg = {.root = ""};
	struct balloon_observer *obs;
	struct virtio_device *vdev;
	struct ram ram;

	cfg.ram = &ram;
	if (ram_init_memfd(&ram, RAM_SIZE) == 0) {
		g->mem.regions[g->mem.n_regions++] =
			(struct guest_region){RAM_BASE, RAM_SIZE, ram.host};
		if (keeper_new(&cfg, &obs) == 0 &&
		    virtio_balloon_new(&g->mem, &ram, obs, &vdev) == 0)
			fuzz_device(g, vdev, &in, other, vdev);
	}
	fake_guest_free(g);
	ram_fini(&ram);
	return 0;
}
