/* SPDX-License-Identifier: MIT */
/* vmm/net/supervisor.h - starts the network process again when it has ended. */
#ifndef VMM_NET_SUPERVISOR_H
#define VMM_NET_SUPERVISOR_H

#include <stdint.h>

#include "common/util.h"
#include "vmm/net/keeper.h"

struct loop;
struct net_device;
struct net_supervisor;

/*
 * DOC: a process that ends before its time
 *
 * The card loses its cable, and the guest sees a link that is down. Another process is
 * asked for, after a pause that doubles each time, and when it has sealed itself its cable is
 * plugged in: the link is up again, with the same addresses; connections of before are gone.
 * A guest that can make the process crash gets NET_RESTARTS_MAX tries in a sandbox's life.
 *
 * On the loop of `loop`, but for the card, which is spoken to on its own.
 */

/* As net_keeper_ask(). */
typedef int (*net_ask_fn)(int line, int *cable);

struct net_supervisor_setup {
	struct loop *loop, *card_loop; /* ours, whose thread makes and frees; the card's */
	struct net_device *card; /* it is plugged into a process */
	int line; /* to the keeper; borrowed */
	net_ask_fn ask;
	uint64_t pause_ms; /* before the first other process */
};

/* Before the card's loop runs. */
int net_supervisor_new(const struct net_supervisor_setup *setup,
		       struct net_supervisor **out) MUST_CHECK;
/* When the card's loop has stopped. The process ends with its cable. NULL is fine. */
void net_supervisor_free(struct net_supervisor *s);

#endif
