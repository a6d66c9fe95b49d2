/* SPDX-License-Identifier: MIT */
/*
 * tests/guest/escape.c - what whoever has taken over a running sandbox could do.
 *
 *   escape PID mounts|landlock RO RW SECRET   each act, by each thread of sandbox PID; RO and RW are
 *                                             folders of the host that it has mapped, and SECRET is the
 *                                             path of a file of its user's that it has not
 *   escape PID end ACT THREAD                 one of the acts that end the process
 *
 * The program is the one that users have: its threads are stopped by ptrace(2), which takes root, and
 * made to do system calls, which their filters see like their own. A line for each act, "ok THREAD ACT"
 * or "not ok THREAD ACT: ..."; exits with 1 if there is one of the latter.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/kvm.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

/* What a call gives when its caller was ended by it. */
enum { ENDED = -100000 };

/* A thread that is stopped. */
struct thread {
	pid_t pid, tid;
	char name[16]; /* as the policy calls it: loop, files, power, net, display, vcpu */
	struct user_regs_struct own;
	uint64_t insn; /* where it has a SYSCALL instruction */
	uint64_t memory; /* 8 KiB below what it has on its stack, so nobody's */
};

static bool by_landlock; /* else by mounts */
/* Its path. Not /etc/passwd: such files are in the base image, which Landlock lets the process read. */
static const char *secret;
static int failures;

/* ---- a thread's calls ---- */

static void give_up(const char *what)
{
	perror(what);
	exit(2);
}

/* Waits until it stops for a trap. Signals for it meanwhile are lost; a vCPU's next exit comes anyway. */
static bool wait_for_trap(const struct thread *t)
{
	int status;

	for (;;) {
		if (waitpid(t->tid, &status, __WALL) < 0)
			return false;
		if (!WIFSTOPPED(status))
			return false;
		if (WSTOPSIG(status) == SIGTRAP)
			return true;
		if (ptrace(PTRACE_SINGLESTEP, t->tid, 0, 0) < 0)
			return false;
	}
}

/* True if it waits in a system call, with the instruction just behind it. */
static bool is_in_call(struct thread *t)
{
	long word;

	if (ptrace(PTRACE_GETREGS, t->tid, 0, &t->own) < 0)
		give_up("PTRACE_GETREGS");
	t->insn = t->own.rip - 2;
	t->memory = (t->own.rsp - 8192) & ~(uint64_t)15;
	errno = 0;
	word = ptrace(PTRACE_PEEKTEXT, t->tid, t->insn, 0);
	return errno == 0 && (word & 0xffff) == 0x050f;
}

static void stop(struct thread *t)
{
	for (int try = 0; try < 1000; try++) {
		if (ptrace(PTRACE_SEIZE, t->tid, 0, 0) < 0 ||
		    ptrace(PTRACE_INTERRUPT, t->tid, 0, 0) < 0 || !wait_for_trap(t))
			give_up("cannot stop a thread");
		if (is_in_call(t))
			return;
		ptrace(PTRACE_DETACH, t->tid, 0, 0);
		usleep(1000);
	}
	fprintf(stderr, "%s is never in a call\n", t->name);
	exit(2);
}

static void go_on(struct thread *t)
{
	if (ptrace(PTRACE_SETREGS, t->tid, 0, &t->own) < 0 ||
	    ptrace(PTRACE_DETACH, t->tid, 0, 0) < 0)
		give_up("cannot let a thread go on");
}

static long call6(struct thread *t, long number, const long a[6])
{
	struct user_regs_struct regs = t->own;

	regs.rip = t->insn;
	regs.rax = (unsigned long long)number;
	regs.orig_rax = (unsigned long long)-1;
	regs.rdi = (unsigned long long)a[0];
	regs.rsi = (unsigned long long)a[1];
	regs.rdx = (unsigned long long)a[2];
	regs.r10 = (unsigned long long)a[3];
	regs.r8 = (unsigned long long)a[4];
	regs.r9 = (unsigned long long)a[5];
	if (ptrace(PTRACE_SETREGS, t->tid, 0, &regs) < 0 ||
	    ptrace(PTRACE_SINGLESTEP, t->tid, 0, 0) < 0 || !wait_for_trap(t) ||
	    ptrace(PTRACE_GETREGS, t->tid, 0, &regs) < 0)
		return ENDED;
	return (long)regs.rax;
}

