/* SPDX-License-Identifier: MIT */
#include "vmm/sandbox.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "vmm/guest_log.h"
#include "vmm/kvm_check.h"
#include "vmm/log.h"
#include "vmm/loop.h"
#include "vmm/machine.h"
#include "vmm/session.h"
#include "vmm/terminal.h"
#include "vmm/timeline.h"

enum {
	EXIT_TIMEOUT = 124,
	EXIT_SANDCASTLE = 125,
	EXIT_NOT_EXECUTABLE = 126,
	EXIT_NOT_FOUND = 127,
	EXIT_SIGNAL_BASE = 128,

	/* From start until the agent has answered: 5 s on an emulated host, 60 s for 20 at once. */
	BOOT_LIMIT_MS = 180 * 1000,
	/* How long a command may take to end after SIGTERM or SIGINT, as podman stop has it. */
	SIGNAL_GRACE_MS = 10 * 1000,
	/* How long a guest may take to write back what mapped folders are owed. */
	POWER_OFF_LIMIT_MS = 5 * 1000,

	PANIC_LINES = 24,
};

static const int signals[] = {
	SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH, SIGPWR,
};

struct sandbox {
	const struct sandbox_config *cfg;
	struct loop *loop;
	struct machine *machine;
	struct session *session;
	struct guest_log log;
	struct terminal terminal;

	struct loop_source signal_event;
	struct loop_timer boot_timer; /* the guest has to answer before it fires */
	struct loop_timer timeout_timer; /* --timeout */
	struct loop_timer grace_timer; /* after a signal; while powering off */

	struct timeline *timeline;

	int exit_code;
	bool finished; /* exit_code is final */
	int end_signal; /* the first signal that asked us to end */
};

/* The first call decides the exit code. */
static void finish(struct sandbox *sb, int exit_code)
{
	if (!sb->finished) {
		sb->finished = true;
		sb->exit_code = exit_code;
	}
	loop_stop(sb->loop);
}

/*
 * The command is over. What it wrote to mapped folders through write() is with
 * the host already, but pages dirtied through mmap may not be: then the guest
 * gets the time to power itself off, as the session has asked it to: it syncs.
 */
static void finish_command(struct sandbox *sb, int exit_code)
{
	bool writable = false;

	for (size_t i = 0; i < sb->cfg->n_maps; i++)
		writable |= sb->cfg->maps[i].writable;
	if (!writable) {
		finish(sb, exit_code);
		return;
	}
	sb->finished = true;
	sb->exit_code = exit_code;
	loop_timer_set(&sb->grace_timer, POWER_OFF_LIMIT_MS);
}

static void session_done(struct session *session, void *owner)
{
	struct sandbox *sb = owner;
	const struct session_result *res = session_result(session);
	const char *command = sb->cfg->argv[0];

	/* While powering off, the agent's end of the line is expected to go away. */
	if (sb->finished)
		return;
	switch (res->kind) {
	case SESSION_EXITED:
		finish_command(sb, res->code);
		break;
	case SESSION_SIGNALED:
		finish_command(sb, EXIT_SIGNAL_BASE + res->signal);
		break;
	case SESSION_EXEC_FAILED:
		log_error("cannot run '%s': %s: %s", command, res->text, strerror(res->error));
		finish(sb, res->error == ENOENT ? EXIT_NOT_FOUND : EXIT_NOT_EXECUTABLE);
		break;
	case SESSION_AGENT_FAILED:
		log_error("the guest could not be set up: %s", res->text);
		finish(sb, EXIT_SANDCASTLE);
		break;
	case SESSION_LOST:
		/* A guest that panics or powers off says so in a moment. */
		loop_timer_set(&sb->grace_timer, 1000);
		break;
	}
}

