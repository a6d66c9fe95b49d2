/* SPDX-License-Identifier: MIT */
#include "guest-agent/clock.h"

#include <endian.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define MS (1000000ull)

enum {
	TRIES = 4,
	ROUND_LONG_MS = 20,
	/* Below this two clocks are one. */
	DIFFERENCE_MS = 1,
	PAUSE_MS = 1000,
	PAUSE_MAX_MS = 512 * 1000,
	ANSWER_LIMIT_MS = 5000,
};

static uint64_t now(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

void clock_init(struct clock *c, int fd, clock_adjust_fn adjust)
{
	*c = (struct clock){.fd = fd, .adjust = adjust, .pause = PAUSE_MS * MS};
}

void clock_fini(struct clock *c)
{
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
}

void clock_ask(struct clock *c)
{
	if (c->fd < 0 || c->asked != 0)
		return;
	c->asked = now(CLOCK_MONOTONIC);
	if (write(c->fd, "?", 1) != 1)
		c->asked = 0;
}

/* The tries are over. */
static void decide(struct clock *c)
{
	const uint64_t wrong = (uint64_t)llabs(c->offset);

	c->tries = 0;
	c->last = now(CLOCK_MONOTONIC);
	if (wrong > c->round / 2 + DIFFERENCE_MS * MS) {
		c->adjust(c->offset);
		c->pause = PAUSE_MS * MS;
	} else {
		c->pause = min_u64(2 * c->pause, PAUSE_MAX_MS * MS);
	}
}

static void take(struct clock *c, uint64_t host)
{
	const uint64_t round = now(CLOCK_MONOTONIC) - c->asked;
	const int64_t offset = (int64_t)(host + round / 2 - now(CLOCK_REALTIME));

	if (c->asked == 0) {
		clock_ask(c);
		return;
	}
	c->asked = 0;
	if (c->tries == 0 || round < c->round) {
		c->round = round;
		c->offset = offset;
	}
	if (c->round > ROUND_LONG_MS * MS && ++c->tries < TRIES)
		clock_ask(c);
	else
		decide(c);
}

bool clock_hear(struct clock *c)
{
	uint64_t host;
	ssize_t n = read(c->fd, c->answer + c->have, sizeof(c->answer) - c->have);

	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
		clock_fini(c);
		return false;
	}
	c->have += n > 0 ? (size_t)n : 0;
	if (c->have < sizeof(c->answer))
		return true;
	c->have = 0;
	memcpy(&host, c->answer, sizeof(host));
	take(c, le64toh(host));
	return true;
}

void clock_await(struct clock *c)
{
	struct pollfd p = {.fd = c->fd, .events = POLLIN};

	while (c->asked != 0 && poll(&p, 1, ANSWER_LIMIT_MS) > 0 && clock_hear(c))
		;
}

void clock_wake(struct clock *c)
{
	c->pause = PAUSE_MS * MS;
	(void)clock_turn(c);
}

int clock_turn(struct clock *c)
{
	const uint64_t passed = now(CLOCK_MONOTONIC) - c->last;

	if (c->fd < 0)
		return -1;
	if (passed >= c->pause)
		clock_ask(c);
	/* The answer comes by itself. */
	return c->asked != 0 ? -1 : (int)((c->pause - passed) / MS) + 1;
}
