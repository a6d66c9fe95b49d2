/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <endian.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <time.h>

#include "tests/unit/vmm/session/fake_agent.h"

TestSuite(session, .init = agent_setup, .fini = agent_teardown);

/* ---- the dialogue ---- */

Test(session, a_command_from_hello_to_exit)
{
	uint16_t type;

	start_command();
	send_bytes(STREAM1, "out", 3);
	send_bytes(STREAM2, "err", 3);
	cr_assert_eq(write(far[0], "in", 2), 2);
	close_far(0);
	settle();
	expect_far(1, "out");
	expect_far(2, "err");
	cr_assert_eq(socks[STREAM0].total, 2);
	cr_assert_eq(memcmp(socks[STREAM0].first, "in", 2), 0);
	cr_assert(socks[STREAM0].finished);
	cr_assert_eq(done_calls, 0);
	exit_command(3);
	cr_assert_eq(done_calls, 1);
	cr_assert_eq(command_state(command), COMMAND_ENDED);
	cr_assert_eq(command_result(command)->kind, COMMAND_EXITED);
	cr_assert_eq(command_result(command)->code, 3);
	(void)heard(skip_opening(), &type, NULL);
	cr_assert_eq(type, SC_MSG_SHUTDOWN);
	cr_assert(command_started(command));
	cr_assert_eq(timeline.n_steps, 1 + 2);
	cr_assert_eq(timeline.steps[1].phase, TIMELINE_BOOT);
	cr_assert_eq(timeline.steps[2].phase, TIMELINE_GUEST_SET_UP);
	cr_assert_eq(timeline.n_guest, 0);
}

Test(session, nothing_is_said_before_hello)
{
	connect_sock(CONTROL);
	command_signal(command, SIGTERM);
	settle();
	cr_assert_eq(socks[CONTROL].total, 0);
	cr_assert_eq(session_state(session), SESSION_WAITING);
}

Test(session, a_short_command_in_one_round_loses_nothing)
{
	struct sc_stream_hello h = {htole32(1), htole32(1)};

	say_hello();
	say(SC_MSG_READY, 0, 0, 0, 0, NULL);
	connect_sock(STREAM1);
	/* Started, ended, and all it wrote, before the host looks once. */
	fv.quiet = true;
	say(SC_MSG_STARTED, 1, SC_FIELD_PID, 10, 0, NULL);
	send_bytes(STREAM1, &h, sizeof(h));
	send_bytes(STREAM1, "quick", 5);
	say(SC_MSG_EXITED, 1, SC_FIELD_CODE, 0, 0, NULL);
	fv.quiet = false;
	fake_kick(fv.g, FAKE_VSOCK_TX);
	settle();
	expect_far(1, "quick");
	cr_assert_eq(done_calls, 1);
	cr_assert_eq(command_result(command)->kind, COMMAND_EXITED);
}

Test(session, signals_and_sizes_wait_for_the_start)
{
	uint16_t type;
	uint32_t n;
	size_t off;

	spec.tty = false;
	say_hello();
	command_signal(command, SIGTERM);
	command_signal(command, SIGTERM);
	command_signal(command, SIGHUP);
	command_signal(command, 65);
	command_signal(command, 0);
	command_winsize(command, 3, 4); /* no tty: of no interest */
	settle();
	off = skip_opening();
	cr_assert_eq(socks[CONTROL].total, off);
	say(SC_MSG_READY, 0, 0, 0, 0, NULL);
	say(SC_MSG_STARTED, 1, SC_FIELD_PID, 10, 0, NULL);
	settle();
	off += heard(off, &type, &n);
	cr_assert(type == SC_MSG_SIGNAL && n == SIGHUP);
	off += heard(off, &type, &n);
	cr_assert(type == SC_MSG_SIGNAL && n == SIGTERM);
	cr_assert_eq(socks[CONTROL].total, off);
	command_signal(command, SIGINT);
	settle();
	(void)heard(off, &type, &n);
	cr_assert(type == SC_MSG_SIGNAL && n == SIGINT);
}

Test(session, a_lost_gpu_is_told_once_there_is_somebody_to_hear_it)
{
	uint16_t type;
	size_t off;

	loop_post(fv.g->loop, session_graphics_lost(session));
	settle();
	cr_assert_eq(socks[CONTROL].total, 0);
	say_hello();
	settle();
	off = heard(0, &type, NULL);
	cr_assert_eq(type, SC_MSG_RESUME);
	off += heard(off, &type, NULL);
	cr_assert_eq(type, SC_MSG_SETUP);
	off += heard(off, &type, NULL);
	cr_assert_eq(type, SC_MSG_GRAPHICS_LOST);
	off += heard(off, &type, NULL);
	cr_assert_eq(type, SC_MSG_EXEC);
	cr_assert_eq(off, socks[CONTROL].total);
}

