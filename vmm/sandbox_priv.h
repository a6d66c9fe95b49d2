/* SPDX-License-Identifier: MIT */
/* vmm/sandbox_priv.h - what a sandbox is made of, for the files that start and end it. */
#ifndef VMM_SANDBOX_PRIV_H
#define VMM_SANDBOX_PRIV_H

#include "common/loop.h"
#include "vmm/confine/confine.h"
#include "vmm/foreground.h"
#include "vmm/park.h"
#include "vmm/sandbox.h"
#include "vmm/session/guest_log.h"
#include "vmm/watchdog.h"

struct sandbox {
	const struct sandbox_setup *setup;
	const struct sandbox_config *cfg;
	struct loop *loop;
	struct machine *machine;
	struct session *session;
	struct command *main; /* cfg->argv */
	struct shares *shares;
	struct ports *ports;
	struct control *control;
	struct template_store store;
	struct confinement confinement; /* what is in force once the machine runs */
	struct park park;
	bool cloned; /* it goes on from a template, */
	bool was_ready; /* and came to something */
	struct guest_log log;
	struct foreground foreground;

	struct loop_source tie_event;
	struct loop_timer boot_timer; /* the guest has to answer before it fires */
	uint64_t boot_cpu_ms; /* the process's CPU time when it last fired */
	struct loop_timer timeout_timer; /* --timeout */
	struct loop_timer grace_timer; /* after a signal; while powering off */
	struct loop_timer stop_timer; /* the clients' commands have to end before it fires */
	struct watchdog time_watchdog; /* behind timeout_timer */
	struct watchdog end_watchdog; /* behind grace_timer and stop_timer, and the tear-down */

	int exit_code;
	bool finished; /* exit_code is final */
	bool stopping; /* asked to end; commands get the time to */
	int end_signal; /* the first signal that asked us to end */
	const char *reason; /* as docs/control.md has them; NULL: not at its end */
	char why[256]; /* the line that was logged, if one was */
};

/*
 * A clone if there is a template that fits, else a machine that starts its kernel. `setup` is
 * complete but for its snapshot. As machine_build().
 */
struct machine_setup;
int sandbox_build_machine(struct sandbox *sb, struct machine_setup *setup) MUST_CHECK;
/* Once the session is there, and before the machine starts. */
int sandbox_prepare_session(struct sandbox *sb) MUST_CHECK;
/* When all is built, and there is one thread: gives up all but what is held. Logs on failure. */
int sandbox_confine(struct sandbox *sb) MUST_CHECK;
/* At the end. A clone that came to nothing by itself was the last one of its template. */
void sandbox_judge_template(const struct sandbox *sb);

#endif
