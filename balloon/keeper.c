/* SPDX-License-Identifier: MIT */
#include "balloon/keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>

#include "balloon/figures.h"
#include "balloon/pin.h"
#include "balloon/policy.h"
#include "balloon/pressure.h"
#include "common/clock.h"
#include "common/log.h"

enum {
	POLL_MS = 1000, /* a look at the host where there is no trigger */
	FAR_POLL_MS = 5000, /* the same, of one that has FAR times its reserve */
	FAR = 8,
	WATCH_MS = 250, /* while the guest is at work, for a sweep when it is done */
	QUIET_LOOKS = 4, /* after so many with nothing new we sleep */
	ANSWER_MS = 500, /* a guest that has not answered by then is taken as silent */
	SAVING = 4, /* on battery POLL_MS and WATCH_MS are so many times as long */
};

struct keeper;

struct keeper_watch {
	struct device_event event;
	struct keeper *keeper;
	unsigned int index; /* in the array it is in */
};

struct keeper {
	struct balloon_observer obs;
	struct balloon *balloon; /* from attach on */
	struct device *dev; /* the balloon's, from attach on */
	keeper_figures_fn ask_fn; /* who waits for figures; NULL: nobody */
	void *ask_owner;
	keeper_pressure_fn pressure_fn; /* who is told of it; NULL: nobody */
	void *pressure_owner;
	const struct ram *ram;
	struct pressure pressure;
	struct policy policy;
	bool running; /* there is a driver */
	bool stalled; /* an event since the last step */
	bool squeezing; /* as was told last */
	bool polling; /* no trigger */
	bool far; /* at the last look the host was far from short */
	uint32_t again_ms; /* what the policy asked for */
	uint64_t asked_ms; /* when statistics were asked for; 0: not waiting */

	/* For the sweep. */
	unsigned int looks; /* left until we sleep; 0: asleep */
	uint64_t resident; /* at the last look */
	uint64_t swept; /* lowest resident set since the guest last had little to give */
	uint64_t look_ms, cpu_ms; /* clock and our CPU time at the last look */
	bool quiet; /* little CPU time since then */

	const struct keeper_owner_ops *owner_ops;
	void *owner;
	int statm_fd;

	struct device_event timer;
	int timer_fd;
	struct keeper_watch triggers[PRESSURE_MAX_TRIGGERS];
	struct keeper_watch groups[PRESSURE_MAX_GROUPS];
	struct device_event limits;
};

static struct keeper *to_keeper(struct balloon_observer *obs)
{
	return CONTAINER_OF(obs, struct keeper, obs);
}

static uint32_t unless_saving(const struct keeper *k, uint32_t ms)
{
	bool saves = k->owner_ops && k->owner_ops->saves_power(k->owner);

	return saves ? ms * SAVING : ms;
}

/* 0 disarms. What can wait for a second can wait for the other sandboxes. */
static void arm(struct keeper *k, uint32_t ms)
{
	if (ms >= 1000)
		ms = (uint32_t)loop_coarse_ms(ms);
	struct itimerspec when = {
		.it_value = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000},
	};

	timerfd_settime(k->timer_fd, 0, &when, NULL);
}

/* The soonest of the reasons to look again. */
static void arm_next(struct keeper *k)
{
	uint32_t ms = k->again_ms;

	if (!k->running) {
		/* The driver went away on a vCPU's thread: what follows of it is done on ours. */
		arm(k, k->ask_fn || k->squeezing ? 1 : 0);
		return;
	}
	if (k->polling && (ms == 0 || ms > POLL_MS)) {
		if (ms != 0)
			ms = POLL_MS;
		else
			ms = k->far ? FAR_POLL_MS : unless_saving(k, POLL_MS);
	}
	if (k->looks > 0 && (ms == 0 || ms > WATCH_MS))
		ms = unless_saving(k, WATCH_MS);
	if (k->asked_ms != 0 && (ms == 0 || ms > ANSWER_MS))
		ms = ANSWER_MS;
	arm(k, ms);
}