Test(session, the_end_by_a_signal)
{
	start_command();
	say(SC_MSG_EXITED, 1, SC_FIELD_SIGNAL, 9, 0, NULL);
	settle();
	cr_assert_eq(command_result(command)->kind, COMMAND_SIGNALED);
	cr_assert_eq(command_result(command)->signal, 9);
}

Test(session, a_command_that_cannot_be_run)
{
	say_hello();
	say(SC_MSG_READY, 0, 0, 0, 0, NULL);
	say(SC_MSG_EXEC_FAILED, 1, SC_FIELD_ERRNO, ENOENT, SC_FIELD_TEXT, "no \033 such");
	settle();
	cr_assert_eq(done_calls, 1);
	cr_assert_eq(command_result(command)->kind, COMMAND_EXEC_FAILED);
	cr_assert_eq(command_result(command)->error, ENOENT);
	cr_assert_str_eq(command_result(command)->text, "no ? such");
}

Test(session, an_agent_that_gives_up)
{
	say_hello();
	say(SC_MSG_FAILED, 0, 0, 0, SC_FIELD_TEXT, "mounting failed");
	settle();
	cr_assert_eq(command_result(command)->kind, COMMAND_AGENT_FAILED);
	cr_assert_str_eq(command_result(command)->text, "mounting failed");
}

static void expect_agent_failed(void)
{
	settle();
	cr_assert_eq(done_calls, 1);
	cr_assert_eq(command_result(command)->kind, COMMAND_AGENT_FAILED);
	cr_assert_gt(strlen(command_result(command)->text), 0);
	/* More of it changes nothing. */
	for (unsigned int i = 0; i < 100; i++)
		(void)fake_sock_write(&fv, &socks[CONTROL], fake_pattern(i), 60000);
	settle();
	cr_assert_eq(done_calls, 1);
}

Test(session, another_version_is_refused)
{
	connect_sock(CONTROL);
	say(SC_MSG_HELLO, 0, SC_FIELD_VERSION, SC_PROTOCOL_VERSION + 1, SC_FIELD_KERNEL, "6.1");
	expect_agent_failed();
	cr_assert_eq(socks[CONTROL].total, 0);
}

Test(session, garbage_ends_it)
{
	connect_sock(CONTROL);
	send_bytes(CONTROL, fake_pattern(7), 50000);
	expect_agent_failed();
}

Test(session, messages_out_of_order_end_it)
{
	say_hello();
	say(SC_MSG_STARTED, 1, SC_FIELD_PID, 10, 0, NULL);
	expect_agent_failed();
}

Test(session, hello_twice_ends_it)
{
	say_hello();
	say(SC_MSG_HELLO, 0, SC_FIELD_VERSION, 1, SC_FIELD_KERNEL, "6.1");
	expect_agent_failed();
}

Test(session, another_commands_end_ends_it)
{
	start_command();
	say(SC_MSG_EXITED, 2, SC_FIELD_CODE, 0, 0, NULL);
	expect_agent_failed();
}

Test(session, messages_byte_by_byte)
{
	const uint8_t ready[] = {0, 0, 0, 0, SC_MSG_READY, 0, 0, 0, 0, 0, 0, 0};

	say_hello();
	for (size_t i = 0; i < sizeof(ready); i++) {
		cr_assert_eq(session_state(session), SESSION_HELLO);
		send_bytes(CONTROL, ready + i, 1);
		settle();
	}
	cr_assert_eq(session_state(session), SESSION_READY);
}

Test(session, a_lost_guest)
{
	start_command();
	send_bytes(STREAM1, "last", 4);
	fake_guest_reset(fv.g);
	fake_guest_settle(fv.g);
	expect_far(1, "last");
	cr_assert_eq(done_calls, 1);
	cr_assert_eq(session_ends, 1);
	cr_assert_eq(command_result(command)->kind, COMMAND_LOST);
	cr_assert_eq(command_new(session, &spec, near, &command_ops, NULL, &command), -ENOTCONN);
}

Test(session, an_agent_that_hangs_up)
{
	say_hello();
	fake_sock_shutdown(&fv, &socks[CONTROL], VIRTIO_VSOCK_SHUTDOWN_SEND);
	settle();
	cr_assert_eq(done_calls, 1);
	cr_assert_eq(command_result(command)->kind, COMMAND_LOST);
}

Test(session, arguments_that_do_not_fit)
{
	char *big = malloc(SC_BODY_MAX_HOST + 1);
	char *big_argv[] = {big, NULL};
	const struct command_spec large = {.argv = big_argv};
	struct command *cmd = NULL;

	memset(big, 'x', SC_BODY_MAX_HOST);
	big[SC_BODY_MAX_HOST] = '\0';
	cr_assert_eq(command_new(session, &large, near, &command_ops, NULL, &cmd), -E2BIG);
	cr_assert_null(cmd);
	free(big);
}

