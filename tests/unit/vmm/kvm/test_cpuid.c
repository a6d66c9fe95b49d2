/* SPDX-License-Identifier: MIT */
#include <asm/kvm_para.h>
#include <criterion/criterion.h>
#include <linux/kvm.h>
#include <string.h>

#include "common/util.h"
#include "vmm/kvm/x86/cpuid.h"

/* A leaf of which a KVM that could do everything sets every bit. */
#define FULL(leaf, sub)                                                                            \
	{                                                                                          \
		.function = (leaf), .index = (sub), .eax = ~0u, .ebx = ~0u, .ecx = ~0u, .edx = ~0u \
	}

enum { N = 64 };

static struct kvm_cpuid_entry2 table[N];
static unsigned int n;

static struct x86_cpu cpu = {
	.index = 2,
	.n = 3,
	.brand = {.leaves = {{1, 2, 3, 4}, {5, 6, 7, 8}, {9, 10, 11, 12}}},
};

static void patch(const struct kvm_cpuid_entry2 *entries, unsigned int count)
{
	cr_assert(count <= N);
	memcpy(table, entries, count * sizeof(*entries));
	n = x86_cpuid_patch(&cpu, table, count);
}

static const struct kvm_cpuid_entry2 *shown(uint32_t function, uint32_t index)
{
	for (unsigned int i = 0; i < n; i++)
		if (table[i].function == function && table[i].index == index)
			return &table[i];
	return NULL;
}

/* The entry when the host shows all bits of it. */
static const struct kvm_cpuid_entry2 *of_full(uint32_t function, uint32_t index)
{
	const struct kvm_cpuid_entry2 full = FULL(function, index);

	patch(&full, 1);
	return shown(function, index);
}

static bool bit(uint32_t reg, unsigned int number)
{
	return (reg >> number & 1) != 0;
}

Test(cpuid, no_nested_virtualization)
{
	const struct kvm_cpuid_entry2 *e = of_full(1, 0);

	cr_assert_not(bit(e->ecx, 5), "VMX");
	cr_assert_not(bit(e->ecx, 6), "SMX");
	e = of_full(0x80000001, 0);
	cr_assert_not(bit(e->ecx, 2), "SVM");
	cr_assert_not(bit(e->ecx, 12), "SKINIT");
	cr_assert_null(of_full(0x8000000a, 0), "SVM's features");
	cr_assert_null(of_full(0x8000001f, 0), "encrypted memory");
	cr_assert_not(bit(of_full(KVM_CPUID_FEATURES, 0)->eax, KVM_FEATURE_ASYNC_PF_VMEXIT));
}

Test(cpuid, no_counters_and_no_trace)
{
	const struct kvm_cpuid_entry2 *e = of_full(1, 0);

	cr_assert_not(bit(e->ecx, 15), "PDCM");
	cr_assert_not(bit(e->edx, 21), "debug store");
	cr_assert_null(of_full(0xa, 0), "the counters of Intel");
	cr_assert_null(of_full(0x23, 0), "their later leaf");
	cr_assert_null(of_full(0x1c, 0), "last branches");
	cr_assert_null(of_full(0x14, 0), "processor trace");
	cr_assert_null(of_full(0x80000022, 0), "the counters of AMD");
	e = of_full(0x80000001, 0);
	for (unsigned int i = 23; i <= 28; i++)
		cr_assert_not(bit(e->ecx, i), "counter feature %u", i);
	cr_assert_not(bit(e->ecx, 10), "IBS");
	cr_assert_not(bit(of_full(7, 0)->ebx, 25), "processor trace");
	cr_assert_not(bit(of_full(7, 0)->edx, 19), "last branches");
}

Test(cpuid, no_enclaves)
{
	const struct kvm_cpuid_entry2 *e = of_full(7, 0);

	cr_assert_not(bit(e->ebx, 2), "SGX");
	cr_assert_not(bit(e->ecx, 30), "SGX_LC");
	cr_assert_null(of_full(0x12, 0));
}

Test(cpuid, unknown_leaves_stay_out)
{
	static const uint32_t unknown[] = {
		3,	    5,		8,	    9,		0xc,	    0xe,
		0xf,	    0x10,	0x13,	    0x15,	0x19,	    0x1e,
		0x20,	    0x24,	0x40000002, 0x40000010, 0x40000100, 0x80000009,
		0x80000020, 0x80000023, 0x80000026, 0x8fffffff, 0xc0000001,
	};

	for (size_t i = 0; i < ARRAY_SIZE(unknown); i++)
		cr_assert_null(of_full(unknown[i], 0), "leaf %#x", unknown[i]);
	cr_assert_null(of_full(7, 3));
	cr_assert_null(of_full(0xd, 17), "AMX");
	cr_assert_null(of_full(0xd, 8), "processor trace");
	cr_assert_null(of_full(0xd, 11), "shadow stacks");
}

Test(cpuid, bits_without_a_name_stay_out)
{
	cr_assert_eq(of_full(6, 0)->eax, 4u, "nothing of power but that the timer runs on");
	cr_assert_eq(of_full(7, 1)->ecx, 0u);
	cr_assert_eq(of_full(0xd, 0)->edx, 0u);
	cr_assert_eq(of_full(0xd, 1)->ecx, 0u, "no supervisor state");
	cr_assert_eq(of_full(KVM_CPUID_FEATURES, 0)->eax & 0xfeff0000u, 0u);
	cr_assert_eq(of_full(KVM_CPUID_FEATURES, 0)->edx, 0u);
}

