/* SPDX-License-Identifier: MIT */
#include "tests/unit/vmm/kvm/fake_kvm.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { RUN_SIZE = 3 * 4096, POLL_NS = 1000000 };

struct fake_kvm fake_kvm;

/* By the names that the linker gives them. NOLINTBEGIN(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */
int __wrap_ioctl(int fd, unsigned long request, ...);
int __wrap_nanosleep(const struct timespec *time, struct timespec *left);
int __real_nanosleep(const struct timespec *time, struct timespec *left);
/* NOLINTEND(bugprone-reserved-identifier,cert-dcl37-c,cert-dcl51-cpp) */

static int fails_with(int error)
{
	errno = error;
	return -1;
}

static int enable_cap(const struct kvm_enable_cap *cap)
{
	if (fake_kvm.enable_error)
		return fails_with(fake_kvm.enable_error);
	cr_assert_lt(fake_kvm.n_enabled, FAKE_CAPS);
	fake_kvm.enabled[fake_kvm.n_enabled++] = *cap;
	return 0;
}

static int set_filter(const struct kvm_msr_filter *filter)
{
	fake_kvm.n_filters++;
	fake_kvm.filter_flags = filter->flags;
	memcpy(fake_kvm.ranges, filter->ranges, sizeof(fake_kvm.ranges));
	return 0;
}

/* Its file is what the vCPU maps as its struct kvm_run. */
static int create_vcpu(void)
{
	int fd = memfd_create("vcpu", MFD_CLOEXEC);

	cr_assert_geq(fd, 0);
	cr_assert_eq(ftruncate(fd, RUN_SIZE), 0);
	fake_kvm.run = mmap(NULL, RUN_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	cr_assert_neq(fake_kvm.run, MAP_FAILED);
	return fd;
}

/* Behind the last exit the guest runs until it is to stop. */
static int run_vcpu(void)
{
	const size_t i = atomic_fetch_add(&fake_kvm.entered, 1);
	const struct timespec pause = {.tv_nsec = POLL_NS};

	if (i < fake_kvm.n_exits && fake_kvm.exits[i].error)
		return fails_with(fake_kvm.exits[i].error);
	if (i < fake_kvm.n_exits) {
		memset(fake_kvm.run, 0, sizeof(*fake_kvm.run));
		fake_kvm.exits[i].fill(fake_kvm.run);
		return 0;
	}
	while (!__atomic_load_n(&fake_kvm.run->immediate_exit, __ATOMIC_SEQ_CST))
		(void)__real_nanosleep(&pause, NULL);
	return fails_with(EINTR);
}

int __wrap_ioctl(int fd, unsigned long request, ...)
{
	va_list ap;
	uintptr_t arg;

	(void)fd;
	va_start(ap, request);
	arg = va_arg(ap, uintptr_t);
	va_end(ap);
	switch (request) {
	case KVM_CHECK_EXTENSION:
		return arg < ARRAY_SIZE(fake_kvm.caps) ? fake_kvm.caps[arg] : 0;
	case KVM_ENABLE_CAP:
		return enable_cap((const struct kvm_enable_cap *)arg);
	case KVM_X86_SET_MSR_FILTER:
		return set_filter((const struct kvm_msr_filter *)arg);
	case KVM_GET_VCPU_MMAP_SIZE:
		return RUN_SIZE;
	case KVM_CREATE_VCPU:
		return create_vcpu();
	case KVM_GET_SUPPORTED_CPUID:
		((struct kvm_cpuid2 *)arg)->nent = 0;
		return 0;
	case KVM_RUN:
		return run_vcpu();
	default:
		return 0;
	}
}

int __wrap_nanosleep(const struct timespec *time, struct timespec *left)
{
	(void)left;
	atomic_fetch_add(&fake_kvm.slept_ns, (unsigned long)time->tv_nsec);
	return 0;
}

const struct kvm_enable_cap *fake_kvm_enabled(uint32_t cap)
{
	for (unsigned int i = 0; i < fake_kvm.n_enabled; i++)
		if (fake_kvm.enabled[i].cap == cap)
			return &fake_kvm.enabled[i];
	return NULL;
}