Test(session, a_large_opening_passes_in_pieces)
{
	char *big = malloc(3 << 20);
	char *big_argv[] = {big, NULL};

	memset(big, 'x', (3 << 20) - 1);
	big[(3 << 20) - 1] = '\0';
	spec.argv = big_argv;
	command_free(command);
	cr_assert_eq(command_new(session, &spec, near, &command_ops, &done_calls, &command), 0);
	free(big);
	say_hello();
	cr_assert_gt(socks[CONTROL].total, 3 << 20);
	say(SC_MSG_READY, 0, 0, 0, 0, NULL);
	settle();
	cr_assert_eq(session_state(session), SESSION_READY);
}

/* ---- several commands ---- */

static unsigned int other_ends;
static uint32_t started_pid;

static void on_other_started(struct command *cmd, void *owner)
{
	(void)owner;
	started_pid = command_pid(cmd);
}

/* Frees itself, as an owner may. */
static void on_other_ended(struct command *cmd, void *owner)
{
	struct command **slot = owner;

	cr_assert_eq(*slot, cmd);
	*slot = NULL;
	command_free(cmd);
	other_ends++;
}

static const struct command_ops other_ops = {on_other_started, on_other_ended};

Test(session, commands_come_and_go_in_any_order)
{
	const int null[3] = {-1, -1, -1};
	struct command *others[3];
	uint16_t type;
	size_t off;

	start_command();
	cr_assert_eq(ready_calls, 1);
	for (unsigned int i = 0; i < 3; i++)
		cr_assert_eq(command_new(session, &spec, null, &other_ops, &others[i], &others[i]),
			     0);
	settle();
	off = skip_opening();
	for (unsigned int i = 0; i < 3; i++) {
		cr_assert_eq(command_id(others[i]), i + 2);
		off += heard(off, &type, NULL);
		cr_assert_eq(type, SC_MSG_EXEC);
	}
	cr_assert_eq(socks[CONTROL].total, off);
	say(SC_MSG_STARTED, 3, SC_FIELD_PID, 77, 0, NULL);
	settle();
	cr_assert_eq(started_pid, 77);
	cr_assert_eq(command_state(others[0]), COMMAND_ASKED);
	say(SC_MSG_EXEC_FAILED, 2, SC_FIELD_ERRNO, ENOENT, SC_FIELD_TEXT, "run x");
	say(SC_MSG_EXITED, 3, SC_FIELD_CODE, 0, 0, NULL);
	settle();
	cr_assert_eq(other_ends, 2);
	cr_assert(!others[0] && !others[1] && others[2]);
	/* Given up by the host, which the guest learns later. */
	command_free(others[2]);
	say(SC_MSG_STARTED, 4, SC_FIELD_PID, 78, 0, NULL);
	say(SC_MSG_EXITED, 4, SC_FIELD_CODE, 0, 0, NULL);
	settle();
	cr_assert_eq(session_state(session), SESSION_READY);
	exit_command(0);
	cr_assert_eq(done_calls, 1);
}

Test(session, commands_are_limited)
{
	const int null[3] = {-1, -1, -1};
	struct command *many[SESSION_MAX_COMMANDS], *more = NULL;

	for (unsigned int i = 1; i < SESSION_MAX_COMMANDS; i++)
		cr_assert_eq(command_new(session, &spec, null, &other_ops, &many[i], &many[i]), 0);
	cr_assert_eq(command_new(session, &spec, null, &other_ops, &more, &more), -EAGAIN);
	/* All of them end with the session. */
	say_hello();
	fake_sock_shutdown(&fv, &socks[CONTROL], VIRTIO_VSOCK_SHUTDOWN_SEND);
	settle();
	cr_assert_eq(other_ends, SESSION_MAX_COMMANDS - 1);
	cr_assert_eq(done_calls, 1);
	cr_assert_eq(session_ends, 1);
}

/* ---- who may connect ---- */

Test(session, streams_before_hello_are_refused)
{
	connect_sock(STREAM1);
	cr_assert(socks[STREAM1].reset && !socks[STREAM1].connected);
}

Test(session, there_is_one_control_connection)
{
	say_hello();
	fake_sock_connect(&fv, &socks[STREAM0], SC_PORT_CONTROL, 900);
	settle();
	cr_assert(socks[STREAM0].reset);
	cr_assert_eq(session_state(session), SESSION_HELLO);
}