static void machine_ended(void *owner, const struct machine_end *end)
{
	struct sandbox *sb = owner;
	char reason[200], tail[3072];

	if (sb->finished) {
		loop_stop(sb->loop);
		return;
	}
	switch (end->kind) {
	case MACHINE_POWERED_OFF:
		log_error("the guest powered off before '%s' ended", sb->cfg->argv[0]);
		break;
	case MACHINE_RESET:
		if (guest_log_panic(&sb->log, reason, sizeof(reason))) {
			guest_log_excerpt(&sb->log, GUEST_LOG_PANIC, PANIC_LINES, tail,
					  sizeof(tail));
			log_error("the guest's kernel panicked: %s; its last lines:\n%s", reason,
				  tail);
		} else {
			log_error("the guest rebooted before '%s' ended", sb->cfg->argv[0]);
		}
		break;
	case MACHINE_FAILED:
		log_error("%s", end->why);
		break;
	}
	finish(sb, EXIT_SANDCASTLE);
}

static void boot_timed_out(struct loop_timer *timer)
{
	struct sandbox *sb = CONTAINER_OF(timer, struct sandbox, boot_timer);

	if (session_state(sb->session) >= SESSION_HELLO || sb->finished)
		return;
	log_error("the guest did not answer within %d seconds; "
		  "see what it says with --debug-console",
		  BOOT_LIMIT_MS / 1000);
	finish(sb, EXIT_SANDCASTLE);
}

static void timed_out(struct loop_timer *timer)
{
	struct sandbox *sb = CONTAINER_OF(timer, struct sandbox, timeout_timer);

	if (sb->finished)
		return;
	if (session_state(sb->session) < SESSION_STARTED) {
		log_error("the guest was not ready within the time limit; try a longer --timeout");
		finish(sb, EXIT_SANDCASTLE);
	} else {
		log_error("'%s' was ended by the time limit; try a longer --timeout",
			  sb->cfg->argv[0]);
		finish(sb, EXIT_TIMEOUT);
	}
}

static void grace_over(struct loop_timer *timer)
{
	struct sandbox *sb = CONTAINER_OF(timer, struct sandbox, grace_timer);

	if (sb->finished) {
		log_warn("the guest did not power off in time; "
			 "pages it wrote through mmap to a mapped folder may be lost");
		loop_stop(sb->loop);
	} else if (sb->end_signal != 0) {
		finish(sb, EXIT_SIGNAL_BASE + sb->end_signal);
	} else {
		log_error("the guest's agent is gone; see what happened with --debug-console");
		finish(sb, EXIT_SANDCASTLE);
	}
}

static void window_changed(struct sandbox *sb)
{
	struct winsize ws;

	if (sb->cfg->tty && ioctl(STDOUT_FILENO, TIOCGWINSZ, &ws) == 0)
		session_winsize(sb->session, ws.ws_row, ws.ws_col);
}

/*
 * The command gets the signal, as it would without a sandbox. One that asks to
 * end is taken at its word after a while, or when it comes again.
 */
static void signal_arrived(struct sandbox *sb, int signo)
{
	bool ends = signo == SIGINT || signo == SIGTERM || signo == SIGHUP || signo == SIGQUIT;

	if (signo == SIGWINCH) {
		window_changed(sb);
		return;
	}
	if (signo == SIGPWR) {
		machine_power_button(sb->machine);
		return;
	}
	if (ends && (sb->end_signal != 0 || session_state(sb->session) < SESSION_STARTED)) {
		finish(sb, EXIT_SIGNAL_BASE + signo);
		return;
	}
	session_signal(sb->session, signo);
	if (ends) {
		sb->end_signal = signo;
		loop_timer_set(&sb->grace_timer, SIGNAL_GRACE_MS);
	}
}

static void signal_event(struct loop_source *src, uint32_t events)
{
	struct sandbox *sb = CONTAINER_OF(src, struct sandbox, signal_event);
	struct signalfd_siginfo info;

	(void)events;
	while (read(src->fd, &info, sizeof(info)) == sizeof(info))
		signal_arrived(sb, (int)info.ssi_signo);
}

static int watch_signals(struct sandbox *sb, sigset_t *before)
{
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
		sigaddset(&set, signals[i]);
	sigprocmask(SIG_BLOCK, &set, before);
	sb->signal_event = (struct loop_source){
		.fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK),
		.fn = signal_event,
		.name = "signals",
	};
	return sb->signal_event.fd < 0 ? -errno : loop_add(sb->loop, &sb->signal_event, EPOLLIN);
}

