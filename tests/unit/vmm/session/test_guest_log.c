/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "vmm/session/guest_log.h"

static struct guest_log guest;

static void setup(void)
{
	guest_log_init(&guest, false);
}

static void say(const char *text)
{
	guest_log_add(&guest, text, strlen(text));
}

TestSuite(guest_log, .init = setup);

Test(guest_log, the_tail_is_the_last_lines)
{
	char buf[100];

	say("one\r\ntwo\r\nthree\r\n");
	guest_log_excerpt(&guest, NULL, 2, buf, sizeof(buf));
	cr_assert_str_eq(buf, "  two\n  three");
	guest_log_excerpt(&guest, NULL, 9, buf, sizeof(buf));
	cr_assert_str_eq(buf, "  one\n  two\n  three");
}

Test(guest_log, a_line_of_ours_begins_its_own)
{
	char buf[100];

	guest_log_line(&guest, "ours");
	say("theirs, unfinished");
	guest_log_line(&guest, "ours again");
	guest_log_excerpt(&guest, NULL, 9, buf, sizeof(buf));
	cr_assert_str_eq(buf, "  ours\n  theirs, unfinished\n  ours again");
}

Test(guest_log, an_empty_log_has_an_empty_tail)
{
	char buf[8] = "x";

	guest_log_excerpt(&guest, NULL, 3, buf, sizeof(buf));
	cr_assert_str_eq(buf, "");
}

Test(guest_log, what_would_command_a_terminal_is_left_out)
{
	char buf[100];

	say("a\033[2Jb\007\n");
	guest_log_excerpt(&guest, NULL, 1, buf, sizeof(buf));
	cr_assert_str_eq(buf, "  a[2Jb");
}

Test(guest_log, a_flood_keeps_the_end_and_a_small_buffer_is_respected)
{
	char buf[16];

	for (int i = 0; i < 10000; i++)
		say("0123456789\n");
	say("end of it, which is longer than the buffer\n");
	memset(buf, '#', sizeof(buf));
	guest_log_excerpt(&guest, NULL, 1, buf, sizeof(buf) - 1);
	cr_assert_eq(buf[15], '#');
	cr_assert_eq(strncmp(buf, "  end of it", 11), 0);
	cr_assert_lt(strlen(buf), 15);
}

Test(guest_log, a_panic_is_noticed_with_its_reason)
{
	char reason[100];

	cr_assert_not(guest_log_panic(&guest, reason, sizeof(reason)));
	cr_assert_str_eq(reason, "");
	say("[    1.0] Kernel panic - not syncing: Attempted to kill init!\r\n[    1.1] CPU: 0\n");
	cr_assert(guest_log_panic(&guest, reason, sizeof(reason)));
	cr_assert_str_eq(reason, "Attempted to kill init!");
	guest_log_excerpt(&guest, GUEST_LOG_PANIC, 1, reason, sizeof(reason));
	cr_assert_str_eq(reason, "  [    1.0] Kernel panic - not syncing: Attempted to kill init!");
	guest_log_excerpt(&guest, "nowhere to be found", 1, reason, sizeof(reason));
	cr_assert_str_eq(reason, "");
	cr_assert(guest_log_panic(&guest, reason, 5));
	cr_assert_str_eq(reason, "Atte");
}