#define CALL(t, ...) call_(t, (const long[8]){__VA_ARGS__})
static long call_(struct thread *t, const long a[8])
{
	return call6(t, a[0], a + 1);
}

/* Puts the bytes at `at` of its memory, which is where they are then. */
static long put(const struct thread *t, size_t at, const void *bytes, size_t n)
{
	struct iovec from = {(void *)(uintptr_t)bytes, n}, to = {(void *)(t->memory + at), n};

	if (process_vm_writev(t->pid, &from, 1, &to, 1, 0) != (ssize_t)n)
		give_up("cannot write its memory");
	return (long)(t->memory + at);
}

static long text(const struct thread *t, size_t at, const char *s)
{
	return put(t, at, s, strlen(s) + 1);
}

static void get(const struct thread *t, size_t at, void *bytes, size_t n)
{
	struct iovec to = {bytes, n}, from = {(void *)(t->memory + at), n};

	if (process_vm_readv(t->pid, &to, 1, &from, 1, 0) != (ssize_t)n)
		give_up("cannot read its memory");
}

/* ---- what is expected ---- */

static void judge(const struct thread *t, const char *act, long got, int wanted, int or_wanted)
{
	if (got == -wanted || got == -or_wanted) {
		printf("ok %s %s\n", t->name, act);
		return;
	}
	failures++;
	printf("not ok %s %s: %ld, wanted %s\n", t->name, act, got, strerror(wanted));
}

/* The error in the mode at hand. */
static int of_mode(int by_mounts, int landlock)
{
	return by_landlock ? landlock : by_mounts;
}

/* Its descriptor of that file of the host's. */
static long descriptor_of(pid_t pid, const char *file)
{
	struct stat wanted, st;
	char path[PATH_MAX];

	if (stat(file, &wanted) < 0)
		give_up(file);
	for (long fd = 0; fd < 1024; fd++) {
		snprintf(path, sizeof(path), "/proc/%d/fd/%ld", (int)pid, fd);
		if (stat(path, &st) == 0 && st.st_dev == wanted.st_dev &&
		    st.st_ino == wanted.st_ino)
			return fd;
	}
	fprintf(stderr, "sandbox %d does not hold %s\n", (int)pid, file);
	exit(2);
}

/* ---- by every thread ---- */

static void act_alone(struct thread *t)
{
	const int rwx = PROT_READ | PROT_WRITE | PROT_EXEC;
	const long page = (long)(t->own.rsp & ~4095ull);

	judge(t, "maps memory for a program",
	      CALL(t, SYS_mmap, 0, 4096, rwx, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), EPERM, EPERM);
	judge(t, "makes its stack a program", CALL(t, SYS_mprotect, page, 4096, rwx), EPERM, EPERM);
	judge(t, "types into our terminal", CALL(t, SYS_ioctl, 0, TIOCSTI, text(t, 0, "x")), ENOTTY,
	      ENOTTY);
	judge(t, "makes a machine",
	      CALL(t, SYS_ioctl, descriptor_of(t->pid, "/dev/kvm"), KVM_CREATE_VM, 0), ENOTTY,
	      ENOTTY);
	judge(t, "may be dumped", CALL(t, SYS_prctl, PR_SET_DUMPABLE, 1, 0, 0, 0), EPERM, ENOSYS);
	judge(t, "opens a file of the user's",
	      CALL(t, SYS_openat, AT_FDCWD, text(t, 0, secret), O_RDONLY, 0),
	      of_mode(ENOENT, EACCES), ENOSYS);
	judge(t, "opens /dev/kvm", CALL(t, SYS_openat, AT_FDCWD, text(t, 0, "/dev/kvm"), O_RDWR, 0),
	      of_mode(ENOENT, EACCES), ENOSYS);
	judge(t, "signals its parent", CALL(t, SYS_tgkill, getpid(), getpid(), SIGTERM), EPERM,
	      ENOSYS);
	judge(t, "asks how busy the host is", CALL(t, SYS_sysinfo, (long)t->memory), ENOSYS,
	      ENOSYS);
}

