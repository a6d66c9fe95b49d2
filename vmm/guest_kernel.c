/* SPDX-License-Identifier: MIT */
#include "vmm/guest_kernel.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "image/kernel/kernel.h"
#include "vmm/config/config.h"
#include "vmm/config/timeline.h"
#include "vmm/kvm/acpi/tables.h"
#include "vmm/kvm/vcpu.h"
#include "vmm/kvm/x86/boot.h"

static bool has_network(const struct sandbox_config *cfg)
{
	return cfg->network_mode != NETWORK_NONE;
}

static bool has_display(const struct sandbox_config *cfg)
{
	return cfg->display.enabled;
}

/*
 * Drivers of the machine's devices that distribution kernels have as modules, and which
 * sandboxes have the device; NULL: all. The battery driver caches values for 1 s, even across
 * a notification; 50 ms is short enough.
 */
static const struct {
	const char *name;
	bool (*wanted)(const struct sandbox_config *cfg);
} guest_modules[] = {
	{"virtio_pci", NULL},
	{"vmw_vsock_virtio_transport", NULL},
	{"virtiofs", NULL},
	{"overlay", NULL},
	{"virtio_net", has_network},
	{"?virtio_console", NULL},
	{"?virtio_rng", NULL},
	{"?virtio_balloon", NULL},
	{"?ac", NULL},
	{"?battery cache_time=50", NULL},
	/* Consoles on the display would cost the guest 4 to 8 MiB and time. */
	{"?drm_kms_helper fbdev_emulation=0", has_display},
	{"virtio_gpu", has_display},
	{"virtio_input", has_display},
	{"?evdev", has_display}, /* what programs read keyboard and pointers by */
};

_Static_assert(ARRAY_SIZE(guest_modules) < GUEST_KERNEL_MODULES_MAX, "the list ends with NULL");

void guest_kernel_modules(const struct sandbox_config *cfg,
			  const char *out[GUEST_KERNEL_MODULES_MAX])
{
	size_t n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(guest_modules); i++)
		if (!guest_modules[i].wanted || guest_modules[i].wanted(cfg))
			out[n++] = guest_modules[i].name;
	out[n] = NULL;
}

const struct kernel_switch guest_kernel_switches[] = {
	{"loglevel=1", KERNEL_QUIET,
	 "only a panic is worth an exit for each byte; first, as the kernel opens the early "
	 "console when it reads of it"},
	{"panic=-1", KERNEL_ALWAYS, "a panic resets at once, which ends the sandbox"},
	{"reboot=a", KERNEL_ALWAYS,
	 "by the ACPI reset register; otherwise the kernel looks for a BIOS"},
	{"earlyprintk=ttyS0,115200", KERNEL_QUIET,
	 "a panic before hvc0 has a driver is seen; hvc0 takes over from it"},
	{"earlyprintk=ttyS0,115200,keep", KERNEL_DEBUG,
	 "all that the kernel says goes out byte by byte, also when no driver works any more"},
	{"console=hvc0", KERNEL_QUIET, "a line costs one exit there, not one for each byte"},
	{"8250.nr_uarts=0", KERNEL_ALWAYS, "no probing for more ports than the early console's"},
	{"ignore_loglevel", KERNEL_DEBUG, "who debugs wants all of it"},
	{"tsc=reliable", KERNEL_ALWAYS,
	 "no watchdog that compares the TSC with another clock twice a second: there is none "
	 "to compare it with, and KVM vouches for it"},
	{"no_timer_check", KERNEL_ALWAYS,
	 "no test whether a PIT interrupts through the I/O APIC: the machine has no PIT"},
	{"cryptomgr.notests", KERNEL_ALWAYS,
	 "no self-test of each cipher when it is registered: the host's kernel, most often "
	 "the same, has made it"},
	{"rcupdate.rcu_expedited=1", KERNEL_ALWAYS,
	 "loading modules and mounting wait for RCU; asking the few CPUs takes "
	 "microseconds, waiting for each to pass by takes ticks"},
	{"swiotlb=noforce", KERNEL_ALWAYS,
	 "no bounce buffers, 64 MiB of a guest with RAM above 4 GiB: the devices reach all of it"},
	{"pci=noearly", KERNEL_ALWAYS,
	 "no look for chipsets with faults through ports that answer nothing: 290 exits"},
	{"sysctl.vm.percpu_pagelist_high_fraction=1024", KERNEL_ALWAYS,
	 "else a CPU keeps 45 MiB and more of freed pages to itself, where neither reporting nor "
	 "the balloon finds them (docs/memory.md)"},
	{"sysctl.vm.compaction_proactiveness=0", KERNEL_ALWAYS,
	 "else kcompactd looks twice a second whether memory is to be moved together: 5.9 instead "
	 "of 2.1 wake-ups a second of an idle sandbox (docs/performance.md)"},
	{"init_on_alloc=0", KERNEL_ALWAYS,
	 "else the kernel clears every page it gives to the balloon, and so takes from the host "
	 "what the host wants back: 1.9 s instead of 1.1 s (docs/memory.md)"},
	{NULL, KERNEL_ALWAYS, NULL},
};

