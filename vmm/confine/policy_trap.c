/* SPDX-License-Identifier: MIT */
#include "vmm/confine/policy_trap.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>
#include <unistd.h>

#include "policy_names.h"
#include "vmm/confine/policy_table.h"

static _Thread_local enum policy_role my_role;
static int log_fd = -1;

static const char *name_of(int nr)
{
	return nr >= 0 && (size_t)nr < ARRAY_SIZE(names) && names[nr] ? names[nr] : "?";
}

static void refused(int signo, siginfo_t *info, void *context)
{
	greg_t *regs = ((ucontext_t *)context)->uc_mcontext.gregs;
	char line[200];
	int n = snprintf(line, sizeof(line), "policy: %s made call %s (%d) %llx %llx %llx\n",
			 policy_role_name(my_role), name_of(info->si_syscall), info->si_syscall,
			 regs[REG_RDI], regs[REG_RSI], regs[REG_RDX]);

	(void)signo;
	(void)!write(log_fd < 0 ? STDERR_FILENO : log_fd, line, (size_t)n);
	regs[REG_RAX] = -info->si_errno;
}

void policy_trap(enum policy_role role)
{
	const struct sigaction action = {.sa_sigaction = refused, .sa_flags = SA_SIGINFO};
	const char *path = getenv("SANDCASTLE_POLICY_LOG");
	sigset_t set;

	my_role = role;
	if (path && log_fd < 0)
		log_fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
	sigemptyset(&set);
	sigaddset(&set, SIGSYS);
	(void)sigaction(SIGSYS, &action, NULL);
	(void)pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}