Test(guest_log, reading_on_from_a_position)
{
	struct guest_log log;
	char buf[64], big[GUEST_LOG_SIZE];
	uint64_t start;

	guest_log_init(&log, false);
	guest_log_add(&log, "one\n\033two\377", 9);
	cr_assert_eq(guest_log_read(&log, 0, buf, sizeof(buf), &start), 9);
	cr_assert_eq(start, 0);
	cr_assert_str_eq(buf, "one\n?two?");
	cr_assert_eq(guest_log_read(&log, 2, buf, 4, &start), 5);
	cr_assert_eq(start, 2);
	cr_assert_str_eq(buf, "e\n?");
	cr_assert_eq(guest_log_read(&log, 9, buf, sizeof(buf), &start), 9);
	cr_assert_str_eq(buf, "");
	/* Not said yet, and no longer kept. */
	cr_assert_eq(guest_log_read(&log, 100, buf, sizeof(buf), &start), 9);
	cr_assert_eq(start, 9);
	memset(big, 'x', sizeof(big));
	guest_log_add(&log, big, sizeof(big));
	cr_assert_eq(guest_log_read(&log, 3, buf, sizeof(buf), &start), 9 + 63);
	cr_assert_eq(start, 9);
	guest_log_fini(&log);
}

static unsigned int tellings;

static void grew(void *owner)
{
	tellings++;
	loop_stop(owner);
}

Test(guest_log, who_waits_is_told_once_for_all)
{
	struct guest_log log;
	struct loop *loop;

	cr_assert_eq(loop_new(&loop), 0);
	guest_log_init(&log, false);
	guest_log_add(&log, "x", 1);
	guest_log_watch(&log, loop, grew, loop);
	guest_log_add(&log, "abc", 3);
	guest_log_line(&log, "line");
	cr_assert_eq(tellings, 0, "on the loop's thread");
	cr_assert_eq(loop_run(loop), 0);
	cr_assert_eq(tellings, 1);
	cr_assert_eq(guest_log_end(&log), 10);
	guest_log_add(&log, "y", 1);
	cr_assert_eq(loop_run(loop), 0);
	cr_assert_eq(tellings, 2);
	/* One that was on its way is not told any more. */
	guest_log_add(&log, "z", 1);
	guest_log_watch(&log, NULL, NULL, NULL);
	loop_stop(loop);
	cr_assert_eq(loop_run(loop), 0);
	cr_assert_eq(tellings, 2);
	loop_free(loop);
	guest_log_fini(&log);
}

/* A log that echoes, with its stderr read here. Returns what came. */
static size_t echoed(const char *text, size_t len, char *buf, size_t size)
{
	const int before = dup(STDERR_FILENO);
	ssize_t n;
	int ends[2];

	cr_assert_eq(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
	cr_assert_geq(dup2(ends[1], STDERR_FILENO), 0);
	guest_log_init(&guest, true);
	guest_log_add(&guest, text, len);
	cr_assert_geq(dup2(before, STDERR_FILENO), 0);
	close(before);
	close(ends[1]);
	n = read(ends[0], buf, size);
	close(ends[0]);
	return n < 0 ? 0 : (size_t)n;
}

Test(guest_log, what_a_terminal_is_shown_does_not_steer_it)
{
	static const char text[] = "a\x1b[31mb\x9b\tc\r\n";
	char buf[100];
	size_t n = echoed(text, sizeof(text) - 1, buf, sizeof(buf));

	cr_assert_eq(n, sizeof(text) - 1);
	cr_assert_eq(memcmp(buf, "a?[31mb?\tc\r\n", n), 0);
}

/* 1 MiB into a pipe of 64 KiB: that it returns is what counts. */
Test(guest_log, an_echo_that_nobody_reads_holds_nobody, .timeout = 60)
{
	static char flood[1 << 20], buf[1 << 20];
	int ends[2];
	const int before = dup(STDERR_FILENO);

	memset(flood, 'x', sizeof(flood));
	cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
	cr_assert_geq(dup2(ends[1], STDERR_FILENO), 0);
	guest_log_init(&guest, true);
	guest_log_add(&guest, flood, sizeof(flood));
	for (unsigned int i = 0; i < 1000; i++)
		log_error("one of a thousand lines that nobody reads");
	cr_assert_geq(dup2(before, STDERR_FILENO), 0);
	close(before);
	close(ends[1]);
	cr_assert_gt(read(ends[0], buf, sizeof(buf)), 0);
	close(ends[0]);
}
