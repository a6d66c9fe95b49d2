/* SPDX-License-Identifier: MIT */
/* vmm/kvm/acpi/tables.h - the ACPI tables of a hardware-reduced machine (ACPI 6.5 section 5.2). */
#ifndef VMM_KVM_ACPI_TABLES_H
#define VMM_KVM_ACPI_TABLES_H

#include "devices/board/guest_mem.h"

/*
 * Writes RSDP, XSDT, FADT, MADT, MCFG, DSDT and the batteries' SSDT for n_cpus at ACPI_TABLES.
 * *rsdp is the RSDP's address. -EFAULT when the guest has no memory there,
 * -ENOSPC when the tables outgrow their place.
 */
int acpi_write_tables(const struct guest_mem *mem, unsigned int n_cpus, gpa_t *rsdp) MUST_CHECK;

#endif
