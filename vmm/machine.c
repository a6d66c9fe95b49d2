/* SPDX-License-Identifier: MIT */
/*
 * DOC: the whole machine
 *
 * This file is where the sandbox is put together, device by device, and the
 * only one that names concrete models. The order of the PCI devices is guest
 * ABI: it gives them their numbers. machine_free() is machine_build() backwards.
 */
#include "vmm/machine_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>

#include "balloon/balloon.h"
#include "balloon/keeper.h"
#include "battery/battery.h"
#include "battery/source.h"
#include "common/agent_protocol.h"
#include "common/log.h"
#include "devices/acpi_events.h"
#include "devices/board/bus.h"
#include "devices/console.h"
#include "devices/fs/fs.h"
#include "devices/input.h"
#include "devices/net.h"
#include "devices/rng.h"
#include "devices/serial.h"
#include "devices/virtio/pci.h"
#include "devices/vsock/vsock.h"
#include "vmm/config/timeline.h"
#include "vmm/guest_kernel.h"
#include "vmm/kvm/x86/layout.h"
#include "vmm/net/supervisor.h"
#include "vmm/renderer.h"
#include "vmm/snapshot/snapshot.h"
#include "vmm/session/shares.h"

/* Before a network process that has ended is followed by the first other one. */
enum { NET_PAUSE_MS = 100 };

static const char *const side_names[SIDES] = {
	[SIDE_FILES] = "files",
	[SIDE_POWER] = "power",
	[SIDE_NET] = "net",
	[SIDE_DISPLAY] = "display",
};

static void acpi_requested(void *owner, enum acpi_request request)
{
	struct machine *m = owner;
	struct machine_end end = {
		.kind = request == ACPI_REQUEST_POWER_OFF ? MACHINE_POWERED_OFF : MACHINE_RESET,
	};

	end_notice_give(&m->end, &end);
}

static void vcpu_ended(void *owner, unsigned int index, enum vcpu_end why, uint64_t detail)
{
	struct machine *m = owner;
	struct machine_end end = {.kind = MACHINE_FAILED};

	vcpu_end_text(index, why, detail, end.why, sizeof(end.why));
	end_notice_give(&m->end, &end);
}

static void side_failed(void *owner, const char *name, int error)
{
	struct machine *m = owner;
	struct machine_end end = {.kind = MACHINE_FAILED};

	snprintf(end.why, sizeof(end.why), "the loop of thread '%s' failed: %s", name,
		 strerror(error));
	end_notice_give(&m->end, &end);
}

/* A file behind a DAX window may have become shorter; which one is not told. */
static bool vcpu_faulted(void *owner)
{
	const struct machine *m = owner;
	const bool base = file_server_mend_window(&m->base);
	const bool maps = file_server_mend_window(&m->maps);

	return base || maps;
}

static const struct vcpu_ops vcpu_ops = {
	.begins = machine_begin_vcpu, .ended = vcpu_ended, .faulted = vcpu_faulted};

static void log_output(void *owner, const void *buf, size_t len)
{
	guest_log_add(owner, buf, len);
}

/* Takes fn over, also on failure. */
static int add_function(struct machine *m, struct pci_function *fn)
{
	if (m->n_functions == MACHINE_MAX_FUNCTIONS) {
		fn->ops->destroy(fn);
		return -ENOSPC;
	}
	m->functions[m->n_functions++] = fn;
	return pci_bus_add(&m->pci, fn);
}

/* Takes vdev over, also on failure. Its queues are served on `loop`. */
static int add_virtio(struct machine *m, struct virtio_device *vdev, struct loop *loop)
{
	struct pci_function *fn;
	int r = virtio_pci_new(vdev, &m->vm->mem, &m->vm->wiring, &fn);

	if (r == 0)
		r = add_function(m, fn);
	if (r == 0)
		r = virtio_pci_connect(fn, loop);
	return r;
}

