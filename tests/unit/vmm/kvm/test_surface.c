/* SPDX-License-Identifier: MIT */
/* What of KVM is taken from a guest, on hosts that can do all of it, some of it, and nothing. */
#include "vmm/kvm/x86/surface.h"

#include <criterion/criterion.h>
#include <errno.h>

#include "tests/unit/vmm/kvm/fake_kvm.h"

static void host_that_can_do_all(void)
{
	fake_kvm.caps[KVM_CAP_PMU_CAPABILITY] = KVM_PMU_CAP_DISABLE;
	fake_kvm.caps[KVM_CAP_X86_MSR_FILTER] = 1;
	fake_kvm.caps[KVM_CAP_X86_NOTIFY_VMEXIT] = 1;
	fake_kvm.caps[KVM_CAP_X86_BUS_LOCK_EXIT] =
		KVM_BUS_LOCK_DETECTION_OFF | KVM_BUS_LOCK_DETECTION_EXIT;
}

Test(surface, all_of_it_is_taken_where_the_host_can)
{
	host_that_can_do_all();
	cr_assert_eq(x86_limit_surface(FAKE_VM_FD), 0);
	cr_expect_eq(fake_kvm_enabled(KVM_CAP_PMU_CAPABILITY)->args[0], KVM_PMU_CAP_DISABLE);
	/* Not to user space: a guest that is late once is no reason to end it. */
	cr_expect_eq(fake_kvm_enabled(KVM_CAP_X86_NOTIFY_VMEXIT)->args[0],
		     KVM_X86_NOTIFY_VMEXIT_ENABLED);
	cr_expect_eq(fake_kvm_enabled(KVM_CAP_X86_BUS_LOCK_EXIT)->args[0],
		     KVM_BUS_LOCK_DETECTION_EXIT);
	cr_expect_eq(fake_kvm.n_enabled, 3);
	cr_expect_eq(fake_kvm.n_filters, 1);
}

Test(surface, a_host_that_can_do_nothing_is_asked_for_nothing)
{
	cr_assert_eq(x86_limit_surface(FAKE_VM_FD), 0);
	cr_expect_eq(fake_kvm.n_enabled, 0);
	cr_expect_eq(fake_kvm.n_filters, 0);
}

Test(surface, a_host_whose_cpu_cannot_tell_of_locks)
{
	host_that_can_do_all();
	fake_kvm.caps[KVM_CAP_X86_BUS_LOCK_EXIT] = KVM_BUS_LOCK_DETECTION_OFF;
	fake_kvm.caps[KVM_CAP_PMU_CAPABILITY] = 0;
	cr_assert_eq(x86_limit_surface(FAKE_VM_FD), 0);
	cr_expect_null(fake_kvm_enabled(KVM_CAP_X86_BUS_LOCK_EXIT));
	cr_expect_null(fake_kvm_enabled(KVM_CAP_PMU_CAPABILITY));
	cr_expect_not_null(fake_kvm_enabled(KVM_CAP_X86_NOTIFY_VMEXIT));
}

Test(surface, what_fails_is_an_error)
{
	host_that_can_do_all();
	fake_kvm.enable_error = EINVAL;
	cr_expect_eq(x86_limit_surface(FAKE_VM_FD), -EINVAL);
}

/* Neither read nor written. */
static bool is_hidden(uint32_t msr)
{
	for (size_t i = 0; i < FAKE_RANGES; i++) {
		const struct kvm_msr_filter_range *r = &fake_kvm.ranges[i];

		if (msr >= r->base && msr - r->base < r->nmsrs)
			return r->flags == (KVM_MSR_FILTER_READ | KVM_MSR_FILTER_WRITE);
	}
	return false;
}

/* The numbers are the manuals' (Intel SDM 4, AMD's volume 2), not those of the table. */
Test(surface, registers_of_features_that_are_hidden_are_hidden)
{
	static const uint32_t
		hidden[] =
			{
				0x480,	    0x481,	0x48b,	    0x491,
				0x493, /* VMX: basic to VM functions */
				0xc0010114, 0xc0010115, 0xc0010117, /* VM_CR, IGNNE, VM_HSAVE_PA */
				0xc1,	    0xc8,	0x186,	    0x18d,
				0x309,	    0x30c,	0x345,	    0x38d,
				0x38f,	    0x390,	0x3f1,	    0x4c1,
				0xc0010000, 0xc0010007, 0xc0010200, 0xc001020b,
				0xc0000300, 0xc0000301, 0x8c,	    0x8f, /* SGX */
				0x560,	    0x570,	0x571,	    0x580,
				0x587, /* processor trace */
				0x600, /* debug store */
			};
	static const uint32_t shown[] = {
		0x10,	    0x1b,	0x1a0,	    0x277,	0x2ff,
		0x6e0, /* TSC, APIC, MISC_ENABLE, PAT, MTRR, timer */
		0xc0000080, 0xc0000081, 0xc0000082, 0xc0000100, 0xc0000103, /* EFER to TSC_AUX */
		0x4b564d00, 0x4b564d01, /* KVM's clock */
	};

	host_that_can_do_all();
	cr_assert_eq(x86_limit_surface(FAKE_VM_FD), 0);
	cr_expect_eq(fake_kvm.filter_flags, KVM_MSR_FILTER_DEFAULT_ALLOW);
	for (size_t i = 0; i < ARRAY_SIZE(hidden); i++)
		cr_expect(is_hidden(hidden[i]), "0x%x", hidden[i]);
	for (size_t i = 0; i < ARRAY_SIZE(shown); i++)
		cr_expect_not(is_hidden(shown[i]), "0x%x", shown[i]);
}
