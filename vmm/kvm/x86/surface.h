/* SPDX-License-Identifier: MIT */
/* vmm/kvm/x86/surface.h - what of KVM a guest does not reach. */
#ifndef VMM_KVM_X86_SURFACE_H
#define VMM_KVM_X86_SURFACE_H

#include "common/util.h"

/*
 * Takes from the guests of this virtual machine what they have no use for, as far as the
 * host's KVM can: the performance counters, registers of features that CPUID does not
 * show, time without interrupts, bus locks at any rate. Before there are vCPUs.
 */
int x86_limit_surface(int vm_fd) MUST_CHECK;

#endif