Test(cpuid, what_programs_and_mitigations_need_is_there)
{
	const struct kvm_cpuid_entry2 *e = of_full(1, 0);

	cr_assert(bit(e->ecx, 21) && bit(e->ecx, 26) && bit(e->ecx, 28) && bit(e->ecx, 30));
	cr_assert(bit(e->ecx, 31), "a guest is told that it is one");
	cr_assert(bit(e->edx, 0) && bit(e->edx, 26));
	e = of_full(7, 0);
	cr_assert(bit(e->ebx, 5) && bit(e->ebx, 7) && bit(e->ebx, 16) && bit(e->ebx, 20));
	cr_assert(bit(e->edx, 10) && bit(e->edx, 26) && bit(e->edx, 29) && bit(e->edx, 31));
	e = of_full(0x80000001, 0);
	cr_assert(bit(e->edx, 11) && bit(e->edx, 20) && bit(e->edx, 26) && bit(e->edx, 29));
	cr_assert(bit(of_full(0x80000008, 0)->ebx, 12), "IBPB");
	cr_assert(bit(of_full(0x80000007, 0)->edx, 8), "invariant TSC");
	cr_assert_eq(of_full(7, 2)->edx, 0x3fu);
}

/* The highest leaf does not speak of one that is left out. */
Test(cpuid, the_highest_leaves)
{
	const struct kvm_cpuid_entry2 low = {.function = 0, .eax = 0xd, .ebx = 7};

	cr_assert_eq(of_full(0, 0)->eax, 0x1fu);
	cr_assert_eq(of_full(0x80000000, 0)->eax, 0x80000021u);
	cr_assert_eq(of_full(7, 0)->eax, 2u);
	patch(&low, 1);
	cr_assert_eq(shown(0, 0)->eax, 0xdu);
	cr_assert_eq(shown(0, 0)->ebx, 7u);
}

Test(cpuid, entries_keep_their_order_and_flags)
{
	static const struct kvm_cpuid_entry2 entries[] = {
		{.function = 0, .eax = 0xd},
		FULL(0xa, 0),
		{.function = 4, .index = 1, .flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX, .eax = 0x121},
		FULL(0x8000000a, 0),
		{.function = 0x80000005, .ecx = 77},
	};

	patch(entries, ARRAY_SIZE(entries));
	cr_assert_eq(n, 3);
	cr_assert_eq(table[0].function, 0);
	cr_assert_eq(table[1].function, 4);
	cr_assert_eq(table[1].index, 1);
	cr_assert_eq(table[1].flags, KVM_CPUID_FLAG_SIGNIFCANT_INDEX);
	cr_assert_eq(table[2].ecx, 77);
}

Test(cpuid, the_topology_is_the_guests)
{
	const struct kvm_cpuid_entry2 *e = of_full(1, 0);

	cr_assert_eq(e->ebx >> 24, 2, "APIC id");
	cr_assert_eq(e->ebx >> 16 & 0xff, 3, "CPUs");
	cr_assert(bit(e->edx, 28));
	e = of_full(0xb, 1);
	cr_assert_eq(e->eax, 2);
	cr_assert_eq(e->ebx, 3);
	cr_assert_eq(e->edx, 2);
	cr_assert_eq(of_full(4, 0)->eax >> 26, 3);
	cr_assert_eq(of_full(0x80000008, 0)->ecx, (2u << 12 | 2));
	cr_assert_eq(of_full(0x8000001e, 0)->eax, 2);
}

Test(cpuid, one_cpu_alone_has_no_siblings)
{
	const struct x86_cpu before = cpu;

	cpu.index = 0;
	cpu.n = 1;
	cr_assert_not(bit(of_full(1, 0)->edx, 28));
	cpu = before;
}

Test(cpuid, the_deadline_timer_is_shown_where_kvm_has_it)
{
	const struct kvm_cpuid_entry2 features = {.function = 1};

	patch(&features, 1);
	cr_assert_not(bit(shown(1, 0)->ecx, 24));
	cpu.tsc_deadline = true;
	patch(&features, 1);
	cpu.tsc_deadline = false;
	cr_assert(bit(shown(1, 0)->ecx, 24));
}

Test(cpuid, the_brand_is_the_hosts)
{
	static const struct kvm_cpuid_entry2 entries[] = {
		{.function = 0x80000002},
		{.function = 0x80000003},
		{.function = 0x80000004},
	};

	patch(entries, ARRAY_SIZE(entries));
	cr_assert_eq(n, 3);
	cr_assert_eq(table[0].eax, 1);
	cr_assert_eq(table[0].edx, 4);
	cr_assert_eq(table[1].ebx, 6);
	cr_assert_eq(table[2].edx, 12);
}

Test(cpuid, this_cpu_has_a_brand)
{
	struct x86_brand brand;
	char text[sizeof(brand) + 1] = "";

	x86_brand_get(&brand);
	memcpy(text, &brand, sizeof(brand));
	cr_assert(strlen(text) > 0);
}
