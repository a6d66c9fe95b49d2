/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <errno.h>
#include <linux/pci_regs.h>
#include <string.h>

#include "devices/board/pci.h"
#include "tests/support/fake_guest.h"

#define ECAM   0xb0000000ull
#define WINDOW 0xc0000000ull
#define HIGH   0x100000000ull
enum { WINDOW_SIZE = 0x100000, HIGH_SIZE = 0x100000, TABLE = 0x1000, PBA = 0x1800, VECTORS = 3 };

/* A function that remembers its last BAR access. */
struct probe {
	struct pci_function fn;
	unsigned int bar, len, reads, writes;
	uint64_t off;
};

static void probe_read(struct pci_function *fn, unsigned int bar, uint64_t off, void *data,
		       unsigned int len)
{
	struct probe *p = CONTAINER_OF(fn, struct probe, fn);

	p->bar = bar;
	p->off = off;
	p->len = len;
	p->reads++;
	memset(data, 0x5a, len);
}

static void probe_write(struct pci_function *fn, unsigned int bar, uint64_t off, const void *data,
			unsigned int len)
{
	struct probe *p = CONTAINER_OF(fn, struct probe, fn);

	(void)data;
	p->bar = bar;
	p->off = off;
	p->len = len;
	p->writes++;
}

static void probe_destroy(struct pci_function *fn)
{
	pci_function_fini(fn);
	free(CONTAINER_OF(fn, struct probe, fn));
}

static const struct pci_function_ops probe_ops = {
	.name = "probe",
	.bar_read = probe_read,
	.bar_write = probe_write,
	.destroy = probe_destroy,
};

static const struct pci_ids ids = {
	.vendor = 0x1234,
	.device = 0x5678,
	.subsystem_vendor = 0x9abc,
	.subsystem = 0xdef0,
	.revision = 7,
	.class_code = 0x010203,
};

static struct bus *mmio;
static struct pci_bus pci;
static struct fake_wiring fw;
static struct pci_function *bridge;
static struct probe *p;
static gpa_t config, bar0;

static uint64_t rd(gpa_t addr, unsigned int len)
{
	uint64_t v = 0;

	(void)bus_read(mmio, addr, &v, len);
	return v;
}

static void wr(gpa_t addr, unsigned int len, uint64_t v)
{
	(void)bus_write(mmio, addr, &v, len);
}

