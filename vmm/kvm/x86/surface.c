/* SPDX-License-Identifier: MIT */
#include "vmm/kvm/x86/surface.h"

#include <assert.h>
#include <errno.h>
#include <linux/kvm.h>
#include <stdint.h>
#include <sys/ioctl.h>

/* Model-specific registers, as in the Intel SDM 4 and AMD's manual volume 2. */
struct msr_range {
	uint32_t first, n;
};

/*
 * Registers of features that cpuid.c hides. KVM would answer most of these with #GP already, or
 * with zero; so the code behind them is not even asked. All others are as without a filter:
 * it is looked at for accesses that leave the guest anyway, so it costs a start nothing.
 */
static const struct msr_range hidden_msrs[] = {
	{0x8c, 4}, /* SGX: hash of the launch key */
	{0xc1, 8}, /* performance counters of Intel, ... */
	{0x186, 8},	 {0x309, 4},	   {0x345, 1},	    {0x38d, 4},
	{0x3f1, 2},	 {0x4c1, 8},	   {0x480, 20}, /* VMX */
	{0x560, 48}, /* processor trace */
	{0x600, 1}, /* debug store */
	{0xc0000300, 4}, /* performance counters of AMD, ... */
	{0xc0010000, 8}, {0xc0010200, 12}, {0xc0010114, 6}, /* SVM */
};

static_assert(ARRAY_SIZE(hidden_msrs) <= KVM_MSR_FILTER_MAX_RANGES, "KVM takes no more");

static int supported(int vm_fd, int cap)
{
	return ioctl(vm_fd, KVM_CHECK_EXTENSION, cap);
}

static int enable(int vm_fd, uint32_t cap, uint64_t arg)
{
	struct kvm_enable_cap enable = {.cap = cap, .args = {arg}};

	return ioctl(vm_fd, KVM_ENABLE_CAP, &enable) < 0 ? -errno : 0;
}

/* An access to a hidden register is #GP, which KVM injects without asking us. */
static int hide_msrs(int vm_fd)
{
	uint64_t none = 0; /* a bit for each register: not allowed */
	struct kvm_msr_filter filter = {.flags = KVM_MSR_FILTER_DEFAULT_ALLOW};

	for (size_t i = 0; i < ARRAY_SIZE(hidden_msrs); i++)
		filter.ranges[i] = (struct kvm_msr_filter_range){
			.flags = KVM_MSR_FILTER_READ | KVM_MSR_FILTER_WRITE,
			.base = hidden_msrs[i].first,
			.nmsrs = hidden_msrs[i].n,
			.bitmap = (uint8_t *)&none,
		};
	return ioctl(vm_fd, KVM_X86_SET_MSR_FILTER, &filter) < 0 ? -errno : 0;
}

int x86_limit_surface(int vm_fd)
{
	int r = 0;

	if (supported(vm_fd, KVM_CAP_PMU_CAPABILITY) & KVM_PMU_CAP_DISABLE)
		r = enable(vm_fd, KVM_CAP_PMU_CAPABILITY, KVM_PMU_CAP_DISABLE);
	if (r == 0 && supported(vm_fd, KVM_CAP_X86_MSR_FILTER) > 0)
		r = hide_msrs(vm_fd);
	/* Window 0: what the hardware takes for safe. A guest that is in it for long is let go on. */
	if (r == 0 && supported(vm_fd, KVM_CAP_X86_NOTIFY_VMEXIT) > 0)
		r = enable(vm_fd, KVM_CAP_X86_NOTIFY_VMEXIT, KVM_X86_NOTIFY_VMEXIT_ENABLED);
	if (r == 0 && (supported(vm_fd, KVM_CAP_X86_BUS_LOCK_EXIT) & KVM_BUS_LOCK_DETECTION_EXIT))
		r = enable(vm_fd, KVM_CAP_X86_BUS_LOCK_EXIT, KVM_BUS_LOCK_DETECTION_EXIT);
	return r;
}
