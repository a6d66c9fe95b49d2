/* SPDX-License-Identifier: MIT */
/* vmm/session/host_clock.h - tells the guest's agent what time it is here. */
#ifndef VMM_SESSION_HOST_CLOCK_H
#define VMM_SESSION_HOST_CLOCK_H

#include "common/util.h"

/*
 * DOC: one clock for host and guest
 *
 * A guest's clock begins with the host's time and then goes by itself: it knows nothing of
 * the host's being set, of its sleep, and of what NTP does to it. So the agent has a
 * connection on which it asks, by a byte, and is answered with CLOCK_REALTIME (SC_PORT_CLOCK in
 * common/agent_protocol.h). It asks when the guest starts, when a command does, and ever more
 * rarely while commands run and its clock was right. When the host's clock is set, by hand or
 * at the end of a sleep, an answer nobody asked for makes it ask at once.
 *
 * Nothing here runs while nobody asks. All on the loop thread.
 */
struct host_clock;
struct loop;
struct vsock;

/* Borrows both. Before the machine runs. */
int host_clock_new(struct loop *loop, struct vsock *vs, struct host_clock **out) MUST_CHECK;
/* Before vs; NULL is fine. */
void host_clock_free(struct host_clock *hc);

#endif
