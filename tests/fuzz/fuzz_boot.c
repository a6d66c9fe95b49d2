/* SPDX-License-Identifier: MIT */
/* The kernel loader on arbitrary files: it is given whatever --kernel names. */
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vmm/kvm/x86/boot.h"
#include "vmm/kvm/x86/layout.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum { RAM_SIZE = 4 << 20 };
	static uint8_t *ram;
	static int fd = -1;
	struct guest_mem mem = {.n_regions = 1};
	/* Any nine bytes: a few of the kernel's. */
	struct boot_input in = {.initramfs_len = 9, .cmdline = "cmdline", .rsdp = ACPI_TABLES};
	struct boot_entry entry;

	if (fd < 0) {
		fd = memfd_create("kernel", MFD_CLOEXEC);
		ram = calloc(1, RAM_SIZE);
		if (fd < 0 || !ram)
			abort();
	}
	if (ftruncate(fd, 0) < 0 || pwrite(fd, data, size, 0) != (ssize_t)size)
		abort();
	mem.regions[0] = (struct guest_region){0, RAM_SIZE, ram};
	in.elf_fd = in.initramfs_fd = fd;
	if (boot_load(&mem, &in, &entry) == 0 &&
	    (entry.entry < KERNEL_MIN || entry.entry >= RAM_SIZE))
		abort();
	return 0;
}
