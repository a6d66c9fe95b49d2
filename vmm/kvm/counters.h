/* SPDX-License-Identifier: MIT */
/* vmm/kvm/counters.h - the counters KVM keeps of a vCPU (KVM_GET_STATS_FD). */
#ifndef VMM_KVM_COUNTERS_H
#define VMM_KVM_COUNTERS_H

#include "common/util.h"

struct timeline;

/*
 * Adds to `tl` every single counter that is not zero of the statistics file
 * `fd` (Documentation/virt/kvm/api.rst, 4.133). -EPROTO: not laid out as
 * described there; else what reading returned.
 */
int kvm_stats_count(int fd, struct timeline *tl) MUST_CHECK;

#endif
