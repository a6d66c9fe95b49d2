/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vmm/confine/landlock.h"

static int in_child(bool (*fn)(void))
{
	const pid_t pid = fork();
	int status = 0;

	if (landlock_abi() == 0)
		cr_skip_test("this kernel has no Landlock");
	if (pid == 0)
		_exit(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && fn() ? 0 : 1);
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	return status;
}

static bool never(void)
{
	const struct sockaddr_in any = {.sin_family = AF_INET};
	const int s = socket(AF_INET, SOCK_STREAM, 0);

	if (landlock_abi() < 4)
		return landlock_never() == -ENOTSUP;
	return landlock_never() == 0 && open("/etc/passwd", O_RDONLY | O_CLOEXEC) >= 0 &&
	       bind(s, (const struct sockaddr *)&any, sizeof(any)) < 0 && errno == EACCES;
}

Test(landlock, what_no_sandbox_does)
{
	cr_expect_eq(in_child(never), 0);
}

static bool nothing_at_all(void)
{
	const int etc = open("/etc", O_PATH | O_DIRECTORY | O_CLOEXEC);

	return landlock_only(NULL, 0) == 0 && openat(etc, "passwd", O_RDONLY | O_CLOEXEC) < 0 &&
	       errno == EACCES;
}

Test(landlock, without_a_place_nothing_is_opened)
{
	cr_expect_eq(in_child(nothing_at_all), 0);
}

static bool a_file_alone(void)
{
	const struct landlock_place one = {.fd = open("/etc/passwd", O_PATH | O_CLOEXEC)};

	return landlock_only(&one, 1) == 0 && open("/etc/passwd", O_RDONLY | O_CLOEXEC) >= 0 &&
	       open("/etc/group", O_RDONLY | O_CLOEXEC) < 0;
}

Test(landlock, a_file_is_a_place)
{
	cr_expect_eq(in_child(a_file_alone), 0);
}

static bool layers_only_narrow(void)
{
	const struct landlock_place root = {.fd = open("/", O_PATH | O_CLOEXEC)};

	return landlock_only(NULL, 0) == 0 && landlock_only(&root, 1) == 0 &&
	       open("/etc/passwd", O_RDONLY | O_CLOEXEC) < 0;
}

Test(landlock, nothing_comes_back)
{
	cr_expect_eq(in_child(layers_only_narrow), 0);
}

static bool bad_place(void)
{
	const struct landlock_place none = {.fd = -1};

	return landlock_only(&none, 1) == -EBADF && open("/etc/passwd", O_RDONLY | O_CLOEXEC) >= 0;
}

Test(landlock, a_place_that_is_none)
{
	cr_expect_eq(in_child(bad_place), 0);
}

static bool with_privileges(void)
{
	return landlock_only(NULL, 0) == -EPERM;
}

/* What may gain privileges may not be held down; root may. */
Test(landlock, not_before_privileges_are_given_up)
{
	const pid_t pid = fork();
	int status = 0;

	if (landlock_abi() == 0)
		cr_skip_test("this kernel has no Landlock");
	if (pid == 0)
		_exit((geteuid() != 0 || setuid(1000) == 0) && with_privileges() ? 0 : 1);
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_expect_eq(status, 0);
}
