/* SPDX-License-Identifier: MIT */
/* vmm/kvm/vm.h - a KVM virtual machine: its memory, its interrupts, its doorbells. */
#ifndef VMM_KVM_VM_H
#define VMM_KVM_VM_H

#include <pthread.h>
#include <stdint.h>

#include "common/util.h"
#include "devices/board/guest_mem.h"
#include "devices/board/ram.h"
#include "devices/board/wiring.h"

enum { VM_MAX_MSI = 128, VM_MAX_WINDOWS = 4 };

struct vm {
	struct wiring wiring;
	int kvm_fd; /* owned */
	int vm_fd;
	uint32_t spin_ns; /* the host's own setting; 0: unknown, or none */
	struct ram ram;
	struct guest_mem mem;
	gpa_t windows[VM_MAX_WINDOWS]; /* read-only memory slots, behind those of RAM */
	unsigned int n_windows;

	pthread_mutex_t route_lock;
	struct kvm_irq_routing *routes;
	unsigned int n_msi;
	bool routes_held;
};

struct ram_template;

/*
 * `kvm_fd` is an open /dev/kvm, taken over also on failure. `memory` is a
 * multiple of 4 KiB, and what `ram` has of it is there; NULL: nothing. On failure one line has been
 * logged, but for -ESTALE: what `ram` has cannot be mapped.
 */
int vm_new(int kvm_fd, uint64_t memory, const struct ram_template *ram, struct vm **out) MUST_CHECK;
void vm_free(struct vm *vm); /* NULL and half-built are fine */

/*
 * From here on interrupts get their routes all at once, when vm_commit_routes() says so: KVM takes
 * the whole table each time, and waits for its readers.
 */
void vm_hold_routes(struct vm *vm);
int vm_commit_routes(struct vm *vm) MUST_CHECK;

/*
 * Sets whether KVM spins for a moment before a CPU of the guest that has nothing to do
 * sleeps, as it does from the start: faster to wake, and power for nothing on a
 * battery. Any thread; a host that cannot be told stays as it is.
 */
void vm_spin(struct vm *vm, bool on);

#endif
