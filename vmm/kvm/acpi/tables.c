/* SPDX-License-Identifier: MIT */
#include "vmm/kvm/acpi/tables.h"

#include <errno.h>
#include <string.h>

#include "devices/acpi_events.h"
#include "vmm/kvm/x86/layout.h"

/* Made by iasl from dsdt.asl and battery/battery.asl: dsdt_aml_code[], battery_aml_code[]. */
#include "vmm/kvm/battery.hex"
#include "vmm/kvm/dsdt.hex"

#define PACKED __attribute__((packed))

struct sdt_header {
	char signature[4];
	uint32_t length;
	uint8_t revision;
	uint8_t checksum;
	char oem_id[6];
	char oem_table_id[8];
	uint32_t oem_revision;
	char creator_id[4];
	uint32_t creator_revision;
} PACKED;

struct rsdp {
	char signature[8];
	uint8_t checksum; /* of the first 20 bytes */
	char oem_id[6];
	uint8_t revision;
	uint32_t rsdt;
	uint32_t length;
	uint64_t xsdt;
	uint8_t extended_checksum;
	uint8_t reserved[3];
} PACKED;

/* Generic Address Structure, section 5.2.3.2. */
struct gas {
	uint8_t space; /* 1: system I/O */
	uint8_t bit_width, bit_offset;
	uint8_t access; /* 1: byte */
	uint64_t address;
} PACKED;

/* Section 5.2.9. What hardware-reduced machines do not have stays zero. */
struct fadt {
	struct sdt_header header;
	uint32_t firmware_ctrl, dsdt;
	uint8_t reserved0, preferred_profile;
	uint8_t legacy1[62];
	uint8_t century_and_before; /* offset 108 */
	uint16_t boot_arch;
	uint8_t reserved1;
	uint32_t flags;
	struct gas reset_reg;
	uint8_t reset_value;
	uint16_t arm_boot_arch;
	uint8_t minor_version;
	uint64_t x_firmware_ctrl, x_dsdt;
	struct gas x_pm[8];
	struct gas sleep_control, sleep_status;
	uint64_t hypervisor_vendor;
} PACKED;

_Static_assert(sizeof(struct fadt) == 276, "ACPI 6.5 table 5.9");

enum {
	FADT_REVISION = 6,
	FADT_MINOR = 5,
	FADT_PROFILE_DESKTOP = 1,
	FADT_FLAG_WBINVD = 1 << 0,
	FADT_FLAG_PWR_BUTTON_AML = 1 << 4,
	FADT_FLAG_SLP_BUTTON_AML = 1 << 5,
	FADT_FLAG_RESET_REG = 1 << 10,
	FADT_FLAG_HEADLESS = 1 << 12,
	FADT_FLAG_HW_REDUCED = 1 << 20,
	FADT_BOOT_NO_VGA = 1 << 2,
	FADT_BOOT_NO_RTC = 1 << 5,
};

/* Section 5.2.12. */
struct madt {
	struct sdt_header header;
	uint32_t lapic_address;
	uint32_t flags;
} PACKED;

struct madt_lapic {
	uint8_t type, length, uid, apic_id;
	uint32_t flags; /* bit 0: enabled */
} PACKED;

struct madt_ioapic {
	uint8_t type, length, id, reserved;
	uint32_t address, gsi_base;
} PACKED;

/* PCI Firmware 3.3 section 4.1.2. */
struct mcfg {
	struct sdt_header header;
	uint64_t reserved0;
	uint64_t base;
	uint16_t segment;
	uint8_t first_bus, last_bus;
	uint32_t reserved1;
} PACKED;

/* Where the next table goes. */
struct writer {
	const struct guest_mem *mem;
	gpa_t at;
};

static uint8_t checksum(const void *data, size_t len)
{
	const uint8_t *p = data;
	uint8_t sum = 0;

	for (size_t i = 0; i < len; i++)
		sum = (uint8_t)(sum + p[i]);
	return (uint8_t)-sum;
}

static struct sdt_header make_header(const char *signature, size_t length, uint8_t revision)
{
	struct sdt_header h = {
		.length = (uint32_t)length,
		.revision = revision,
		.oem_id = {'S', 'A', 'N', 'D', 'C', 'S'},
		.oem_table_id = {'S', 'A', 'N', 'D', 'C', 'S', 'T', 'L'},
		.oem_revision = 1,
		.creator_id = {'S', 'C', 'S', 'L'},
		.creator_revision = 1,
	};

	memcpy(h.signature, signature, sizeof(h.signature));
	return h;
}

static int emit(struct writer *w, const void *table, size_t len, gpa_t *addr)
{
	int r;

	if (len > ACPI_TABLES + ACPI_TABLES_SIZE - w->at)
		return -ENOSPC;
	r = guest_write(w->mem, w->at, table, len);
	if (r < 0)
		return r;
	*addr = w->at;
	w->at = align_up(w->at + len, 16);
	return 0;
}

