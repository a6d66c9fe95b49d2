/* SPDX-License-Identifier: MIT */
/* devices/rng.h - virtio-rng (VIRTIO 1.2 section 5.4): the host's random numbers. */
#ifndef DEVICES_RNG_H
#define DEVICES_RNG_H

#include "devices/virtio/virtio.h"

enum { RNG_MAX_REQUEST = 256 }; /* bytes; a longer request is answered with so many */

int virtio_rng_new(struct virtio_device **out) MUST_CHECK;

#endif
