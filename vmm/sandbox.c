/* SPDX-License-Identifier: MIT */
#include "vmm/sandbox_priv.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "common/exit_codes.h"
#include "common/log.h"
#include "gpu/display.h"
#include "vmm/boot_patience.h"
#include "vmm/config/timeline.h"
#include "vmm/control/control.h"
#include "vmm/foreground.h"
#include "vmm/kvm/checks.h"
#include "vmm/machine.h"
#include "vmm/session/command.h"
#include "vmm/session/ports.h"
#include "vmm/session/session.h"
#include "vmm/session/shares.h"
#include "vmm/signal_inbox.h"

enum {
	/* How long after a limit the loop must have acted on it; see vmm/watchdog.h. */
	STUCK_MS = 4 * 1000,
	/* How long a command may take to end after SIGTERM or SIGINT, as podman stop has it. */
	SIGNAL_GRACE_MS = 10 * 1000,
	/* The same when whoever a sandbox is tied to is gone. */
	TIED_GRACE_MS = 2 * 1000,
	/* How long a guest may take to write back what mapped folders are owed. */
	POWER_OFF_LIMIT_MS = 30 * 1000,
	/* How long it may take to mount a share, and to write back what it owes one that goes. */
	MOUNT_LIMIT_MS = 30 * 1000,
	/* For the file server: no longer than who removes a share is to wait for a host that hangs. */
	SERVER_LIMIT_MS = 800,
	DETACH_LIMIT_MS = 10 * 1000,

	PANIC_LINES = 24,
};

static void set_reason(struct sandbox *sb, const char *reason)
{
	if (!sb->reason)
		sb->reason = reason;
}

/* Sets a timer that is to end the sandbox, and what does so if the loop is stuck then. */
static void set_end(struct sandbox *sb, struct loop_timer *timer, uint64_t ms, int exit_code)
{
	loop_timer_set(timer, ms);
	watchdog_set(&sb->end_watchdog, ms + STUCK_MS, exit_code,
		     "the sandbox does not end by itself; its process is ended");
}

/* The first call decides the exit code. */
static void finish(struct sandbox *sb, int exit_code, const char *reason)
{
	set_reason(sb, reason);
	if (!sb->finished) {
		sb->finished = true;
		sb->exit_code = exit_code;
	}
	loop_stop(sb->loop);
}

/* Ends it with a line that says why, for our user and for clients. */
static PRINTF_LIKE(4, 5) void fail(struct sandbox *sb, int exit_code, const char *reason,
				   const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(sb->why, sizeof(sb->why), fmt, ap);
	va_end(ap);
	log_error("%s", sb->why);
	finish(sb, exit_code, reason);
}

/*
 * Nothing runs any more. What was written to mapped folders through write() is
 * with the host already, but pages dirtied through mmap may not be: then the
 * guest gets the time to power itself off, which it does after a sync.
 */
static void power_off(struct sandbox *sb, int exit_code, const char *reason)
{
	if (!shares_writable(sb->shares) || session_state(sb->session) != SESSION_READY) {
		finish(sb, exit_code, reason);
		return;
	}
	set_reason(sb, reason);
	session_shutdown(sb->session);
	sb->finished = true;
	sb->exit_code = exit_code;
	set_end(sb, &sb->grace_timer, POWER_OFF_LIMIT_MS, exit_code);
}

/* What to call the thing that runs, in messages. */
static const char *subject(const struct sandbox *sb)
{
	return sb->cfg->argv ? sb->cfg->argv[0] : sb->cfg->name;
}

static int stop_code(const struct sandbox *sb)
{
	return sb->cfg->argv ? exit_code_of_signal(SIGTERM) : 0;
}

/* Commands are asked to end, and have timeout_ms for it. */
static void begin_stop(struct sandbox *sb, uint64_t timeout_ms, const char *reason)
{
	unsigned int running = 0;

	if (sb->finished)
		return;
	set_reason(sb, reason);
	sb->stopping = true;
	control_stopping(sb->control);
	if (session_state(sb->session) == SESSION_READY) {
		running = control_signal_all(sb->control, SIGTERM);
		if (sb->main) {
			command_signal(sb->main, SIGTERM);
			running++;
		}
	}
	if (running == 0 || timeout_ms == 0)
		power_off(sb, stop_code(sb), reason);
	else
		set_end(sb, &sb->stop_timer, timeout_ms, stop_code(sb));
}

static void stop_asked(void *owner, uint64_t timeout_ms, bool force)
{
	struct sandbox *sb = owner;

	if (force)
		finish(sb, stop_code(sb), "stopped");
	else
		begin_stop(sb, timeout_ms, "stopped");
}