static int take_figures(struct keeper *k, const struct pressure_sample *host, struct figures *f)
{
	int r;

	*f = (struct figures){
		.balloon = balloon_size(k->balloon),
		.target = balloon_target(k->balloon),
		.reported = balloon_reported(k->balloon),
		.inflated = balloon_inflated(k->balloon),
		.guest = *balloon_stats(k->balloon),
		.host = *host,
		.pressure = policy_state_name(k->policy.state),
	};
	f->cloned = k->ram->blocks != NULL;
	r = ram_resident(k->ram, &f->resident);
	if (r == 0)
		r = ram_template_mapped(k->ram, &f->template);
	return r < 0 ? r : figures_read_process(k->statm_fd, f);
}

/* Whoever asked gets what there is; what the host hides is zero. */
static void answer(struct keeper *k)
{
	struct pressure_sample host = {0};
	const keeper_figures_fn fn = k->ask_fn;
	struct figures f;

	if (!fn)
		return;
	k->ask_fn = NULL;
	(void)!pressure_sample(&k->pressure, &host);
	(void)!take_figures(k, &host, &f);
	fn(k->ask_owner, &f);
}

static void tell_pressure(struct keeper *k)
{
	const bool squeezing =
		k->policy.state == POLICY_SQUEEZING || k->policy.state == POLICY_HOLDING;

	if (squeezing == k->squeezing)
		return;
	k->squeezing = squeezing;
	if (k->pressure_fn)
		k->pressure_fn(k->pressure_owner, squeezing);
}

/* `fresh`: the guest's statistics have just come. */
static void step(struct keeper *k, const struct pressure_sample *host, bool fresh)
{
	const struct balloon_stats *guest = balloon_stats(k->balloon);
	struct policy_reading reading = {
		.now_ms = now_ms(),
		.host_short = k->stalled,
		.host_available = host->available,
		.host_reserve = host->reserve,
		.guest_known = fresh && guest->total > 0,
		.guest_total = guest->total,
		.guest_free = guest->free,
		.guest_available = guest->available,
		.guest_quiet = k->quiet,
		.ram = k->ram->size,
		.balloon = balloon_size(k->balloon),
	};
	enum policy_state before = k->policy.state;
	struct policy_advice advice;

	if (ram_resident(k->ram, &reading.resident) < 0)
		return;
	advice = policy_step(&k->policy, &reading);
	if (advice.target == 0 && advice.again_ms == 0 && k->quiet && reading.guest_known)
		k->swept = reading.resident;
	k->stalled = false;
	k->again_ms = advice.again_ms;
	balloon_set_target(k->balloon, advice.target);
	if (k->policy.state != before)
		log_debug("memory: %s, balloon %llu of %llu MiB, host has %llu MiB, guest %llu MiB",
			  policy_state_name(k->policy.state),
			  (unsigned long long)(reading.balloon >> 20),
			  (unsigned long long)(advice.target >> 20),
			  (unsigned long long)(host->available >> 20),
			  (unsigned long long)(guest->available >> 20));
	tell_pressure(k);
}

/*
 * Has the guest done something since the last look, is it quiet now, and is there
 * more of it here than there was? All this without waking it.
 */
static bool worth_sweeping(struct keeper *k)
{
	uint64_t now = now_ms(), cpu = clock_ms(CLOCK_PROCESS_CPUTIME_ID), resident;

	if (now < k->look_ms + WATCH_MS / 2 || ram_resident(k->ram, &resident) < 0)
		return false;
	k->quiet = (cpu - k->cpu_ms) * 5 < now - k->look_ms;
	if (!k->quiet || resident / POLICY_SWEEP_MIN != k->resident / POLICY_SWEEP_MIN)
		k->looks = QUIET_LOOKS;
	else if (k->looks > 0)
		k->looks--;
	k->look_ms = now;
	k->cpu_ms = cpu;
	k->resident = resident;
	k->swept = min_u64(k->swept, resident);
	return k->quiet && resident - k->swept >= POLICY_SWEEP_MIN;
}

