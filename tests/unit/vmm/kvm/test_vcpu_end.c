/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "vmm/kvm/vcpu.h"
#include "vmm/machine.h"

Test(vcpu_end, each_fits_into_a_line_of_its_own)
{
	struct machine_end end, before = {.why = ""};

	for (unsigned int why = VCPU_TRIPLE_FAULT; why <= VCPU_KVM_ERROR; why++) {
		end.why[0] = '\0';
		vcpu_end_text(63, why, UINT64_MAX, end.why, sizeof(end.why));
		cr_expect_gt(strlen(end.why), 20, "%u", why);
		cr_expect_lt(strlen(end.why), sizeof(end.why) - 1, "cut: %s", end.why);
		cr_expect_null(strchr(end.why, '\n'));
		cr_expect_str_neq(end.why, before.why);
		before = end;
	}
}

Test(vcpu_end, the_detail_is_said)
{
	char text[160];

	vcpu_end_text(3, VCPU_KVM_ERROR, ENXIO, text, sizeof(text));
	cr_expect_str_eq(text, "KVM cannot run the guest's CPU 3: No such device or address");
	vcpu_end_text(0, VCPU_BAD_ENTRY, 0x80000021, text, sizeof(text));
	cr_expect_not_null(strstr(text, "0x80000021"));
}
