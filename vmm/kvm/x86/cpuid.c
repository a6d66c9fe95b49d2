/* SPDX-License-Identifier: MIT */
/*
 * DOC: an allow list
 *
 * KVM offers a guest what its own version and the CPU can do. Much of that a guest of
 * ours has no use for, and it is code of the host's kernel that a hostile guest reaches:
 * nested virtualization above all, where most escapes from KVM were found, but also the
 * performance counters, SGX, processor trace. So the list here says what *is* shown:
 * instructions that programs use, what the kernel needs for paging and interrupts, and
 * all that is about mitigations. What a later KVM or CPU brings stays out until it is
 * put on the list.
 *
 * Bits are named in the Intel SDM 2A (CPUID), in AMD's manual volume 3, appendix E, and in
 * Documentation/virt/kvm/x86/cpuid.rst.
 */
#include "vmm/kvm/x86/cpuid.h"

#include <asm/kvm_para.h>
#include <cpuid.h>
#include <linux/kvm.h>
#include <stddef.h>

#include "common/util.h"

enum {
	LEAF_VENDOR = 0,
	LEAF_FEATURES = 1,
	LEAF_CACHES = 4,
	LEAF_MORE_FEATURES = 7,
	LEAF_TOPOLOGY = 0xb,
	LEAF_XSAVE = 0xd,
	LEAF_TOPOLOGY_V2 = 0x1f,

	MORE_FEATURES_SUBLEAF_MAX = 2,

	FEATURES_ECX_TSC_DEADLINE = 1 << 24,
	FEATURES_EBX_CLFLUSH = 0xff00,
	FEATURES_EDX_HTT = 1 << 28,

	TOPOLOGY_LEVEL_SMT = 1,
	TOPOLOGY_LEVEL_CORE = 2,

	ANY_INDEX = -1,
};

#define FEATURES_ECX_HYPERVISOR (1u << 31)
#define LEAF_EXTENDED		0x80000000u
#define LEAF_EXTENDED_FEATURES	0x80000001u
#define LEAF_BRAND		0x80000002u
#define LEAF_BRAND_LAST		0x80000004u
#define LEAF_AMD_SIZES		0x80000008u
#define LEAF_AMD_TOPOLOGY	0x8000001eu
#define LEAF_AMD_MORE		0x80000021u

#define ALL	  0xffffffffu
#define B(bit)	  (1u << (bit))
#define R(lo, hi) ((ALL >> (31 - (hi))) & ~(B(lo) - 1))

/* A leaf, or one of its subleaves, and which bits of it are shown. */
struct shown_leaf {
	uint32_t function;
	int index;
	uint32_t eax, ebx, ecx, edx;
};

