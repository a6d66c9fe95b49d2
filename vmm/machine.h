/* SPDX-License-Identifier: MIT */
/* vmm/machine.h - the virtual machine, put together. */
#ifndef VMM_MACHINE_H
#define VMM_MACHINE_H

#include "common/loop.h"
#include "image/kernel/kernel.h"
#include "vmm/config/config.h"
#include "vmm/machine_end.h"
#include "vmm/session/guest_log.h"

struct balloon_observer;
struct base_image;
struct console;
struct device;
struct display;
struct fs_server;
struct machine;
struct net_device;
struct snapshot;
struct state_writer;
struct shares_files;
struct timeline;
struct vsock;

struct machine_setup {
	const struct sandbox_config *config;
	int kvm_fd; /* open /dev/kvm, taken over also on failure */
	const struct base_image *base; /* borrowed for the machine's life */
	const struct kernel_image *kernel;
	const struct agent_image *agent;
	struct loop *loop; /* where its devices' events run; borrowed */
	struct guest_log *log; /* borrowed */
	machine_end_fn ended;
	void *owner;
	/*
	 * What the machine goes on from; NULL: it starts its kernel. Borrowed for the call. One
	 * that does not fit is -ESTALE, and no line is logged.
	 */
	const struct snapshot *snapshot;
	struct timeline *timeline; /* borrowed until machine_free() returns */
};

/*
 * Builds the whole machine, ready to run. Everything it needs from the host is
 * opened here. On failure one line has been logged and nothing is left.
 */
int machine_build(const struct machine_setup *setup, struct machine **out) MUST_CHECK;

/* Handles of its parts, valid as long as the machine. Where host-side services listen: */
struct vsock *machine_vsock(struct machine *m);
/* The guest's console, hvc0; whoever wants to hear of it says so before machine_start(). */
struct console *machine_console(struct machine *m);
/* What knows about memory (balloon/keeper.h); listeners as those of the console. */
struct balloon_observer *machine_keeper(struct machine *m);
/* What the guest knows of power (battery/battery.h). */
struct device *machine_battery(struct machine *m);
/* The guest's screen, keyboard and pointers (gpu/display.h); NULL: it has none. */
struct display *machine_display(struct machine *m);
/* The guest's network card (devices/net.h); NULL: it has none. */
struct net_device *machine_card(struct machine *m);
/* The file server, whose exports may be changed from then on. */
void machine_files(const struct machine *m, struct shares_files *out);
/* That of the base image, for its figures. */
const struct fs_server *machine_base_files(const struct machine *m);

/*
 * The seal point: starts threads and vCPUs, each of which makes only the calls that
 * vmm/confine/policy.def has for it, as the caller does from here on. `is_parked`: the guest will be
 * looked into by machine_save(), until machine_go_on(). Logs on failure.
 */
int machine_start(struct machine *m, bool is_parked) MUST_CHECK;

/*
 * Has all vCPUs leave the guest, and lets them go on: devices and loops go on with what is under way.
 * machine_pause(): -ETIMEDOUT if some have not left within 0.9 s; call it again then. Loop thread.
 */
int machine_pause(struct machine *m) MUST_CHECK;
int machine_go_on(struct machine *m) MUST_CHECK;
/*
 * Writes a paused machine's state, but for its RAM, into w. w->error is -EBUSY while a request is at
 * work, -EOPNOTSUPP where a device cannot be written down.
 */
void machine_save(struct machine *m, struct state_writer *w);
/* Its RAM: [*host, *host + *size), kept in file *fd. */
void machine_ram(const struct machine *m, const uint8_t **host, uint64_t *size, int *fd);

/* What pressing the power button does. Loop thread. */
void machine_power_button(struct machine *m);

/*
 * Stops all vCPUs, then the other threads; what the guest had open is closed. -ETIMEDOUT: within
 * 0.9 s not all threads came to rest, because the host does not answer one of them. No vCPU
 * enters the guest any more then, and the machine cannot be freed: the process is to end.
 */
int machine_stop(struct machine *m) MUST_CHECK;
/* Of a machine that was stopped, or never started. NULL and half-built are fine. */
void machine_free(struct machine *m);

#endif
