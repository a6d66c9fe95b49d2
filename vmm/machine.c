/* SPDX-License-Identifier: MIT */
/*
 * DOC: the whole machine
 *
 * This file is where the sandbox is put together, device by device, and the
 * only one that names concrete models. The order of the PCI devices is guest
 * ABI: it gives them their numbers. machine_free() is machine_build() backwards.
 */
#include "vmm/machine.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "balloon/balloon.h"
#include "balloon/keeper.h"
#include "battery/battery.h"
#include "battery/source.h"
#include "common/agent_protocol.h"
#include "common/join.h"
#include "common/log.h"
#include "devices/acpi_events.h"
#include "devices/board/bus.h"
#include "devices/board/pci.h"
#include "devices/console.h"
#include "devices/fs/fs.h"
#include "devices/input.h"
#include "devices/net.h"
#include "devices/rng.h"
#include "devices/serial.h"
#include "devices/virtio/pci.h"
#include "devices/vsock/vsock.h"
#include "gpu/display.h"
#include "image/base/base.h"
#include "vmm/config/timeline.h"
#include "vmm/guest_kernel.h"
#include "vmm/kvm/vcpu.h"
#include "vmm/kvm/vm.h"
#include "vmm/kvm/x86/layout.h"
#include "vmm/net/process.h"
#include "vmm/session/shares.h"
#include "vmm/threads.h"

enum {
	MACHINE_MAX_FUNCTIONS = 16,
	/* How long all threads together have to come to rest: 0.9 s. */
	STOP_SLICES = 900 / JOIN_SLICE_MS,
};

#define DAX_WINDOW_MAX (512ull << 20)

/* A virtio-fs device. */
struct file_server {
	struct fs_server *server; /* the device's */
	struct device *device;
};

struct machine {
	struct loop *loop;
	struct guest_log *log;
	struct timeline *timeline;
	machine_end_fn ended;
	void *owner;
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

	/* The file server blocks on the host's disks: its queues have a thread of their own. */
	struct side_loop files;
	/* The host's power supplies block on its firmware. */
	struct side_loop power_loop;
	/* Frames of a network are many, and none of them is to keep a terminal waiting. */
	struct side_loop net_loop;
	int net_cable; /* to the network process, until it is ready; the card's own */
	struct file_server base, maps;
	/* Copying pictures takes its time; both are there only if the configuration has a display. */
	struct side_loop display_loop;
	struct display display;

	struct balloon_observer *keeper; /* the balloon's own */

	struct vcpu *vcpus[CONFIG_MAX_CPUS];
	unsigned int n_vcpus;

	/* The first end wins; the loop thread hears of it through the eventfd. */
	pthread_mutex_t end_lock;
	bool has_ended;
	struct machine_end end;
	struct loop_source end_event;
};

/* Any thread. */
static void machine_end_with(struct machine *m, const struct machine_end *end)
{
	pthread_mutex_lock(&m->end_lock);
	if (!m->has_ended) {
		m->has_ended = true;
		m->end = *end;
		(void)!eventfd_write(m->end_event.fd, 1);
	}
	pthread_mutex_unlock(&m->end_lock);
}

static void end_event_run(struct loop_source *src, uint32_t events)
{
	struct machine *m = CONTAINER_OF(src, struct machine, end_event);

	(void)events;
	loop_remove(src);
	m->ended(m->owner, &m->end);
}

static void acpi_requested(void *owner, enum acpi_request request)
{
	struct machine_end end = {
		.kind = request == ACPI_REQUEST_POWER_OFF ? MACHINE_POWERED_OFF : MACHINE_RESET,
	};

	machine_end_with(owner, &end);
}

static void vcpu_ended(void *owner, unsigned int index, enum vcpu_end why, uint64_t detail)
{
	struct machine_end end = {.kind = MACHINE_FAILED};

	vcpu_end_text(index, why, detail, end.why, sizeof(end.why));
	machine_end_with(owner, &end);
}

static void side_failed(void *owner, const char *name, int error)
{
	struct machine_end end = {.kind = MACHINE_FAILED};

	snprintf(end.why, sizeof(end.why), "the loop of thread '%s' failed: %s", name,
		 strerror(error));
	machine_end_with(owner, &end);
}