/* ---- by the file server ---- */

static bool is_above_itself(struct thread *t, long fd)
{
	struct stat self, above;

	if (CALL(t, SYS_newfstatat, fd, text(t, 0, ""), (long)(t->memory + 64), AT_EMPTY_PATH) < 0)
		return false;
	get(t, 64, &self, sizeof(self));
	if (CALL(t, SYS_newfstatat, fd, text(t, 0, ".."), (long)(t->memory + 64), 0) < 0)
		return false;
	get(t, 64, &above, sizeof(above));
	return self.st_dev == above.st_dev && self.st_ino == above.st_ino;
}

/* From every folder that the process holds, whoever holds it. */
static void act_upwards(struct thread *t)
{
	char path[PATH_MAX];
	struct stat st;
	unsigned int folders = 0;
	char above[1024];

	snprintf(above, sizeof(above), "../../../../../../../..%s", secret);
	for (long fd = 0; fd < 1024; fd++) {
		long up;

		snprintf(path, sizeof(path), "/proc/%d/fd/%ld", (int)t->pid, fd);
		if (stat(path, &st) < 0 || !S_ISDIR(st.st_mode))
			continue;
		folders++;
		if (!by_landlock && !is_above_itself(t, fd))
			judge(t, "finds something above a folder", fd, EXDEV, EXDEV);
		up = CALL(t, SYS_openat, fd, text(t, 0, above), O_RDONLY, 0);
		/* /proc/self/fd is among them: beside its entries there is no path to anywhere. */
		judge(t, "climbs out of a folder", up == -ENOTDIR ? -ENOENT : up, ENOENT,
		      of_mode(ENOENT, EACCES));
		up = CALL(t, SYS_openat, fd, text(t, 0, "../mem"), O_RDWR, 0);
		/* Beside /sys/class/power_supply there is a folder of that name. */
		judge(t, "opens its own memory", up == -EISDIR ? -ENOENT : up, ENOENT,
		      of_mode(ENOENT, EACCES));
	}
	judge(t, "holds folders", folders >= 5 ? -ENOENT : 0, ENOENT, ENOENT);
}

static void act_on_read_only(struct thread *t, long ro, long rw)
{
	const int wanted = of_mode(EROFS, EACCES);

	judge(t, "opens what is read-only for writing",
	      CALL(t, SYS_openat, ro, text(t, 0, "file"), O_RDWR, 0), wanted, wanted);
	judge(t, "cuts it short",
	      CALL(t, SYS_openat, ro, text(t, 0, "file"), O_WRONLY | O_TRUNC, 0), wanted, wanted);
	judge(t, "makes a file there",
	      CALL(t, SYS_openat, ro, text(t, 0, "new"), O_WRONLY | O_CREAT, 0600), wanted, wanted);
	judge(t, "makes a folder there", CALL(t, SYS_mkdirat, ro, text(t, 0, "new"), 0700), wanted,
	      wanted);
	judge(t, "removes a file there", CALL(t, SYS_unlinkat, ro, text(t, 0, "file"), 0), wanted,
	      wanted);
	judge(t, "moves it to where it may write",
	      CALL(t, SYS_renameat2, ro, text(t, 0, "file"), rw, text(t, 64, "file"), 0), EXDEV,
	      of_mode(EXDEV, EACCES));
	judge(t, "links it there",
	      CALL(t, SYS_linkat, ro, text(t, 0, "file"), rw, text(t, 64, "link"), 0), EXDEV,
	      of_mode(EXDEV, EACCES));
	if (by_landlock) /* which does not govern these: docs/confinement.md */
		return;
	judge(t, "changes its mode", CALL(t, SYS_fchmodat, ro, text(t, 0, "file"), 0777), EROFS,
	      EROFS);
	judge(t, "changes its time", CALL(t, SYS_utimensat, ro, text(t, 0, "file"), 0, 0), EROFS,
	      EROFS);
}

