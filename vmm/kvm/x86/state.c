/* SPDX-License-Identifier: MIT */
#include "vmm/kvm/state.h"

#include <errno.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <x86intrin.h>

#include "vmm/kvm/vcpu_priv.h"

enum {
	MSRS_MAX = 512,
	XSAVE_MAX = 64 << 10,
	/* By how much the frequency of the counter may differ: it is measured at each boot. */
	TSC_PPM = 250,

	MSR_WALL_CLOCK_OLD = 0x11,
	MSR_WALL_CLOCK = 0x4b564d00,
	MSR_ASYNC_PF_EN = 0x4b564d02,
	MSR_TSC = 0x10,
	MSR_TSC_DEADLINE = 0x6e0,
};

enum {
	MARK_VM = STATE_MARK('K', 'V', 'M', '1'),
	MARK_VCPU = STATE_MARK('V', 'C', 'P', 'U'),
	MARK_CHIPS = STATE_MARK('C', 'H', 'I', 'P'),
};

/* A structure of KVM's that is read by one ioctl and set by another. */
struct part {
	unsigned long get, set;
	size_t size;
};

/* In the order of loading; all but the first may be read in any. */
static const struct part early_parts[] = {
	{KVM_GET_MP_STATE, KVM_SET_MP_STATE, sizeof(struct kvm_mp_state)},
	{KVM_GET_REGS, KVM_SET_REGS, sizeof(struct kvm_regs)},
	{KVM_GET_SREGS, KVM_SET_SREGS, sizeof(struct kvm_sregs)},
	{KVM_GET_XCRS, KVM_SET_XCRS, sizeof(struct kvm_xcrs)},
	{KVM_GET_DEBUGREGS, KVM_SET_DEBUGREGS, sizeof(struct kvm_debugregs)},
	{KVM_GET_LAPIC, KVM_SET_LAPIC, sizeof(struct kvm_lapic_state)},
};

static const struct part events = {KVM_GET_VCPU_EVENTS, KVM_SET_VCPU_EVENTS,
				   sizeof(struct kvm_vcpu_events)};

/* Room for any part, aligned as KVM's structures are. */
union part_room {
	uint64_t align;
	uint8_t bytes[4096];
};

static void save_part(int fd, const struct part *p, struct state_writer *w)
{
	union part_room room = {.align = 0};

	if (ioctl(fd, p->get, &room) < 0)
		state_refuse(w, -errno);
	state_put(w, room.bytes, p->size);
}

static void load_part(int fd, const struct part *p, struct state_reader *r)
{
	union part_room room = {.align = 0};

	state_get(r, room.bytes, p->size);
	if (r->error == 0 && ioctl(fd, p->set, &room) < 0)
		state_fail(r, -errno);
}

/* Bytes of the extended state, which grows with the CPU. */
static size_t xsave_size(const struct vcpu *vcpu)
{
	const int size = ioctl(vcpu->vm->vm_fd, KVM_CHECK_EXTENSION, KVM_CAP_XSAVE2);

	return size < (int)sizeof(struct kvm_xsave) ? sizeof(struct kvm_xsave) : (size_t)size;
}

static void save_xsave(const struct vcpu *vcpu, struct state_writer *w)
{
	const size_t size = xsave_size(vcpu);
	AUTO_FREE void *xsave = size <= XSAVE_MAX ? calloc(1, size) : NULL;

	if (!xsave)
		state_refuse(w, -ENOMEM);
	else if (ioctl(vcpu->fd, size > sizeof(struct kvm_xsave) ? KVM_GET_XSAVE2 : KVM_GET_XSAVE,
		       xsave) < 0)
		state_refuse(w, -errno);
	if (w->error < 0)
		return;
	state_put_int(w, size, 4);
	state_put(w, xsave, size);
}

static void load_xsave(const struct vcpu *vcpu, struct state_reader *r)
{
	const size_t size = xsave_size(vcpu);
	AUTO_FREE void *xsave = size <= XSAVE_MAX ? calloc(1, size) : NULL;

	if (!xsave)
		state_fail(r, -ENOMEM);
	if (state_get_int(r, 4) != size)
		state_fail(r, -ESTALE);
	if (r->error < 0)
		return;
	state_get(r, xsave, size);
	if (r->error == 0 && ioctl(vcpu->fd, KVM_SET_XSAVE, xsave) < 0)
		state_fail(r, -errno);
}

/* Set otherwise, or not at all. */
static bool is_special(uint32_t msr)
{
	return msr == MSR_TSC || msr == MSR_TSC_DEADLINE || msr == MSR_WALL_CLOCK ||
	       msr == MSR_WALL_CLOCK_OLD || msr == MSR_ASYNC_PF_EN;
}

