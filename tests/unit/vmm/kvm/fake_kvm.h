/* SPDX-License-Identifier: MIT */
/*
 * tests/unit/vmm/kvm/fake_kvm.h - a /dev/kvm that says what a test wants it to say. The program is linked
 * with --wrap=ioctl and --wrap=nanosleep, so that all calls of what it tests come here.
 */
#ifndef TESTS_UNIT_VMM_KVM_FAKE_KVM_H
#define TESTS_UNIT_VMM_KVM_FAKE_KVM_H

#include <linux/kvm.h>
#include <stdatomic.h>
#include <stdint.h>

#include "common/util.h"

enum { FAKE_KVM_FD = 4000, FAKE_VM_FD, FAKE_CAPS = 8, FAKE_RANGES = KVM_MSR_FILTER_MAX_RANGES };

/* One return of KVM_RUN: -1 with this errno, or 0 with what fill() made of *run. */
struct fake_exit {
	int error;
	void (*fill)(struct kvm_run *run);
};

struct fake_kvm {
	/* Before: what the host can do. */
	int caps[512]; /* the answer of KVM_CHECK_EXTENSION */
	int enable_error; /* errno of KVM_ENABLE_CAP; 0: it works */
	const struct fake_exit *exits;
	size_t n_exits;

	/* After: what it was asked for. */
	struct kvm_enable_cap enabled[FAKE_CAPS];
	unsigned int n_enabled;
	unsigned int n_filters;
	uint32_t filter_flags;
	struct kvm_msr_filter_range ranges[FAKE_RANGES];
	atomic_size_t entered; /* KVM_RUN was called so often */
	atomic_ulong slept_ns; /* by what is tested */
	struct kvm_run *run; /* the vCPU's, once there is one */
};

extern struct fake_kvm fake_kvm;

/* The capability as it was enabled; NULL: it was not. */
const struct kvm_enable_cap *fake_kvm_enabled(uint32_t cap);

#endif
