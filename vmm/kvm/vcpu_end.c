/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <string.h>

#include "vmm/kvm/vcpu.h"

void vcpu_end_text(unsigned int index, enum vcpu_end why, uint64_t detail, char *buf, size_t size)
{
	switch (why) {
	case VCPU_TRIPLE_FAULT:
		snprintf(buf, size, "the guest's CPU %u shut down (triple fault)", index);
		break;
	case VCPU_BAD_ENTRY:
		snprintf(buf, size,
			 "KVM cannot enter the guest (hardware reason 0x%llx); see 'sandcastle "
			 "doctor'",
			 (unsigned long long)detail);
		break;
	case VCPU_UNEMULATED:
		snprintf(buf, size,
			 "KVM cannot emulate an instruction of the guest (suberror %llu)",
			 (unsigned long long)detail);
		break;
	case VCPU_BAD_MEMORY:
		snprintf(buf, size,
			 "the host has no memory, or no mapping (vm.max_map_count), for a page "
			 "the guest touched; free some or try a smaller --memory");
		break;
	case VCPU_HUNG:
		snprintf(buf, size, "the guest's CPU %u let no interrupt in and had to be stopped",
			 index);
		break;
	case VCPU_BROKEN_MEMORY:
		snprintf(buf, size,
			 "the host's memory is broken where the guest touched it; the host's "
			 "kernel log says more");
		break;
	case VCPU_KVM_ERROR:
		snprintf(buf, size, "KVM cannot run the guest's CPU %u: %s", index,
			 strerror((int)detail));
		break;
	}
}