static void stop_timed_out(struct loop_timer *timer)
{
	struct sandbox *sb = CONTAINER_OF(timer, struct sandbox, stop_timer);

	if (!sb->finished)
		power_off(sb, stop_code(sb), "stopped");
}

/* The last of the clients' commands has ended; that of `run` ends the sandbox itself. */
static void clients_idle(void *owner)
{
	struct sandbox *sb = owner;

	if (sb->stopping && !sb->finished && !sb->main)
		power_off(sb, stop_code(sb), "stopped");
}

static const struct control_ops control_ops = {
	.stop = stop_asked,
	.idle = clients_idle,
};

static void main_started(struct command *cmd, void *owner)
{
	struct sandbox *sb = owner;

	(void)cmd;
	timeline_mark(sb->setup->timeline, TIMELINE_START, "start of the command");
}

static void main_ended(struct command *cmd, void *owner)
{
	struct sandbox *sb = owner;
	const struct command_result *res = command_result(cmd);

	timeline_mark(sb->setup->timeline, TIMELINE_COMMAND, "command and its last output");
	/* While powering off, the agent's end of the line is expected to go away. */
	if (sb->finished)
		return;
	switch (res->kind) {
	case COMMAND_EXITED:
		power_off(sb, res->code, "command");
		break;
	case COMMAND_SIGNALED:
		power_off(sb, exit_code_of_signal(res->signal), "command");
		break;
	case COMMAND_EXEC_FAILED:
		fail(sb, exit_code_of_errno(res->error), "command", "%s", res->text);
		break;
	case COMMAND_AGENT_FAILED:
	case COMMAND_LOST:
		/* The session's own end comes next. */
		break;
	}
}

static const struct command_ops main_ops = {.started = main_started, .ended = main_ended};

static void session_ready(struct session *session, void *owner)
{
	struct sandbox *sb = owner;

	(void)session;
	sb->was_ready = true;
	/* Nothing more is made of this machine, or judged by it. */
	template_store_fini(&sb->store);
	control_ready(sb->control);
	if (sb->setup->ops->ready)
		sb->setup->ops->ready(sb->setup->owner);
}

static void session_parked(struct session *session, void *owner)
{
	struct sandbox *sb = owner;

	(void)session;
	park_parked(&sb->park);
}

static void session_ended(struct session *session, const char *why, void *owner)
{
	struct sandbox *sb = owner;

	(void)session;
	if (sb->finished)
		return;
	if (why[0])
		fail(sb, EXIT_SANDCASTLE_FAILED, "failed", "the guest could not be set up: %s",
		     why);
	else
		/* A guest that panics or powers off says so in a moment. */
		loop_timer_set(&sb->grace_timer, 1000);
}

static const struct session_ops session_ops = {
	.ready = session_ready,
	.parked = session_parked,
	.ended = session_ended,
};

static void machine_panicked(struct sandbox *sb, const char *cause)
{
	char tail[3072];

	guest_log_excerpt(&sb->log, GUEST_LOG_PANIC, PANIC_LINES, tail, sizeof(tail));
	snprintf(sb->why, sizeof(sb->why), "the guest's kernel panicked: %s", cause);
	log_error("%s; its last lines:\n%s", sb->why, tail);
	finish(sb, EXIT_SANDCASTLE_FAILED, "panicked");
}

static void machine_ended(void *owner, const struct machine_end *end)
{
	struct sandbox *sb = owner;
	char cause[200];

	if (sb->finished) {
		loop_stop(sb->loop);
		return;
	}
	switch (end->kind) {
	case MACHINE_POWERED_OFF:
		if (sb->cfg->argv)
			fail(sb, EXIT_SANDCASTLE_FAILED, "powered-off",
			     "the guest powered off before '%s' ended", subject(sb));
		else
			finish(sb, 0, "powered-off");
		break;
	case MACHINE_RESET:
		if (guest_log_panic(&sb->log, cause, sizeof(cause)))
			machine_panicked(sb, cause);
		else
			fail(sb, EXIT_SANDCASTLE_FAILED, "rebooted",
			     "the guest rebooted before '%s' ended", subject(sb));
		break;
	case MACHINE_FAILED:
		fail(sb, EXIT_SANDCASTLE_FAILED, "failed", "%s", end->why);
		break;
	}
}

