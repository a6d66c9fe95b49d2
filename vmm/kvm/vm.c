/* SPDX-License-Identifier: MIT */
#include "vmm/kvm/vm.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "common/log.h"
#include "vmm/kvm/x86/layout.h"
#include "vmm/kvm/x86/surface.h"

static int routes_commit(struct vm *vm)
{
	return ioctl(vm->vm_fd, KVM_SET_GSI_ROUTING, vm->routes) < 0 ? -errno : 0;
}

static struct vm *to_vm(struct wiring *w)
{
	return CONTAINER_OF(w, struct vm, wiring);
}

static int wire_irqfd(struct vm *vm, unsigned int gsi, int eventfd)
{
	struct kvm_irqfd irqfd = {.fd = (uint32_t)eventfd, .gsi = gsi};

	return ioctl(vm->vm_fd, KVM_IRQFD, &irqfd) < 0 ? -errno : 0;
}

static int wire_msi_new(struct wiring *w, int eventfd, unsigned int *route)
{
	struct vm *vm = to_vm(w);
	unsigned int msi;
	int r;

	pthread_mutex_lock(&vm->route_lock);
	if (vm->n_msi == VM_MAX_MSI) {
		pthread_mutex_unlock(&vm->route_lock);
		return -ENOSPC;
	}
	msi = vm->n_msi++;
	pthread_mutex_unlock(&vm->route_lock);

	/* Without a route KVM ignores a signal on this line. */
	r = wire_irqfd(vm, GSI_PINS + msi, eventfd);
	if (r == 0)
		*route = msi;
	return r;
}

/* The routing table is replaced as a whole; a vector appears in it once it was programmed. */
static int wire_msi_set(struct wiring *w, unsigned int route, uint64_t addr, uint32_t data)
{
	struct vm *vm = to_vm(w);
	struct kvm_irq_routing_entry entry = {
		.gsi = GSI_PINS + route,
		.type = KVM_IRQ_ROUTING_MSI,
		.u.msi = {.address_lo = (uint32_t)addr,
			  .address_hi = (uint32_t)(addr >> 32),
			  .data = data},
	};
	unsigned int i;
	int r;

	pthread_mutex_lock(&vm->route_lock);
	for (i = GSI_PINS; i < vm->routes->nr; i++)
		if (vm->routes->entries[i].gsi == entry.gsi)
			break;
	if (i == vm->routes->nr)
		vm->routes->nr++;
	vm->routes->entries[i] = entry;
	r = vm->routes_held ? 0 : routes_commit(vm);
	pthread_mutex_unlock(&vm->route_lock);
	return r;
}

void vm_hold_routes(struct vm *vm)
{
	vm->routes_held = true;
}

int vm_commit_routes(struct vm *vm)
{
	vm->routes_held = false;
	return routes_commit(vm);
}

static int wire_line_add(struct wiring *w, unsigned int gsi, int eventfd)
{
	return gsi < GSI_PINS ? wire_irqfd(to_vm(w), gsi, eventfd) : -EINVAL;
}

static int wire_doorbell_add(struct wiring *w, gpa_t addr, int eventfd)
{
	/* Length 0 means any width, and lets KVM skip decoding the instruction on Intel. */
	struct kvm_ioeventfd doorbell = {.addr = addr, .len = 0, .fd = eventfd};

	return ioctl(to_vm(w)->vm_fd, KVM_IOEVENTFD, &doorbell) < 0 ? -errno : 0;
}

/* Before vCPUs run. */
static int wire_memory_add(struct wiring *w, gpa_t addr, const void *host, uint64_t len)
{
	struct vm *vm = to_vm(w);
	struct kvm_userspace_memory_region slot = {
		.slot = GUEST_MEM_MAX_REGIONS + vm->n_windows,
		.flags = KVM_MEM_READONLY,
		.guest_phys_addr = addr,
		.memory_size = len,
		.userspace_addr = (uintptr_t)host,
	};

	if (vm->n_windows == VM_MAX_WINDOWS)
		return -ENOSPC;
	if (ioctl(vm->vm_fd, KVM_SET_USER_MEMORY_REGION, &slot) < 0)
		return -errno;
	vm->windows[vm->n_windows++] = addr;
	return 0;
}

static int wire_memory_remove(struct wiring *w, gpa_t addr)
{
	const struct vm *vm = to_vm(w);
	/* No size: remove it. */
	struct kvm_userspace_memory_region slot = {.guest_phys_addr = addr};
	unsigned int n = 0;

	while (n < vm->n_windows && vm->windows[n] != addr)
		n++;
	slot.slot = GUEST_MEM_MAX_REGIONS + n;
	return ioctl(vm->vm_fd, KVM_SET_USER_MEMORY_REGION, &slot) < 0 ? -errno : 0;
}

static const struct wiring_ops vm_wiring_ops = {
	.msi_new = wire_msi_new,
	.msi_set = wire_msi_set,
	.line_add = wire_line_add,
	.doorbell_add = wire_doorbell_add,
	.memory_add = wire_memory_add,
	.memory_remove = wire_memory_remove,
};

