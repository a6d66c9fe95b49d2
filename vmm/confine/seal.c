/* SPDX-License-Identifier: MIT */
#include "vmm/confine/seal.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The program's size: head and tail, and per call a test, the values' tests and the loads between. */
enum { SEAL_MAX_CALLS = 96, SEAL_MAX_CODE = 64 + SEAL_MAX_CALLS * (4 + SEAL_MAX_VALUES) };

/* Made by nobody here: a process that makes one has been taken over. */
static const int fatal[] = {
	SYS_execve,
	SYS_execveat,
	SYS_ptrace,
	SYS_process_vm_readv,
	SYS_process_vm_writev,
	SYS_open_by_handle_at,
	SYS_bpf,
	SYS_userfaultfd,
	SYS_perf_event_open,
	SYS_io_uring_setup,
	SYS_mount,
	SYS_unshare,
	SYS_setns,
	SYS_init_module,
	SYS_finit_module,
	SYS_kexec_load,
};

int seal_limits(unsigned int files, enum seal_growth growth)
{
	const struct rlimit n_files = {.rlim_cur = files, .rlim_max = files}, none = {0};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 ||
	    setrlimit(RLIMIT_NOFILE, &n_files) < 0 || setrlimit(RLIMIT_CORE, &none) < 0)
		return -errno;
	/* The limit counts threads of all the user's programs, so it is none or no limit. */
	if (growth == SEAL_ALONE && setrlimit(RLIMIT_NPROC, &none) < 0)
		return -errno;
	return 0;
}

static int add_path(int ruleset, const char *path)
{
	struct landlock_path_beneath_attr beneath = {
		.allowed_access = LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR,
		.parent_fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC),
	};
	int r = 0;

	if (beneath.parent_fd < 0)
		return errno == ENOENT || errno == ENOTDIR || errno == EACCES ? 0 : -errno;
	if (syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &beneath, 0) < 0)
		r = -errno;
	close(beneath.parent_fd);
	return r;
}

int seal_paths(const char *const *readable, size_t n)
{
	/* All of ABI 1; later kinds of access only add to what this forbids. */
	const struct landlock_ruleset_attr attr = {
		.handled_access_fs = LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_WRITE_FILE |
				     LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR |
				     LANDLOCK_ACCESS_FS_REMOVE_DIR |
				     LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_CHAR |
				     LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG |
				     LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO |
				     LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_SYM,
	};
	int ruleset = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr), 0), r = 0;

	if (ruleset < 0)
		return errno == ENOSYS || errno == EOPNOTSUPP ? -ENOTSUP : -errno;
	for (size_t i = 0; r == 0 && i < n; i++)
		r = add_path(ruleset, readable[i]);
	if (r == 0 && syscall(SYS_landlock_restrict_self, ruleset, 0) < 0)
		r = -errno;
	close(ruleset);
	return r;
}

/* A program for the kernel's filter, being written. */
struct code {
	struct sock_filter ins[SEAL_MAX_CODE];
	unsigned short n;
	bool full;
};

static void emit(struct code *c, struct sock_filter ins)
{
	if (c->n == SEAL_MAX_CODE)
		c->full = true;
	else
		c->ins[c->n++] = ins;
}

static void emit_load(struct code *c, size_t off)
{
	emit(c, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)off));
}

static void emit_return(struct code *c, uint32_t what)
{
	emit(c, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, what));
}

/* Goes on with the next instruction if the loaded word is `value`, else skips `skip` of them. */
static void emit_unless(struct code *c, uint32_t value, size_t skip)
{
	emit(c, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, (uint8_t)skip));
}

static void emit_call(struct code *c, const struct seal_call *call)
{
	if (call->n_values == 0) {
		emit_unless(c, (uint32_t)call->nr, 1);
		emit_return(c, SECCOMP_RET_ALLOW);
		return;
	}
	/* x86 is little endian: the low half of an argument comes first. */
	emit_unless(c, (uint32_t)call->nr, 2 + (call->mask ? 1u : 0u) + 2 * (size_t)call->n_values);
	emit_load(c, offsetof(struct seccomp_data, args) + call->arg * sizeof(uint64_t));
	if (call->mask)
		emit(c, (struct sock_filter)BPF_STMT(BPF_ALU | BPF_AND | BPF_K, call->mask));
	for (unsigned int i = 0; i < call->n_values; i++) {
		emit_unless(c, call->values[i], 1);
		emit_return(c, SECCOMP_RET_ALLOW);
	}
	emit_return(c, SECCOMP_RET_ERRNO | EACCES);
}

static void emit_head(struct code *c)
{
	emit_load(c, offsetof(struct seccomp_data, arch));
	emit(c, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0));
	emit_return(c, SECCOMP_RET_KILL_PROCESS);
	emit_load(c, offsetof(struct seccomp_data, nr));
	/* The x32 calls are numbers of their own, from this bit on. */
	emit(c, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 0x40000000, 0, 1));
	emit_return(c, SECCOMP_RET_KILL_PROCESS);
}

int seal_calls(const struct seal_call *calls, size_t n)
{
	struct code c = {.n = 0};
	struct sock_fprog program;

	emit_head(&c);
	for (size_t i = 0; i < n; i++)
		emit_call(&c, &calls[i]);
	for (size_t i = 0; i < ARRAY_SIZE(fatal); i++) {
		emit_unless(&c, (uint32_t)fatal[i], 1);
		emit_return(&c, SECCOMP_RET_KILL_PROCESS);
	}
	emit_return(&c, SECCOMP_RET_ERRNO | ENOSYS);
	if (c.full)
		return -E2BIG;
	program = (struct sock_fprog){.len = c.n, .filter = c.ins};
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program) != 0)
		return errno ? -errno : -EBUSY;
	return 0;
}
