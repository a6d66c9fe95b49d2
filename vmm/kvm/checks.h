/* SPDX-License-Identifier: MIT */
/* vmm/kvm/checks.h - whether this host can run a sandbox, and what to do if it cannot. */
#ifndef VMM_KVM_CHECKS_H
#define VMM_KVM_CHECKS_H

#include <stdbool.h>

#include "common/util.h"

/* The files that are looked at; tests make their own. */
struct kvm_places {
	const char *device; /* /dev/kvm */
	const char *cpuinfo; /* /proc/cpuinfo */
	const char *modules; /* /sys/module */
};

extern const struct kvm_places kvm_host_places;

enum kvm_state {
	KVM_STATE_OK,
	KVM_STATE_MISSING, /* no device */
	KVM_STATE_NO_PERMISSION, /* a device, for others */
	KVM_STATE_NO_HARDWARE, /* a device without a virtualizing CPU behind it */
	KVM_STATE_UNUSABLE, /* it does not answer as KVM does */
	KVM_STATE_TOO_OLD, /* it lacks something the machine needs */
};

/* One line each, without a prefix; `cure` is empty when the state is OK. */
struct kvm_report {
	enum kvm_state state;
	char cause[160];
	char cure[240];
};

/*
 * "vmx" or "svm", whichever the processor shows, else NULL. A machine without
 * either may still be a virtual one whose host could pass it on.
 */
const char *kvm_cpu_flag(const struct kvm_places *places);

/*
 * Opens the device and asks it for what the machine needs; -errno with *why
 * filled in. A software KVM (kvm_pvm) answers all of that and then interprets
 * the guest's kernel, which never gets to its first process: it counts as
 * NO_HARDWARE. On success *why says so (OK) and *fd is the caller's.
 */
int kvm_open_at(const struct kvm_places *places, struct kvm_report *why, int *fd) MUST_CHECK;

/* Does the same for this host; logs on failure. */
int kvm_open(int *fd) MUST_CHECK;

#endif
