/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "common/log.h"

/* Standard error is a file meanwhile. Reads what the lines were, and begins anew. */
static const char *said(void)
{
	static char text[16384];
	const ssize_t n = pread(STDERR_FILENO, text, sizeof(text) - 1, 0);

	text[n > 0 ? n : 0] = '\0';
	cr_assert_eq(ftruncate(STDERR_FILENO, 0), 0);
	(void)lseek(STDERR_FILENO, 0, SEEK_SET);
	return text;
}

static void redirect(void)
{
	const int fd = memfd_create("stderr", MFD_CLOEXEC);

	cr_assert_geq(fd, 0);
	cr_assert_eq(dup2(fd, STDERR_FILENO), STDERR_FILENO);
	close(fd);
}

static unsigned int lines(const char *text)
{
	unsigned int n = 0;

	for (; *text; text++)
		n += *text == '\n';
	return n;
}

Test(log, a_line_has_a_prefix_and_one_end, .init = redirect)
{
	log_error("no %s: %d", "kernel", 7);
	cr_assert_str_eq(said(), "sandcastle: no kernel: 7\n");
	log_warn("slow");
	cr_assert_str_eq(said(), "sandcastle: warning: slow\n");
}

Test(log, levels, .init = redirect)
{
	log_info("a");
	log_debug("b");
	cr_assert_str_eq(said(), "");
	log_set_level(LOG_LEVEL_DEBUG);
	log_info("a");
	log_debug("b");
	cr_assert_str_eq(said(), "sandcastle: a\nsandcastle: debug: b\n");
	log_set_level(LOG_LEVEL_ERROR);
	log_warn("a");
	log_guest("b");
	log_error("c");
	cr_assert_str_eq(said(), "sandcastle: c\n");
}

Test(log, the_subject_comes_before_the_text_and_is_cut, .init = redirect)
{
	char longer[2 * LOG_SUBJECT_MAX];

	log_set_subject("box.sandbox:3: ");
	log_error("no such key");
	cr_assert_str_eq(said(), "sandcastle: box.sandbox:3: no such key\n");
	memset(longer, 's', sizeof(longer));
	longer[sizeof(longer) - 1] = '\0';
	log_set_subject(longer);
	log_error("x");
	cr_assert_eq(strlen(said()), strlen("sandcastle: ") + LOG_SUBJECT_MAX - 1 + strlen("x\n"));
	log_set_subject("");
	log_error("x");
	cr_assert_str_eq(said(), "sandcastle: x\n");
}

Test(log, a_long_line_is_cut_and_still_ends, .init = redirect)
{
	static char longer[10000];
	const char *text;

	memset(longer, 'x', sizeof(longer) - 1);
	log_error("%s", longer);
	text = said();
	cr_assert_leq(strlen(text), 4096u);
	cr_assert_geq(strlen(text), 4000u);
	cr_assert_eq(text[strlen(text) - 1], '\n');
	cr_assert_eq(lines(text), 1);
}

Test(log, a_guest_cannot_flood_it, .init = redirect)
{
	const char *text;

	for (unsigned int i = 0; i < 1000; i++)
		log_guest("mistake %u", i);
	text = said();
	/*
	 * Ten lines and one that says more were left out; the clock may have begun
	 * another window of 5 s meanwhile.
	 */
	cr_assert_geq(lines(text), 11u);
	cr_assert_leq(lines(text), 22u);
	cr_assert_not_null(strstr(text, "guest: mistake 0\n"));
	cr_assert_not_null(strstr(text, "left out"));
}
