/* SPDX-License-Identifier: MIT */
/* guest-agent/graphics.h - has the display's driver look anew at what the host can draw. */
#ifndef GUEST_AGENT_GRAPHICS_H
#define GUEST_AGENT_GRAPHICS_H

#include <stdbool.h>

#include "common/util.h"

/* The directory of the driver in sysfs; not there without a display. */
#define GRAPHICS_DRIVER "/sys/bus/virtio/drivers/virtio_gpu"

/*
 * Takes each device of the driver in `dir` away from it and gives it back. Programs that have the
 * device open keep one that answers nothing any more; those that open it from then on get what it
 * can do now. Takes as long as the kernel does. The first error, -ENOENT without such a driver.
 */
int graphics_rebind(const char *dir) MUST_CHECK;

/* Whether the first device of the driver in `dir` has the host's GPU to draw with. */
bool graphics_is_3d(const char *dir);

#endif