/* One MSR; false: KVM has none of that number for this guest. */
static bool get_msr(const struct vcpu *vcpu, uint32_t index, uint64_t *out)
{
	union {
		struct kvm_msrs msrs;
		uint8_t room[sizeof(struct kvm_msrs) + sizeof(struct kvm_msr_entry)];
	} one = {.msrs = {.nmsrs = 1}};

	one.msrs.entries[0].index = index;
	if (ioctl(vcpu->fd, KVM_GET_MSRS, &one) != 1)
		return false;
	*out = one.msrs.entries[0].data;
	return true;
}

static void save_msr(const struct vcpu *vcpu, uint32_t index, struct state_writer *w)
{
	uint64_t value;

	if (!get_msr(vcpu, index, &value))
		return;
	state_put_int(w, index, 4);
	state_put_int(w, value, 8);
}

/* Ended by index 0, which is no MSR of a guest's state. What has an order of its own comes last. */
static void save_msrs(const struct vcpu *vcpu, struct state_writer *w)
{
	AUTO_FREE struct kvm_msr_list *list =
		calloc(1, sizeof(*list) + MSRS_MAX * sizeof(list->indices[0]));

	if (!list) {
		state_refuse(w, -ENOMEM);
		return;
	}
	list->nmsrs = MSRS_MAX;
	if (ioctl(vcpu->vm->kvm_fd, KVM_GET_MSR_INDEX_LIST, list) < 0)
		state_refuse(w, -errno);
	for (uint32_t i = 0; w->error == 0 && i < list->nmsrs; i++)
		if (!is_special(list->indices[i]) && list->indices[i] != 0)
			save_msr(vcpu, list->indices[i], w);
	/* Its interrupt is set by now. */
	save_msr(vcpu, MSR_ASYNC_PF_EN, w);
	state_put_int(w, 0, 4);
}

static void load_msrs(const struct vcpu *vcpu, struct state_reader *r)
{
	AUTO_FREE struct kvm_msrs *msrs =
		calloc(1, sizeof(*msrs) + MSRS_MAX * sizeof(msrs->entries[0]));
	uint32_t index;
	int n;

	if (!msrs) {
		state_fail(r, -ENOMEM);
		return;
	}
	while ((index = (uint32_t)state_get_int(r, 4)) != 0) {
		if (msrs->nmsrs == MSRS_MAX || (is_special(index) && index != MSR_ASYNC_PF_EN)) {
			state_fail(r, -EBADMSG);
			return;
		}
		msrs->entries[msrs->nmsrs++] = (struct kvm_msr_entry){
			.index = index,
			.data = state_get_int(r, 8),
		};
	}
	if (r->error < 0)
		return;
	n = ioctl(vcpu->fd, KVM_SET_MSRS, msrs);
	if (n != (int)msrs->nmsrs)
		state_fail(r, n < 0 ? -errno : -ESTALE);
}

static int tsc_offset(const struct vcpu *vcpu, unsigned long request, uint64_t *offset)
{
	struct kvm_device_attr attr = {
		.group = KVM_VCPU_TSC_CTRL,
		.attr = KVM_VCPU_TSC_OFFSET,
		.addr = (uintptr_t)offset,
	};

	return ioctl(vcpu->fd, request, &attr) < 0 ? -errno : 0;
}

static void save_timers(const struct vcpu *vcpu, struct state_writer *w)
{
	uint64_t offset = 0, deadline = 0;

	if (tsc_offset(vcpu, KVM_GET_DEVICE_ATTR, &offset) < 0)
		state_refuse(w, -EOPNOTSUPP);
	state_put_int(w, offset, 8);
	state_put_int(w, get_msr(vcpu, MSR_TSC_DEADLINE, &deadline) ? deadline : 0, 8);
}

/* `passed`: ticks of the host's counter since the state was saved, which the guest is not to see. */
static void load_timers(const struct vcpu *vcpu, uint64_t passed, struct state_reader *r)
{
	uint64_t offset = state_get_int(r, 8) - passed;
	const uint64_t deadline = state_get_int(r, 8);
	union {
		struct kvm_msrs msrs;
		uint8_t room[sizeof(struct kvm_msrs) + sizeof(struct kvm_msr_entry)];
	} one = {.msrs = {.nmsrs = 1}};
	int error;

	if (r->error < 0)
		return;
	error = tsc_offset(vcpu, KVM_SET_DEVICE_ATTR, &offset);
	one.msrs.entries[0] = (struct kvm_msr_entry){.index = MSR_TSC_DEADLINE, .data = deadline};
	if (error == 0 && deadline != 0 && ioctl(vcpu->fd, KVM_SET_MSRS, &one) != 1)
		error = -ESTALE;
	if (error < 0)
		state_fail(r, error);
}

