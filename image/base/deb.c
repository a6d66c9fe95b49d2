/* SPDX-License-Identifier: MIT */
#include "image/base/deb.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "image/archive_lib.h"
#include "image/base/tree_file.h"

enum {
	CHUNK = 65536,
	MAX_MEMBERS = 1 << 20,
	MEMORY_MORE = 1 << 30,
	CPU_SECONDS = 60, /* a few bytes can unpack to more than a day's worth */
};

#ifdef __aarch64__
#define NATIVE_ARCH AUDIT_ARCH_AARCH64
#else
#define NATIVE_ARCH AUDIT_ARCH_X86_64
#endif

/* The tar inside the ar, read as it is unpacked. */
struct member {
	struct archive_lib lib;
	struct archive *outer;
	char buf[CHUNK];
};

static la_ssize_t member_read(struct archive *a, void *client, const void **out)
{
	struct member *m = client;
	la_ssize_t n = m->lib.read_data(m->outer, m->buf, sizeof(m->buf));

	if (n < 0)
		m->lib.set_error(a, EIO, "the package ends early");
	*out = m->buf;
	return n;
}

/* In-process decompressors only: for others the library would start a program. */
static void allow_filters(const struct archive_lib *lib, struct archive *a)
{
	(void)lib->filter_gzip(a);
	(void)lib->filter_xz(a);
	(void)lib->filter_bzip2(a);
	(void)lib->filter_lzma(a);
	(void)lib->filter_zstd(a);
}

static int read_file(const struct archive_lib *lib, struct archive *tar, size_t max,
		     struct buffer *out)
{
	char buf[4096];
	la_ssize_t n;

	out->len = 0;
	while ((n = lib->read_data(tar, buf, sizeof(buf))) > 0) {
		if ((size_t)n > max - out->len)
			return -EFBIG;
		if (buffer_add(out, buf, (size_t)n) < 0)
			return -ENOMEM;
	}
	return n < 0 ? -EBADMSG : 0;
}

/* "./etc/motd" or "etc/motd" for "/etc/motd". */
static bool names(const char *member, const char *path)
{
	if (!member)
		return false;
	if (member[0] == '.')
		member++;
	if (member[0] == '/')
		member++;
	return strcmp(member, path + 1) == 0;
}

static int find_in_tar(struct member *m, const char *path, size_t max, struct buffer *out)
{
	const struct archive_lib *lib = &m->lib;
	struct archive *tar = lib->read_new();
	struct archive_entry *e;
	int r = -ENOENT;

	if (!tar)
		return -ENOMEM;
	allow_filters(lib, tar);
	(void)lib->format_tar(tar);
	if (lib->read_open(tar, m, NULL, member_read, NULL) != ARCHIVE_OK)
		r = -EBADMSG;
	for (unsigned int i = 0; r == -ENOENT && i < MAX_MEMBERS; i++) {
		int got = lib->read_next_header(tar, &e);

		if (got == ARCHIVE_EOF)
			break;
		if (got < ARCHIVE_WARN)
			r = -EBADMSG;
		else if (names(lib->entry_pathname(e), path) &&
			 lib->entry_filetype(e) == AE_IFREG && !lib->entry_hardlink(e))
			r = read_file(lib, tar, max, out);
	}
	lib->read_free(tar);
	return r;
}

static int find_data(struct member *m, int fd, const char *path, size_t max, struct buffer *out)
{
	const struct archive_lib *lib = &m->lib;
	struct archive_entry *e;

	(void)lib->format_ar(m->outer);
	if (lib->read_open_fd(m->outer, fd, CHUNK) != ARCHIVE_OK)
		return -EBADMSG;
	for (unsigned int i = 0; i < 16; i++) {
		const char *name;

		if (lib->read_next_header(m->outer, &e) != ARCHIVE_OK)
			break;
		name = lib->entry_pathname(e);
		if (name && strncmp(name, "data.tar", 8) == 0)
			return find_in_tar(m, path, max, out);
	}
	return -ENOENT;
}

/* What the unpacking process asks of the kernel; anything else is refused. */
static const unsigned int calls[] = {
	SYS_read,	   SYS_newfstatat,   SYS_write,		 SYS_lseek,	  SYS_fstat,
	SYS_brk,	   SYS_mmap,	     SYS_munmap,	 SYS_mremap,	  SYS_madvise,
	SYS_mprotect,	   SYS_futex,	     SYS_exit,		 SYS_exit_group,  SYS_getrandom,
	SYS_clock_gettime, SYS_rt_sigreturn, SYS_rt_sigprocmask, SYS_sched_yield, SYS_sigaltstack,
	SYS_getpid,
};

static int allow_calls(void)
{
	struct sock_filter code[2 * ARRAY_SIZE(calls) + 5];
	struct sock_fprog program = {.filter = code};
	unsigned short n = 0;

	code[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
						 offsetof(struct seccomp_data, arch));
	code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, NATIVE_ARCH, 1, 0);
	code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
	code[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
						 offsetof(struct seccomp_data, nr));
	for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
		code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, calls[i], 0, 1);
		code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	}
	code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM);
	program.len = n;
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
			       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0
		       ? -errno
		       : 0;
}

