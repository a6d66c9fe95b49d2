/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "vmm/kvm/acpi/tables.h"
#include "vmm/kvm/x86/layout.h"

static uint8_t *ram;
static struct guest_mem mem;

static void setup(void)
{
	ram = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	cr_assert_neq(ram, MAP_FAILED);
	mem = (struct guest_mem){.regions = {{0, 1 << 20, ram}}, .n_regions = 1};
}

static uint8_t sum(const uint8_t *p, size_t len)
{
	uint8_t s = 0;

	while (len-- > 0)
		s = (uint8_t)(s + *p++);
	return s;
}

static uint32_t u32(gpa_t at)
{
	uint32_t v;

	memcpy(&v, ram + at, sizeof(v));
	return v;
}

static uint64_t u64(gpa_t at)
{
	uint64_t v;

	memcpy(&v, ram + at, sizeof(v));
	return v;
}

TestSuite(acpi_tables, .init = setup);

/* Walks from the RSDP as a kernel does; every table's bytes add up to zero. */
Test(acpi_tables, every_table_is_found_and_sums_to_zero)
{
	static const char *const expected[] = {"FACP", "APIC", "MCFG", "SSDT"};
	gpa_t rsdp, xsdt;

	cr_assert_eq(acpi_write_tables(&mem, 4, &rsdp), 0);
	cr_assert_eq(memcmp(ram + rsdp, "RSD PTR ", 8), 0);
	cr_assert_eq(sum(ram + rsdp, 20), 0);
	cr_assert_eq(sum(ram + rsdp, 36), 0);
	xsdt = u64(rsdp + 24);
	cr_assert_eq(memcmp(ram + xsdt, "XSDT", 4), 0);
	cr_assert_eq(u32(xsdt + 4), 36 + 4 * 8);
	cr_assert_eq(sum(ram + xsdt, u32(xsdt + 4)), 0);
	for (size_t i = 0; i < 4; i++) {
		gpa_t table = u64(xsdt + 36 + i * 8);

		cr_assert_eq(memcmp(ram + table, expected[i], 4), 0, "%s", expected[i]);
		cr_assert_eq(sum(ram + table, u32(table + 4)), 0, "%s", expected[i]);
	}
}

Test(acpi_tables, the_fadt_is_hardware_reduced_and_names_the_dsdt)
{
	gpa_t rsdp, fadt, dsdt;

	cr_assert_eq(acpi_write_tables(&mem, 1, &rsdp), 0);
	fadt = u64(u64(rsdp + 24) + 36);
	cr_assert(u32(fadt + 112) & (1u << 20), "HW_REDUCED_ACPI");
	cr_assert_eq(u64(fadt + 116 + 4), ACPI_EVENT_PORT + 6, "reset register");
	cr_assert_eq(u64(fadt + 244 + 4), ACPI_EVENT_PORT + 4, "sleep control register");
	dsdt = u64(fadt + 140);
	cr_assert_eq(memcmp(ram + dsdt, "DSDT", 4), 0);
	cr_assert_eq(sum(ram + dsdt, u32(dsdt + 4)), 0);
}

Test(acpi_tables, the_madt_lists_every_cpu)
{
	gpa_t rsdp, madt;

	cr_assert_eq(acpi_write_tables(&mem, 64, &rsdp), 0);
	madt = u64(u64(rsdp + 24) + 44);
	cr_assert_eq(u32(madt + 4), 44 + 64 * 8 + 12);
	cr_assert_eq(ram[madt + 44 + 63 * 8 + 3], 63, "APIC id of the last");
	cr_assert_eq(ram[madt + 44 + 64 * 8], 1, "then the I/O APIC");
}

Test(acpi_tables, no_memory_there_is_an_error)
{
	gpa_t rsdp;

	mem.regions[0].size = ACPI_TABLES + 64;
	cr_assert_eq(acpi_write_tables(&mem, 1, &rsdp), -EFAULT);
}
