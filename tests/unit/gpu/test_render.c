/* SPDX-License-Identifier: MIT */
/* A renderer that says what it must not, and the bookkeeping of the ring. */
#include "gpu/render.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/gpu/gpu_3d_guest.h"

static void start(void)
{
	gpu_3d_guest_start();
	be_renderer();
}

TestSuite(render, .init = start, .fini = gpu_guest_stop);

static struct render *r(void)
{
	return &gpu->three_d.render;
}

static const struct render_message reset = {.type = RENDER_RESET};

Test(render, nonsense_is_its_end)
{
	static const struct render_message bad[] = {
		{.type = RENDER_DONE, .reply = {.done = 3}},
		{.type = RENDER_DONE, .reply = {.done = UINT32_MAX}},
		{.type = RENDER_FENCED, .reply = {.done = 1, .n = 1}},
		{.type = RENDER_FENCED, .reply = {.done = 1, .n = UINT32_MAX}},
		{.type = RENDER_SHOWN, .reply = {.done = 1}},
		{.type = RENDER_READY},
		{.type = RENDER_REFUSED},
		{.type = RENDER_SUBMIT},
		{.type = 0},
		{.type = UINT32_MAX},
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		gpu_guest_stop();
		start();
		cr_assert_eq(send(renderer, &bad[i], sizeof(bad[i]), 0), sizeof(bad[i]));
		fake_guest_settle(guest);
		cr_expect_eq(r()->state, RENDER_LOST, "%zu", i);
		cr_expect_str_eq(r()->why, "the renderer answered nonsense", "%zu", i);
	}
}

Test(render, short_and_long_messages_are_its_end)
{
	const char bytes[65] = {0};

	for (size_t len = 1; len <= sizeof(bytes); len += 32) {
		gpu_guest_stop();
		start();
		cr_assert_eq(send(renderer, bytes, len, 0), (ssize_t)len);
		fake_guest_settle(guest);
		cr_expect_eq(r()->state, RENDER_LOST, "%zu", len);
	}
}

/* It may say for ever what it said before: other work of the thread gets its turn. */
Test(render, a_flood_of_replies_is_taken_in_turns)
{
	static const struct render_message same[] = {{.type = RENDER_DONE},
						     {.type = RENDER_FENCED}};
	struct render_message left;

	for (size_t i = 0; i < ARRAY_SIZE(same); i++) {
		while (send(renderer, &same[i], sizeof(same[i]), MSG_DONTWAIT) == sizeof(same[i]))
			;
		r()->src.fn(&r()->src, EPOLLIN);
		cr_expect_eq(recv(r()->src.fd, &left, sizeof(left), MSG_DONTWAIT | MSG_PEEK),
			     sizeof(left), "all of them in one turn");
		fake_guest_settle(guest);
		cr_expect_eq(r()->state, RENDER_ON);
	}
}

static unsigned int losses;

static void count_loss(struct loop_task *task)
{
	(void)task;
	losses++;
}

Test(render, whoever_asked_hears_of_its_end_once)
{
	struct loop_task task = {.fn = count_loss};

	gpu_guest_stop();
	start();
	gpu_on_loss(gpu, guest->loop, &task);
	fake_guest_settle(guest);
	cr_expect_eq(losses, 0);
	close(renderer);
	fake_guest_settle(guest);
	cr_expect_eq(r()->state, RENDER_LOST);
	cr_expect_eq(losses, 1);
	fake_guest_reset(guest);
	fake_guest_settle(guest);
	cr_expect_eq(losses, 1);
}

Test(render, room_comes_back_with_what_is_done)
{
	uint32_t off;

	cr_expect(render_has_room(r()));
	for (int i = 0; i < 2; i++) {
		(void)render_reserve(r(), RENDER_COMMAND_BYTES, &off);
		render_send(r(), &reset);
	}
	cr_expect_not(render_has_room(r()));
	reply_with(RENDER_DONE, (struct render_reply){.done = r()->sent});
	cr_expect(render_has_room(r()));
	cr_expect_eq(r()->tail, r()->head);
}

Test(render, what_does_not_fit_begins_at_the_start)
{
	uint32_t off = 1;

	for (int i = 0; i < 3; i++) {
		(void)render_reserve(r(), RENDER_COMMAND_BYTES, &off);
		cr_expect_leq(off + RENDER_COMMAND_BYTES, RENDER_RING_SIZE);
		render_send(r(), &reset);
		reply_with(RENDER_DONE, (struct render_reply){.done = r()->sent});
	}
	(void)render_reserve(r(), RENDER_COMMAND_BYTES, &off);
	cr_expect_eq(off, 0);
}

Test(render, messages_have_a_limit)
{
	while (render_has_room(r()))
		render_send(r(), &reset);
	cr_expect_leq(r()->sent - r()->done, RENDER_MAX_OUT);
	for (int i = 0; i < RENDER_COMMAND_MESSAGES; i++)
		render_send(r(), &reset);
	cr_expect(r()->broken, "the socket was to be full");
}

Test(render, fences_go_round)
{
	r()->fence = r()->fenced = UINT32_MAX;
	cr_expect_eq(render_fence(r()), 1);
	cr_expect_not(render_passed(r(), 1));
	reply_with(RENDER_FENCED, (struct render_reply){.done = r()->sent, .n = 1});
	cr_expect_eq(r()->state, RENDER_ON);
	cr_expect(render_passed(r(), 1));
}

Test(render, one_that_does_nothing_hangs)
{
	unsigned int seconds = 0;

	r()->pid = getpid();
	(void)render_fence(r());
	while (render_watch(r()) && seconds < 100)
		seconds++;
	cr_expect_geq(seconds, RENDER_IDLE_S);
	cr_expect_leq(seconds, RENDER_BUSY_S);
	/* Whatever it does, it is at work. */
	reply_with(RENDER_FENCED, (struct render_reply){.done = r()->sent, .n = r()->fence});
	cr_expect(render_watch(r()));
	for (int i = 0; i < 100; i++)
		cr_expect(render_watch(r()), "nothing is expected of it");
	r()->pid = 0;
}