/* Places a table that begins with a struct sdt_header and sets its checksum. */
static int emit_sdt(struct writer *w, struct sdt_header *h, gpa_t *addr)
{
	h->checksum = 0;
	h->checksum = checksum(h, h->length);
	return emit(w, h, h->length, addr);
}

static struct gas event_register(unsigned int off)
{
	return (struct gas){
		.space = 1, .bit_width = 8, .access = 1, .address = ACPI_EVENT_PORT + off};
}

static int emit_fadt(struct writer *w, gpa_t dsdt, gpa_t *addr)
{
	struct fadt fadt = {
		.header = make_header("FACP", sizeof(fadt), FADT_REVISION),
		.preferred_profile = FADT_PROFILE_DESKTOP,
		.boot_arch = FADT_BOOT_NO_VGA | FADT_BOOT_NO_RTC,
		.flags = FADT_FLAG_WBINVD | FADT_FLAG_PWR_BUTTON_AML | FADT_FLAG_SLP_BUTTON_AML |
			 FADT_FLAG_RESET_REG | FADT_FLAG_HEADLESS | FADT_FLAG_HW_REDUCED,
		.reset_reg = event_register(ACPI_EVENTS_RESET),
		.reset_value = ACPI_EVENTS_RESET_VALUE,
		.minor_version = FADT_MINOR,
		.x_dsdt = dsdt,
		.sleep_control = event_register(ACPI_EVENTS_SLEEP_CONTROL),
		.sleep_status = event_register(ACPI_EVENTS_SLEEP_STATUS),
	};

	return emit_sdt(w, &fadt.header, addr);
}

static int emit_madt(struct writer *w, unsigned int n_cpus, gpa_t *addr)
{
	size_t len = sizeof(struct madt) + n_cpus * sizeof(struct madt_lapic) +
		     sizeof(struct madt_ioapic);
	AUTO_FREE uint8_t *table = calloc(1, len);
	struct madt_ioapic ioapic = {
		.type = 1,
		.length = sizeof(ioapic),
		.address = IOAPIC_BASE,
	};
	struct madt head = {
		.header = make_header("APIC", len, 5),
		.lapic_address = (uint32_t)LAPIC_BASE,
	};
	uint8_t *p = table;

	if (!table)
		return -ENOMEM;
	memcpy(p, &head, sizeof(head));
	p += sizeof(head);
	for (unsigned int i = 0; i < n_cpus; i++) {
		struct madt_lapic cpu = {0, sizeof(cpu), (uint8_t)i, (uint8_t)i, 1};

		memcpy(p, &cpu, sizeof(cpu));
		p += sizeof(cpu);
	}
	memcpy(p, &ioapic, sizeof(ioapic));
	return emit_sdt(w, (struct sdt_header *)(void *)table, addr);
}

static int emit_mcfg(struct writer *w, gpa_t *addr)
{
	struct mcfg mcfg = {
		.header = make_header("MCFG", sizeof(mcfg), 1),
		.base = ECAM_BASE,
	};

	return emit_sdt(w, &mcfg.header, addr);
}

static int emit_xsdt(struct writer *w, const gpa_t *tables, size_t n, gpa_t *addr)
{
	struct {
		struct sdt_header header;
		uint64_t tables[4];
	} PACKED xsdt = {.header = make_header("XSDT", sizeof(struct sdt_header) + n * 8, 1)};

	memcpy(xsdt.tables, tables, n * sizeof(tables[0]));
	return emit_sdt(w, &xsdt.header, addr);
}

static int emit_rsdp(struct writer *w, gpa_t xsdt, gpa_t *addr)
{
	struct rsdp rsdp = {
		.signature = {'R', 'S', 'D', ' ', 'P', 'T', 'R', ' '},
		.oem_id = {'S', 'A', 'N', 'D', 'C', 'S'},
		.revision = 2,
		.length = sizeof(rsdp),
		.xsdt = xsdt,
	};

	rsdp.checksum = checksum(&rsdp, 20);
	rsdp.extended_checksum = checksum(&rsdp, sizeof(rsdp));
	return emit(w, &rsdp, sizeof(rsdp), addr);
}

int acpi_write_tables(const struct guest_mem *mem, unsigned int n_cpus, gpa_t *rsdp)
{
	struct writer w = {.mem = mem, .at = ACPI_TABLES};
	gpa_t dsdt, tables[4], xsdt, found;
	int r = emit(&w, dsdt_aml_code, sizeof(dsdt_aml_code), &dsdt);

	if (r == 0)
		r = emit_fadt(&w, dsdt, &tables[0]);
	if (r == 0)
		r = emit_madt(&w, n_cpus, &tables[1]);
	if (r == 0)
		r = emit_mcfg(&w, &tables[2]);
	if (r == 0)
		r = emit(&w, battery_aml_code, sizeof(battery_aml_code), &tables[3]);
	if (r == 0)
		r = emit_xsdt(&w, tables, ARRAY_SIZE(tables), &xsdt);
	if (r == 0)
		r = emit_rsdp(&w, xsdt, &found);
	if (r == 0)
		*rsdp = found;
	return r;
}