int guest_kernel_cmdline(bool debug_console, char out[GUEST_KERNEL_CMDLINE_MAX])
{
	const enum kernel_switch_when other = debug_console ? KERNEL_QUIET : KERNEL_DEBUG;
	size_t at = 0;

	for (const struct kernel_switch *s = guest_kernel_switches; s->text; s++) {
		const size_t len = strlen(s->text);

		if (s->when == other)
			continue;
		if (len + 2 > GUEST_KERNEL_CMDLINE_MAX - at)
			return -E2BIG;
		if (at > 0)
			out[at++] = ' ';
		memcpy(out + at, s->text, len);
		at += len;
	}
	out[at] = '\0';
	return 0;
}

static int load(const struct guest_kernel *g, const struct initramfs *initramfs)
{
	char cmdline[GUEST_KERNEL_CMDLINE_MAX];
	struct boot_input in = {
		.elf_fd = g->kernel->elf_fd,
		.initramfs_fd = initramfs->fd,
		.initramfs_off = initramfs->off,
		.initramfs_len = initramfs->len,
		.cmdline = cmdline,
	};
	struct boot_entry entry;
	int r;

	if ((r = guest_kernel_cmdline(g->config->debug_console, cmdline)) < 0 ||
	    (r = acpi_write_tables(g->mem, g->config->cpus, &in.rsdp)) < 0 ||
	    (r = boot_load(g->mem, &in, &entry)) < 0)
		return r;
	return vcpu_set_entry(g->vcpu, entry.entry, entry.start_info);
}

int guest_kernel_load(const struct guest_kernel *g)
{
	const char *modules[GUEST_KERNEL_MODULES_MAX];
	struct initramfs initramfs;
	int r;

	guest_kernel_modules(g->config, modules);
	r = initramfs_open(g->kernel, g->agent, modules, &initramfs);
	if (r < 0)
		return r;
	timeline_mark(g->timeline, TIMELINE_SET_UP, "initramfs");
	r = load(g, &initramfs);
	close(initramfs.fd);
	timeline_mark(g->timeline, TIMELINE_SET_UP, "kernel into memory");
	if (r == -ENOEXEC)
		log_error("%s is not a kernel that can be started by PVH; "
			  "use a distribution kernel of 2019 or later",
			  g->kernel->path);
	else if (r == -ENOSPC)
		log_error("%s does not fit in %llu MiB; try a larger --memory", g->kernel->path,
			  (unsigned long long)(g->config->memory >> 20));
	else if (r < 0)
		log_error("cannot load %s: %s", g->kernel->path, strerror(-r));
	return r;
}