static void setup(void)
{
	fake_wiring_init(&fw);
	cr_assert_eq(bus_new(&mmio), 0);
	pci_bus_init(&pci, mmio, &(struct pci_windows){ECAM, WINDOW, WINDOW_SIZE, HIGH, HIGH_SIZE});
	cr_assert_eq(pci_host_bridge_new(&bridge), 0);
	cr_assert_eq(pci_bus_add(&pci, bridge), 0);
	p = calloc(1, sizeof(*p));
	cr_assert_not_null(p);
	pci_function_init(&p->fn, &probe_ops, &ids);
	pci_add_bar(&p->fn, 0, 0x4000, false);
	pci_add_bar(&p->fn, 2, 0x10000, true);
	cr_assert_eq(pci_add_msix(&p->fn, &fw.wiring, VECTORS, 0, TABLE, PBA), 0);
	cr_assert_eq(pci_bus_add(&pci, &p->fn), 0);
	config = ECAM + PCI_ECAM_FUNCTION_SIZE;
	bar0 = p->fn.bars[0].addr;
	wr(config + PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
}

static void teardown(void)
{
	p->fn.dev.ops->destroy(&p->fn.dev);
	bridge->dev.ops->destroy(&bridge->dev);
	pci_bus_fini(&pci);
	bus_free(mmio);
}

TestSuite(pci, .init = setup, .fini = teardown);

static void msix_control(uint16_t v)
{
	wr(config + p->fn.msix_cap + PCI_MSIX_FLAGS, 2, v);
}

static gpa_t entry(unsigned int v)
{
	return bar0 + TABLE + (gpa_t)v * PCI_MSIX_ENTRY_SIZE;
}

/* Programs vector v and unmasks it. */
static void program(unsigned int v, uint64_t addr, uint32_t data)
{
	wr(entry(v), 8, addr);
	wr(entry(v) + PCI_MSIX_ENTRY_DATA, 4, data);
	wr(entry(v) + PCI_MSIX_ENTRY_VECTOR_CTRL, 4, 0);
}

static void raise(unsigned int v)
{
	pthread_mutex_lock(&p->fn.dev.lock);
	pci_msix_raise(&p->fn, v);
	pthread_mutex_unlock(&p->fn.dev.lock);
}

Test(pci, identity_reads_at_every_width)
{
	cr_assert_eq(rd(config, 2), 0x1234);
	cr_assert_eq(rd(config + 2, 2), 0x5678);
	cr_assert_eq(rd(config, 4), 0x56781234);
	cr_assert_eq(rd(config + PCI_CLASS_REVISION, 4), 0x01020307);
	cr_assert_eq(rd(config + PCI_CLASS_REVISION + 3, 1), 1);
	cr_assert_eq(rd(config + PCI_SUBSYSTEM_VENDOR_ID, 4), 0xdef09abc);
	cr_assert_eq(rd(ECAM, 4), 0x00081b36);
	cr_assert_eq(rd(ECAM + PCI_CLASS_DEVICE, 2), 0x0600);
}

Test(pci, functions_that_are_not_there_read_as_ones)
{
	/* Function 2 of device 0, function 0 of device 1, and another bus. */
	cr_assert_eq(rd(ECAM + 2 * PCI_ECAM_FUNCTION_SIZE, 4), 0xffffffff);
	cr_assert_eq(rd(ECAM + 8 * PCI_ECAM_FUNCTION_SIZE, 4), 0xffffffff);
	cr_assert_eq(rd(ECAM + 0x100000, 4), 0xffffffff);
}

Test(pci, a_device_says_that_it_has_several_functions)
{
	cr_assert_eq(rd(ECAM + PCI_HEADER_TYPE, 1), PCI_MULTI_FUNCTION);
	cr_assert_eq(rd(config + PCI_HEADER_TYPE, 1), PCI_MULTI_FUNCTION);
}

/* What is in memory and what an access to the bus would give, of all functions. */
static void expect_shown_as_read(void)
{
	const uint8_t *shown = fw.memory.host;

	for (gpa_t off = 0; off < 2 * PCI_ECAM_FUNCTION_SIZE; off += 8) {
		uint64_t v;

		memcpy(&v, shown + off, sizeof(v));
		cr_assert_eq(v, rd(ECAM + off, 8), "at %#llx", (unsigned long long)off);
	}
}

Test(pci, configuration_space_is_read_from_memory)
{
	cr_assert_eq(pci_bus_show(&pci, &fw.wiring), 0);
	cr_assert_eq(fw.memory.addr, ECAM);
	cr_assert_eq(fw.memory.len, 2 * PCI_ECAM_FUNCTION_SIZE);
	expect_shown_as_read();
	/* Each kind of write: a plain register, a BAR's size, the mask of MSI-X, all of it. */
	wr(config + PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	expect_shown_as_read();
	wr(config + PCI_BASE_ADDRESS_0, 4, 0xffffffff);
	cr_assert_eq(rd(config + PCI_BASE_ADDRESS_0, 4), 0xffffc000);
	expect_shown_as_read();
	msix_control(PCI_MSIX_FLAGS_ENABLE);
	expect_shown_as_read();
	for (gpa_t off = 0; off < PCI_ECAM_FUNCTION_SIZE; off += 8)
		wr(config + off, 8, UINT64_MAX);
	expect_shown_as_read();
}

Test(pci, configuration_space_is_hidden_once)
{
	/* Before it was shown: nothing to hide. */
	pci_bus_hide(&pci);
	cr_assert_eq(pci_bus_show(&pci, &fw.wiring), 0);
	pci_bus_hide(&pci);
	cr_assert_null(fw.memory.host);
	/* The second time would be refused. */
	pci_bus_hide(&pci);
	wr(config + PCI_INTERRUPT_LINE, 1, 0xab);
	cr_assert_eq(rd(config + PCI_INTERRUPT_LINE, 1), 0xab);
}

Test(pci, a_bus_that_cannot_be_shown)
{
	fw.fail_after = 0;
	cr_assert_eq(pci_bus_show(&pci, &fw.wiring), -ENOSPC);
	cr_assert_eq(rd(config, 2), 0x1234);
}

Test(pci, there_is_no_extended_space)
{
	cr_assert_eq(rd(config + 0x100, 4), 0);
	wr(config + 0x100, 8, UINT64_MAX);
	cr_assert_eq(rd(config + 0xfff, 1), 0);
	/* Over the edge of the first 256 bytes. */
	wr(config + 0xfc, 8, UINT64_MAX);
	cr_assert_eq(rd(config + 0xfc, 8), 0);
}

Test(pci, only_writable_bits_change)
{
	wr(config, 8, UINT64_MAX);
	cr_assert_eq(rd(config, 4), 0x56781234);
	cr_assert_eq(rd(config + PCI_COMMAND, 2),
		     PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_INTX_DISABLE);
	cr_assert_eq(rd(config + PCI_STATUS, 2), PCI_STATUS_CAP_LIST);
	wr(config + PCI_CAPABILITY_LIST, 1, 0);
	cr_assert_eq(rd(config + PCI_CAPABILITY_LIST, 1), p->fn.msix_cap);
	wr(config + PCI_INTERRUPT_LINE, 1, 0xab);
	cr_assert_eq(rd(config + PCI_INTERRUPT_LINE, 2), 0xab);
}

Test(pci, bars_tell_their_size_and_stay_where_they_are)
{
	const gpa_t reg0 = config + PCI_BASE_ADDRESS_0, reg2 = config + PCI_BASE_ADDRESS_2;
	const uint64_t kind = PCI_BASE_ADDRESS_MEM_TYPE_64 | PCI_BASE_ADDRESS_MEM_PREFETCH;
	uint64_t at2 = p->fn.bars[2].addr;

	cr_assert_geq(at2, HIGH);

	cr_assert_eq(rd(reg0, 4), bar0);
	cr_assert_eq(bar0 % 0x4000, 0);
	wr(reg0, 4, 0xffffffff);
	cr_assert_eq(rd(reg0, 4), 0xffffc000);
	wr(reg0, 4, 0x12340000);
	cr_assert_eq(rd(reg0, 4), bar0);
	wr(reg2, 4, 0xffffffff);
	wr(reg2 + 4, 4, 0xffffffff);
	cr_assert_eq(rd(reg2, 8), 0xffffffffffff0000 | kind);
	wr(reg2, 8, 0);
	cr_assert_eq(rd(reg2, 8), at2 | kind);
	/* An absent BAR has no size; a half write is no question for it. */
	wr(config + PCI_BASE_ADDRESS_1, 4, 0xffffffff);
	cr_assert_eq(rd(config + PCI_BASE_ADDRESS_1, 4), 0);
	wr(reg0, 2, 0xffff);
	cr_assert_eq(rd(reg0, 4), bar0);
	wr(reg0 - 2, 8, UINT64_MAX);
	cr_assert_eq(rd(reg0, 4), 0xffffc000);
}

Test(pci, bars_reach_the_function)
{
	cr_assert_eq(rd(bar0 + 8, 2), 0x5a5a);
	cr_assert(p->bar == 0 && p->off == 8 && p->len == 2);
	wr(p->fn.bars[2].addr + 0xfff8, 8, 0);
	cr_assert(p->bar == 2 && p->off == 0xfff8 && p->len == 8);
}

Test(pci, without_memory_space_bars_do_not_answer)
{
	wr(config + PCI_COMMAND, 2, 0);
	cr_assert_eq(rd(bar0, 4), 0xffffffff);
	cr_assert_eq(rd(entry(0), 4), 0xffffffff);
	wr(bar0, 4, 1);
	cr_assert_eq(p->reads + p->writes, 0);
}

Test(pci, numbers_and_window_run_out)
{
	struct probe more[40];
	unsigned int n = 0;
	int r;

	do {
		pci_function_init(&more[n].fn, &probe_ops, &ids);
		r = pci_bus_add(&pci, &more[n].fn);
	} while (r == 0 && ++n < ARRAY_SIZE(more));
	cr_assert_eq(n, 30);
	cr_assert_eq(r, -ENOSPC);

	pci_bus_init(&pci, mmio,
		     &(struct pci_windows){.ecam = ECAM + 0x1000000,
					   .base32 = WINDOW + WINDOW_SIZE,
					   .len32 = 0x7000,
					   .base64 = HIGH + HIGH_SIZE,
					   .len64 = 0x10000});
	pci_add_bar(&more[0].fn, 0, 0x8000, false);
	cr_assert_eq(pci_bus_add(&pci, &more[0].fn), -ENOSPC);
	/* Each kind of BAR has a window of its own, and a failure takes from none. */
	pci_add_bar(&more[1].fn, 0, 0x10000, true);
	pci_add_bar(&more[1].fn, 2, 0x8000, false);
	cr_assert_eq(pci_bus_add(&pci, &more[1].fn), -ENOSPC);
	pci_add_bar(&more[2].fn, 0, 0x10000, true);
	cr_assert_eq(pci_bus_add(&pci, &more[2].fn), 0);
	pci_add_bar(&more[3].fn, 0, 0x1000, true);
	cr_assert_eq(pci_bus_add(&pci, &more[3].fn), -ENOSPC);
}

Test(pci, msix_capability_says_where_things_are)
{
	gpa_t cap = config + p->fn.msix_cap;

	cr_assert_eq(rd(cap, 1), PCI_CAP_ID_MSIX);
	cr_assert_eq(rd(cap + PCI_MSIX_FLAGS, 2), VECTORS - 1);
	cr_assert_eq(rd(cap + PCI_MSIX_TABLE, 4), TABLE);
	cr_assert_eq(rd(cap + PCI_MSIX_PBA, 4), PBA);
	msix_control(0xffff);
	cr_assert_eq(rd(cap + PCI_MSIX_FLAGS, 2),
		     (VECTORS - 1) | PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
}

Test(pci, msix_table_takes_dwords_and_qwords)
{
	cr_assert_eq(rd(entry(1) + PCI_MSIX_ENTRY_VECTOR_CTRL, 4), 1);
	wr(entry(1), 8, 0x11223344fee00003);
	cr_assert_eq(rd(entry(1), 8), 0x11223344fee00000);
	wr(entry(1) + 4, 4, 0x55);
	cr_assert_eq(rd(entry(1), 8), 0x55fee00000);
	wr(entry(1) + 8, 8, 0xffffffff0000abcd);
	cr_assert_eq(rd(entry(1) + 8, 4), 0xabcd);
	cr_assert_eq(rd(entry(1) + 12, 4), 1);
	/* Everything else is refused. */
	wr(entry(1) + 8, 2, 0);
	wr(entry(1) + 9, 1, 0);
	wr(entry(1) + 4, 8, 0);
	cr_assert_eq(rd(entry(1) + 8, 4), 0xabcd);
	cr_assert_eq(rd(entry(1) + 8, 2), 0xffff);
	cr_assert_eq(rd(entry(1) + 2, 4), 0xffffffff);
	/* The byte after the last entry is the function's. */
	(void)rd(entry(VECTORS), 4);
	cr_assert_eq(p->reads, 1);
}

Test(pci, an_unmasked_vector_interrupts)
{
	msix_control(PCI_MSIX_FLAGS_ENABLE);
	program(1, 0xfee00000, 0x41);
	cr_assert_eq(fw.routes[1].addr, 0xfee00000);
	cr_assert_eq(fw.routes[1].data, 0x41);
	cr_assert_eq(fw.routes[1].sets, 1);
	raise(1);
	cr_assert_eq(fake_wiring_taken(&fw, 1), 1);
	cr_assert_eq(fake_wiring_taken(&fw, 0), 0);
	/* Masking and unmasking with nothing changed programs nothing. */
	wr(entry(1) + 12, 4, 1);
	wr(entry(1) + 12, 4, 0);
	cr_assert_eq(fw.routes[1].sets, 1);
	cr_assert_eq(fake_wiring_taken(&fw, 1), 0);
}

Test(pci, a_masked_vector_waits)
{
	msix_control(PCI_MSIX_FLAGS_ENABLE);
	raise(2);
	raise(2);
	cr_assert_eq(rd(bar0 + PBA, 8), 1 << 2);
	cr_assert_eq(rd(bar0 + PBA + 4, 4), 0);
	cr_assert_eq(fake_wiring_taken(&fw, 2), 0);
	program(2, 0xfee01000, 7);
	cr_assert_eq(fake_wiring_taken(&fw, 2), 1);
	cr_assert_eq(rd(bar0 + PBA, 8), 0);
	/* The PBA is read-only. */
	wr(bar0 + PBA, 8, 7);
	cr_assert_eq(rd(bar0 + PBA, 4), 0);
	cr_assert_eq(p->writes, 0);
}

Test(pci, function_mask_and_bus_master_hold_all_back)
{
	msix_control(PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
	program(0, 0xfee00000, 1);
	cr_assert_eq(fw.routes[0].sets, 0);
	raise(0);
	cr_assert_eq(fake_wiring_taken(&fw, 0), 0);
	msix_control(PCI_MSIX_FLAGS_ENABLE);
	cr_assert_eq(fw.routes[0].sets, 1);
	cr_assert_eq(fake_wiring_taken(&fw, 0), 1);
	wr(config + PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	raise(0);
	cr_assert_eq(fake_wiring_taken(&fw, 0), 0);
	wr(config + PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	cr_assert_eq(fake_wiring_taken(&fw, 0), 1);
}

Test(pci, disabled_or_absent_vectors_do_nothing)
{
	program(0, 0xfee00000, 1);
	raise(0);
	cr_assert_eq(fake_wiring_taken(&fw, 0), 0);
	msix_control(PCI_MSIX_FLAGS_ENABLE);
	cr_assert_eq(fake_wiring_taken(&fw, 0), 0);
	raise(VECTORS);
	raise(0xffff);
	cr_assert_eq(rd(bar0 + PBA, 8), 0);
	/* What was pending is forgotten when MSI-X is switched off. */
	raise(1);
	msix_control(0);
	msix_control(PCI_MSIX_FLAGS_ENABLE);
	cr_assert_eq(rd(bar0 + PBA, 8), 0);
}

Test(pci, a_route_that_cannot_be_set_is_tried_again)
{
	msix_control(PCI_MSIX_FLAGS_ENABLE);
	fw.fail_after = 0;
	program(0, 0xfee00000, 1);
	cr_assert_eq(fw.routes[0].sets, 0);
	fw.fail_after = -1;
	wr(entry(0) + 12, 4, 0);
	cr_assert_eq(fw.routes[0].sets, 1);
}

Test(pci, msix_set_up_fails_as_a_whole)
{
	struct probe *other = calloc(1, sizeof(*other));

	cr_assert_not_null(other);
	pci_function_init(&other->fn, &probe_ops, &ids);
	pci_add_bar(&other->fn, 0, 0x4000, false);
	fw.fail_after = 1;
	cr_assert_eq(pci_add_msix(&other->fn, &fw.wiring, VECTORS, 0, TABLE, PBA), -ENOSPC);
	other->fn.dev.ops->destroy(&other->fn.dev);
}

Test(pci, a_function_that_was_never_built_can_be_ended)
{
	struct pci_function zero = {0};

	pci_function_fini(&zero);
}
