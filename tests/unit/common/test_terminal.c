/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "common/terminal.h"

/* Both ends of a pty. */
static void open_pty(int *ours, int *theirs)
{
	*ours = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	cr_assert_geq(*ours, 0);
	cr_assert_eq(grantpt(*ours), 0);
	cr_assert_eq(unlockpt(*ours), 0);
	*theirs = open(ptsname(*ours), O_RDWR | O_NOCTTY | O_CLOEXEC);
	cr_assert_geq(*theirs, 0);
}

Test(terminal, raw_and_back)
{
	struct terminal t = {0};
	struct termios before, raw, after;
	int ours, theirs;

	open_pty(&ours, &theirs);
	cr_assert_eq(tcgetattr(theirs, &before), 0);
	cr_assert_neq(before.c_lflag & ISIG, 0u);
	cr_assert_eq(terminal_raw(&t, theirs), 0);
	cr_assert_eq(tcgetattr(theirs, &raw), 0);
	/* ^C is a key, keys are not echoed, a carriage return stays one. */
	cr_assert_eq(raw.c_lflag & (ISIG | ECHO | ICANON), 0u);
	cr_assert_eq(raw.c_iflag & ICRNL, 0u);
	terminal_restore(&t);
	cr_assert_eq(tcgetattr(theirs, &after), 0);
	cr_assert_eq(after.c_lflag, before.c_lflag);
	cr_assert_eq(after.c_iflag, before.c_iflag);
	cr_assert_eq(after.c_oflag, before.c_oflag);
	close(ours);
	close(theirs);
}

Test(terminal, restored_once)
{
	struct terminal t = {0};
	struct termios changed, after;
	int ours, theirs;

	open_pty(&ours, &theirs);
	terminal_restore(&t);
	cr_assert_eq(terminal_raw(&t, theirs), 0);
	terminal_restore(&t);
	cr_assert_eq(tcgetattr(theirs, &changed), 0);
	changed.c_lflag &= ~(tcflag_t)ECHO;
	cr_assert_eq(tcsetattr(theirs, TCSANOW, &changed), 0);
	terminal_restore(&t);
	cr_assert_eq(tcgetattr(theirs, &after), 0);
	cr_assert_eq(after.c_lflag & ECHO, 0u);
	close(ours);
	close(theirs);
}

Test(terminal, what_is_none)
{
	struct terminal t = {0};
	int ends[2];

	cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
	cr_assert_eq(terminal_raw(&t, ends[0]), -ENOTTY);
	cr_assert_not(t.raw);
	close(ends[0]);
	close(ends[1]);
	cr_assert_eq(terminal_raw(&t, -1), -EBADF);
}

Test(terminal, control_characters_do_not_reach_it)
{
	static const struct {
		const char *text, *clean;
	} cases[] = {
		{"plain\ttext\n", "plain\ttext\n"},
		{"\033[31mred", "?[31mred"},
		{"\033]0;title\007", "?]0;title?"},
		{"a\rb\bc\177d", "a?b?c?d"},
		{"gr\303\274n \342\202\254 \360\237\217\260",
		 "gr\303\274n \342\202\254 \360\237\217\260"},
		{"\302\2331mC1", "??1mC1"},
		{"\2331mC1", "?1mC1"},
		{"cut \303", "cut ?"},
		{"\300\233 overlong", "?? overlong"},
		{"\377", "?"},
		{"", ""},
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char text[64];

		strcpy(text, cases[i].text);
		terminal_clean(text, strlen(text));
		cr_expect_str_eq(text, cases[i].clean, "%zu: %s", i, text);
	}
}

Test(terminal, its_size)
{
	const struct winsize size = {.ws_row = 33, .ws_col = 111};
	uint16_t rows = 1, columns = 2;
	int ours, theirs, file = open("/dev/null", O_RDWR | O_CLOEXEC);

	cr_expect_not(terminal_size(file, &rows, &columns));
	cr_expect(rows == 1 && columns == 2);
	open_pty(&ours, &theirs);
	cr_assert_eq(ioctl(ours, TIOCSWINSZ, &size), 0);
	cr_expect(terminal_size(theirs, &rows, &columns));
	cr_expect(rows == 33 && columns == 111);
	close(file);
	close(ours);
	close(theirs);
}
