/* SPDX-License-Identifier: MIT */
/* vmm/session/session_priv.h - what an exchange needs of the session. */
#ifndef VMM_SESSION_SESSION_PRIV_H
#define VMM_SESSION_SESSION_PRIV_H

#include "vmm/session/exchange.h"
#include "vmm/session/session.h"

struct loop *session_loop(struct session *s);
struct vsock *session_vsock(struct session *s);
/* Takes x in, whose ops are set, and gives it its number. -ENOTCONN: it has ended; -EAGAIN. */
int session_add(struct session *s, struct exchange *x) MUST_CHECK;
/* Never added, or not any more, is fine. */
void session_remove(struct exchange *x);
/* How many exchanges of one kind there are. */
unsigned int session_count(const struct session *s, const struct exchange_ops *ops);
/* An exchange has something to say; vsock lock not held. */
void session_speak(struct session *s);
/* An exchange has something to tell its owner; any time. */
void session_notify(struct session *s);

#endif