Test(session, only_root_of_the_guest_is_heard)
{
	static const uint32_t others[] = {1024, 1025, 70000, UINT32_MAX};
	struct fake_sock extra, *list[] = {&extra};

	/* Neither as the agent, before it is there, nor as a stream of a command. */
	for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
		fake_sock_connect(&fv, &extra, SC_PORT_CONTROL, others[i]);
		(void)fake_sock_poll(&fv, list, 1);
		cr_assert(extra.reset && !extra.connected);
	}
	cr_assert_eq(session_state(session), SESSION_WAITING);
	say_hello();
	for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
		fake_sock_connect(&fv, &extra, SC_PORT_STREAM, others[i]);
		(void)fake_sock_poll(&fv, list, 1);
		cr_assert(extra.reset && !extra.connected);
	}
	fake_sock_connect(&fv, &extra, SC_PORT_STREAM, 1023);
	(void)fake_sock_poll(&fv, list, 1);
	cr_assert(extra.connected);
}

Test(session, streams_nobody_asked_for_are_closed)
{
	const struct sc_stream_hello bad[] = {{1, 3}, {2, 1}, {0, 0}, {1, UINT32_MAX}, {1, 1}};

	start_command();
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct fake_sock extra, *list[] = {&extra};

		fake_sock_connect(&fv, &extra, SC_PORT_STREAM, 500);
		(void)fake_sock_poll(&fv, list, 1);
		cr_assert(extra.connected);
		(void)fake_sock_write(&fv, &extra, &bad[i], 3);
		(void)fake_sock_write(&fv, &extra, (const uint8_t *)&bad[i] + 3, 5);
		(void)fake_sock_poll(&fv, list, 1);
		cr_assert(extra.reset);
	}
	send_bytes(STREAM1, "still", 5);
	settle();
	expect_far(1, "still");
}

Test(session, streams_that_do_not_say_who_they_are_are_few)
{
	say_hello();
	for (uint32_t i = 0; i < 30; i++) {
		struct fake_sock extra, *list[] = {&extra};

		fake_sock_connect(&fv, &extra, SC_PORT_STREAM, 500 + i);
		(void)fake_sock_poll(&fv, list, 1);
		cr_assert_eq(extra.connected, i < 16);
		cr_assert_eq(extra.reset, i >= 16);
	}
}

Test(session, streams_that_say_nothing_make_room_in_time)
{
	static const struct timespec limit = {.tv_nsec = 510 * 1000 * 1000};
	struct fake_sock extra, *list[] = {&extra};

	say_hello();
	for (uint32_t i = 0; i < 16; i++) {
		fake_sock_connect(&fv, &extra, SC_PORT_STREAM, 500 + i);
		(void)fake_sock_poll(&fv, list, 1);
		cr_assert(extra.connected);
	}
	cr_assert_eq(nanosleep(&limit, NULL), 0);
	fake_sock_connect(&fv, &extra, SC_PORT_STREAM, 600);
	(void)fake_sock_poll(&fv, list, 1);
	cr_assert(extra.connected);
}

/* ---- a guest that is parked ---- */

Test(session, a_parked_guest_hears_nothing_until_it_is_let_go_on)
{
	uint16_t type;
	size_t off;

	session_park(session);
	say_hello();
	off = heard(0, &type, NULL);
	cr_assert_eq(type, SC_MSG_PARK);
	cr_assert_eq(socks[CONTROL].total, off);
	cr_assert_eq(parked_calls, 0);
	say(SC_MSG_PARKED, 0, 0, 0, 0, NULL);
	settle();
	cr_assert_eq(parked_calls, 1);
	command_signal(command, SIGTERM);
	settle();
	cr_assert_eq(socks[CONTROL].total, off);
	session_resume(session);
	settle();
	off += heard(off, &type, NULL);
	cr_assert_eq(type, SC_MSG_RESUME);
	off += heard(off, &type, NULL);
	cr_assert_eq(type, SC_MSG_SETUP);
	(void)heard(off, &type, NULL);
	cr_assert_eq(type, SC_MSG_EXEC);
	/* Once. */
	off = socks[CONTROL].total;
	session_resume(session);
	settle();
	cr_assert_eq(socks[CONTROL].total, off);
	say(SC_MSG_READY, 0, 0, 0, 0, NULL);
	settle();
	cr_assert_eq(session_state(session), SESSION_READY);
}

Test(session, nobody_parks_unasked_or_is_ready_while_parked)
{
	say_hello();
	say(SC_MSG_PARKED, 0, 0, 0, 0, NULL);
	settle();
	cr_assert_eq(session_state(session), SESSION_ENDED);
}

Test(session, a_parked_guest_is_not_ready)
{
	session_park(session);
	say_hello();
	say(SC_MSG_PARKED, 0, 0, 0, 0, NULL);
	say(SC_MSG_READY, 0, 0, 0, 0, NULL);
	settle();
	cr_assert_eq(session_state(session), SESSION_ENDED);
}

Test(session, a_machine_that_is_not_of_a_state_has_no_agent_to_adopt)
{
	cr_assert_eq(session_adopt(session), -ENOENT);
	cr_assert_eq(session_state(session), SESSION_WAITING);
}
