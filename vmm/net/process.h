/* SPDX-License-Identifier: MIT */
/* vmm/net/process.h - the network process: libslirp, behind the filter, sealed. */
#ifndef VMM_NET_PROCESS_H
#define VMM_NET_PROCESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/util.h"
#include "vmm/net/filter.h"

/*
 * DOC: a process of its own
 *
 * What a guest sends is taken apart by libslirp, which opens the user's sockets
 * for it. So it runs apart from the VMM, without its memory and descriptors, and
 * has given up files, the user's terminal, other programs and most system calls before
 * the first frame comes. The cable between both is a SOCK_SEQPACKET socket with one frame
 * a message, behind a struct virtio_net_hdr_v1 (devices/net.h); the first message
 * is the process's word that it is ready, and it tells now and then how many frames its filter
 * dropped (NET_REPORT). The process ends when the VMM's end of the cable does.
 */

struct net_setup {
	uint32_t mode; /* enum network_mode */
	struct net_addresses own;
};

/*
 * Waits until the process has sealed itself and takes frames. -ECHILD: it ended
 * and has said why; -ETIMEDOUT, which is logged. Before the first frame.
 */
int net_process_wait(int cable) MUST_CHECK;

/* Gives up what the process does not need to carry frames: files but /etc, and most calls. -errno. */
int net_process_seal(void) MUST_CHECK;

/* Whether what it needs is installed on this host. */
bool net_process_possible(void);

/* What the process does, from its beginning to its end. Returns its exit code. */
int net_process_run(const struct net_setup *setup, int cable);

#endif
