/* SPDX-License-Identifier: MIT */
/* vmm/kvm/x86/layout.h - where things are in the guest's physical and port address space. */
#ifndef VMM_KVM_X86_LAYOUT_H
#define VMM_KVM_X86_LAYOUT_H

/*
 *  0                 RAM, up to LOW_RAM_END
 *    BOOT_*            handed to the kernel, its own after boot
 *    ACPI_TABLES       reserved in the memory map
 *  PCI_MMIO_BASE     PCI BARs
 *  ECAM_BASE         PCI configuration space of bus 0
 *  BATTERY_BASE      batteries and AC adapter
 *  0xfec00000        I/O APIC, local APICs at 0xfee00000 (both in KVM)
 *  KVM_IDENTITY_MAP  four pages KVM wants on Intel
 *  PCI_MMIO64_BASE   PCI BARs of 64 bits: windows on host memory
 *  HIGH_RAM_BASE     RAM that did not fit below LOW_RAM_END
 *
 * The 64-bit BARs lie below the rest of RAM, so that neither moves with the
 * amount of RAM and all is within reach of a CPU with few physical address bits.
 */
#define LOW_RAM_END	 0xc0000000ull
#define PCI_MMIO_BASE	 0xc0000000ull
#define PCI_MMIO_SIZE	 0x20000000ull
#define ECAM_BASE	 0xe0000000ull
#define ECAM_SIZE	 0x00100000ull /* one bus */
#define BATTERY_BASE	 0xfeb01000ull
#define BATTERY_SIZE	 0x1000ull
#define IOAPIC_BASE	 0xfec00000ull
#define LAPIC_BASE	 0xfee00000ull
#define KVM_IDENTITY_MAP 0xfffbc000ull
#define KVM_TSS_ADDR	 0xfffbd000ull
#define PCI_MMIO64_BASE	 0x100000000ull
#define PCI_MMIO64_SIZE	 0x300000000ull
#define HIGH_RAM_BASE	 0x400000000ull

#define BOOT_START_INFO	     0x6000ull
#define BOOT_MEMMAP	     0x6800ull
#define BOOT_MODLIST	     0x6c00ull
#define BOOT_CMDLINE	     0x7000ull
#define BOOT_CMDLINE_MAX     2048 /* COMMAND_LINE_SIZE of x86 Linux */
#define LOW_CONVENTIONAL_END 0x9f000ull
#define ACPI_TABLES	     0xe0000ull
#define ACPI_TABLES_SIZE     0x20000ull
#define KERNEL_MIN	     0x100000ull

#define SERIAL_PORT  0x3f8
#define SERIAL_PORTS 8
/*
 * ACPI event, sleep and reset registers. Ports, not memory: a kernel in panic
 * can write one without a mapping.
 */
#define ACPI_EVENT_PORT	 0x600
#define ACPI_EVENT_PORTS 16

/* Interrupt lines: I/O APIC pins. Message-signalled ones come after them. */
#define GSI_ACPI_EVENT 9
#define GSI_BATTERY    10
#define GSI_PINS       24

#endif