static void act_on_writable(struct thread *t, long rw)
{
	const int gone = of_mode(ENOENT, EACCES);

	judge(t, "writes where it may", CALL(t, SYS_mkdirat, rw, text(t, 0, "made"), 0700), 0, 0);
	judge(t, "plants a link",
	      CALL(t, SYS_symlinkat, text(t, 0, secret), rw, text(t, 64, "planted")), 0, 0);
	judge(t, "follows it", CALL(t, SYS_openat, rw, text(t, 0, "planted"), O_RDONLY, 0), gone,
	      gone);
	judge(t, "makes a device",
	      CALL(t, SYS_mknodat, rw, text(t, 0, "kmem"), S_IFCHR | 0666, (long)makedev(1, 1)),
	      EPERM, EACCES);
}

/* ---- what ends it ---- */

static long do_end(struct thread *t, const char *act)
{
	if (strcmp(act, "execve") == 0)
		return CALL(t, SYS_execve, text(t, 0, "/bin/true"), 0, 0);
	if (strcmp(act, "socket") == 0)
		return CALL(t, SYS_socket, 1, 1, 0);
	if (strcmp(act, "fork") == 0)
		return CALL(t, SYS_clone, SIGCHLD, 0, 0, 0, 0);
	if (strcmp(act, "ptrace") == 0)
		return CALL(t, SYS_ptrace, PTRACE_ATTACH, getpid(), 0, 0);
	if (strcmp(act, "unshare") == 0)
		return CALL(t, SYS_unshare, 0x10000000);
	fprintf(stderr, "no such act: %s\n", act);
	exit(2);
}

/* ---- the threads ---- */

static void name_thread(struct thread *t)
{
	char path[64];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/comm", (int)t->pid, (int)t->tid);
	f = fopen(path, "re");
	if (!f || !fgets(t->name, sizeof(t->name), f))
		give_up(path);
	fclose(f);
	t->name[strcspn(t->name, "0123456789\n")] = '\0';
	if (t->pid == t->tid)
		strcpy(t->name, "loop");
}

static void act(struct thread *t, char **folders)
{
	stop(t);
	act_alone(t);
	if (strcmp(t->name, "files") == 0) {
		const long ro = descriptor_of(t->pid, folders[0]);
		const long rw = descriptor_of(t->pid, folders[1]);

		act_upwards(t);
		act_on_read_only(t, ro, rw);
		act_on_writable(t, rw);
	}
	go_on(t);
}

/* True if that was the thread. */
static bool end(struct thread *t, char **argv)
{
	long r;

	if (strcmp(t->name, argv[1]) != 0)
		return false;
	stop(t);
	r = do_end(t, argv[0]);
	if (r != ENDED)
		failures++;
	printf("%s %s %s ends the process\n", r == ENDED ? "ok" : "not ok", t->name, argv[0]);
	return true;
}

int main(int argc, char **argv)
{
	struct thread t = {0};
	struct dirent *e;
	char path[64];
	DIR *dir;

	if (argc != (argc > 2 && strcmp(argv[2], "end") == 0 ? 5 : 6))
		return 2;
	secret = argv[argc - 1];
	t.pid = atoi(argv[1]);
	by_landlock = strcmp(argv[2], "landlock") == 0;
	snprintf(path, sizeof(path), "/proc/%d/task", (int)t.pid);
	dir = opendir(path);
	if (!dir)
		give_up(path);
	while ((e = readdir(dir)) != NULL) {
		t.tid = atoi(e->d_name);
		if (t.tid == 0)
			continue;
		name_thread(&t);
		if (strcmp(argv[2], "end") != 0)
			act(&t, argv + 3);
		else if (end(&t, argv + 3))
			break;
	}
	closedir(dir);
	return failures ? 1 : 0;
}
