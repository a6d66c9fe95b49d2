/* SPDX-License-Identifier: MIT */
/* guest-agent/etc.h - the host's /etc, made to fit this guest; and its network's first step. */
#ifndef GUEST_AGENT_ETC_H
#define GUEST_AGENT_ETC_H

#include "common/util.h"
#include "guest-agent/messages.h"
#include "guest-agent/text.h"

/*
 * In the overlay, hence in memory: /etc/hostname, an /etc/hosts that knows the
 * name, the invoking user's lines in /etc/passwd and /etc/group where the
 * host's files lack them (users from a directory service). Sets the host name
 * and brings the loopback device up.
 */
int etc_finish(struct setup *s, struct text *why) MUST_CHECK;

#endif
