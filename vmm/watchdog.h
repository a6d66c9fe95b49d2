/* SPDX-License-Identifier: MIT */
/* vmm/watchdog.h - ends the process when its main loop does not. */
#ifndef VMM_WATCHDOG_H
#define VMM_WATCHDOG_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "common/util.h"

struct terminal;

/*
 * DOC: a loop that is stuck
 *
 * The main loop ends a sandbox: it hears the time limit, signals and clients. What it
 * serves is a guest's doing, and what it waits for the host's; so whatever is to end
 * within some time is also a timer of the kernel's, whose signal reaches the main thread
 * wherever it is. The first time, the timer only gives the loop another second, for the
 * process may have been stopped (^Z) and not be stuck. The second time, its handler puts
 * the terminal back, says why in one line and ends the process. There is no thread for it,
 * and nothing wakes before it is due.
 */

/* Embedded; zeroed is "not made". Set, cleared and finished by the thread that made it. */
struct watchdog {
	timer_t timer;
	bool made;
	const struct terminal *terminal; /* borrowed */
	const char *line; /* what it says; a string literal */
	int exit_code;
	volatile bool barked; /* it is the last second */
};

/* Its signal interrupts the calling thread. -errno: there are no timers left. */
int watchdog_init(struct watchdog *w, const struct terminal *terminal) MUST_CHECK;
/*
 * Ends the process with exit_code in `ms` milliseconds and a second, instead of what was set
 * before. Signal handlers may call it.
 */
void watchdog_set(struct watchdog *w, uint64_t ms, int exit_code, const char *line);
/* It does nothing any more. One that was not made is fine, here and below. */
void watchdog_clear(struct watchdog *w);
void watchdog_fini(struct watchdog *w);

/*
 * The process ends now: puts the terminal back, says `line`, which does not wait for a reader,
 * and ends with exit_code. Signal handlers may call it.
 */
_Noreturn void watchdog_bite(const struct terminal *terminal, const char *line, int exit_code);

#endif