static int add_serial(struct machine *m)
{
	int r = serial_new(log_output, m->log, &m->serial);

	return r < 0 ? r : bus_map(m->pio, SERIAL_PORT, SERIAL_PORTS, m->serial, 0);
}

static int add_acpi_events(struct machine *m)
{
	int r = acpi_events_new(&m->vm->wiring, GSI_ACPI_EVENT, acpi_requested, m, &m->acpi_events);

	return r < 0 ? r : bus_map(m->pio, ACPI_EVENT_PORT, ACPI_EVENT_PORTS, m->acpi_events, 0);
}

/* On the thread of the power supplies. */
static void power_changed(void *owner, bool on_battery)
{
	struct machine *m = owner;

	atomic_store(&m->on_battery, on_battery);
	vm_spin(m->vm, !on_battery);
	log_debug("the host runs on %s", on_battery ? "its battery" : "mains");
}

/* There in any case: a machine without batteries runs on mains. */
static int add_battery(struct machine *m)
{
	struct side_loop *side = &m->sides[SIDE_POWER];
	int r = side_loop_init(side);

	if (r == 0)
		r = battery_new(&m->vm->wiring, GSI_BATTERY, side->loop, power_changed, m,
				&m->battery);
	return r < 0 ? r : bus_map(m->mmio, BATTERY_BASE, BATTERY_SIZE, m->battery, 0);
}

/* Where the battery's values come from: the configuration's `battery`. Logs on failure. */
static int add_power_source(struct machine *m, const char *from)
{
	struct loop *loop = m->sides[SIDE_POWER].loop;
	int r;

	if (from && strcmp(from, "none") == 0)
		return 0;
	if (from && strcmp(from, "host") != 0)
		return power_source_file_new(from, loop, m->battery, &m->power);
	r = power_source_host_new(loop, m->battery, &m->power);
	if (r < 0)
		log_error("cannot read the host's power supplies: %s; try --battery none",
			  strerror(-r));
	return r;
}

static int add_host_bridge(struct machine *m)
{
	static const struct pci_windows windows = {
		.ecam = ECAM_BASE,
		.base32 = PCI_MMIO_BASE,
		.len32 = PCI_MMIO_SIZE,
		.base64 = PCI_MMIO64_BASE,
		.len64 = PCI_MMIO64_SIZE,
	};
	struct pci_function *bridge;
	int r;

	pci_bus_init(&m->pci, m->mmio, &windows);
	r = pci_host_bridge_new(&bridge);
	return r < 0 ? r : add_function(m, bridge);
}

static int add_vsock(struct machine *m)
{
	struct virtio_device *vdev = NULL;
	int r = virtio_vsock_new(&vdev, &m->vsock);

	return r < 0 ? r : add_virtio(m, vdev, m->loop);
}

/* Takes server over, also on failure. */
static int add_file_server(struct machine *m, const char *tag, struct fs_server *server,
			   struct file_server *out)
{
	struct virtio_device *vdev = NULL;
	int r = virtio_fs_new(tag, server, &vdev);

	if (r == 0)
		r = add_virtio(m, vdev, m->sides[SIDE_FILES].loop);
	if (r == 0) {
		out->server = server;
		out->device = &m->functions[m->n_functions - 1]->dev;
	}
	return r;
}

/* The base image apart from the maps, since it has no extended attributes: see fs.h. */
static int add_files(struct machine *m, const struct machine_setup *setup)
{
	struct fs_server *server;
	int r = side_loop_init(&m->sides[SIDE_FILES]);

	if (r == 0)
		r = file_server_new_base(setup, &server);
	if (r == 0)
		r = add_file_server(m, SC_FS_TAG, server, &m->base);
	if (r == 0)
		r = file_server_new_maps(setup, &server);
	if (r == 0)
		r = add_file_server(m, SC_FS_MAPS_TAG, server, &m->maps);
	return r;
}

static int add_rng(struct machine *m)
{
	struct virtio_device *vdev = NULL;
	int r = virtio_rng_new(&vdev);

	return r < 0 ? r : add_virtio(m, vdev, m->loop);
}

