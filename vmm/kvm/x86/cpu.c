/* SPDX-License-Identifier: MIT */
/* What an x86-64 vCPU looks like to its guest, and the state it starts in. */
#include <asm/kvm_para.h>
#include <cpuid.h>
#include <errno.h>
#include <linux/kvm.h>
#include <string.h>
#include <sys/ioctl.h>

#include "vmm/kvm/vcpu_priv.h"

enum {
	CPUID_MAX_ENTRIES = 256,

	LEAF_FEATURES = 1,
	LEAF_CACHES = 4,
	LEAF_TOPOLOGY = 0xb,
	LEAF_TOPOLOGY_V2 = 0x1f,

	FEATURES_ECX_TSC_DEADLINE = 1 << 24,
	FEATURES_EBX_CLFLUSH = 0xff00,
	FEATURES_EDX_HTT = 1 << 28,

	TOPOLOGY_LEVEL_SMT = 1,
	TOPOLOGY_LEVEL_CORE = 2,

	MSR_IA32_MISC_ENABLE = 0x1a0,
	MISC_ENABLE_FAST_STRING = 1,
	MSR_MTRR_DEF_TYPE = 0x2ff,
	MTRR_ENABLED_WRITE_BACK = (1 << 11) | 6,
};

#define FEATURES_ECX_HYPERVISOR (1u << 31)
#define LEAF_AMD_SIZES		0x80000008u
#define LEAF_AMD_TOPOLOGY	0x8000001eu

/* Bits of an APIC id that number the n vCPUs. */
static unsigned int id_bits(unsigned int n)
{
	unsigned int bits = 0;

	while ((1u << bits) < n)
		bits++;
	return bits;
}

/* One socket of n cores, one thread each (Intel SDM 2A, CPUID leaf 0BH). */
static void set_topology(struct kvm_cpuid_entry2 *e, unsigned int index, unsigned int n)
{
	e->edx = index;
	if (e->index == 0) {
		e->eax = 0;
		e->ebx = 1;
		e->ecx = TOPOLOGY_LEVEL_SMT << 8;
	} else if (e->index == 1) {
		e->eax = id_bits(n);
		e->ebx = n;
		e->ecx = TOPOLOGY_LEVEL_CORE << 8 | 1;
	} else {
		e->eax = 0;
		e->ebx = 0;
		e->ecx = e->index;
	}
}

static void patch_entry(struct kvm_cpuid_entry2 *e, unsigned int index, unsigned int n,
			bool tsc_deadline)
{
	switch (e->function) {
	case LEAF_FEATURES:
		e->ebx = (e->ebx & FEATURES_EBX_CLFLUSH) | index << 24 | n << 16;
		e->ecx |= FEATURES_ECX_HYPERVISOR;
		/* KVM emulates it on every host, but lists it apart. Spares the guest a calibration. */
		if (tsc_deadline)
			e->ecx |= FEATURES_ECX_TSC_DEADLINE;
		if (n > 1)
			e->edx |= FEATURES_EDX_HTT;
		else
			e->edx &= ~(uint32_t)FEATURES_EDX_HTT;
		break;
	case LEAF_CACHES:
		/* The host's cores per package and threads per cache are not the guest's. */
		e->eax &= 0x3fff;
		if ((e->eax & 0x1f) != 0)
			e->eax |= ((1u << id_bits(n)) - 1) << 26;
		break;
	case LEAF_TOPOLOGY:
	case LEAF_TOPOLOGY_V2:
		set_topology(e, index, n);
		break;
	case LEAF_AMD_SIZES:
		e->ecx = id_bits(n) << 12 | (n - 1);
		break;
	case LEAF_AMD_TOPOLOGY:
		e->eax = index;
		e->ebx = index;
		e->ecx = 0;
		break;
	default:
		break;
	}
}

static int set_cpuid(struct vcpu *vcpu, unsigned int n)
{
	AUTO_FREE struct kvm_cpuid2 *cpuid =
		calloc(1, sizeof(*cpuid) + CPUID_MAX_ENTRIES * sizeof(cpuid->entries[0]));
	bool tsc_deadline =
		ioctl(vcpu->vm->vm_fd, KVM_CHECK_EXTENSION, KVM_CAP_TSC_DEADLINE_TIMER) > 0;

	if (!cpuid)
		return -ENOMEM;
	cpuid->nent = CPUID_MAX_ENTRIES;
	if (ioctl(vcpu->vm->kvm_fd, KVM_GET_SUPPORTED_CPUID, cpuid) < 0)
		return -errno;
	for (unsigned int i = 0; i < cpuid->nent; i++)
		patch_entry(&cpuid->entries[i], vcpu->index, n, tsc_deadline);
	return ioctl(vcpu->fd, KVM_SET_CPUID2, cpuid) < 0 ? -errno : 0;
}

/* What firmware would have set: string instructions in microcode, memory cached by default. */
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
	/* Fewer set than asked is no harm: both are there to save time. */
	return ioctl(vcpu->fd, KVM_SET_MSRS, msrs) < 0 ? -errno : 0;
}

int x86_vcpu_features(struct vcpu *vcpu, unsigned int n_vcpus)
{
	int r = set_cpuid(vcpu, n_vcpus);

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
