/* SPDX-License-Identifier: MIT */
/* vmm/kvm/state.h - what KVM knows of a machine, as bytes, and back into a new one. */
#ifndef VMM_KVM_STATE_H
#define VMM_KVM_STATE_H

#include "common/state.h"
#include "vmm/kvm/vcpu.h"

/*
 * DOC: order
 *
 * KVM's parts depend on each other, and most of the order is written nowhere. Saving: the
 * run state first, as reading it may change others; events last. Loading: the local APIC
 * after the special registers, which say where it is, and before the MSRs; the time stamp counter
 * before its deadline, or that timer never fires; events last, as setting registers clears them;
 * the I/O APIC and the clock when all CPUs are there. The guest's clocks go on where they
 * stood: to make up for the time in between is the agent's, by its wall clock alone. The wall
 * clock's MSR is left out, because setting it writes into the guest's memory.
 *
 * The bytes are KVM's own structures, and good for the same kernel on the same CPU only.
 */

/* All of them are stopped; errors are the writer's. -EOPNOTSUPP: KVM cannot set a counter's offset. */
void kvm_state_save(struct vm *vm, struct vcpu *const *vcpus, unsigned int n,
		    struct state_writer *w);
/*
 * Into CPUs that never ran. -ESTALE: they are not those the state is of; another error: KVM
 * does not take it. They can be freed then, and nothing else.
 */
void kvm_state_load(struct vm *vm, struct vcpu *const *vcpus, unsigned int n,
		    struct state_reader *r);
/* After loading, before the first run: a pause is no reason for the guest's watchdogs to bark. */
void kvm_state_resumed(struct vcpu *const *vcpus, unsigned int n);

#endif
