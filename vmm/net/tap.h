/* SPDX-License-Identifier: MIT */
/* vmm/net/tap.h - a card's cable that is a tap of the host's. */
#ifndef VMM_NET_TAP_H
#define VMM_NET_TAP_H

#include "common/util.h"

/*
 * DOC: a network of the user's own
 *
 * With --network tap=NAME or libvirt:NAME the card's frames go to a tap device, and from there
 * wherever root has led them: nothing of ours looks at them. The tap is opened before the machine
 * runs. The host's kernel is told that the guest takes no offloads, so what it hands out is whole:
 * checksums made, nothing longer than the MTU. What comes from the guest has a header that the card
 * has checked (devices/net.h); the kernel fills in checksums and cuts by it.
 */

/*
 * Opens the tap NAME, which has to be there and to be this user's to open. Its descriptor is above
 * 2. Logs on failure.
 */
int tap_open(const char *name, int *fd) MUST_CHECK;

/* Makes an open tap, which somebody else may have set up, carry what a card's cable does. -errno. */
int tap_prepare(int fd) MUST_CHECK;

#endif