/*
 * What unpacks is a process of its own: the archive's bytes are the tree's, and the decompressors
 * are large. It has the archive (0) and a pipe (1), opens nothing, and has so much more memory and
 * time.
 */
static int confine(int archive, int result)
{
	unsigned long pages = 0;
	FILE *f = fopen("/proc/self/statm", "re");
	struct rlimit cpu, memory;
	bool known = f && fscanf(f, "%lu", &pages) == 1;

	if (f)
		fclose(f);
	memory.rlim_cur = memory.rlim_max = pages * (rlim_t)sysconf(_SC_PAGESIZE) + MEMORY_MORE;
	/* A user's own limit may be lower, and is not to be raised. */
	known &= getrlimit(RLIMIT_CPU, &cpu) == 0;
	cpu.rlim_cur = cpu.rlim_max = min_u64(cpu.rlim_max, CPU_SECONDS);
	/* Both out of the way of 0 and 1. */
	archive = fcntl(archive, F_DUPFD, 3);
	result = fcntl(result, F_DUPFD, 3);
	if (!known || archive < 0 || result < 0 || dup2(archive, 0) < 0 || dup2(result, 1) < 0 ||
	    close_range(2, ~0u, 0) < 0 || setrlimit(RLIMIT_AS, &memory) < 0 ||
	    setrlimit(RLIMIT_CPU, &cpu) < 0)
		return -EPERM;
	return allow_calls();
}

static int write_all(const void *data, size_t len)
{
	for (size_t done = 0; done < len;) {
		ssize_t n = write(1, (const char *)data + done, len - done);

		if (n < 0)
			return -errno;
		done += (size_t)n;
	}
	return 0;
}

/* The child's part: what came of it, and then the bytes. */
static int unpack(struct member *m, int fd, int result, const char *path, size_t max)
{
	struct buffer bytes = {NULL, 0, 0};
	int r = confine(fd, result), wrote;

	if (r < 0)
		return r;
	m->outer = m->lib.read_new();
	r = m->outer ? find_data(m, 0, path, max, &bytes) : -ENOMEM;
	wrote = write_all(&r, sizeof(r));
	if (wrote == 0 && r == 0)
		wrote = write_all(bytes.data, bytes.len);
	return wrote;
}

/* What the child says, up to `max` bytes. */
static int collect(int fd, size_t max, struct buffer *out)
{
	char *to;
	size_t have = 0;
	int r = -EBADMSG;
	ssize_t n;

	out->len = 0;
	for (;;) {
		if (buffer_reserve(out, CHUNK) < 0)
			return -ENOMEM;
		to = have < sizeof(r) ? (char *)&r + have : out->data + out->len;
		n = read(fd, to, have < sizeof(r) ? sizeof(r) - have : CHUNK);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		if (have < sizeof(r))
			have += (size_t)n;
		else
			out->len += (size_t)n;
		if (out->len > max)
			return -EFBIG;
	}
	/* Nothing it says of itself is an error that ends the build. */
	if (n < 0 || have < sizeof(r))
		return -EBADMSG;
	return r == 0 || r == -ENOENT || r == -EFBIG ? r : -EBADMSG;
}

static int find_in_deb(int root, const char *file, const char *path, size_t max, struct buffer *out)
{
	AUTO_CLOSE int fd = tree_open(root, file, TREE_INSIDE, NULL);
	AUTO_FREE struct member *m = fd < 0 ? NULL : malloc(sizeof(*m));
	/* The library is loaded before, as the child opens no file. */
	int r = m ? archive_lib_open(&m->lib) : -ENOMEM, ends[2], status;
	pid_t pid;

	if (fd < 0)
		return -ENOENT;
	if (r < 0)
		return r;
	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	pid = fork();
	if (pid == 0)
		_exit(unpack(m, fd, ends[1], path, max) < 0 ? 1 : 0);
	close(ends[1]);
	r = pid < 0 ? -EAGAIN : collect(ends[0], max, out);
	close(ends[0]);
	if (pid > 0) {
		/* It may have more to say than is wanted. */
		(void)kill(pid, SIGKILL);
		while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
			;
	}
	return r;
}

int deb_original(int root, const char *cache, const char *name, const char *version,
		 const char *arch, const char *path, size_t max, struct buffer *out)
{
	char file[768], escaped[256];
	size_t n = 0;

	/* A colon in the version (its epoch) is written %3a. */
	for (const char *v = version; *v; v++) {
		if (n + 4 > sizeof(escaped) || *v == '/')
			return -ENOENT;
		if (*v == ':')
			n += (size_t)snprintf(escaped + n, 4, "%%3a");
		else
			escaped[n++] = *v;
	}
	escaped[n] = '\0';
	if ((size_t)snprintf(file, sizeof(file), "%s/%s_%s_%s.deb", cache, name, escaped, arch) >=
	    sizeof(file))
		return -ENOENT;
	return find_in_deb(root, file, path, max, out);
}
