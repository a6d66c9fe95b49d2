/* SPDX-License-Identifier: MIT */
/* A vCPU's thread, with what KVM says played back: which exits it goes on after, and which end it. */
#include "vmm/kvm/vcpu.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <sched.h>
#include <string.h>

#include "tests/unit/vmm/kvm/fake_kvm.h"

static struct {
	atomic_uint ended, faults;
	enum vcpu_end why;
	uint64_t detail;
	int begins; /* what the vCPU's thread is told at first */
	unsigned int mendable; /* so many faults are mended */
} owner;

static void on_ended(void *arg, unsigned int index, enum vcpu_end why, uint64_t detail)
{
	cr_assert_eq(arg, &owner);
	cr_assert_eq(index, 1);
	owner.why = why;
	owner.detail = detail;
	atomic_fetch_add(&owner.ended, 1);
}

static bool on_fault(void *arg)
{
	cr_assert_eq(arg, &owner);
	return atomic_fetch_add(&owner.faults, 1) < owner.mendable;
}

static int on_begin(void *arg)
{
	cr_assert_eq(arg, &owner);
	return owner.begins;
}

static const struct vcpu_ops ops = {.begins = on_begin, .ended = on_ended, .faulted = on_fault};

static struct vm vm = {.kvm_fd = FAKE_KVM_FD, .vm_fd = FAKE_VM_FD};

/* Plays the exits to their end; true if the vCPU would have gone on after the last. */
static bool goes_on_after(const struct fake_exit *exits, size_t n)
{
	unsigned int slices = 200;
	struct vcpu *vcpu;
	struct bus *bus;

	fake_kvm.exits = exits;
	fake_kvm.n_exits = n;
	cr_assert_eq(bus_new(&bus), 0);
	cr_assert_eq(vcpu_new(&vm, 1, 2, bus, bus, &ops, &owner, &vcpu), 0);
	cr_assert_eq(vcpu_start(vcpu), 0);
	while (atomic_load(&fake_kvm.entered) <= n && atomic_load(&owner.ended) == 0)
		sched_yield();
	vcpu_ask_to_stop(vcpu);
	cr_assert_eq(vcpu_join(vcpu, &slices), 0);
	vcpu_free(vcpu);
	bus_free(bus);
	cr_assert_leq(atomic_load(&owner.ended), 1);
	return atomic_load(&owner.ended) == 0;
}

static void notify(struct kvm_run *run)
{
	run->exit_reason = KVM_EXIT_NOTIFY;
}

static void notify_lost(struct kvm_run *run)
{
	run->exit_reason = KVM_EXIT_NOTIFY;
	run->notify.flags = KVM_NOTIFY_CONTEXT_INVALID;
}

static void bus_lock(struct kvm_run *run)
{
	run->exit_reason = KVM_EXIT_X86_BUS_LOCK;
	run->flags = KVM_RUN_X86_BUS_LOCK;
}

/* The lock and another exit are one return of KVM_RUN. */
static void bus_lock_and_read(struct kvm_run *run)
{
	run->exit_reason = KVM_EXIT_MMIO;
	run->flags = KVM_RUN_X86_BUS_LOCK;
	run->mmio.phys_addr = 0x1000;
	run->mmio.len = 4;
}

static void bus_lock_and_shut_down(struct kvm_run *run)
{
	run->exit_reason = KVM_EXIT_SHUTDOWN;
	run->flags = KVM_RUN_X86_BUS_LOCK;
}

static void unknown(struct kvm_run *run)
{
	run->exit_reason = 9999;
}

static void bad_entry(struct kvm_run *run)
{
	run->exit_reason = KVM_EXIT_FAIL_ENTRY;
	run->fail_entry.hardware_entry_failure_reason = 0x80000021;
}

Test(vcpu, one_that_lets_no_interrupt_in_goes_on)
{
	static const struct fake_exit exits[] = {{.fill = notify}, {.fill = notify}};

	cr_expect(goes_on_after(exits, ARRAY_SIZE(exits)));
}

Test(vcpu, one_whose_state_is_lost_over_it_ends)
{
	static const struct fake_exit exits[] = {{.fill = notify}, {.fill = notify_lost}};

	cr_expect_not(goes_on_after(exits, ARRAY_SIZE(exits)));
	cr_expect_eq(owner.why, VCPU_HUNG);
	cr_expect_eq(atomic_load(&fake_kvm.entered), 2, "it never enters the guest again");
}

Test(vcpu, each_lock_of_the_bus_costs_a_millisecond)
{
	static const struct fake_exit exits[] = {
		{.fill = bus_lock}, {.fill = bus_lock_and_read}, {.fill = bus_lock}};

	cr_expect(goes_on_after(exits, ARRAY_SIZE(exits)));
	cr_expect_eq(atomic_load(&fake_kvm.slept_ns), 3000000);
}

