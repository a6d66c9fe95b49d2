/* SPDX-License-Identifier: MIT */
/* vmm/kvm/x86/boot.h - a kernel placed in guest memory, entered by PVH. */
#ifndef VMM_KVM_X86_BOOT_H
#define VMM_KVM_X86_BOOT_H

#include <stddef.h>
#include <stdint.h>

#include "devices/board/guest_mem.h"

/*
 * DOC: why PVH
 *
 * The PVH entry (Xen's "x86/HVM direct boot ABI", an ELF note in the kernel)
 * takes an uncompressed kernel, a command line, a memory map and the RSDP
 * address, in 32-bit protected mode without paging: no real-mode part, no
 * decompressor, no page tables of ours. Distribution kernels have had it since 2019.
 */

struct boot_entry {
	uint32_t entry; /* where vCPU 0 starts */
	uint32_t start_info; /* its %ebx */
};

/* What is loaded: both files are read at the offsets named. */
struct boot_input {
	int elf_fd; /* an uncompressed kernel */
	int initramfs_fd;
	uint64_t initramfs_off;
	size_t initramfs_len;
	const char *cmdline;
	gpa_t rsdp;
};

/*
 * Loads the ELF kernel behind elf_fd, puts the initramfs at the top of low RAM
 * and writes start_info, memory map and command line. The files' contents are
 * not trusted. -ENOEXEC: not an x86-64 ELF kernel with a PVH entry, or a file is
 * shorter than it should be; -ENOSPC: it does not fit the guest's memory; -E2BIG:
 * command line too long; -errno of a failed read.
 */
int boot_load(const struct guest_mem *mem, const struct boot_input *in,
	      struct boot_entry *out) MUST_CHECK;

#endif
