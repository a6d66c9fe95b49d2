/* SPDX-License-Identifier: MIT */
#include "vmm/net/supervisor.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/log.h"
#include "common/loop.h"
#include "devices/net.h"

enum {
	PAUSE_MAX_MS = 60 * 1000,
	/* For the new process to seal itself. */
	ANSWER_LIMIT_MS = 30 * 1000,
};

struct net_supervisor {
	struct net_supervisor_setup setup;
	unsigned int restarts;
	uint64_t pause_ms; /* before the next one */
	struct loop_source
		cable; /* of a process that has not answered yet; its fd is ours, or -1 */
	struct loop_timer timer; /* the pause's end, or that of the wait for an answer */
	struct loop_task gone; /* to our loop */
	struct loop_task plug; /* to the card's */
};

/* The keeper ends the process itself before it starts another one. */
static void drop_cable(struct net_supervisor *s)
{
	loop_remove(&s->cable);
	if (s->cable.fd >= 0)
		close(s->cable.fd);
	s->cable.fd = -1;
}

static void restart_later(struct net_supervisor *s)
{
	drop_cable(s);
	if (s->restarts == NET_RESTARTS_MAX) {
		log_warn("the network process has ended too often; the sandbox stays without a "
			 "network");
		return;
	}
	loop_timer_set(&s->timer, s->pause_ms);
	s->pause_ms = min_u64(2 * s->pause_ms, PAUSE_MAX_MS);
	s->restarts++;
}

static void process_is_gone(struct loop_task *task)
{
	struct net_supervisor *s = CONTAINER_OF(task, struct net_supervisor, gone);

	log_warn(
		"the network process has ended; the sandbox's link is down until another one runs");
	restart_later(s);
}

/* On the card's thread. */
static void unplugged(void *owner)
{
	struct net_supervisor *s = owner;

	loop_post(s->setup.loop, &s->gone);
}

/* On the card's thread. The cable is the card's from here on. */
static void plug(struct loop_task *task)
{
	struct net_supervisor *s = CONTAINER_OF(task, struct net_supervisor, plug);

	if (net_device_plug(s->setup.card, steal_fd(&s->cable.fd)) < 0)
		loop_post(s->setup.loop, &s->gone);
}

static void process_answers(struct loop_source *src, uint32_t events)
{
	struct net_supervisor *s = CONTAINER_OF(src, struct net_supervisor, cable);
	char word;

	(void)events;
	loop_timer_set(&s->timer, 0);
	loop_remove(src);
	if (recv(src->fd, &word, 1, MSG_DONTWAIT) == 1)
		loop_post(s->setup.card_loop, &s->plug);
	else
		restart_later(s);
}

static void timer_fired(struct loop_timer *timer)
{
	struct net_supervisor *s = CONTAINER_OF(timer, struct net_supervisor, timer);
	int r;

	/* Nothing was heard of the one that was started. */
	if (s->cable.fd >= 0) {
		restart_later(s);
		return;
	}
	r = s->setup.ask(s->setup.line, &s->cable.fd);
	if (r == 0)
		r = loop_add(s->setup.loop, &s->cable, EPOLLIN);
	if (r < 0)
		restart_later(s);
	else
		loop_timer_set(timer, ANSWER_LIMIT_MS);
}

int net_supervisor_new(const struct net_supervisor_setup *setup, struct net_supervisor **out)
{
	struct net_supervisor *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return -ENOMEM;
	s->setup = *setup;
	s->pause_ms = setup->pause_ms;
	s->cable = (struct loop_source){.fd = -1, .fn = process_answers, .name = "net-process"};
	s->gone.fn = process_is_gone;
	s->plug.fn = plug;
	r = loop_timer_init(&s->timer, setup->loop, timer_fired, "net-restart");
	if (r < 0) {
		free(s);
		return r;
	}
	net_device_on_unplug(setup->card, unplugged, s);
	*out = s;
	return 0;
}

void net_supervisor_free(struct net_supervisor *s)
{
	if (!s)
		return;
	drop_cable(s);
	loop_timer_fini(&s->timer);
	free(s);
}
