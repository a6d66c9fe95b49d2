/* SPDX-License-Identifier: MIT */
/* What the filters say is what the table says, for each call there may be. */
#include <criterion/criterion.h>
#include <errno.h>
#include <linux/audit.h>
#include <linux/kvm.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/vmm/confine/bpf.h"
#include "vmm/confine/policy_program.h"
#include "vmm/confine/policy_table.h"

enum { NR_MAX = 2000, ALLOWED = 0, KILLED = -1 };

/* ALLOWED, KILLED, or the errno that the call gets. */
static int verdict_of(uint32_t returned)
{
	switch (returned & SECCOMP_RET_ACTION_FULL) {
	case SECCOMP_RET_ALLOW:
		return ALLOWED;
	case SECCOMP_RET_KILL_PROCESS:
		return KILLED;
	case SECCOMP_RET_ERRNO:
	case SECCOMP_RET_TRAP:
		return (int)(returned & SECCOMP_RET_DATA);
	default:
		cr_assert_fail("0x%x", returned);
		return KILLED;
	}
}

static int filter_says(enum policy_role role, const struct seccomp_data *data)
{
	const struct policy_program *p = &policy_programs[role];

	return verdict_of(bpf_run(p->code, p->len, data));
}

static bool rule_allows(const struct policy_row *row, const struct seccomp_data *data)
{
	const uint32_t arg = (uint32_t)data->args[row->arg];

	switch (row->rule) {
	case POLICY_ANY:
		return true;
	case POLICY_BITS:
		return (arg & row->mask) == row->value;
	case POLICY_SELF:
		return arg == POLICY_IS_SELF;
	case POLICY_RENDERER:
		return arg == POLICY_IS_RENDERER;
	}
	return false;
}

static int table_says(enum policy_role role, const struct seccomp_data *data)
{
	int verdict = ENOSYS;

	for (size_t i = 0; i < policy_n_rows; i++) {
		const struct policy_row *row = &policy_rows[i];

		if (row->nr != data->nr || !policy_row_is_for(row, role))
			continue;
		if (row->roles == 0)
			verdict = verdict == ENOSYS ? KILLED : verdict;
		else if (rule_allows(row, data))
			return ALLOWED;
		else
			verdict = policy_wrong_argument(data->nr);
	}
	return verdict;
}

static void expect_same(enum policy_role role, const struct seccomp_data *data)
{
	const int filter = filter_says(role, data), table = table_says(role, data);

	cr_expect_eq(filter, table, "%s, call %d (%llx %llx %llx): %d, and by the table %d",
		     policy_role_name(role), data->nr, data->args[0], data->args[1], data->args[2],
		     filter, table);
}

/* Each rule is met, missed by a bit of each place, and met in its low half alone. */
static void try_rule(enum policy_role role, const struct policy_row *row)
{
	struct seccomp_data data = {.nr = row->nr, .arch = AUDIT_ARCH_X86_64};
	const uint32_t right = row->rule == POLICY_SELF	      ? POLICY_IS_SELF
			       : row->rule == POLICY_RENDERER ? POLICY_IS_RENDERER
							      : row->value;

	data.args[row->arg] = right;
	cr_expect(row->roles == 0 || filter_says(role, &data) == ALLOWED, "%s %s",
		  policy_role_name(role), row->call);
	expect_same(role, &data);
	for (unsigned int bit = 0; bit < 64; bit++) {
		data.args[row->arg] = right ^ 1ull << bit;
		expect_same(role, &data);
	}
}

Test(policy, filters_say_what_the_table_says)
{
	for (unsigned int role = 0; role < POLICY_ROLES; role++) {
		for (int nr = 0; nr < NR_MAX; nr++) {
			struct seccomp_data data = {.nr = nr, .arch = AUDIT_ARCH_X86_64};

			expect_same((enum policy_role)role, &data);
			memset(data.args, 0xff, sizeof(data.args));
			expect_same((enum policy_role)role, &data);
		}
		for (size_t i = 0; i < policy_n_rows; i++)
			if (policy_row_is_for(&policy_rows[i], (enum policy_role)role))
				try_rule((enum policy_role)role, &policy_rows[i]);
	}
}

Test(policy, other_tables_of_calls_end_the_process)
{
	for (unsigned int role = 0; role < POLICY_ROLES; role++) {
		struct seccomp_data data = {.nr = SYS_read, .arch = AUDIT_ARCH_I386};

		cr_expect_eq(filter_says((enum policy_role)role, &data), KILLED);
		data.arch = AUDIT_ARCH_X86_64;
		data.nr |= 0x40000000;
		cr_expect_eq(filter_says((enum policy_role)role, &data), KILLED);
	}
}