/* Looks at the host; asks the guest only if that matters. */
static void look(struct keeper *k)
{
	struct pressure_sample host;
	bool matters;

	if (!k->running || pressure_sample(&k->pressure, &host) < 0)
		return;
	k->far = host.available / FAR >= host.reserve;
	matters = worth_sweeping(k) || k->stalled || k->again_ms != 0 ||
		  host.available < host.reserve;
	if (k->asked_ms != 0) {
		/* Still waiting: go on without the guest's word once it is late. */
		if (now_ms() >= k->asked_ms + ANSWER_MS) {
			k->asked_ms = 0;
			step(k, &host, false);
			answer(k);
		}
	} else if (matters) {
		if (balloon_ask_stats(k->balloon))
			k->asked_ms = now_ms();
		else
			step(k, &host, false);
	}
	arm_next(k);
}

static void timer_fired(struct device *dev, struct device_event *ev, uint32_t events)
{
	struct keeper *k = CONTAINER_OF(ev, struct keeper, timer);
	uint64_t expirations;

	(void)dev;
	(void)events;
	(void)!read(k->timer_fd, &expirations, sizeof(expirations));
	if (k->running) {
		look(k);
		return;
	}
	tell_pressure(k);
	answer(k);
}

static void stall(struct keeper *k)
{
	k->stalled = true;
	/* Otherwise a look is scheduled already, so a burst of events costs one look. */
	if (k->again_ms == 0 && k->asked_ms == 0)
		look(k);
}

static void trigger_fired(struct device *dev, struct device_event *ev, uint32_t events)
{
	struct keeper_watch *w = CONTAINER_OF(ev, struct keeper_watch, event);

	(void)dev;
	/* The trigger is gone with its cgroup. */
	if (events & EPOLLERR)
		device_unwatch(ev);
	else
		stall(w->keeper);
}

static void group_fired(struct device *dev, struct device_event *ev, uint32_t events)
{
	struct keeper_watch *w = CONTAINER_OF(ev, struct keeper_watch, event);
	int r = pressure_group_met_limit(&w->keeper->pressure, w->index);

	(void)dev;
	(void)events;
	if (r < 0)
		device_unwatch(ev);
	else if (r > 0)
		stall(w->keeper);
}

static void limits_fired(struct device *dev, struct device_event *ev, uint32_t events)
{
	struct keeper *k = CONTAINER_OF(ev, struct keeper, limits);

	(void)dev;
	(void)events;
	pressure_limits_changed(&k->pressure);
	if (k->again_ms == 0 && k->asked_ms == 0)
		look(k);
}

/* A file that cannot be watched leaves us with a look from time to time. */
static void watch_pressure(struct keeper *k, struct device *dev, struct loop *loop)
{
	const struct pressure *p = &k->pressure;
	unsigned int watched = 0;

	for (unsigned int i = 0; i < p->n_triggers; i++) {
		k->triggers[i].keeper = k;
		watched += device_watch(dev, loop, &k->triggers[i].event, p->triggers[i], EPOLLPRI,
					trigger_fired, "memory-stall") == 0;
	}
	for (unsigned int i = 0; i < p->n_groups; i++) {
		k->groups[i].keeper = k;
		k->groups[i].index = i;
		if (device_watch(dev, loop, &k->groups[i].event, p->groups[i].fds[PRESSURE_EVENTS],
				 EPOLLPRI, group_fired, "memory-limit") < 0)
			log_debug("a cgroup's memory.events cannot be watched");
	}
	if (p->changes_fd >= 0 && device_watch(dev, loop, &k->limits, p->changes_fd, EPOLLIN,
					       limits_fired, "memory-limits") < 0)
		log_debug("the cgroup's limits cannot be watched");
	k->polling = watched == 0;
	if (k->polling)
		log_info("the host gives no memory pressure events (PSI) to this user; "
			 "looking at its available memory every %d to %d s",
			 POLL_MS / 1000, FAR_POLL_MS / 1000);
}

static int keeper_attach(struct balloon_observer *obs, struct balloon *b, struct device *dev,
			 struct loop *loop)
{
	struct keeper *k = to_keeper(obs);