static void boot_timed_out(struct loop_timer *timer)
{
	struct sandbox *sb = CONTAINER_OF(timer, struct sandbox, boot_timer);
	uint64_t more;

	if (session_state(sb->session) >= (sb->cloned ? SESSION_READY : SESSION_HELLO) ||
	    sb->finished)
		return;
	more = boot_patience(clock_ms(CLOCK_PROCESS_CPUTIME_ID), &sb->boot_cpu_ms);
	if (more > 0) {
		loop_timer_set(timer, more);
		return;
	}
	fail(sb, EXIT_SANDCASTLE_FAILED, "failed",
	     "the guest did not answer within %d seconds; see what it says with --debug-console",
	     BOOT_LIMIT_MS / 1000);
}

static void timed_out(struct loop_timer *timer)
{
	struct sandbox *sb = CONTAINER_OF(timer, struct sandbox, timeout_timer);

	watchdog_clear(&sb->time_watchdog);
	if (sb->finished)
		return;
	if (session_state(sb->session) < SESSION_READY ||
	    (sb->main && command_state(sb->main) < COMMAND_STARTED))
		fail(sb, EXIT_SANDCASTLE_FAILED, "time-limit",
		     "the guest was not ready within the time limit; try a longer --timeout");
	else if (sb->main)
		fail(sb, EXIT_TIMEOUT, "time-limit",
		     "'%s' was ended by the time limit; try a longer --timeout", subject(sb));
	else
		begin_stop(sb, SIGNAL_GRACE_MS, "time-limit");
}

static void grace_over(struct loop_timer *timer)
{
	struct sandbox *sb = CONTAINER_OF(timer, struct sandbox, grace_timer);

	if (sb->finished) {
		log_warn("the guest did not power off in time; "
			 "pages it wrote through mmap to a mapped folder may be lost");
		loop_stop(sb->loop);
	} else if (sb->end_signal != 0) {
		finish(sb, exit_code_of_signal(sb->end_signal), "stopped");
	} else {
		fail(sb, EXIT_SANDCASTLE_FAILED, "failed",
		     "the guest's agent is gone; see what happened with --debug-console");
	}
}

/* `start` has no command to signal. End once the clients' commands have had SIGNAL_GRACE_MS. */
static void serving_signal_arrived(struct sandbox *sb, int signo)
{
	if (sb->stopping || session_state(sb->session) < SESSION_READY)
		finish(sb, exit_code_of_signal(signo), "stopped");
	else
		begin_stop(sb, SIGNAL_GRACE_MS, "stopped");
}

/*
 * The command gets the signal, as it would without a sandbox. One that asks to
 * end is taken at its word after a while, or when it comes again.
 */
static void signal_arrived(void *owner, int signo)
{
	struct sandbox *sb = owner;
	bool ends = signo == SIGINT || signo == SIGTERM || signo == SIGHUP || signo == SIGQUIT;

	switch (signo) {
	case SIGWINCH:
		foreground_resize(&sb->foreground);
		return;
	case SIGTSTP:
		foreground_stop(&sb->foreground);
		return;
	case SIGCONT:
		foreground_continue(&sb->foreground);
		return;
	case SIGPWR:
		machine_power_button(sb->machine);
		return;
	default:
		break;
	}
	if (!sb->main) {
		if (ends)
			serving_signal_arrived(sb, signo);
		return;
	}
	if (ends && (sb->end_signal != 0 || command_state(sb->main) < COMMAND_STARTED)) {
		finish(sb, exit_code_of_signal(signo), "stopped");
		return;
	}
	command_signal(sb->main, signo);
	if (ends) {
		sb->end_signal = signo;
		set_end(sb, &sb->grace_timer, SIGNAL_GRACE_MS, exit_code_of_signal(signo));
	}
}

static void tie_event(struct loop_source *src, uint32_t events)
{
	struct sandbox *sb = CONTAINER_OF(src, struct sandbox, tie_event);

	(void)events;
	/* It stays readable. */
	loop_remove(src);
	begin_stop(sb, TIED_GRACE_MS, "stopped");
}

static int watch_tie(struct sandbox *sb)
{
	sb->tie_event = (struct loop_source){
		.fd = sb->setup->tie_fd,
		.fn = tie_event,
		.name = "tie",
	};
	return sb->setup->tie_fd < 0 ? 0 : loop_add(sb->loop, &sb->tie_event, EPOLLIN);
}

