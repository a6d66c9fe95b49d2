/* SPDX-License-Identifier: MIT */
/* guest-agent/unique.h - makes this guest another one than those that came from the same template. */
#ifndef GUEST_AGENT_UNIQUE_H
#define GUEST_AGENT_UNIQUE_H

#include <stdbool.h>

#include "common/util.h"
#include "guest-agent/messages.h"
#include "guest-agent/text.h"

/*
 * Takes the host's random bytes and time over, before any program runs that could ask for either.
 * `parked`: the machine was held, so that others may have been made of it; then it gets a
 * boot id of its own, too. /proc, /dev and a writable /run are there by then.
 */
int unique_take(const struct resume *from, bool parked, struct text *why) MUST_CHECK;

#endif
