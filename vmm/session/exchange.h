/* SPDX-License-Identifier: MIT */
/* vmm/session/exchange.h - one thing asked of the agent and what it answers. */
#ifndef VMM_SESSION_EXCHANGE_H
#define VMM_SESSION_EXCHANGE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/util.h"
#include "vmm/session/agent_wire.h"

struct exchange;
struct session;
struct vsock_conn;

/*
 * DOC: an exchange
 *
 * A command, a share that comes or goes, and whatever else the host asks of the agent is
 * an exchange: it gets a number, says one thing or several, hears the answers that carry
 * its number, and tells its owner. The session knows numbers, order and delivery; what is
 * said and what an answer means is the exchange's own.
 *
 * Whoever has something to say calls session_speak(), and compose() is called until it
 * returns false. Whoever has something to tell its owner calls session_notify(), and
 * deliver() is called later, where an owner may do what it likes.
 */
struct exchange_ops {
	/* The first three with the vsock lock held. compose(): the next thing to be said is put
	 * into the empty buf, which may be replaced; false: there is nothing to say. */
	bool (*compose)(struct exchange *x, struct agent_buffer *buf);
	/* An answer with x's number. False: it is out of order, which ends the session. */
	bool (*heard)(struct exchange *x, const struct agent_message *m);
	/* Optional. The guest opened a stream for x and conn is x's from then on. False: not wanted. */
	bool (*stream)(struct exchange *x, struct vsock_conn *conn, uint32_t number);
	/* The session has ended, and nothing more is heard. failed: the agent gave up or broke the
	 * protocol; otherwise the guest went away without a word. why: one line. */
	void (*lost)(struct exchange *x, bool failed, const char *why);
	/* On the loop thread without a lock. Makes one of the calls to its owner that are due; x may
	 * be gone after it. False: none was due. */
	bool (*deliver)(struct exchange *x);
};

/* Embedded. */
struct exchange {
	const struct exchange_ops *ops;
	struct session *session; /* from session_add() on */
	uint32_t id; /* its number in the session, from 1 */
	struct exchange *next; /* the list's */
};

/* Exchanges under way, oldest first. Zeroed is empty. */
struct exchanges {
	struct exchange *first;
	uint32_t last_id;
};

/* Gives x the next number. -EAGAIN: there are no more numbers. */
int exchanges_add(struct exchanges *all, struct exchange *x) MUST_CHECK;
/* x is no more. Not among them is fine. */
void exchanges_remove(struct exchanges *all, struct exchange *x);
/* How many there are of one kind. */
unsigned int exchanges_count(const struct exchanges *all, const struct exchange_ops *ops);
/* NULL: there is none of that number. */
struct exchange *exchanges_find(const struct exchanges *all, uint32_t id);

/* The oldest that has something to say composes it. False: none has. */
bool exchanges_compose(const struct exchanges *all, struct agent_buffer *buf);
/* Gives an answer to whom it is for, if that still wants it. Else what is wrong, a string literal. */
const char *exchanges_hear(const struct exchanges *all, const struct agent_message *m);
/* Each hears that the session has ended. */
void exchanges_lose(const struct exchanges *all, bool failed, const char *why);
/* Tells owners until there is nothing to tell; any exchange may be removed meanwhile. */
void exchanges_deliver(const struct exchanges *all);

#endif
