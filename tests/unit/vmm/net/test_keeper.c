/* SPDX-License-Identifier: MIT */
/* The keeper, as it is: whom it starts, whom it ends, and when it ends itself. */
#include "vmm/net/keeper.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vmm/config/network.h"

static const struct net_setup setup_of_test = {
	.mode = NETWORK_USER,
	.own = {.net4 = {10, 0, 2, 0}, .guest4 = {10, 0, 2, 15}, .gateway4 = {10, 0, 2, 2}},
};

static int line;
static pid_t keeper;

static void start_with(const struct net_setup *setup)
{
	int ends[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	cr_assert_eq(send(ends[0], setup, sizeof(*setup), 0), (ssize_t)sizeof(*setup));
	keeper = fork();
	cr_assert_geq(keeper, 0);
	if (keeper == 0) {
		close(ends[0]);
		_exit(net_keeper_main(ends[1]));
	}
	close(ends[1]);
	line = ends[0];
}

static int exit_code(void)
{
	int status;

	cr_assert_eq(waitpid(keeper, &status, 0), keeper);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* The one child that the keeper has; 0: none. */
static pid_t child(void)
{
	char path[64];
	FILE *f;
	int pid = 0;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)keeper, (int)keeper);
	f = fopen(path, "re");
	cr_assert(f);
	/* NOLINTNEXTLINE(cert-err34-c): the kernel's own number */
	if (fscanf(f, "%d", &pid) != 1)
		pid = 0;
	fclose(f);
	return pid;
}

static void wait_for_end_of(int cable)
{
	struct pollfd p = {.fd = cable, .events = POLLIN};

	cr_assert_eq(poll(&p, 1, -1), 1);
	cr_assert(p.revents & POLLHUP);
	close(cable);
}

Test(keeper, one_process_follows_another)
{
	pid_t first;
	int cable, next;

	start_with(&setup_of_test);
	cr_assert_eq(net_keeper_ask(line, &cable), 0);
	cr_assert_eq(net_process_wait(cable), 0);
	first = child();
	cr_assert_gt(first, 0);
	kill(first, SIGKILL);
	wait_for_end_of(cable);
	cr_assert_eq(net_keeper_ask(line, &next), 0);
	cr_assert_eq(net_process_wait(next), 0);
	cr_expect_neq(child(), first);
	close(line);
	cr_expect_eq(exit_code(), 0);
	wait_for_end_of(next);
}

Test(keeper, a_process_is_ended_before_the_next_one_comes)
{
	int cable, next;

	start_with(&setup_of_test);
	cr_assert_eq(net_keeper_ask(line, &cable), 0);
	cr_assert_eq(net_process_wait(cable), 0);
	cr_assert_eq(net_keeper_ask(line, &next), 0);
	wait_for_end_of(cable);
	cr_assert_eq(net_process_wait(next), 0);
	close(line);
	cr_expect_eq(exit_code(), 0);
}

Test(keeper, no_more_than_there_may_be)
{
	int cable = -1;

	start_with(&setup_of_test);
	for (int i = 0; i <= NET_RESTARTS_MAX; i++) {
		cr_assert(cable < 0 || close(cable) == 0);
		cr_assert_eq(net_keeper_ask(line, &cable), 0);
		cr_assert_eq(net_process_wait(cable), 0);
	}
	/* One more ends the last: who asks so often was taken over. */
	cr_assert_eq(net_keeper_ask(line, &cable), 0);
	cr_expect_eq(exit_code(), 0);
	close(line);
}

Test(keeper, a_network_that_is_none_is_refused)
{
	const struct net_setup none = {.mode = NETWORK_NONE};

	start_with(&none);
	cr_expect_eq(exit_code(), 1);
	close(line);
}

Test(keeper, a_message_without_a_cable_is_the_end)
{
	start_with(&setup_of_test);
	cr_assert_eq(send(line, "x", 1, 0), 1);
	cr_expect_eq(exit_code(), 0);
	close(line);
}
