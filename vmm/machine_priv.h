/* SPDX-License-Identifier: MIT */
/* vmm/machine_priv.h - the parts of a machine, for the files that build, stop and write it down. */
#ifndef VMM_MACHINE_PRIV_H
#define VMM_MACHINE_PRIV_H

#include <stdatomic.h>

#include "devices/board/pci.h"
#include "gpu/display.h"
#include "vmm/file_servers.h"
#include "vmm/kvm/vcpu.h"
#include "vmm/kvm/vm.h"
#include "vmm/machine.h"
#include "vmm/start_line.h"
#include "vmm/threads.h"

struct net_supervisor;
struct power_source;

enum { MACHINE_MAX_FUNCTIONS = 16 };

/* What has a thread of its own beside the vCPUs. */
enum side {
	/* The file server blocks on the host's disks. */
	SIDE_FILES,
	/* The host's power supplies block on its firmware. */
	SIDE_POWER,
	/* Frames of a network are many, and none of them is to keep a terminal waiting. */
	SIDE_NET,
	/* Copying pictures takes its time. */
	SIDE_DISPLAY,
	SIDES,
};

struct machine {
	struct loop *loop;
	struct guest_log *log;
	struct timeline *timeline;
	struct console *console;

	struct vm *vm;
	struct bus *mmio, *pio;
	struct device *serial;
	struct device *acpi_events;
	struct device *battery;
	struct power_source *power;
	atomic_bool on_battery;
	struct pci_bus pci;
	struct pci_function *functions[MACHINE_MAX_FUNCTIONS];
	unsigned int n_functions;
	struct vsock *vsock;

	struct side_loop sides[SIDES]; /* those of what the machine does not have stay empty */
	int net_line; /* to the keeper of network processes; -1: there is none */
	int net_cable; /* to the network process, until it is ready; the card's own */
	struct net_device *card; /* NULL: there is no network */
	struct net_supervisor *net_supervisor; /* NULL: there is no process behind it */
	struct file_server base, maps;
	struct display display; /* empty if the configuration has none */

	struct balloon_observer *keeper; /* the balloon's own */

	struct vcpu *vcpus[CONFIG_MAX_CPUS];
	unsigned int n_vcpus;

	struct start_line start;
	struct end_notice end;
};

/* Takes over what the snapshot has; the rest of struct machine_setup has been done. */
int machine_load(struct machine *m, const struct snapshot *from) MUST_CHECK;
/* What vCPUs and side loops do first: they are confined, and wait for the others. */
int machine_begin_vcpu(void *machine) MUST_CHECK;
int machine_begin_side(struct side_loop *side) MUST_CHECK;

#endif