static int add_console(struct machine *m)
{
	struct virtio_device *vdev = NULL;
	int r = virtio_console_new(&vdev, &m->console);

	return r < 0 ? r : add_virtio(m, vdev, m->loop);
}

static bool saves_power(void *owner)
{
	struct machine *m = owner;

	return atomic_load(&m->on_battery);
}

static const struct keeper_owner_ops keeper_ops = {
	.saves_power = saves_power,
};

static int add_balloon(struct machine *m)
{
	struct keeper_config keeper = {
		.ram = &m->vm->ram,
		.root = "",
		.owner_ops = &keeper_ops,
		.owner = m,
	};
	struct virtio_device *vdev = NULL;
	int r;

	r = keeper_new(&keeper, &m->keeper);
	if (r == 0)
		r = virtio_balloon_new(&m->vm->mem, &m->vm->ram, m->keeper, &vdev);
	return r < 0 ? r : add_virtio(m, vdev, m->loop);
}

static int add_gpu(struct machine *m, const struct sandbox_config *cfg)
{
	const struct gpu_setup setup = {
		.mem = &m->vm->mem,
		.name = cfg->name,
		.width = cfg->display.width,
		.height = cfg->display.height,
		.input = &display_input_ops,
		.owner = &m->display,
	};
	struct virtio_device *vdev = NULL;
	int r = virtio_gpu_new(&setup, &vdev, &m->display.gpu);

	if (r == 0)
		r = add_virtio(m, vdev, m->sides[SIDE_DISPLAY].loop);
	/* It finds out meanwhile whether it can draw by the host's GPU. */
	if (r == 0)
		renderer_start(m->display.gpu, &m->vm->ram, cfg);
	return r;
}

static int add_input(struct machine *m, enum input_kind kind, input_leds_fn leds,
		     struct input **out)
{
	struct virtio_device *vdev = NULL;
	int r = virtio_input_new(kind, leds, &m->display, &vdev, out);

	return r < 0 ? r : add_virtio(m, vdev, m->sides[SIDE_DISPLAY].loop);
}

/* Without a display in the configuration there is nothing of it, not even a thread. */
static int add_display(struct machine *m, const struct sandbox_config *cfg)
{
	int r = cfg->display.enabled ? side_loop_init(&m->sides[SIDE_DISPLAY]) : 0;

	if (r < 0 || !cfg->display.enabled)
		return r;
	if ((r = add_gpu(m, cfg)) < 0 ||
	    (r = add_input(m, INPUT_KEYBOARD, display_leds, &m->display.keyboard)) < 0 ||
	    (r = add_input(m, INPUT_TABLET, NULL, &m->display.tablet)) < 0)
		return r;
	return add_input(m, INPUT_MOUSE, NULL, &m->display.mouse);
}

static int add_card(struct machine *m, const struct sandbox_config *cfg, int cable)
{
	struct virtio_device *vdev = NULL;
	int r = virtio_net_new(cfg->addresses.mac, cable, &vdev, &m->card);

	return r < 0 ? r : add_virtio(m, vdev, m->sides[SIDE_NET].loop);
}

/* Behind the card is a process that may end before its time. */
static int add_net_process(struct machine *m, const struct sandbox_config *cfg)
{
	const struct net_setup net = {.mode = cfg->network_mode, .own = cfg->addresses};
	struct net_supervisor_setup setup = {
		.loop = m->loop,
		.ask = net_keeper_ask,
		.pause_ms = NET_PAUSE_MS,
	};
	pid_t pid;
	int r = net_keeper_start(&net, &m->net_line, &pid);

	if (r == 0)
		r = net_keeper_ask(m->net_line, &m->net_cable);
	if (r == 0)
		r = add_card(m, cfg, m->net_cable);
	if (r < 0)
		return r;
	setup.line = m->net_line;
	setup.card = m->card;
	setup.card_loop = m->sides[SIDE_NET].loop;
	return net_supervisor_new(&setup, &m->net_supervisor);
}

