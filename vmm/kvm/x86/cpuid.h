/* SPDX-License-Identifier: MIT */
/* vmm/kvm/x86/cpuid.h - what the guest's CPUID instruction answers. */
#ifndef VMM_KVM_X86_CPUID_H
#define VMM_KVM_X86_CPUID_H

#include <stdbool.h>
#include <stdint.h>

struct kvm_cpuid_entry2;

/* The host's name for its CPU: EAX to EDX of the leaves 0x80000002 to 0x80000004. */
struct x86_brand {
	uint32_t leaves[3][4];
};

/* One CPU of the guest. */
struct x86_cpu {
	unsigned int index, n; /* which of how many */
	bool tsc_deadline; /* KVM has the timer, whether or not CPUID says so */
	struct x86_brand brand;
};

/* Fills in what this CPU calls itself; zeroes if it does not. */
void x86_brand_get(struct x86_brand *brand);

/*
 * Makes of the n entries that KVM supports those that the guest's CPU gets: leaves and
 * feature bits that are not on our list are left out, the topology is that of one socket
 * with a core for each CPU. Works in place and returns how many entries are left.
 */
unsigned int x86_cpuid_patch(const struct x86_cpu *cpu, struct kvm_cpuid_entry2 *entries,
			     unsigned int n);

#endif
