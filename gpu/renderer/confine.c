/* SPDX-License-Identifier: MIT */
#include "gpu/renderer/confine.h"

#include <errno.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "gpu/render_wire.h"
#include "vmm/confine/seal.h"

enum {
	/* Buffers and fences of a driver. */
	MAX_FILES = 512,
	/* The type of an ioctl: DRM's is 'd', NVIDIA's 'F'. */
	IOCTL_TYPE = 0xff00,
	IOCTL_DRM = 'd' << 8,
	IOCTL_NVIDIA = 'F' << 8,
};

/* For the driver's own buffers. */
#define MORE_MEMORY (8ull << 30)

/*
 * What virglrenderer, Mesa, LLVM and the C library call from here on, as traced. Threads come
 * late; clone3 hides its flags from a filter, so it is refused and the C library takes clone.
 */
static const struct seal_call calls[] = {
	{.nr = SYS_poll},
	{.nr = SYS_ppoll},
	{.nr = SYS_read},
	{.nr = SYS_write},
	{.nr = SYS_recvfrom},
	{.nr = SYS_sendto},
	{.nr = SYS_brk},
	{.nr = SYS_mmap},
	{.nr = SYS_munmap},
	{.nr = SYS_mremap},
	{.nr = SYS_mprotect},
	{.nr = SYS_madvise},
	{.nr = SYS_futex},
	{.nr = SYS_clone, .mask = CLONE_THREAD, .n_values = 1, .values = {CLONE_THREAD}},
	{.nr = SYS_rseq},
	{.nr = SYS_set_robust_list},
	{.nr = SYS_prctl, .n_values = 1, .values = {PR_SET_NAME}},
	{.nr = SYS_sched_yield},
	{.nr = SYS_sched_getaffinity},
	{.nr = SYS_sched_setaffinity},
	{.nr = SYS_clock_gettime},
	{.nr = SYS_clock_nanosleep},
	{.nr = SYS_gettimeofday},
	{.nr = SYS_getpid},
	{.nr = SYS_gettid},
	{.nr = SYS_getrandom},
	{.nr = SYS_eventfd2},
	{.nr = SYS_fcntl},
	{.nr = SYS_fstat},
	{.nr = SYS_lseek},
	{.nr = SYS_close},
	{.nr = SYS_ioctl,
	 .arg = 1,
	 .mask = IOCTL_TYPE,
	 .n_values = 2,
	 .values = {IOCTL_DRM, IOCTL_NVIDIA}},
	{.nr = SYS_rt_sigprocmask},
	{.nr = SYS_rt_sigreturn},
	{.nr = SYS_restart_syscall},
	{.nr = SYS_tgkill},
	{.nr = SYS_exit},
	{.nr = SYS_exit_group},
};

int renderer_confine(uint64_t ram)
{
	const rlim_t most = ram + RENDER_AREA_SIZE + MORE_MEMORY;
	const struct rlimit memory = {most, most};
	int r = seal_limits(MAX_FILES, SEAL_THREADS);

	if (r == 0 && setrlimit(RLIMIT_AS, &memory) < 0)
		r = -errno;
	/* It covers this thread and those it starts; the list below covers all. */
	if (r == 0)
		r = seal_paths(NULL, 0);
	if (r == -ENOTSUP)
		r = 0;
	return r < 0 ? r : seal_calls(calls, ARRAY_SIZE(calls));
}
