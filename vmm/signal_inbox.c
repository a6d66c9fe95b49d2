/* SPDX-License-Identifier: MIT */
#include "vmm/signal_inbox.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/exit_codes.h"
#include "common/loop.h"
#include "vmm/watchdog.h"

enum { UNHEARD_MS = 4000, UNHEARD_TWICE_MS = 1 };

static const int heard[] = {
	SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH, SIGPWR, SIGTSTP, SIGCONT,
};

/* A handler has no other way to what it works on. */
static struct {
	bool taken_over;
	struct loop_source event; /* an eventfd that the handler writes to */
	atomic_uint waiting; /* a bit for each signal that the loop has not heard yet */
	atomic_bool insisted; /* one of those that ask to end came twice */
	struct watchdog watchdog;
	signal_fn fn;
	void *owner;
	struct sigaction before[ARRAY_SIZE(heard)];
	sigset_t set, mask_before;
} inbox = {.event.fd = -1};

static bool asks_to_end(int signo)
{
	return signo == SIGINT || signo == SIGTERM || signo == SIGHUP || signo == SIGQUIT;
}

static unsigned int bit_of(int signo)
{
	return 1u << signo;
}

/* The loop may be stuck: it has some seconds, or one if the user insists. */
static void doubt_the_loop(int signo, unsigned int unheard)
{
	static const char line[] = "the sandbox does not hear the signal; its process is ended";
	unsigned int ending = 0;

	for (size_t i = 0; i < ARRAY_SIZE(heard); i++)
		if (asks_to_end(heard[i]))
			ending |= bit_of(heard[i]);
	if ((unheard & ending) == 0)
		watchdog_set(&inbox.watchdog, UNHEARD_MS, exit_code_of_signal(signo), line);
	else if (!atomic_exchange(&inbox.insisted, true))
		watchdog_set(&inbox.watchdog, UNHEARD_TWICE_MS, exit_code_of_signal(signo), line);
}

static void signal_came(int signo)
{
	const int saved = errno;
	const unsigned int unheard = atomic_fetch_or(&inbox.waiting, bit_of(signo));

	if (asks_to_end(signo))
		doubt_the_loop(signo, unheard);
	(void)!eventfd_write(inbox.event.fd, 1);
	errno = saved;
}

static void signals_event(struct loop_source *src, uint32_t events)
{
	unsigned int waiting;
	sigset_t mask;
	eventfd_t n;

	(void)events;
	(void)!eventfd_read(src->fd, &n);
	/* One that came in between would be heard and leave the watchdog set. */
	pthread_sigmask(SIG_BLOCK, &inbox.set, &mask);
	watchdog_clear(&inbox.watchdog);
	atomic_store(&inbox.insisted, false);
	waiting = atomic_exchange(&inbox.waiting, 0);
	pthread_sigmask(SIG_SETMASK, &mask, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(heard); i++)
		if (waiting & bit_of(heard[i]))
			inbox.fn(inbox.owner, heard[i]);
}

static void take_over(void)
{
	struct sigaction action = {.sa_handler = signal_came, .sa_flags = SA_RESTART};

	sigemptyset(&inbox.set);
	for (size_t i = 0; i < ARRAY_SIZE(heard); i++)
		sigaddset(&inbox.set, heard[i]);
	action.sa_mask = inbox.set;
	pthread_sigmask(SIG_BLOCK, &inbox.set, &inbox.mask_before);
	for (size_t i = 0; i < ARRAY_SIZE(heard); i++)
		(void)sigaction(heard[i], &action, &inbox.before[i]);
	inbox.taken_over = true;
}

int signal_inbox_init(struct loop *loop, const struct terminal *terminal, signal_fn fn, void *owner)
{
	int r = watchdog_init(&inbox.watchdog, terminal);

	if (r < 0)
		return r;
	inbox.fn = fn;
	inbox.owner = owner;
	inbox.event = (struct loop_source){
		.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
		.fn = signals_event,
		.name = "signals",
	};
	r = inbox.event.fd < 0 ? -errno : loop_add(loop, &inbox.event, EPOLLIN);
	if (r == 0)
		take_over();
	else
		signal_inbox_fini();
	return r;
}

void signal_inbox_let_in(bool in)
{
	pthread_sigmask(in ? SIG_UNBLOCK : SIG_BLOCK, &inbox.set, NULL);
}

void signal_inbox_fini(void)
{
	watchdog_fini(&inbox.watchdog);
	loop_remove(&inbox.event);
	for (size_t i = 0; inbox.taken_over && i < ARRAY_SIZE(heard); i++)
		(void)sigaction(heard[i], &inbox.before[i], NULL);
	if (inbox.taken_over)
		pthread_sigmask(SIG_SETMASK, &inbox.mask_before, NULL);
	inbox.taken_over = false;
	if (inbox.event.fd >= 0)
		close(inbox.event.fd);
	inbox.event.fd = -1;
}
