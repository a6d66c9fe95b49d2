/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "launcher/commands.h"
#include "library/client/client.h"
#include "library/client/rundir.h"

static char base[] = "/tmp/sandcastle-stop-XXXXXX";

static void set_up(void)
{
	cr_assert_not_null(mkdtemp(base));
	cr_assert_eq(setenv("XDG_RUNTIME_DIR", base, 1), 0);
	cr_redirect_stderr();
}

static void tear_down(void)
{
	cr_assert_eq(rmdir(base), 0, "something is left in %s", base);
}

TestSuite(stop, .init = set_up, .fini = tear_down, .timeout = 60);

/* A sandbox whose loop is dead: it listens, and never accepts. Nor does it hear `deaf_to`, unless 0. */
static pid_t dead_loop(int deaf_to)
{
	char ready;
	int ends[2];
	pid_t child;

	cr_assert_eq(pipe(ends), 0);
	child = fork();
	if (child == 0) {
		AUTO_FREE char *top = rundir_top();
		struct rundir rd;

		if (deaf_to)
			(void)signal(deaf_to, SIG_IGN);
		if (rundir_create(top, "stuck", &rd) < 0 || write(ends[1], "", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	cr_assert_eq(read(ends[0], &ready, 1), 1);
	close(ends[0]);
	close(ends[1]);
	return child;
}

static int stop(const char *how, const char *name)
{
	char words[4][16] = {"sandcastle", "stop"};
	char *argv[] = {words[0], words[1], words[2], words[3], NULL};

	snprintf(words[2], sizeof(words[2]), "%s", how);
	snprintf(words[3], sizeof(words[3]), "%s", name);
	return commands_main(4, argv);
}

static void expect_killed_by(pid_t child, int signo)
{
	int status;

	cr_assert_eq(waitpid(child, &status, WNOHANG), child, "it still runs");
	cr_assert(WIFSIGNALED(status));
	cr_assert_eq(WTERMSIG(status), signo);
}

Test(stop, force_ends_a_process_that_does_not_answer)
{
	pid_t child = dead_loop(0);

	cr_assert_eq(stop("--force", "stuck"), 0);
	expect_killed_by(child, SIGTERM);
}

Test(stop, force_kills_one_that_does_not_hear)
{
	pid_t child = dead_loop(SIGTERM);

	cr_assert_eq(stop("--force", "stuck"), 0);
	expect_killed_by(child, SIGKILL);
}

static const char *said(void)
{
	static char text[1024];
	size_t n = fread(text, 1, sizeof(text) - 1, cr_get_redirected_stderr());

	text[n] = '\0';
	return text;
}

/* Its signals wait until it goes on, but for SIGKILL, after which nothing would be in order. */
Test(stop, force_ends_one_that_was_stopped_and_says_so)
{
	pid_t child = dead_loop(0);
	int status;

	cr_assert_eq(kill(child, SIGSTOP), 0);
	cr_assert_eq(waitpid(child, &status, WUNTRACED), child);
	cr_assert(WIFSTOPPED(status));
	cr_assert_eq(stop("--force", "stuck"), 0);
	expect_killed_by(child, SIGTERM);
	fflush(stderr);
	cr_expect_not_null(
		strstr(said(), "the sandbox 'stuck' does not answer; its process is ended"));
}

Test(stop, force_finds_the_process_however_many_wait_for_an_answer)
{
	pid_t child = dead_loop(0);
	AUTO_FREE char *top = rundir_top();

	/* Whoever asked and went away is in the socket's queue all the same. */
	for (int i = 0; i < 100; i++) {
		struct client *c = NULL;
		int dir_fd = rundir_open(top, "stuck");

		cr_assert_eq(client_connect(dir_fd, &c), 0);
		client_free(c);
		close(dir_fd);
	}
	cr_assert_eq(stop("--force", "stuck"), 0);
	expect_killed_by(child, SIGTERM);
}

Test(stop, force_ends_nobody_else)
{
	pid_t child = dead_loop(0), other = fork();
	int status;

	if (other == 0)
		for (;;)
			pause();
	/* Its process was killed, and its number could be anybody's by now. */
	cr_assert_eq(kill(child, SIGKILL), 0);
	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_assert_eq(stop("--force", "stuck"), 125);
	cr_assert_eq(stop("--force", "nobody"), 125);
	cr_assert_eq(waitpid(other, &status, WNOHANG), 0);
	cr_assert_eq(kill(other, SIGKILL), 0);
	cr_assert_eq(waitpid(other, &status, 0), other);
}

/* As another user of the host can leave it in /tmp. */
Test(stop, a_folder_of_somebody_elses_is_named_with_its_cure)
{
	char path[64];

	snprintf(path, sizeof(path), "%s/sandcastle", base);
	cr_assert_eq(mkdir(path, 0777), 0);
	cr_assert_eq(chmod(path, 0777), 0);
	cr_assert_eq(stop("--force", "box"), 125);
	cr_assert_eq(stop("--time=0", "box"), 125);
	cr_assert_eq(rmdir(path), 0);
	cr_assert_eq(symlink("/tmp", path), 0);
	cr_assert_eq(stop("--force", "box"), 125);
	cr_assert_eq(unlink(path), 0);
	fflush(stderr);
	for (const char *text = said(); *text; text = strchr(text, '\n') + 1)
		cr_assert_not_null(strstr(text, "set XDG_RUNTIME_DIR"), "%s", text);
}