static const struct shown_leaf shown[] = {
	{LEAF_VENDOR, ANY_INDEX, ALL, ALL, ALL, ALL},
	/*
	 * ECX without DTES64, MONITOR, DS-CPL, VMX, SMX, EIST, TM2, CNXT-ID, SDBG, xTPR, PDCM,
	 * DCA. EDX without PSN, DS, ACPI, TM, PBE.
	 */
	{LEAF_FEATURES, ANY_INDEX, ALL, ALL, R(0, 1) | B(9) | R(12, 13) | B(17) | R(19, 31),
	 R(0, 9) | R(11, 17) | B(19) | R(23, 28)},
	{2, ANY_INDEX, ALL, ALL, ALL, ALL}, /* caches and TLBs */
	{LEAF_CACHES, ANY_INDEX, ALL, ALL, ALL, ALL},
	{6, ANY_INDEX, B(2), 0, 0, 0}, /* that the APIC's timer never stops */
	/*
	 * EBX without SGX, HLE, RTM, RDT-M, MPX, RDT-A, PT; ECX without WAITPKG, shadow stacks,
	 * TME, BUS_LOCK_DETECT, ENQCMD, SGX_LC, PKS; EDX without UINTR, RTM_ALWAYS_ABORT, hybrid,
	 * TSXLDTRK, PCONFIG, ARCH_LBR, IBT, AMX.
	 */
	{LEAF_MORE_FEATURES, 0, ALL,
	 R(0, 1) | B(3) | R(5, 10) | B(13) | R(16, 21) | R(23, 24) | R(26, 31),
	 R(0, 4) | B(6) | R(8, 12) | B(14) | B(16) | B(22) | B(25) | R(27, 28),
	 R(2, 4) | B(8) | B(10) | B(14) | B(23) | R(26, 29) | B(31)},
	/* SHA512, SM3, SM4, AVX's later ones, fast strings, PREFETCHI. */
	{LEAF_MORE_FEATURES, 1, R(0, 2) | R(4, 5) | B(7) | R(10, 12) | B(23), 0, 0,
	 R(4, 5) | B(10) | B(14)},
	{LEAF_MORE_FEATURES, 2, 0, 0, 0, R(0, 5)}, /* mitigations */
	{LEAF_TOPOLOGY, ANY_INDEX, ALL, ALL, ALL, ALL},
	/* x87, SSE, AVX, AVX-512, PKRU; no supervisor state. */
	{LEAF_XSAVE, 0, R(0, 2) | R(5, 7) | B(9), ALL, ALL, 0},
	{LEAF_XSAVE, 1, R(0, 3), ALL, 0, 0},
	{LEAF_XSAVE, 2, ALL, ALL, ALL, ALL},
	{LEAF_XSAVE, 5, ALL, ALL, ALL, ALL},
	{LEAF_XSAVE, 6, ALL, ALL, ALL, ALL},
	{LEAF_XSAVE, 7, ALL, ALL, ALL, ALL},
	{LEAF_XSAVE, 9, ALL, ALL, ALL, ALL},
	{LEAF_TOPOLOGY_V2, ANY_INDEX, ALL, ALL, ALL, ALL},

	{KVM_CPUID_SIGNATURE, ANY_INDEX, ALL, ALL, ALL, ALL},
	/* Without page faults as exits, encrypted memory, migration: all for other guests. */
	{KVM_CPUID_FEATURES, ANY_INDEX,
	 B(KVM_FEATURE_CLOCKSOURCE) | B(KVM_FEATURE_NOP_IO_DELAY) | B(KVM_FEATURE_CLOCKSOURCE2) |
		 B(KVM_FEATURE_ASYNC_PF) | B(KVM_FEATURE_STEAL_TIME) | B(KVM_FEATURE_PV_EOI) |
		 B(KVM_FEATURE_PV_UNHALT) | B(KVM_FEATURE_PV_TLB_FLUSH) |
		 B(KVM_FEATURE_PV_SEND_IPI) | B(KVM_FEATURE_POLL_CONTROL) |
		 B(KVM_FEATURE_PV_SCHED_YIELD) | B(KVM_FEATURE_ASYNC_PF_INT) |
		 B(KVM_FEATURE_MSI_EXT_DEST_ID) | B(KVM_FEATURE_CLOCKSOURCE_STABLE_BIT),
	 0, 0, 0},

	{LEAF_EXTENDED, ANY_INDEX, ALL, ALL, ALL, ALL},
	/*
	 * ECX without SVM, EXTAPIC, IBS, SKINIT, WDT, LWP, TCE, NODEID, all counters, MWAITX; EDX
	 * without MP.
	 */
	{LEAF_EXTENDED_FEATURES, ANY_INDEX, ALL, ALL, R(0, 1) | R(4, 9) | B(11) | B(16) | R(21, 22),
	 R(0, 9) | R(11, 17) | B(20) | R(22, 27) | R(29, 31)},
	{LEAF_BRAND, ANY_INDEX, ALL, ALL, ALL, ALL},
	{LEAF_BRAND + 1, ANY_INDEX, ALL, ALL, ALL, ALL},
	{LEAF_BRAND_LAST, ANY_INDEX, ALL, ALL, ALL, ALL},
	{0x80000005, ANY_INDEX, ALL, ALL, ALL, ALL}, /* caches and TLBs */
	{0x80000006, ANY_INDEX, ALL, ALL, ALL, ALL},
	{0x80000007, ANY_INDEX, 0, 0, 0, B(8)}, /* that the TSC never stops */
	/* EBX without RDPRU, MCOMMIT, EFER_LMSLE, PPIN, CPPC. */
	{LEAF_AMD_SIZES, ANY_INDEX, ALL,
	 B(0) | B(2) | B(9) | B(12) | R(14, 17) | B(19) | R(24, 26) | R(28, 30), ALL, 0},
	{0x80000019, ANY_INDEX, ALL, ALL, ALL, ALL}, /* TLBs for pages of 1 GiB */
	{0x8000001a, ANY_INDEX, ALL, ALL, ALL, ALL}, /* how wide the vector units are */
	{0x8000001d, ANY_INDEX, ALL, ALL, ALL, ALL}, /* caches */
	{LEAF_AMD_TOPOLOGY, ANY_INDEX, ALL, ALL, ALL, ALL},
	/* LFENCE, null selectors, AutoIBRS, SMM, fast strings, PREFETCHI, mitigations. */
	{LEAF_AMD_MORE, ANY_INDEX, B(0) | B(2) | R(5, 6) | R(8, 11) | B(20) | R(27, 30), 0, R(1, 2),
	 0},
};

static const struct shown_leaf *find_shown(const struct kvm_cpuid_entry2 *e)
{
	for (size_t i = 0; i < ARRAY_SIZE(shown); i++)
		if (shown[i].function == e->function &&
		    (shown[i].index == ANY_INDEX || (uint32_t)shown[i].index == e->index))
			return &shown[i];
	return NULL;
}

