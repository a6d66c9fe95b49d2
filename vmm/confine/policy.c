/* SPDX-License-Identifier: MIT */
#include "vmm/confine/policy.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "vmm/confine/policy_program.h"
#include "vmm/confine/policy_trap.h"

/* Puts the numbers of processes into a copy of a program. */
static void fill_in(struct sock_filter *code, size_t len, pid_t renderer)
{
	for (size_t i = 0; i < len; i++) {
		if (code[i].code != (BPF_JMP | BPF_JEQ | BPF_K))
			continue;
		if (code[i].k == POLICY_IS_SELF)
			code[i].k = (uint32_t)getpid();
		else if (code[i].k == POLICY_IS_RENDERER && renderer > 0)
			code[i].k = (uint32_t)renderer;
	}
}

int policy_load(enum policy_role role, pid_t renderer)
{
	const struct policy_program *p = &policy_programs[role];
	struct sock_filter code[POLICY_PROGRAM_MAX];
	struct sock_fprog program = {.len = p->len, .filter = code};

#ifdef SANDCASTLE_POLICY_OFF
	return 0;
#endif
	memcpy(code, p->code, p->len * sizeof(*code));
	fill_in(code, p->len, renderer);
	policy_trap(role);
	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) != 0 ? -errno : 0;
}