static void vcpu_save(const struct vcpu *vcpu, struct state_writer *w)
{
	state_put_mark(w, MARK_VCPU);
	state_put_int(w, vcpu->cpuid_sum, 8);
	for (size_t i = 0; i < ARRAY_SIZE(early_parts); i++)
		save_part(vcpu->fd, &early_parts[i], w);
	save_xsave(vcpu, w);
	save_msrs(vcpu, w);
	save_timers(vcpu, w);
	save_part(vcpu->fd, &events, w);
}

static void vcpu_load(const struct vcpu *vcpu, uint64_t passed, struct state_reader *r)
{
	state_get_mark(r, MARK_VCPU);
	if (state_get_int(r, 8) != vcpu->cpuid_sum)
		state_fail(r, -ESTALE);
	for (size_t i = 0; i < ARRAY_SIZE(early_parts); i++)
		load_part(vcpu->fd, &early_parts[i], r);
	load_xsave(vcpu, r);
	load_msrs(vcpu, r);
	load_timers(vcpu, passed, r);
	load_part(vcpu->fd, &events, r);
}

static void save_chips(const struct vm *vm, struct state_writer *w)
{
	struct kvm_clock_data clock = {0};

	state_put_mark(w, MARK_CHIPS);
	for (uint32_t id = 0; id < KVM_NR_IRQCHIPS; id++) {
		struct kvm_irqchip chip = {.chip_id = id};

		if (ioctl(vm->vm_fd, KVM_GET_IRQCHIP, &chip) < 0)
			state_refuse(w, -errno);
		state_put(w, &chip, sizeof(chip));
	}
	if (ioctl(vm->vm_fd, KVM_GET_CLOCK, &clock) < 0)
		state_refuse(w, -errno);
	state_put_int(w, clock.clock, 8);
}

static void load_chips(const struct vm *vm, struct state_reader *r)
{
	struct kvm_clock_data clock = {0};

	state_get_mark(r, MARK_CHIPS);
	for (uint32_t id = 0; id < KVM_NR_IRQCHIPS; id++) {
		struct kvm_irqchip chip = {0};

		state_get(r, &chip, sizeof(chip));
		if (r->error == 0 && chip.chip_id != id)
			state_fail(r, -EBADMSG);
		if (r->error == 0 && ioctl(vm->vm_fd, KVM_SET_IRQCHIP, &chip) < 0)
			state_fail(r, -errno);
	}
	/* Without KVM_CLOCK_REALTIME: with it the guest's monotonic clock would leap. */
	clock.clock = state_get_int(r, 8);
	if (r->error == 0 && ioctl(vm->vm_fd, KVM_SET_CLOCK, &clock) < 0)
		state_fail(r, -errno);
}

static uint64_t tsc_khz(const struct vcpu *vcpu)
{
	const int khz = ioctl(vcpu->fd, KVM_GET_TSC_KHZ);

	return khz > 0 ? (uint64_t)khz : 0;
}

void kvm_state_save(struct vm *vm, struct vcpu *const *vcpus, unsigned int n,
		    struct state_writer *w)
{
	state_put_mark(w, MARK_VM);
	state_put_int(w, n, 4);
	state_put_int(w, tsc_khz(vcpus[0]), 8);
	state_put_int(w, __rdtsc(), 8);
	for (unsigned int i = 0; i < n; i++)
		vcpu_save(vcpus[i], w);
	save_chips(vm, w);
}

void kvm_state_load(struct vm *vm, struct vcpu *const *vcpus, unsigned int n,
		    struct state_reader *r)
{
	uint64_t khz, here = tsc_khz(vcpus[0]), passed;

	state_get_mark(r, MARK_VM);
	if (state_get_int(r, 4) != n)
		state_fail(r, -ESTALE);
	khz = state_get_int(r, 8);
	if ((here > khz ? here - khz : khz - here) > here / (1000000 / TSC_PPM))
		state_fail(r, -ESTALE);
	/* One value for all CPUs, whose counters agree. */
	passed = __rdtsc() - state_get_int(r, 8);
	for (unsigned int i = 0; r->error == 0 && i < n; i++)
		vcpu_load(vcpus[i], passed, r);
	load_chips(vm, r);
}

void kvm_state_resumed(struct vcpu *const *vcpus, unsigned int n)
{
	/* A guest without that clock has no use for it. */
	for (unsigned int i = 0; i < n; i++)
		(void)ioctl(vcpus[i]->fd, KVM_KVMCLOCK_CTRL, 0);
}