static int add_timers(struct sandbox *sb)
{
	int r;

	if ((r = loop_timer_init(&sb->boot_timer, sb->loop, boot_timed_out, "boot-limit")) < 0 ||
	    (r = loop_timer_init(&sb->timeout_timer, sb->loop, timed_out, "timeout")) < 0 ||
	    (r = loop_timer_init(&sb->grace_timer, sb->loop, grace_over, "grace")) < 0 ||
	    (r = loop_timer_init(&sb->stop_timer, sb->loop, stop_timed_out, "stop")) < 0 ||
	    (r = watchdog_init(&sb->end_watchdog, &sb->foreground.terminal)) < 0 ||
	    (r = watchdog_init(&sb->time_watchdog, &sb->foreground.terminal)) < 0)
		return r;
	loop_timer_set(&sb->boot_timer, BOOT_LIMIT_MS);
	loop_timer_set(&sb->timeout_timer, sb->cfg->timeout_ms);
	if (sb->cfg->timeout_ms > 0)
		watchdog_set(&sb->time_watchdog, sb->cfg->timeout_ms + STUCK_MS, EXIT_TIMEOUT,
			     "the sandbox does not end at its time limit; its process is ended");
	return 0;
}

/* The command `run` was given. */
static int add_main(struct sandbox *sb)
{
	static const int stdio[3] = {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO};
	struct command_spec spec = {
		.argv = sb->cfg->argv,
		.env = sb->cfg->env,
		.workdir = sb->cfg->workdir,
		.run_as = sb->cfg->run_as,
		.session = sb->cfg->session_app,
		.tty = sb->cfg->tty,
	};
	int r;

	if (!spec.argv)
		return 0;
	if (spec.tty)
		(void)terminal_size(STDIN_FILENO, &spec.rows, &spec.columns);
	r = command_new(sb->session, &spec, stdio, &main_ops, sb, &sb->main);
	if (r == 0)
		control_set_main(sb->control, sb->main);
	return r;
}

/* All that speaks with the agent and with clients. */
static int add_services(struct sandbox *sb)
{
	struct control_setup control = {
		.loop = sb->loop,
		.config = sb->cfg,
		.log = &sb->log,
		.console = machine_console(sb->machine),
		.keeper = machine_keeper(sb->machine),
		.battery = machine_battery(sb->machine),
		.display = machine_display(sb->machine),
		.card = machine_card(sb->machine),
		.base_files = machine_base_files(sb->machine),
		.kernel = sb->setup->kernel->release,
		.confinement = &sb->confinement,
		.tied = sb->setup->tie_fd >= 0,
		.cloned = sb->cloned,
		.ops = &control_ops,
		.owner = sb,
	};
	struct shares_setup shares = {
		.loop = sb->loop,
		.config = sb->cfg,
		.done = control_shared,
		.mount_limit_ms = MOUNT_LIMIT_MS,
		.detach_limit_ms = DETACH_LIMIT_MS,
		.server_limit_ms = SERVER_LIMIT_MS,
	};
	int r;

	r = session_new(sb->loop, machine_vsock(sb->machine), sb->cfg, &session_ops, sb,
			&sb->session);
	if (r < 0)
		return r;
	if (machine_display(sb->machine))
		gpu_on_loss(machine_display(sb->machine)->gpu, sb->loop,
			    session_graphics_lost(sb->session));
	shares.session = sb->session;
	machine_files(sb->machine, &shares.files);
	r = shares_new(&shares, &sb->shares);
	if (r == 0)
		r = ports_new(sb->loop, sb->session, &sb->ports);
	if (r == 0)
		r = ports_add_configured(sb->ports, sb->setup->config);
	if (r < 0)
		return r;
	control.session = sb->session;
	control.map_files = shares.files.server;
	control.shares = sb->shares;
	control.ports = sb->ports;
	if ((r = control_new(&control, sb->setup->listen_fd, &sb->control)) < 0 ||
	    (r = add_main(sb)) < 0 || (r = add_timers(sb)) < 0)
		return r;
	return watch_tie(sb);
}