static int add_slot(struct vm *vm, gpa_t base, uint64_t offset, uint64_t size)
{
	unsigned int n = vm->mem.n_regions;
	struct kvm_userspace_memory_region slot = {
		.slot = n,
		.guest_phys_addr = base,
		.memory_size = size,
		.userspace_addr = (uintptr_t)(vm->ram.host + offset),
	};

	if (ioctl(vm->vm_fd, KVM_SET_USER_MEMORY_REGION, &slot) < 0)
		return -errno;
	vm->mem.regions[n] = (struct guest_region){base, size, vm->ram.host + offset};
	vm->mem.n_regions = n + 1;
	return 0;
}

static int add_ram(struct vm *vm, uint64_t memory, const struct ram_template *template)
{
	uint64_t low = min_u64(memory, LOW_RAM_END);
	int r = template ? ram_init_template(&vm->ram, memory, template)
			 : ram_init(&vm->ram, memory);

	if (r < 0)
		return r;
	r = add_slot(vm, 0, 0, low);
	if (r == 0 && memory > low)
		r = add_slot(vm, HIGH_RAM_BASE, low, memory - low);
	return r;
}

/* Local APICs and I/O APIC in the kernel; no PIC pins, no PIT: the tables name none. */
static int add_interrupts(struct vm *vm)
{
	uint64_t identity = KVM_IDENTITY_MAP;

	if (ioctl(vm->vm_fd, KVM_SET_IDENTITY_MAP_ADDR, &identity) < 0 ||
	    ioctl(vm->vm_fd, KVM_SET_TSS_ADDR, KVM_TSS_ADDR) < 0 ||
	    ioctl(vm->vm_fd, KVM_CREATE_IRQCHIP, 0) < 0)
		return -errno;
	vm->routes = calloc(1, sizeof(*vm->routes) +
				       (GSI_PINS + VM_MAX_MSI) * sizeof(vm->routes->entries[0]));
	if (!vm->routes)
		return -ENOMEM;
	for (unsigned int pin = 0; pin < GSI_PINS; pin++)
		vm->routes->entries[pin] = (struct kvm_irq_routing_entry){
			.gsi = pin,
			.type = KVM_IRQ_ROUTING_IRQCHIP,
			.u.irqchip = {.irqchip = KVM_IRQCHIP_IOAPIC, .pin = pin},
		};
	vm->routes->nr = GSI_PINS;
	return routes_commit(vm);
}

static uint32_t read_spin(void)
{
	AUTO_CLOSE int fd = open("/sys/module/kvm/parameters/halt_poll_ns", O_RDONLY | O_CLOEXEC);
	char text[16] = "";

	if (fd < 0 || read(fd, text, sizeof(text) - 1) <= 0)
		return 0;
	return (uint32_t)strtoul(text, NULL, 10);
}

void vm_spin(struct vm *vm, bool on)
{
	struct kvm_enable_cap cap = {
		.cap = KVM_CAP_HALT_POLL,
		.args = {on ? vm->spin_ns : 0},
	};

	if (vm->spin_ns > 0 && ioctl(vm->vm_fd, KVM_ENABLE_CAP, &cap) < 0)
		log_debug("KVM's halt polling stays as it is: %s", strerror(errno));
}

int vm_new(int kvm_fd, uint64_t memory, const struct ram_template *ram, struct vm **out)
{
	struct vm *vm = calloc(1, sizeof(*vm));
	int r;

	if (!vm) {
		close(kvm_fd);
		return -ENOMEM;
	}
	vm->wiring.ops = &vm_wiring_ops;
	vm->kvm_fd = kvm_fd;
	vm->vm_fd = -1;
	vm->ram.fd = -1;
	vm->spin_ns = read_spin();
	pthread_mutex_init(&vm->route_lock, NULL);

	do
		vm->vm_fd = ioctl(kvm_fd, KVM_CREATE_VM, 0);
	while (vm->vm_fd < 0 && errno == EINTR);
	if (vm->vm_fd < 0) {
		r = -errno;
		log_error("cannot create a virtual machine: %s; see 'sandcastle doctor'",
			  strerror(errno));
		goto fail;
	}
	r = x86_limit_surface(vm->vm_fd);
	if (r < 0) {
		log_error("KVM refuses to leave out what a guest has no use for: %s; see "
			  "'sandcastle doctor'",
			  strerror(-r));
		goto fail;
	}
	r = add_interrupts(vm);
	if (r < 0) {
		log_error("KVM refuses an interrupt controller: %s; see 'sandcastle doctor'",
			  strerror(-r));
		goto fail;
	}
	r = add_ram(vm, memory, ram);
	if (r < 0 && ram) {
		log_debug("the template's memory cannot be mapped: %s", strerror(-r));
		r = -ESTALE;
		goto fail;
	}
	if (r < 0) {
		log_error("cannot get %llu MiB of memory for the guest: %s; "
			  "try a smaller --memory",
			  (unsigned long long)(memory >> 20), strerror(-r));
		goto fail;
	}
	*out = vm;
	return 0;
fail:
	vm_free(vm);
	return r;
}

void vm_free(struct vm *vm)
{
	if (!vm)
		return;
	if (vm->vm_fd >= 0)
		close(vm->vm_fd);
	ram_fini(&vm->ram);
	if (vm->kvm_fd >= 0)
		close(vm->kvm_fd);
	free(vm->routes);
	pthread_mutex_destroy(&vm->route_lock);
	free(vm);
}