	k->balloon = b;
	k->dev = dev;
	pin_program();
	watch_pressure(k, dev, loop);
	return device_watch(dev, loop, &k->timer, k->timer_fd, EPOLLIN, timer_fired,
			    "memory-timer");
}

static void got_stats(struct keeper *k)
{
	struct pressure_sample host;

	/* The first ones come unasked. */
	k->asked_ms = 0;
	if (pressure_sample(&k->pressure, &host) == 0) {
		if (host.available >= host.reserve)
			balloon_settle(k->balloon);
		step(k, &host, true);
	}
	answer(k);
	arm_next(k);
}

static void keeper_event(struct balloon_observer *obs, enum balloon_event event)
{
	struct keeper *k = to_keeper(obs);

	switch (event) {
	case BALLOON_STARTED:
		k->running = true;
		k->looks = QUIET_LOOKS;
		arm_next(k);
		break;
	case BALLOON_STOPPED:
		k->running = false;
		k->policy = (struct policy){0};
		k->again_ms = 0;
		k->asked_ms = 0;
		k->looks = 0;
		arm_next(k);
		break;
	case BALLOON_STATS:
		got_stats(k);
		break;
	case BALLOON_REPORTED:
		/* The guest has freed something, so begin to look if nobody looks now. */
		if (k->looks == 0) {
			k->looks = QUIET_LOOKS;
			arm_next(k);
		}
		break;
	case BALLOON_RESIZED:
		/* Seen at the next step; these come by the thousand. */
		break;
	}
}

static void keeper_destroy(struct balloon_observer *obs)
{
	struct keeper *k = to_keeper(obs);

	device_unwatch(&k->timer);
	for (unsigned int i = 0; i < PRESSURE_MAX_TRIGGERS; i++)
		device_unwatch(&k->triggers[i].event);
	for (unsigned int i = 0; i < PRESSURE_MAX_GROUPS; i++)
		device_unwatch(&k->groups[i].event);
	device_unwatch(&k->limits);
	pressure_fini(&k->pressure);
	if (k->timer_fd >= 0)
		close(k->timer_fd);
	if (k->statm_fd >= 0)
		close(k->statm_fd);
	free(k);
}

static const struct balloon_observer_ops keeper_ops = {
	.attach = keeper_attach,
	.event = keeper_event,
	.destroy = keeper_destroy,
};

int keeper_new(const struct keeper_config *cfg, struct balloon_observer **out)
{
	struct keeper *k = calloc(1, sizeof(*k));
	int r;

	if (!k)
		return -ENOMEM;
	k->obs.ops = &keeper_ops;
	k->ram = cfg->ram;
	k->owner_ops = cfg->owner_ops;
	k->owner = cfg->owner;
	k->pressure.meminfo_fd = k->pressure.changes_fd = -1;
	k->statm_fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
	k->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	r = k->timer_fd < 0 || k->statm_fd < 0 ? -errno : 0;
	if (r == 0)
		r = pressure_init(&k->pressure, cfg->root);
	if (r < 0) {
		keeper_destroy(&k->obs);
		return r;
	}
	*out = &k->obs;
	return 0;
}

void keeper_ask(struct balloon_observer *obs, keeper_figures_fn fn, void *owner)
{
	struct keeper *k = to_keeper(obs);

	pthread_mutex_lock(&k->dev->lock);
	k->ask_fn = fn;
	k->ask_owner = owner;
	if (k->asked_ms == 0 && k->running && balloon_ask_stats(k->balloon)) {
		k->asked_ms = now_ms();
		arm_next(k);
	} else if (k->asked_ms == 0) {
		answer(k);
	}
	pthread_mutex_unlock(&k->dev->lock);
}

void keeper_on_pressure(struct balloon_observer *obs, keeper_pressure_fn fn, void *owner)
{
	struct keeper *k = to_keeper(obs);

	k->pressure_fn = fn;
	k->pressure_owner = owner;
}

uint64_t keeper_resident(struct balloon_observer *obs)
{
	const struct keeper *k = to_keeper(obs);
	uint64_t bytes = 0;

	return ram_resident(k->ram, &bytes) < 0 ? 0 : bytes;
}
