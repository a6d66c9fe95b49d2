/* SPDX-License-Identifier: MIT */
#include "devices/rng.h"
#include "tests/fuzz/fuzz_device.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = {data, size};
	struct fake_guest *g = fake_guest_new();
	struct virtio_device *vdev;

	if (virtio_rng_new(&vdev) == 0)
		fuzz_device(g, vdev, &in, NULL, NULL);
	fake_guest_free(g);
	return 0;
}