static int build(struct sandbox *sb, int kvm_fd)
{
	struct timeline *tl = sb->setup->timeline;
	struct machine_setup setup = {
		.config = sb->cfg,
		.kvm_fd = kvm_fd,
		.base = sb->setup->base,
		.kernel = sb->setup->kernel,
		.agent = sb->setup->agent,
		.loop = sb->loop,
		.log = &sb->log,
		.ended = machine_ended,
		.owner = sb,
		.timeline = tl,
	};
	int r = sandbox_build_machine(sb, &setup);

	if (r < 0)
		return r;
	/* The file server has its own: one that is removed later is to be let go of. */
	config_close_maps(sb->setup->config);
	r = add_services(sb);
	if (r == 0)
		r = sandbox_prepare_session(sb);
	if (r < 0) {
		log_error("cannot prepare the sandbox: %s", strerror(-r));
		return r;
	}
	if (sb->main && sb->cfg->tty) {
		r = foreground_init(&sb->foreground, sb->loop, sb->main);
		if (r < 0)
			return r;
	}
	timeline_mark(tl, TIMELINE_SET_UP, "session, timers");
	r = sandbox_confine(sb);
	timeline_mark(tl, TIMELINE_SET_UP, "confinement");
	if (r < 0)
		return r;
	r = machine_start(sb->machine, sb->park.machine != NULL);
	timeline_mark(tl, TIMELINE_SET_UP, "threads");
	session_set_timeline(sb->session, tl);
	if (r == 0 && sb->cloned)
		session_resume(sb->session);
	return r;
}

/*
 * A thread of the machine is still at work: the host's file system does not answer it. No
 * vCPU is in the guest any more. What is left goes with the process, and clients are hung up
 * on here since the kernel does not do it before that thread has ended.
 */
static _Noreturn void abandon(struct sandbox *sb)
{
	if (sb->setup->ops->gone)
		sb->setup->ops->gone(sb->setup->owner);
	control_free(sb->control);
	watchdog_bite(&sb->foreground.terminal,
		      "a file system of the host does not let go of a mapped folder; the sandbox "
		      "is ended without it",
		      sb->exit_code);
}

static void tear_down(struct sandbox *sb)
{
	int stopped = 0;

	watchdog_clear(&sb->time_watchdog);
	if (sb->end_watchdog.made)
		watchdog_set(&sb->end_watchdog, STUCK_MS, sb->exit_code,
			     "the sandbox's end does not come to one; its process is ended");
	if (sb->machine)
		stopped = machine_stop(sb->machine);
	if (sb->control) {
		control_set_main(sb->control, NULL);
		control_end(sb->control, sb->reason ? sb->reason : "failed", sb->why);
	}
	if (stopped < 0)
		abandon(sb);
	if (park_fini(&sb->park) < 0)
		sb->exit_code = EXIT_SANDCASTLE_FAILED;
	sandbox_judge_template(sb);
	/* The session speaks through the machine's vsock, so it goes first. */
	foreground_fini(&sb->foreground);
	command_free(sb->main);
	ports_free(sb->ports);
	session_free(sb->session);
	machine_free(sb->machine);
	loop_timer_fini(&sb->boot_timer);
	loop_timer_fini(&sb->timeout_timer);
	loop_timer_fini(&sb->grace_timer);
	loop_timer_fini(&sb->stop_timer);
	loop_remove(&sb->tie_event);
	if (sb->setup->ops->gone)
		sb->setup->ops->gone(sb->setup->owner);
	control_free(sb->control);
	shares_free(sb->shares);
	loop_free(sb->loop);
	guest_log_fini(&sb->log);
	watchdog_fini(&sb->time_watchdog);
	watchdog_fini(&sb->end_watchdog);
	template_store_fini(&sb->store);
	signal_inbox_fini();
}

int sandbox_run(const struct sandbox_setup *setup)
{
	struct sandbox sb = {
		.setup = setup,
		.cfg = setup->config,
		.store.dir = -1,
		.exit_code = EXIT_SANDCASTLE_FAILED,
	};
	struct timeline *tl = setup->timeline;
	AUTO_CLOSE int kvm_fd = -1;
	int r;

	guest_log_init(&sb.log, sb.cfg->debug_console);
	r = kvm_open(&kvm_fd);
	if (r == 0) {
		r = loop_new(&sb.loop);
		if (r == 0)
			r = signal_inbox_init(sb.loop, &sb.foreground.terminal, signal_arrived,
					      &sb);
		if (r < 0)
			log_error("cannot prepare the sandbox: %s", strerror(-r));
	}
	if (r == 0)
		timeline_mark(tl, TIMELINE_SET_UP, "/dev/kvm, loop, signals");
	if (r == 0)
		r = build(&sb, steal_fd(&kvm_fd));
	if (r == 0) {
		signal_inbox_let_in(true);
		r = loop_run(sb.loop);
		signal_inbox_let_in(false);
		if (r < 0)
			log_error("the event loop failed: %s", strerror(-r));
	}
	timeline_mark(tl, TIMELINE_COMMAND, "power-off if folders are writable");
	tear_down(&sb);
	timeline_mark(tl, TIMELINE_TEAR_DOWN, "terminal, loop");
	return r < 0 ? EXIT_SANDCASTLE_FAILED : sb.exit_code;
}
