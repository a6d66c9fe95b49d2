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
#include "balloon/policy.h"
#include "balloon/pressure.h"
#include "vmm/log.h"

enum {
	POLL_MS = 2000, /* a look at the host where there is no trigger */
	STATS_MS = 1000, /* --stats */
	ANSWER_MS = 500, /* a guest that has not answered by then is taken as silent */
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
	const struct ram *ram;
	struct pressure pressure;
	struct policy policy;
	bool running; /* there is a driver */
	bool stalled; /* an event since the last step */
	bool polling; /* no trigger */
	uint32_t again_ms; /* what the policy asked for */
	uint64_t asked_ms; /* when statistics were asked for; 0: not waiting */

	int stats_fd, statm_fd;
	char line[FIGURES_LINE_MAX]; /* the last one written */
	size_t line_len;

	struct device_event timer;
	int timer_fd;
	struct keeper_watch triggers[PRESSURE_MAX_TRIGGERS];
	struct keeper_watch groups[PRESSURE_MAX_GROUPS];
};

static struct keeper *to_keeper(struct balloon_observer *obs)
{
	return CONTAINER_OF(obs, struct keeper, obs);
}

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* 0 disarms. */
static void arm(struct keeper *k, uint32_t ms)
{
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
		arm(k, 0);
		return;
	}
	if (k->polling && (ms == 0 || ms > POLL_MS))
		ms = POLL_MS;
	if (k->stats_fd >= 0 && (ms == 0 || ms > STATS_MS))
		ms = STATS_MS;
	if (k->asked_ms != 0 && (ms == 0 || ms > ANSWER_MS))
		ms = ANSWER_MS;
	arm(k, ms);
}

/* A file that is full or a pipe nobody reads costs a line, not the sandbox. */
static void write_figures(struct keeper *k, const struct pressure_sample *host)
{
	struct figures f = {
		.balloon = balloon_size(k->balloon),
		.target = balloon_target(k->balloon),
		.reported = balloon_reported(k->balloon),
		.inflated = balloon_inflated(k->balloon),
		.guest = *balloon_stats(k->balloon),
		.host = *host,
		.pressure = policy_state_name(k->policy.state),
	};
	char line[FIGURES_LINE_MAX];
	size_t len;

	if (ram_resident(k->ram, &f.resident) < 0 || figures_read_process(k->statm_fd, &f) < 0)
		return;
	len = figures_format(&f, line);
	if (len == k->line_len && memcmp(line, k->line, len) == 0)
		return;
	memcpy(k->line, line, len);
	k->line_len = len;
	(void)!write(k->stats_fd, line, len);
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
		.guest_available = guest->available,
		.balloon = balloon_size(k->balloon),
	};
	enum policy_state before = k->policy.state;
	struct policy_advice advice = policy_step(&k->policy, &reading);

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
}

/* Looks at the host; asks the guest only if that matters. */
static void look(struct keeper *k)
{
	struct pressure_sample host;
	bool matters;

	if (!k->running || pressure_sample(&k->pressure, &host) < 0)
		return;
	matters =
		k->stalled || k->again_ms != 0 || host.available < host.reserve || k->stats_fd >= 0;
	if (k->asked_ms != 0) {
		/* Still waiting: go on without the guest's word once it is late. */
		if (now_ms() >= k->asked_ms + ANSWER_MS) {
			k->asked_ms = 0;
			step(k, &host, false);
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
	look(k);
}

static void stall(struct keeper *k)
{
	k->stalled = true;
	/* Else the policy has a timer running: a storm of events is one. */
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
		if (device_watch(dev, loop, &k->groups[i].event, p->groups[i].events_fd, EPOLLPRI,
				 group_fired, "memory-limit") < 0)
			log_debug("a cgroup's memory.events cannot be watched");
	}
	k->polling = watched == 0;
	if (k->polling)
		log_info("the host gives no memory pressure events (PSI) to this user; "
			 "looking at its available memory every %d s",
			 POLL_MS / 1000);
}

static int keeper_attach(struct balloon_observer *obs, struct balloon *b, struct device *dev,
			 struct loop *loop)
{
	struct keeper *k = to_keeper(obs);

	k->balloon = b;
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
		step(k, &host, true);
		if (k->stats_fd >= 0)
			write_figures(k, &host);
	}
	arm_next(k);
}

static void keeper_event(struct balloon_observer *obs, enum balloon_event event)
{
	struct keeper *k = to_keeper(obs);

	switch (event) {
	case BALLOON_STARTED:
		k->running = true;
		arm_next(k);
		break;
	case BALLOON_STOPPED:
		k->running = false;
		k->policy = (struct policy){0};
		k->again_ms = 0;
		k->asked_ms = 0;
		arm_next(k);
		break;
	case BALLOON_STATS:
		got_stats(k);
		break;
	case BALLOON_RESIZED:
	case BALLOON_REPORTED:
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
	pressure_fini(&k->pressure);
	if (k->timer_fd >= 0)
		close(k->timer_fd);
	if (k->statm_fd >= 0)
		close(k->statm_fd);
	if (k->stats_fd >= 0)
		close(k->stats_fd);
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

	if (!k) {
		if (cfg->stats_fd >= 0)
			close(cfg->stats_fd);
		return -ENOMEM;
	}
	k->obs.ops = &keeper_ops;
	k->ram = cfg->ram;
	k->stats_fd = cfg->stats_fd;
	k->pressure.meminfo_fd = -1;
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
