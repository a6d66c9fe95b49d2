/* SPDX-License-Identifier: MIT */
/* vmm/kvm/vcpu.h - virtual CPUs, one thread each. */
#ifndef VMM_KVM_VCPU_H
#define VMM_KVM_VCPU_H

#include <stdbool.h>

#include "devices/board/bus.h"
#include "vmm/kvm/vm.h"

struct timeline;
struct vcpu;

/* Why a vCPU left the guest for good. */
enum vcpu_end {
	VCPU_TRIPLE_FAULT, /* the guest's CPU shut down */
	VCPU_BAD_ENTRY, /* KVM could not enter the guest; detail: hardware reason */
	VCPU_UNEMULATED, /* KVM could not emulate an instruction; detail: suberror */
	VCPU_BAD_MEMORY, /* the host could not provide a page the guest touched; detail: errno */
	VCPU_HUNG, /* it let no interrupt in until the hardware took it away, and its state is lost */
	VCPU_BROKEN_MEMORY, /* the guest touched a page of the host that has a hardware error */
	VCPU_KVM_ERROR, /* KVM_RUN failed otherwise; detail: errno */
};

/* Cause and cure in one line. */
void vcpu_end_text(unsigned int index, enum vcpu_end why, uint64_t detail, char *buf, size_t size);

/* What a vCPU tells its owner, on its own thread. */
struct vcpu_ops {
	/* The first that its thread does. The guest does not run unless it says 0. */
	int (*begins)(void *owner);
	/* At most once. */
	void (*ended)(void *owner, unsigned int index, enum vcpu_end end, uint64_t detail);
	/*
	 * The guest touched a page that the host cannot provide; KVM does not say
	 * which. True if something was done about it and the vCPU should go on.
	 */
	bool (*faulted)(void *owner);
};

/*
 * Every vCPU gets the features the host's KVM supports. `n` is how many there
 * will be; vCPU 0 starts at the entry set by vcpu_set_entry(), the others wait
 * for it to wake them. Accesses outside RAM go to the two buses. `ops` is static.
 */
int vcpu_new(struct vm *vm, unsigned int index, unsigned int n, struct bus *mmio, struct bus *pio,
	     const struct vcpu_ops *ops, void *owner, struct vcpu **out) MUST_CHECK;

/* PVH: 32-bit protected mode without paging, %ebx = start_info (see vmm/kvm/x86/boot.h). */
int vcpu_set_entry(struct vcpu *vcpu, uint32_t entry, uint32_t start_info) MUST_CHECK;

/* Starts the thread, named "vcpu<index>". */
int vcpu_start(struct vcpu *vcpu) MUST_CHECK;
/*
 * Asks it to leave the guest for good, and does not wait: it never enters the guest again,
 * but may be at work on an access of the guest's. Fine if it was never started, or asked twice.
 */
void vcpu_ask_to_stop(struct vcpu *vcpu);
/*
 * Joins one that was asked to stop; see join_within() for the slices. Not from a vCPU thread.
 * -ETIMEDOUT: it is still at work. Never started or joined twice is fine.
 */
int vcpu_join(struct vcpu *vcpu, unsigned int *slices) MUST_CHECK;
/*
 * Asks it to leave the guest until vcpu_go_on(), and does not wait; vcpu_wait_paused() does, as
 * vcpu_join(). Its state is whole then and may be looked at. To ask twice is fine.
 */
void vcpu_ask_to_pause(struct vcpu *vcpu);
int vcpu_wait_paused(struct vcpu *vcpu, unsigned int *slices) MUST_CHECK;
/* Lets a paused one go on where it left the guest. */
void vcpu_go_on(struct vcpu *vcpu);
/*
 * Notes in `tl` what it did: its thread's clock once it was started, KVM's counters
 * (left out where KVM has none). Not while the other end uses `tl`.
 * The counters only while it does not run: KVM would not answer before its next exit.
 */
void vcpu_add_clock(const struct vcpu *vcpu, struct timeline *tl);
void vcpu_add_counters(const struct vcpu *vcpu, struct timeline *tl);
void vcpu_free(struct vcpu *vcpu); /* it does not run; NULL is fine */

#endif