/* Bits of an APIC id that number the n vCPUs. */
static unsigned int id_bits(unsigned int n)
{
	unsigned int bits = 0;

	while ((1u << bits) < n)
		bits++;
	return bits;
}

/* One socket of n cores, one thread each (Intel SDM 2A, CPUID leaf 0BH). */
static void set_topology(const struct x86_cpu *cpu, struct kvm_cpuid_entry2 *e)
{
	e->edx = cpu->index;
	if (e->index == 0) {
		e->eax = 0;
		e->ebx = 1;
		e->ecx = TOPOLOGY_LEVEL_SMT << 8;
	} else if (e->index == 1) {
		e->eax = id_bits(cpu->n);
		e->ebx = cpu->n;
		e->ecx = TOPOLOGY_LEVEL_CORE << 8 | 1;
	} else {
		e->eax = 0;
		e->ebx = 0;
		e->ecx = e->index;
	}
}

static void set_features(const struct x86_cpu *cpu, struct kvm_cpuid_entry2 *e)
{
	e->ebx = (e->ebx & FEATURES_EBX_CLFLUSH) | cpu->index << 24 | cpu->n << 16;
	e->ecx |= FEATURES_ECX_HYPERVISOR;
	/* KVM emulates it on every host, but lists it apart. Spares the guest a calibration. */
	if (cpu->tsc_deadline)
		e->ecx |= FEATURES_ECX_TSC_DEADLINE;
	if (cpu->n > 1)
		e->edx |= FEATURES_EDX_HTT;
	else
		e->edx &= ~(uint32_t)FEATURES_EDX_HTT;
}

/* The host's cores per package and threads per cache are not the guest's. */
static void set_caches(const struct x86_cpu *cpu, struct kvm_cpuid_entry2 *e)
{
	e->eax &= 0x3fff;
	if ((e->eax & 0x1f) != 0)
		e->eax |= ((1u << id_bits(cpu->n)) - 1) << 26;
}

static void set_brand(const struct x86_cpu *cpu, struct kvm_cpuid_entry2 *e)
{
	const uint32_t *leaf = cpu->brand.leaves[e->function - LEAF_BRAND];

	e->eax = leaf[0];
	e->ebx = leaf[1];
	e->ecx = leaf[2];
	e->edx = leaf[3];
}

static uint32_t at_most(uint32_t value, uint32_t limit)
{
	return value < limit ? value : limit;
}

/* What the guest sees differently from the host. */
static void set_own(const struct x86_cpu *cpu, struct kvm_cpuid_entry2 *e)
{
	switch (e->function) {
	case LEAF_VENDOR:
		e->eax = at_most(e->eax, LEAF_TOPOLOGY_V2);
		break;
	case LEAF_FEATURES:
		set_features(cpu, e);
		break;
	case LEAF_CACHES:
		set_caches(cpu, e);
		break;
	case LEAF_MORE_FEATURES:
		if (e->index == 0)
			e->eax = at_most(e->eax, MORE_FEATURES_SUBLEAF_MAX);
		break;
	case LEAF_TOPOLOGY:
	case LEAF_TOPOLOGY_V2:
		set_topology(cpu, e);
		break;
	case LEAF_EXTENDED:
		e->eax = at_most(e->eax, LEAF_AMD_MORE);
		break;
	case LEAF_BRAND:
	case LEAF_BRAND + 1:
	case LEAF_BRAND_LAST:
		set_brand(cpu, e);
		break;
	case LEAF_AMD_SIZES:
		e->ecx = id_bits(cpu->n) << 12 | (cpu->n - 1);
		break;
	case LEAF_AMD_TOPOLOGY:
		e->eax = cpu->index;
		e->ebx = cpu->index;
		e->ecx = 0;
		break;
	default:
		break;
	}
}

unsigned int x86_cpuid_patch(const struct x86_cpu *cpu, struct kvm_cpuid_entry2 *entries,
			     unsigned int n)
{
	unsigned int kept = 0;

	for (unsigned int i = 0; i < n; i++) {
		const struct shown_leaf *leaf = find_shown(&entries[i]);
		struct kvm_cpuid_entry2 e = entries[i];

		if (!leaf)
			continue;
		e.eax &= leaf->eax;
		e.ebx &= leaf->ebx;
		e.ecx &= leaf->ecx;
		e.edx &= leaf->edx;
		set_own(cpu, &e);
		entries[kept++] = e;
	}
	return kept;
}

void x86_brand_get(struct x86_brand *brand)
{
	for (uint32_t i = 0; i < ARRAY_SIZE(brand->leaves); i++) {
		uint32_t *leaf = brand->leaves[i];

		if (!__get_cpuid(LEAF_BRAND + i, &leaf[0], &leaf[1], &leaf[2], &leaf[3]))
			leaf[0] = leaf[1] = leaf[2] = leaf[3] = 0;
	}
}
