/* SPDX-License-Identifier: MIT */
/* vmm/session/port_conn.h - one connection to a published port. */
#ifndef VMM_SESSION_PORT_CONN_H
#define VMM_SESSION_PORT_CONN_H

#include <stdint.h>

#include "common/util.h"

struct port_conn;
struct session;

/* It is over, and may be freed here. On the loop thread without a lock. */
typedef void (*port_conn_fn)(struct port_conn *conn, void *owner);

/*
 * Asks the agent to connect to its port `guest`, and joins that with fd, an accepted
 * TCP connection that is taken over, also on failure. -ENOTCONN: the session has ended.
 */
int port_conn_new(struct session *session, int fd, uint16_t guest, port_conn_fn ended, void *owner,
		  struct port_conn **out) MUST_CHECK;
/* NULL is fine. */
void port_conn_free(struct port_conn *conn);

/* The owner's list of them. */
struct port_conn **port_conn_next(struct port_conn *conn);

#endif