static bool mend_window(const struct file_server *files)
{
	bool mended;

	pthread_mutex_lock(&files->device->lock);
	mended = fs_server_mend_window(files->server);
	pthread_mutex_unlock(&files->device->lock);
	return mended;
}

/* A file behind a DAX window may have become shorter; which one is not told. */
static bool vcpu_faulted(void *owner)
{
	const struct machine *m = owner;
	const bool base = mend_window(&m->base), maps = mend_window(&m->maps);

	return base || maps;
}

static const struct vcpu_ops vcpu_ops = {.ended = vcpu_ended, .faulted = vcpu_faulted};

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
	int r = side_loop_init(&m->power_loop);

	if (r == 0)
		r = battery_new(&m->vm->wiring, GSI_BATTERY, m->power_loop.loop, power_changed, m,
				&m->battery);
	return r < 0 ? r : bus_map(m->mmio, BATTERY_BASE, BATTERY_SIZE, m->battery, 0);
}

/* Where the battery's values come from: the configuration's `battery`. Logs on failure. */
static int add_power_source(struct machine *m, const char *from)
{
	int r;

	if (from && strcmp(from, "none") == 0)
		return 0;
	if (from && strcmp(from, "host") != 0)
		return power_source_file_new(from, m->power_loop.loop, m->battery, &m->power);
	r = power_source_host_new(m->power_loop.loop, m->battery, &m->power);
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

static int add_map(struct fs_server *server, const struct sandbox_config *cfg, size_t index)
{
	const struct config_map *map = &cfg->maps[index];
	char name[24];
	struct fs_export_config export = {
		.name = name,
		.fd = fcntl(map->fd, F_DUPFD_CLOEXEC, 3),
		.writable = map->writable,
		.cache = FS_CACHE_SHORT,
	};

	if (export.fd < 0)
		return -errno;
	snprintf(name, sizeof(name), "map%zu", index);
	return fs_server_add_export(server, &export);
}

static int add_maps(struct fs_server *server, const struct machine_setup *setup)
{
	const struct sandbox_config *cfg = setup->config;
	int r = 0;

	for (size_t i = 0; r == 0 && i < cfg->n_maps; i++)
		r = add_map(server, cfg, i);
	return r;
}

static int add_base(struct fs_server *server, const struct machine_setup *setup)
{
	struct fs_export_config base = {
		.name = SC_FS_BASE,
		.fd = fcntl(setup->base->root, F_DUPFD_CLOEXEC, 3),
		.cache = FS_CACHE_LONG,
		.index = setup->base->index,
	};
	/* The kernel is not always the host's own, so its modules are not in the image. */
	struct fs_export_config modules = {
		.name = SC_FS_MODULES,
		.fd = open(setup->kernel->modules, O_PATH | O_DIRECTORY | O_CLOEXEC),
		.cache = FS_CACHE_LONG,
	};
	int r = base.fd < 0 || modules.fd < 0 ? -errno : 0;

	if (r == 0)
		r = fs_server_add_export(server, &base);
	else if (base.fd >= 0)
		close(base.fd);
	if (r == 0)
		r = fs_server_add_export(server, &modules);
	else if (modules.fd >= 0)
		close(modules.fd);
	fs_server_freeze(server);
	return r;
}

/*
 * The guest pays 64 bytes of memory for each 4 KiB of the window, and time at its
 * start (docs/decisions/0004-dax-window.md). A power of two, as a BAR is.
 */
static uint64_t dax_window(uint64_t memory)
{
	uint64_t window = DAX_WINDOW_MAX;

	while (window > memory / 4)
		window /= 2;
	return window;
}

typedef int (*exports_fn)(struct fs_server *server, const struct machine_setup *setup);

static int add_file_server(struct machine *m, const struct machine_setup *setup, const char *tag,
			   exports_fn add_exports, uint64_t window, struct file_server *out)
{
	struct virtio_device *vdev = NULL;
	struct fs_server *server = NULL;
	int r = fs_server_new(&server);

	if (r < 0)
		return r;
	fs_server_limit(server, setup->config->memory);
	r = add_exports(server, setup);
	if (r == 0 && !setup->config->no_dax)
		r = fs_server_add_window(server, window);
	if (r < 0) {
		fs_server_free(server);
		return r;
	}
	r = virtio_fs_new(tag, server, &vdev);
	if (r == 0)
		r = add_virtio(m, vdev, m->files.loop);
	if (r == 0) {
		out->server = server;
		out->device = &m->functions[m->n_functions - 1]->dev;
	}
	return r;
}

/* The base image apart from the maps, since it has no extended attributes: see fs.h. */
static int add_files(struct machine *m, const struct machine_setup *setup)
{
	const uint64_t window = dax_window(setup->config->memory);
	int r = side_loop_init(&m->files);

	if (r == 0)
		r = add_file_server(m, setup, SC_FS_TAG, add_base, window, &m->base);
	if (r == 0)
		r = add_file_server(m, setup, SC_FS_MAPS_TAG, add_maps, window / 4, &m->maps);
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

	return r < 0 ? r : add_virtio(m, vdev, m->display_loop.loop);
}

static int add_input(struct machine *m, enum input_kind kind, input_leds_fn leds,
		     struct input **out)
{
	struct virtio_device *vdev = NULL;
	int r = virtio_input_new(kind, leds, &m->display, &vdev, out);

	return r < 0 ? r : add_virtio(m, vdev, m->display_loop.loop);
}

/* Without a display in the configuration there is nothing of it, not even a thread. */
static int add_display(struct machine *m, const struct sandbox_config *cfg)
{
	int r = cfg->display.enabled ? side_loop_init(&m->display_loop) : 0;

	if (r < 0 || !cfg->display.enabled)
		return r;
	if ((r = add_gpu(m, cfg)) < 0 ||
	    (r = add_input(m, INPUT_KEYBOARD, display_leds, &m->display.keyboard)) < 0 ||
	    (r = add_input(m, INPUT_TABLET, NULL, &m->display.tablet)) < 0)
		return r;
	return add_input(m, INPUT_MOUSE, NULL, &m->display.mouse);
}

/* Only where the sandbox has a network: neither device nor process otherwise. */
static int add_network(struct machine *m, const struct sandbox_config *cfg)
{
	const struct net_setup setup = {.mode = cfg->network_mode, .own = cfg->addresses};
	struct virtio_device *vdev = NULL;
	struct net_device *card;
	int r;

	if (cfg->network_mode == NETWORK_NONE)
		return 0;
	r = side_loop_init(&m->net_loop);
	if (r == 0)
		r = net_process_start(&setup, &m->net_cable);
	if (r == 0)
		r = virtio_net_new(cfg->addresses.mac, m->net_cable, &vdev, &card);
	return r < 0 ? r : add_virtio(m, vdev, m->net_loop.loop);
}

/* The network process had the time that the kernel took to load. Logs on failure. */
static int wait_for_network(const struct machine *m, const struct sandbox_config *cfg)
{
	int r = cfg->network_mode == NETWORK_NONE ? 0 : net_process_wait(m->net_cable);

	if (r == -ETIMEDOUT)
		log_error("the network process does not answer; the host may have too much to do");
	return r;
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

static int add_end_event(struct machine *m)
{
	m->end_event = (struct loop_source){
		.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
		.fn = end_event_run,
		.name = "machine-end",
	};
	return m->end_event.fd < 0 ? -errno : loop_add(m->loop, &m->end_event, EPOLLIN);
}

/*
 * What the guest has open is closed on the thread of the files: to close a file on the host can
 * take as long as to read one. Nothing comes from the guest any more, or only to be forgotten.
 */
static void forget_files(void *owner)
{
	const struct machine *m = owner;
	const struct file_server *maps = &m->maps;

	pthread_mutex_lock(&maps->device->lock);
	fs_server_reset(maps->server);
	pthread_mutex_unlock(&maps->device->lock);
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
	m->ended = setup->ended;
	m->owner = setup->owner;
	m->files = (struct side_loop){
		.name = "files", .failed = side_failed, .last = forget_files, .owner = m};
	m->net_loop = (struct side_loop){.name = "net", .failed = side_failed, .owner = m};
	m->power_loop = (struct side_loop){.name = "power", .failed = side_failed, .owner = m};
	m->display_loop = (struct side_loop){.name = "display", .failed = side_failed, .owner = m};
	m->end_event.fd = -1;
	pthread_mutex_init(&m->end_lock, NULL);

	r = vm_new(setup->kvm_fd, setup->config->memory, &m->vm);
	if (r < 0)
		goto fail;
	timeline_mark(m->timeline, TIMELINE_SET_UP, "virtual machine, memory");
	r = add_end_event(m);
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
		r = load_kernel(m, setup);
	if (r == 0)
		r = wait_for_network(m, setup->config);
	if (r < 0)
		goto fail;
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

struct display *machine_display(struct machine *m)
{
	return m->display.gpu ? &m->display : NULL;
}

void machine_files(const struct machine *m, struct shares_files *out)
{
	*out = (struct shares_files){
		.loop = m->files.loop,
		.server = m->maps.server,
		.lock = &m->maps.device->lock,
	};
}

int machine_start(struct machine *m)
{
	int r = threads_small_stacks();

	if (r == 0)
		r = side_loop_start(&m->files);
	/* With --battery none nothing would ever wake it. */
	if (r == 0 && m->power)
		r = side_loop_start(&m->power_loop);
	if (r == 0 && m->net_loop.loop)
		r = side_loop_start(&m->net_loop);

	if (r == 0 && m->display_loop.loop)
		r = side_loop_start(&m->display_loop);
	for (unsigned int i = 0; r == 0 && i < m->n_vcpus; i++) {
		r = vcpu_start(m->vcpus[i]);
		vcpu_add_clock(m->vcpus[i], m->timeline);
	}
	if (r < 0)
		log_error("cannot start the machine's threads: %s", strerror(-r));
	return r;
}

void machine_power_button(struct machine *m)
{
	acpi_events_raise(m->acpi_events, ACPI_EVENT_POWER_BUTTON);
}

static int join_vcpus(struct machine *m, unsigned int *slices)
{
	int r = 0;

	for (unsigned int i = 0; r == 0 && i < m->n_vcpus; i++)
		r = vcpu_join(m->vcpus[i], slices);
	return r;
}

int machine_stop(struct machine *m)
{
	unsigned int slices = STOP_SLICES;
	int r;

	/* All before the first is waited for, or the others would go on with the guest. */
	for (unsigned int i = 0; i < m->n_vcpus; i++)
		vcpu_ask_to_stop(m->vcpus[i]);
	side_loop_ask_to_stop(&m->files);
	side_loop_ask_to_stop(&m->power_loop);
	side_loop_ask_to_stop(&m->display_loop);
	side_loop_ask_to_stop(&m->net_loop);
	r = join_vcpus(m, &slices);
	if (r == 0)
		r = side_loop_join(&m->files, &slices);
	if (r == 0)
		r = side_loop_join(&m->power_loop, &slices);
	if (r == 0)
		r = side_loop_join(&m->display_loop, &slices);
	if (r == 0)
		r = side_loop_join(&m->net_loop, &slices);
	for (unsigned int i = 0; r == 0 && i < m->n_vcpus && m->timeline->detailed; i++)
		vcpu_add_counters(m->vcpus[i], m->timeline);
	timeline_mark(m->timeline, TIMELINE_TEAR_DOWN, "stop the threads");
	return r;
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
	side_loop_fini(&m->files);
	side_loop_fini(&m->display_loop);
	side_loop_fini(&m->net_loop);
	power_source_free(m->power);
	if (m->battery)
		m->battery->ops->destroy(m->battery);
	side_loop_fini(&m->power_loop);
	if (m->acpi_events)
		m->acpi_events->ops->destroy(m->acpi_events);
	if (m->serial)
		m->serial->ops->destroy(m->serial);
	bus_free(m->pio);
	bus_free(m->mmio);
	loop_remove(&m->end_event);
	if (m->end_event.fd >= 0)
		close(m->end_event.fd);
	timeline_mark(m->timeline, TIMELINE_TEAR_DOWN, "devices, vCPUs");
	vm_free(m->vm);
	timeline_mark(m->timeline, TIMELINE_TEAR_DOWN, "virtual machine, memory");
	pthread_mutex_destroy(&m->end_lock);
	free(m);
}