static int add_timers(struct sandbox *sb)
{
	int r = loop_timer_init(&sb->boot_timer, sb->loop, boot_timed_out, "boot-limit");

	if (r == 0)
		r = loop_timer_init(&sb->timeout_timer, sb->loop, timed_out, "timeout");
	if (r == 0)
		r = loop_timer_init(&sb->grace_timer, sb->loop, grace_over, "grace");
	if (r < 0)
		return r;
	loop_timer_set(&sb->boot_timer, BOOT_LIMIT_MS);
	loop_timer_set(&sb->timeout_timer, sb->cfg->timeout_ms);
	return 0;
}

static int build(struct sandbox *sb, int kvm_fd, const struct kernel_image *kernel,
		 const void *agent, size_t agent_len)
{
	static const int stdio[3] = {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO};
	const struct machine_setup setup = {
		.config = sb->cfg,
		.kvm_fd = kvm_fd,
		.kernel = kernel,
		.agent = agent,
		.agent_len = agent_len,
		.loop = sb->loop,
		.log = &sb->log,
		.ended = machine_ended,
		.owner = sb,
		.timeline = sb->timeline,
	};
	int r = machine_build(&setup, &sb->machine);

	if (r < 0)
		return r;
	r = session_new(sb->loop, machine_vsock(sb->machine), sb->cfg, stdio, session_done, sb,
			&sb->session);
	if (r == 0)
		r = add_timers(sb);
	if (r < 0) {
		log_error("cannot prepare the sandbox: %s", strerror(-r));
		return r;
	}
	if (sb->cfg->tty) {
		r = terminal_raw(&sb->terminal, STDIN_FILENO);
		if (r < 0) {
			log_error("cannot set the terminal up: %s", strerror(-r));
			return r;
		}
		window_changed(sb);
	}
	timeline_mark(sb->timeline, TIMELINE_SET_UP, "session, timers");
	r = machine_start(sb->machine);
	timeline_mark(sb->timeline, TIMELINE_SET_UP, "threads");
	session_set_timeline(sb->session, sb->timeline);
	return r;
}

static void tear_down(struct sandbox *sb, const sigset_t *signals_before)
{
	/* The session speaks through the machine's vsock, so it goes first. */
	session_free(sb->session);
	machine_free(sb->machine);
	terminal_restore(&sb->terminal);
	loop_timer_fini(&sb->boot_timer);
	loop_timer_fini(&sb->timeout_timer);
	loop_timer_fini(&sb->grace_timer);
	loop_remove(&sb->signal_event);
	if (sb->signal_event.fd >= 0)
		close(sb->signal_event.fd);
	loop_free(sb->loop);
	guest_log_fini(&sb->log);
	sigprocmask(SIG_SETMASK, signals_before, NULL);
}

int sandbox_run(const struct sandbox_config *cfg, const struct kernel_image *kernel,
		const void *agent, size_t agent_len, struct timeline *tl)
{
	struct sandbox sb = {
		.cfg = cfg,
		.signal_event.fd = -1,
		.exit_code = EXIT_SANDCASTLE,
		.timeline = tl,
	};
	AUTO_CLOSE int kvm_fd = -1;
	sigset_t before;
	int r;

	sigprocmask(SIG_SETMASK, NULL, &before);
	guest_log_init(&sb.log, cfg->debug_console);
	r = kvm_open(&kvm_fd);
	if (r == 0) {
		r = loop_new(&sb.loop);
		if (r == 0)
			r = watch_signals(&sb, &before);
		if (r < 0)
			log_error("cannot prepare the sandbox: %s", strerror(-r));
	}
	if (r == 0)
		timeline_mark(tl, TIMELINE_SET_UP, "/dev/kvm, loop, signals");
	if (r == 0)
		r = build(&sb, steal_fd(&kvm_fd), kernel, agent, agent_len);
	if (r == 0) {
		r = loop_run(sb.loop);
		if (r < 0)
			log_error("the event loop failed: %s", strerror(-r));
	}
	timeline_mark(tl, TIMELINE_COMMAND, "last output, power-off if folders are writable");
	if (sb.machine && tl->detailed)
		machine_count(sb.machine);
	tear_down(&sb, &before);
	timeline_mark(tl, TIMELINE_TEAR_DOWN, "terminal, loop");
	return r < 0 ? EXIT_SANDCASTLE : sb.exit_code;
}
