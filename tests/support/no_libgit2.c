/* SPDX-License-Identifier: MIT */
/*
 * tests/support/no_libgit2.c - unit tests do without libgit2, which Criterion starts in each test.
 *
 * Criterion links libgit2 for the differences that the assertions of <criterion/new/assert.h> show;
 * nothing here uses these. To start libgit2 means to parse all certificates of the host, a third of
 * what an empty test costs. The program's own definitions come before the library's.
 */
int git_libgit2_init(void);
int git_libgit2_shutdown(void);

/* Returns how often it was started. */
int git_libgit2_init(void)
{
	return 1;
}

/* Returns how often it is still started. */
int git_libgit2_shutdown(void)
{
	return 0;
}