/* On the card's thread. */
static void tap_is_gone(void *owner)
{
	(void)owner;
	log_warn("the tap of the sandbox's network is gone; its link is down from here on");
}

/* Behind the card is what the configuration has opened, which stays the configuration's. */
static int add_tap(struct machine *m, const struct sandbox_config *cfg)
{
	int cable = fcntl(cfg->tap, F_DUPFD_CLOEXEC, 3);
	int r = cable < 0 ? -errno : add_card(m, cfg, cable);

	if (r == 0)
		net_device_on_unplug(m->card, tap_is_gone, NULL);
	return r;
}

/* Only where the sandbox has a network: neither device nor process otherwise. */
static int add_network(struct machine *m, const struct sandbox_config *cfg)
{
	int r;

	if (cfg->network_mode == NETWORK_NONE)
		return 0;
	r = side_loop_init(&m->sides[SIDE_NET]);
	if (r < 0)
		return r;
	return network_has_process(cfg->network_mode) ? add_net_process(m, cfg) : add_tap(m, cfg);
}

static int add_vcpus(struct machine *m, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		int r = vcpu_new(m->vm, i, n, m->mmio, m->pio, &vcpu_ops, m, &m->vcpus[i]);

		if (r < 0)
			return r;
		m->n_vcpus = i + 1;
	}
	return 0;
}

static int load_kernel(struct machine *m, const struct machine_setup *setup)
{
	const struct guest_kernel guest = {
		.config = setup->config,
		.kernel = setup->kernel,
		.agent = setup->agent,
		.mem = &m->vm->mem,
		.vcpu = m->vcpus[0],
		.timeline = m->timeline,
	};

	return guest_kernel_load(&guest);
}

static int add_devices(struct machine *m, const struct machine_setup *setup)
{
	int r;

	/* Two address spaces the vCPUs exit into. */
	if ((r = bus_new(&m->mmio)) < 0 || (r = bus_new(&m->pio)) < 0)
		return r;

	/* What the kernel finds by the ACPI tables. */
	if ((r = add_serial(m)) < 0 || (r = add_acpi_events(m)) < 0 || (r = add_battery(m)) < 0)
		return r;

	/* PCI, in the order of their numbers. */
	if ((r = add_host_bridge(m)) < 0 || (r = add_vsock(m)) < 0 ||
	    (r = add_files(m, setup)) < 0 || (r = add_rng(m)) < 0 || (r = add_console(m)) < 0 ||
	    (r = add_balloon(m)) < 0 || (r = add_display(m, setup->config)) < 0 ||
	    (r = add_network(m, setup->config)) < 0)
		return r;

	/* The buses are final from here on. */
	r = pci_bus_show(&m->pci, &m->vm->wiring);
	return r < 0 ? r : add_vcpus(m, setup->config->cpus);
}

/*
 * What the guest has open is closed on the thread of the files: to close a file on the host can
 * take as long as to read one. Nothing comes from the guest any more, or only to be forgotten.
 */
static void forget_files(void *owner)
{
	const struct machine *m = owner;

	file_server_forget(&m->maps);
}

/* What it starts with: the template's state, or a kernel. */
static int fill(struct machine *m, const struct machine_setup *setup)
{
	int r;

	if (!setup->snapshot)
		return load_kernel(m, setup);
	r = machine_load(m, setup->snapshot);
	if (r < 0)
		log_debug("the template's state does not fit: %s", strerror(-r));
	return r < 0 ? -ESTALE : 0;
}

