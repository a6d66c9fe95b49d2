/* SPDX-License-Identifier: MIT */
/* What an x86-64 vCPU looks like to its guest, and the state it starts in. */
#include <errno.h>
#include <linux/kvm.h>
#include <string.h>
#include <sys/ioctl.h>

#include "vmm/kvm/vcpu_priv.h"
#include "vmm/kvm/x86/cpuid.h"

enum {
	CPUID_MAX_ENTRIES = 256,

	MSR_IA32_MISC_ENABLE = 0x1a0,
	MISC_ENABLE_FAST_STRING = 1,
	MSR_MTRR_DEF_TYPE = 0x2ff,
	MTRR_ENABLED_WRITE_BACK = (1 << 11) | 6,
};

/* Else a guest can use paravirtual features that its CPUID does not show. */
static int enforce_pv_features(const struct vcpu *vcpu)
{
	struct kvm_enable_cap cap = {.cap = KVM_CAP_ENFORCE_PV_FEATURE_CPUID, .args = {1}};

	if (ioctl(vcpu->vm->kvm_fd, KVM_CHECK_EXTENSION, KVM_CAP_ENFORCE_PV_FEATURE_CPUID) <= 0)
		return 0;
	return ioctl(vcpu->fd, KVM_ENABLE_CAP, &cap) < 0 ? -errno : 0;
}

/* FNV-1a: tells tables apart that were not made to be alike. */
static uint64_t sum_of(const void *data, size_t len)
{
	uint64_t sum = 0xcbf29ce484222325u;

	for (size_t i = 0; i < len; i++)
		sum = (sum ^ ((const uint8_t *)data)[i]) * 0x100000001b3u;
	return sum;
}

static int set_cpuid(struct vcpu *vcpu, unsigned int n)
{
	AUTO_FREE struct kvm_cpuid2 *cpuid =
		calloc(1, sizeof(*cpuid) + CPUID_MAX_ENTRIES * sizeof(cpuid->entries[0]));
	struct x86_cpu cpu = {
		.index = vcpu->index,
		.n = n,
		.tsc_deadline =
			ioctl(vcpu->vm->vm_fd, KVM_CHECK_EXTENSION, KVM_CAP_TSC_DEADLINE_TIMER) > 0,
	};

	if (!cpuid)
		return -ENOMEM;
	cpuid->nent = CPUID_MAX_ENTRIES;
	if (ioctl(vcpu->vm->kvm_fd, KVM_GET_SUPPORTED_CPUID, cpuid) < 0)
		return -errno;
	x86_brand_get(&cpu.brand);
	cpuid->nent = x86_cpuid_patch(&cpu, cpuid->entries, cpuid->nent);
	vcpu->cpuid_sum = sum_of(cpuid->entries, cpuid->nent * sizeof(cpuid->entries[0]));
	return ioctl(vcpu->fd, KVM_SET_CPUID2, cpuid) < 0 ? -errno : 0;
}

/* Sets what firmware would have set: string instructions in microcode, memory cached by default. */
static int set_msrs(struct vcpu *vcpu)
{
	static const struct kvm_msr_entry entries[] = {
		{.index = MSR_IA32_MISC_ENABLE, .data = MISC_ENABLE_FAST_STRING},
		{.index = MSR_MTRR_DEF_TYPE, .data = MTRR_ENABLED_WRITE_BACK},
	};
	AUTO_FREE struct kvm_msrs *msrs = calloc(1, sizeof(*msrs) + sizeof(entries));

	if (!msrs)
		return -ENOMEM;
	msrs->nmsrs = ARRAY_SIZE(entries);
	memcpy(msrs->entries, entries, sizeof(entries));
	/* KVM may set fewer than asked, which does no harm: both are there to save time. */
	return ioctl(vcpu->fd, KVM_SET_MSRS, msrs) < 0 ? -errno : 0;
}

int x86_vcpu_features(struct vcpu *vcpu, unsigned int n_vcpus)
{
	int r = enforce_pv_features(vcpu);

	if (r == 0)
		r = set_cpuid(vcpu, n_vcpus);
	return r < 0 ? r : set_msrs(vcpu);
}

static struct kvm_segment flat_segment(uint16_t selector, uint8_t type)
{
	return (struct kvm_segment){
		.base = 0,
		.limit = 0xffffffff,
		.selector = selector,
		.type = type,
		.present = 1,
		.db = 1,
		.s = 1,
		.g = 1,
	};
}

int vcpu_set_entry(struct vcpu *vcpu, uint32_t entry, uint32_t start_info)
{
	struct kvm_regs regs = {.rflags = 2, .rip = entry, .rbx = start_info};
	struct kvm_sregs sregs;

	if (ioctl(vcpu->fd, KVM_GET_SREGS, &sregs) < 0)
		return -errno;
	sregs.cs = flat_segment(0x8, 0xb); /* code, readable, accessed */
	sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss = flat_segment(0x10, 0x3);
	sregs.tr = (struct kvm_segment){.limit = 0x67, .type = 0xb, .present = 1};
	sregs.cr0 = 1; /* protection on, paging off */
	sregs.cr4 = 0;
	sregs.efer = 0;
	if (ioctl(vcpu->fd, KVM_SET_SREGS, &sregs) < 0 || ioctl(vcpu->fd, KVM_SET_REGS, &regs) < 0)
		return -errno;
	return 0;
}
