/* SPDX-License-Identifier: MIT */
/* vmm/machine.h - the virtual machine, put together. */
#ifndef VMM_MACHINE_H
#define VMM_MACHINE_H

#include "common/loop.h"
#include "image/kernel/kernel.h"
#include "vmm/config/config.h"
#include "vmm/session/guest_log.h"

struct figures;
struct machine;
struct shares_files;
struct timeline;
struct vsock;

/* How a machine came to its end by itself. */
enum machine_end_kind {
	MACHINE_POWERED_OFF,
	MACHINE_RESET, /* reboot; also after a panic, see guest_log_panic() */
	MACHINE_FAILED,
};

struct machine_end {
	enum machine_end_kind kind;
	char why[160]; /* MACHINE_FAILED: cause and cure, one line */
};

/* On the loop's thread, at most once. */
typedef void (*machine_end_fn)(void *owner, const struct machine_end *end);

struct base_image;

struct machine_setup {
	const struct sandbox_config *config;
	int kvm_fd; /* open /dev/kvm, taken over also on failure */
	const struct base_image *base; /* borrowed for the machine's life */
	const struct kernel_image *kernel;
	const struct agent_image *agent;
	struct loop *loop; /* where its devices' events run; borrowed */
	struct guest_log *log; /* borrowed */
	machine_end_fn ended;
	/* The loop's thread, the balloon's lock held: as keeper_owner_ops has it. */
	void (*pressure)(void *owner, bool squeezing);
	/* The loop's thread, the console's lock held: console_ops has what they are. */
	void (*console_output)(void *owner, const void *buf, size_t len);
	void (*console_room)(void *owner);
	void *owner;
	struct timeline *timeline; /* borrowed until machine_free() returns */
};

/*
 * Builds the whole machine, ready to run. Everything it needs from the host is
 * opened here. On failure one line has been logged and nothing is left.
 */
int machine_build(const struct machine_setup *setup, struct machine **out) MUST_CHECK;

/* Where host-side services listen; valid as long as the machine. */
struct vsock *machine_vsock(struct machine *m);

/* Its file server, whose exports may be changed from then on; valid as long as the machine. */
void machine_files(const struct machine *m, struct shares_files *out);

/* The seal point: starts threads and vCPUs. Logs on failure. */
int machine_start(struct machine *m) MUST_CHECK;

/* What pressing the power button does. Loop thread. */
void machine_power_button(struct machine *m);

/*
 * Figures about memory and power, as --stats has them, by one call of fn on the loop's thread, now or within a
 * second (balloon/keeper.h). fn must not call the machine. Loop thread.
 */
typedef void (*machine_memory_fn)(void *owner, const struct figures *figures);
void machine_ask_memory(struct machine *m, machine_memory_fn fn, void *owner);
/* Bytes of guest memory that the host has given. Any thread. */
uint64_t machine_resident(const struct machine *m);

/* The guest's console, hvc0; as console_input() and console_resize(). Loop thread. */
size_t machine_console_input(struct machine *m, const void *buf, size_t len);
void machine_console_resize(struct machine *m, uint16_t rows, uint16_t columns);

/* Stops everything, then frees it. NULL and half-built are fine. */
void machine_free(struct machine *m);

#endif
