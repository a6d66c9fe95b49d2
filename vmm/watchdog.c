/* SPDX-License-Identifier: MIT */
#include "vmm/watchdog.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "common/terminal.h"

/* The one after the kick of vmm/kvm/vcpu.c. */
#define SIG_WATCHDOG (SIGRTMIN + 1)

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

enum { LAST_SECOND_MS = 1000 };

static void set_timer(const struct watchdog *w, uint64_t ms)
{
	const struct itimerspec in = {
		.it_value = {.tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000},
	};

	(void)timer_settime(w->timer, 0, &in, NULL);
}

/* Only what is safe in a signal handler: the main thread may hold any lock. */
_Noreturn void watchdog_bite(const struct terminal *terminal, const char *line, int exit_code)
{
	static const char head[] = "sandcastle: ";
	const struct iovec text[] = {
		{.iov_base = (void *)(uintptr_t)head, .iov_len = sizeof(head) - 1},
		{.iov_base = (void *)(uintptr_t)line, .iov_len = strlen(line)},
		{.iov_base = (void *)(uintptr_t) "\n", .iov_len = 1},
	};
	struct pollfd err = {.fd = STDERR_FILENO, .events = POLLOUT};

	terminal_give_back(terminal);
	if (poll(&err, 1, 0) == 1 && (err.revents & POLLOUT))
		(void)!writev(STDERR_FILENO, text, ARRAY_SIZE(text));
	_exit(exit_code);
}

static void timer_fired(int signo, siginfo_t *info, void *context)
{
	const int saved = errno;
	struct watchdog *w = info->si_value.sival_ptr;

	(void)signo;
	(void)context;
	/* Other processes of the user can send this signal, too. */
	if (info->si_code != SI_TIMER)
		return;
	if (w->barked)
		watchdog_bite(w->terminal, w->line, w->exit_code);
	w->barked = true;
	set_timer(w, LAST_SECOND_MS);
	errno = saved;
}

int watchdog_init(struct watchdog *w, const struct terminal *terminal)
{
	struct sigaction action = {
		.sa_sigaction = timer_fired,
		.sa_flags = SA_SIGINFO | SA_RESTART,
	};
	struct sigevent event = {
		.sigev_notify = SIGEV_THREAD_ID,
		.sigev_signo = SIG_WATCHDOG,
		.sigev_value.sival_ptr = w,
	};
	sigset_t set;

	event.sigev_notify_thread_id = gettid();
	if (timer_create(CLOCK_MONOTONIC, &event, &w->timer) < 0)
		return -errno;
	w->made = true;
	w->terminal = terminal;
	sigfillset(&action.sa_mask);
	(void)sigaction(SIG_WATCHDOG, &action, NULL);
	sigemptyset(&set);
	sigaddset(&set, SIG_WATCHDOG);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	return 0;
}

void watchdog_set(struct watchdog *w, uint64_t ms, int exit_code, const char *line)
{
	/* Not to be met half changed. */
	watchdog_clear(w);
	w->barked = false;
	w->exit_code = exit_code;
	w->line = line;
	set_timer(w, ms > 0 ? ms : 1);
}

void watchdog_clear(struct watchdog *w)
{
	if (w->made)
		set_timer(w, 0);
}

void watchdog_fini(struct watchdog *w)
{
	if (w->made)
		(void)timer_delete(w->timer);
	w->made = false;
}
