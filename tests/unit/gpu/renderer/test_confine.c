/* SPDX-License-Identifier: MIT */
/* A process as sandcastle-gpu is when guests speak to it, asked for each thing it must not do. */
#include "gpu/renderer/confine.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { RAM = 64 << 20, REFUSED = 42 };

/* What a sealed child that does this ends with: its exit code, or minus the signal. */
static int sealed(int (*fn)(void))
{
	const pid_t pid = fork();
	int status = 0;

	cr_assert_geq(pid, 0);
	if (pid == 0)
		_exit(renderer_confine(RAM) < 0 ? 1 : fn());
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

static int refused(long r)
{
	return r < 0 && (errno == ENOSYS || errno == EACCES || errno == EPERM) ? REFUSED : 0;
}

static int opens(void)
{
	return refused(open("/etc/passwd", O_RDONLY | O_CLOEXEC));
}

static int makes_a_file(void)
{
	return refused(syscall(SYS_openat, AT_FDCWD, "/tmp/x", O_CREAT | O_WRONLY, 0600));
}

static int makes_a_socket(void)
{
	return refused(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
}

static int connects(void)
{
	const struct sockaddr sa = {.sa_family = AF_UNIX};

	return refused(connect(0, &sa, sizeof(sa)));
}

static int removes(void)
{
	return refused(unlink("/nonesuch"));
}

static int forks(void)
{
	return refused(syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0));
}

static int sends_a_signal(void)
{
	return refused(kill(getppid(), 0));
}

static int is_dumpable(void)
{
	return refused(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0));
}

static int takes_a_terminals_ioctl(void)
{
	char c = 'x';

	return refused(ioctl(0, TIOCSTI, &c));
}

static int receives_descriptors(void)
{
	struct msghdr mh = {0};

	return refused(recvmsg(0, &mh, 0));
}

static int takes_all_memory(void)
{
	return mmap(NULL, 64ull << 30, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED
		       ? REFUSED
		       : 0;
}

Test(renderer_confine, what_it_must_not_do_is_refused)
{
	static int (*const all[])(void) = {
		opens,
		makes_a_file,
		makes_a_socket,
		connects,
		removes,
		forks,
		sends_a_signal,
		is_dumpable,
		takes_a_terminals_ioctl,
		receives_descriptors,
		takes_all_memory,
	};

	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		cr_expect_eq(sealed(all[i]), REFUSED, "%zu", i);
}

static int executes(void)
{
	char *const argv[] = {"true", NULL};

	return execv("/bin/true", argv);
}

static int traces(void)
{
	return (int)ptrace(PTRACE_TRACEME, 0, NULL, NULL);
}

Test(renderer_confine, what_nobody_does_by_mistake_is_its_end)
{
	cr_expect_eq(sealed(executes), -SIGSYS);
	cr_expect_eq(sealed(traces), -SIGSYS);
}

static void *nothing(void *arg)
{
	return arg;
}

static int starts_a_thread(void)
{
	pthread_t thread;

	return pthread_create(&thread, NULL, nothing, NULL) == 0 && pthread_join(thread, NULL) == 0
		       ? REFUSED
		       : 0;
}

static int asks_a_gpu(void)
{
	/* Let through: it is standard input that has no such request. */
	return ioctl(0, _IO('d', 0)) < 0 && errno != EACCES && errno != ENOSYS ? REFUSED : 0;
}

Test(renderer_confine, what_a_driver_does_late_works)
{
	cr_expect_eq(sealed(starts_a_thread), REFUSED);
	cr_expect_eq(sealed(asks_a_gpu), REFUSED);
}