/* What is here would be the way out, whatever else is allowed. */
Test(policy, no_thread_has_what_leads_out)
{
	static const int never[] = {
		SYS_execve,	SYS_execveat,	SYS_fork,	  SYS_vfork,  SYS_clone,
		SYS_clone3,	SYS_ptrace,	SYS_socket,	  SYS_bind,   SYS_connect,
		SYS_mount,	SYS_unshare,	SYS_setns,	  SYS_chroot, SYS_pivot_root,
		SYS_kexec_load, SYS_pidfd_open, SYS_tkill,	  SYS_bpf,    SYS_io_uring_setup,
		SYS_open,	SYS_creat,	SYS_open_tree,	  SYS_chmod,  SYS_process_vm_writev,
		SYS_stat,	SYS_unlink,	SYS_memfd_secret, SYS_shmat,  SYS_setrlimit,
	};

	for (unsigned int role = 0; role < POLICY_ROLES; role++)
		for (size_t i = 0; i < ARRAY_SIZE(never); i++)
			for (size_t j = 0; j < policy_n_rows; j++)
				cr_expect(policy_rows[j].nr != never[i] ||
						  policy_rows[j].roles == 0,
					  "%s", policy_rows[j].call);
}

/* The rules of a call are alternatives: one without a condition would make the others idle. */
Test(policy, no_line_is_idle)
{
	for (size_t i = 0; i < policy_n_rows; i++)
		for (size_t j = 0; j < policy_n_rows; j++) {
			const struct policy_row *a = &policy_rows[i], *b = &policy_rows[j];

			if (i == j || a->nr != b->nr || (a->roles & b->roles) == 0)
				continue;
			cr_expect(a->rule != POLICY_ANY, "%s is there twice", a->call);
			cr_expect(i < j || a->rule != b->rule || a->arg != b->arg ||
					  a->mask != b->mask || a->value != b->value,
				  "%s, %s is there twice", a->call, a->rule_text);
		}
	for (size_t i = 0; i < policy_n_rows; i++)
		cr_expect(policy_rows[i].reason[0] != '\0', "%s", policy_rows[i].call);
}

#ifndef SANDCASTLE_POLICY_OFF

/* What a confined child that does this ends with: its exit code, or minus the signal. */
static int confined(enum policy_role role, pid_t renderer, int (*fn)(void))
{
	const pid_t pid = fork();
	int status;

	cr_assert_geq(pid, 0);
	if (pid == 0) {
		if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || policy_load(role, renderer) < 0)
			syscall(SYS_exit_group, 99);
		/* Not every role may end the process; each may end its thread. */
		syscall(SYS_exit, fn());
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

/* The errno of a call; 0: it worked. */
static int call(long nr, long a, long b, long c)
{
	return syscall(nr, a, b, c) < 0 ? errno : 0;
}

static int socketpair_of_unix(void)
{
	int ends[2];

	return call(SYS_socketpair, 1, 1, 0) == EFAULT ||
			       syscall(SYS_socketpair, 1, 1, 0, ends) == 0
		       ? 0
		       : errno;
}

static int executable_memory(void)
{
	return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
			       MAP_FAILED
		       ? errno
		       : 0;
}

static int plain_memory(void)
{
	return mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
			       MAP_FAILED
		       ? errno
		       : 0;
}

static int creates_a_machine(void)
{
	return call(SYS_ioctl, 0, KVM_CREATE_VM, 0);
}

static int new_call(void)
{
	return call(451, -1, 0, 0);
}

static int execs(void)
{
	return call(SYS_execve, 0, 0, 0);
}

static int signals_its_parent(void)
{
	return call(SYS_tgkill, getppid(), getppid(), 0);
}

static int signals_itself(void)
{
	return call(SYS_tgkill, (int)syscall(SYS_getpid), (int)syscall(SYS_gettid), 0);
}

static int signals_everyone(void)
{
	return call(SYS_kill, -1, 0, 0);
}

static int one_filter_more(void)
{
	return policy_load(POLICY_LOOP, 0) < 0 ? EPERM : 0;
}

Test(policy, the_kernel_does_what_the_filters_say)
{
	for (unsigned int i = 0; i < POLICY_ROLES; i++) {
		const enum policy_role role = (enum policy_role)i;

		cr_expect_eq(confined(role, 0, plain_memory), 0);
		cr_expect_eq(confined(role, 0, executable_memory), EPERM);
		cr_expect_eq(confined(role, 0, creates_a_machine), ENOTTY);
		cr_expect_eq(confined(role, 0, new_call), ENOSYS);
		cr_expect_eq(confined(role, 0, execs), -SIGSYS);
	}
	cr_expect_eq(confined(POLICY_LOOP, 0, socketpair_of_unix), 0);
	cr_expect_eq(confined(POLICY_LOOP, 0, signals_itself), 0);
	cr_expect_eq(confined(POLICY_LOOP, 0, signals_everyone), EPERM);
	cr_expect_eq(confined(POLICY_VCPU, 0, signals_everyone), -SIGSYS);
}

Test(policy, other_processes_get_no_signal)
{
	/* getppid() is not the loop's either. */
	cr_expect_eq(confined(POLICY_LOOP, 0, signals_its_parent), EPERM);
}

Test(policy, a_template_is_made_before_the_loop_gives_the_rest_up)
{
	cr_expect_eq(confined(POLICY_TEMPLATE, 0, one_filter_more), 0);
	/* Nobody else may add one. */
	cr_expect_eq(confined(POLICY_VCPU, 0, one_filter_more), EPERM);
}

#endif