Test(vcpu, an_access_beside_a_lock_is_answered)
{
	static const struct fake_exit exits[] = {{.fill = bus_lock_and_read}};

	cr_expect(goes_on_after(exits, ARRAY_SIZE(exits)));
	cr_expect_eq(atomic_load(&fake_kvm.slept_ns), 1000000);
	/* Nothing is there: all ones. */
	cr_expect_eq(memcmp(fake_kvm.run->mmio.data, "\xff\xff\xff\xff", 4), 0);
}

Test(vcpu, a_lock_on_the_way_out_changes_nothing)
{
	static const struct fake_exit exits[] = {{.fill = bus_lock_and_shut_down}};

	cr_expect_not(goes_on_after(exits, ARRAY_SIZE(exits)));
	cr_expect_eq(owner.why, VCPU_TRIPLE_FAULT);
}

Test(vcpu, an_exit_nobody_knows_ends_it)
{
	static const struct fake_exit exits[] = {{.fill = unknown}};

	cr_expect_not(goes_on_after(exits, ARRAY_SIZE(exits)));
	cr_expect_eq(owner.why, VCPU_KVM_ERROR);
	cr_expect_eq(owner.detail, EPROTO);
}

Test(vcpu, a_hardware_reason_is_told)
{
	static const struct fake_exit exits[] = {{.fill = bad_entry}};

	cr_expect_not(goes_on_after(exits, ARRAY_SIZE(exits)));
	cr_expect_eq(owner.why, VCPU_BAD_ENTRY);
	cr_expect_eq(owner.detail, 0x80000021);
}

/* Faults that are mended are no end, however many; of those that are not, a few in a row. */
Test(vcpu, faults_without_a_reason_have_a_number)
{
	static const struct fake_exit exits[16] = {
		{.error = EFAULT}, {.error = EFAULT}, {.error = EFAULT}, {.error = EFAULT},
		{.error = EFAULT}, {.error = EFAULT}, {.error = EFAULT}, {.error = EFAULT},
		{.error = EFAULT}, {.error = EFAULT}, {.error = EFAULT}, {.error = EFAULT},
		{.error = EFAULT}, {.error = EFAULT}, {.error = EFAULT}, {.error = EFAULT},
	};

	owner.mendable = 8;
	cr_expect_not(goes_on_after(exits, ARRAY_SIZE(exits)));
	cr_expect_eq(owner.why, VCPU_BAD_MEMORY);
	cr_expect_eq(atomic_load(&owner.faults), 13);
}

Test(vcpu, a_signal_that_was_not_meant_is_passed_over)
{
	static const struct fake_exit exits[] = {{.error = EINTR}, {.error = EAGAIN}};

	cr_expect(goes_on_after(exits, ARRAY_SIZE(exits)));
}

static struct vcpu *start(struct bus **bus)
{
	struct vcpu *vcpu;

	cr_assert_eq(bus_new(bus), 0);
	cr_assert_eq(vcpu_new(&vm, 1, 2, *bus, *bus, &ops, &owner, &vcpu), 0);
	cr_assert_eq(vcpu_start(vcpu), 0);
	return vcpu;
}

static void stop(struct vcpu *vcpu, struct bus *bus)
{
	unsigned int slices = 200;

	vcpu_ask_to_stop(vcpu);
	cr_assert_eq(vcpu_join(vcpu, &slices), 0);
	vcpu_free(vcpu);
	bus_free(bus);
}

static void wait_for_entry(size_t n)
{
	while (atomic_load(&fake_kvm.entered) < n)
		sched_yield();
}

Test(vcpu, one_that_may_not_begin_never_enters_the_guest)
{
	unsigned int slices = 200;
	struct vcpu *vcpu;
	struct bus *bus;

	owner.begins = -EPERM;
	vcpu = start(&bus);
	cr_assert_eq(vcpu_join(vcpu, &slices), 0);
	cr_expect_eq(atomic_load(&fake_kvm.entered), 0);
	vcpu_free(vcpu);
	bus_free(bus);
}

Test(vcpu, one_that_pauses_goes_on_where_it_was)
{
	struct vcpu *vcpu;
	struct bus *bus;
	size_t entered;

	vcpu = start(&bus);
	wait_for_entry(1);
	for (int i = 0; i < 3; i++) {
		unsigned int slices = 200;

		vcpu_ask_to_pause(vcpu);
		vcpu_ask_to_pause(vcpu);
		cr_assert_eq(vcpu_wait_paused(vcpu, &slices), 0);
		entered = atomic_load(&fake_kvm.entered);
		sched_yield();
		cr_expect_eq(atomic_load(&fake_kvm.entered), entered);
		vcpu_go_on(vcpu);
		wait_for_entry(entered + 1);
	}
	stop(vcpu, bus);
}

Test(vcpu, one_that_pauses_can_be_stopped)
{
	unsigned int slices = 200;
	struct vcpu *vcpu;
	struct bus *bus;

	vcpu = start(&bus);
	wait_for_entry(1);
	vcpu_ask_to_pause(vcpu);
	cr_assert_eq(vcpu_wait_paused(vcpu, &slices), 0);
	stop(vcpu, bus);
	cr_expect_eq(atomic_load(&owner.ended), 0);
}
