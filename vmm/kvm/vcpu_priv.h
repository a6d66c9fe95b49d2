/* SPDX-License-Identifier: MIT */
/* vmm/kvm/vcpu_priv.h - shared by vcpu.c and the machine type's own part of it. */
#ifndef VMM_KVM_VCPU_PRIV_H
#define VMM_KVM_VCPU_PRIV_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "vmm/kvm/vcpu.h"

struct vcpu {
	struct vm *vm;
	unsigned int index;
	struct bus *mmio, *pio;
	const struct vcpu_ops *ops;
	void *owner;

	int fd;
	struct kvm_run *run;
	size_t run_size;

	pthread_t thread;
	bool started;
	atomic_bool stopping;
	pthread_mutex_t lock; /* of the next two */
	pthread_cond_t changed;
	bool pausing, paused; /* it is to leave the guest for a while; it has */
	uint64_t cpuid_sum; /* of the table that was set: another CPU has another */
	bool locked_bus; /* its own thread's: the guest was seen to lock the host's bus */
};

/* Sets CPUID and model-specific registers, before the first run. */
int x86_vcpu_features(struct vcpu *vcpu, unsigned int n_vcpus) MUST_CHECK;

#endif