int machine_build(const struct machine_setup *setup, struct machine **out)
{
	struct machine *m = calloc(1, sizeof(*m));
	int r;

	if (!m) {
		close(setup->kvm_fd);
		log_error("cannot build the machine: %s", strerror(ENOMEM));
		return -ENOMEM;
	}
	m->loop = setup->loop;
	m->log = setup->log;
	m->timeline = setup->timeline;
	m->net_line = -1;
	for (unsigned int i = 0; i < SIDES; i++)
		m->sides[i] = (struct side_loop){
			.name = side_names[i],
			.failed = side_failed,
			.first = machine_begin_side,
			.owner = m,
		};
	m->sides[SIDE_FILES].last = forget_files;

	r = vm_new(setup->kvm_fd, setup->config->memory,
		   setup->snapshot ? &setup->snapshot->ram : NULL, &m->vm);
	if (r < 0)
		goto fail;
	timeline_mark(m->timeline, TIMELINE_SET_UP, "virtual machine, memory");
	r = end_notice_init(&m->end, m->loop, setup->ended, setup->owner);
	if (r == 0)
		r = add_devices(m, setup);
	if (r < 0) {
		log_error("cannot build the machine: %s; see 'sandcastle doctor'", strerror(-r));
		goto fail;
	}
	timeline_mark(m->timeline, TIMELINE_SET_UP, "devices, vCPUs");
	r = add_power_source(m, setup->config->battery);
	timeline_mark(m->timeline, TIMELINE_SET_UP, "batteries of the host");
	if (r == 0)
		r = fill(m, setup);
	/* The processes beside it had the time that the kernel took to load. */
	if (r == 0 && m->net_supervisor)
		r = net_process_wait(m->net_cable);
	if (r < 0)
		goto fail;
	if (m->display.gpu)
		renderer_wait(m->display.gpu, setup->config);
	ram_reap(&m->vm->ram);
	/* What reading kernel and modules took from the heap is not needed again. */
	(void)malloc_trim(0);
	*out = m;
	return 0;
fail:
	machine_free(m);
	return r;
}

struct vsock *machine_vsock(struct machine *m)
{
	return m->vsock;
}

struct console *machine_console(struct machine *m)
{
	return m->console;
}

struct balloon_observer *machine_keeper(struct machine *m)
{
	return m->keeper;
}

struct device *machine_battery(struct machine *m)
{
	return m->battery;
}

struct net_device *machine_card(struct machine *m)
{
	return m->card;
}

struct display *machine_display(struct machine *m)
{
	return m->display.gpu ? &m->display : NULL;
}

void machine_files(const struct machine *m, struct shares_files *out)
{
	*out = (struct shares_files){
		.loop = m->sides[SIDE_FILES].loop,
		.server = m->maps.server,
		.lock = &m->maps.device->lock,
	};
}

const struct fs_server *machine_base_files(const struct machine *m)
{
	return m->base.server;
}

void machine_power_button(struct machine *m)
{
	acpi_events_raise(m->acpi_events, ACPI_EVENT_POWER_BUTTON);
}

void machine_free(struct machine *m)
{
	if (!m)
		return;
	for (unsigned int i = 0; i < m->n_vcpus; i++)
		vcpu_free(m->vcpus[i]);
	while (m->n_functions > 0) {
		struct pci_function *fn = m->functions[--m->n_functions];

		fn->ops->destroy(fn);
	}
	pci_bus_fini(&m->pci);
	power_source_free(m->power);
	if (m->battery)
		m->battery->ops->destroy(m->battery);
	for (unsigned int i = 0; i < SIDES; i++)
		side_loop_fini(&m->sides[i]);
	net_supervisor_free(m->net_supervisor);
	if (m->net_line >= 0)
		close(m->net_line);
	if (m->acpi_events)
		m->acpi_events->ops->destroy(m->acpi_events);
	if (m->serial)
		m->serial->ops->destroy(m->serial);
	bus_free(m->pio);
	bus_free(m->mmio);
	end_notice_fini(&m->end);
	timeline_mark(m->timeline, TIMELINE_TEAR_DOWN, "devices, vCPUs");
	vm_free(m->vm);
	timeline_mark(m->timeline, TIMELINE_TEAR_DOWN, "virtual machine, memory");
	free(m);
}
