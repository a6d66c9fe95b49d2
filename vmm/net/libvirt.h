/* SPDX-License-Identifier: MIT */
/* vmm/net/libvirt.h - a card's cable into a network of libvirt's. */
#ifndef VMM_NET_LIBVIRT_H
#define VMM_NET_LIBVIRT_H

#include <stdbool.h>

#include "common/util.h"

/*
 * Asks libvirt for the bridge of its network NAME, at the connection LIBVIRT_DEFAULT_URI or
 * qemu:///system names, and QEMU's bridge helper, which root has to have allowed it, for a tap in
 * that. The descriptor is above 2. Starts processes, so before there are threads. Logs on failure.
 */
int libvirt_open(const char *name, int *fd) MUST_CHECK;

bool libvirt_is_installed(void);
/* Where QEMU's bridge helper is on this host; NULL: nowhere. */
const char *bridge_helper_path(void);

#endif
