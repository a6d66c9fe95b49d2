/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <elf.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "vmm/kvm/x86/boot.h"
#include "vmm/kvm/x86/layout.h"

enum { RAM_SIZE = 8 << 20, FILE_SIZE = 8192, CODE_OFF = 4096, CODE_LEN = 64, NOTE_OFF = 2048 };

#define CODE_ADDR 0x200000ull
#define ENTRY	  0x200010u

static uint8_t *ram;
static struct guest_mem mem;

/* A kernel of one segment and one note, which each test then spoils. */
static struct {
	Elf64_Ehdr eh;
	Elf64_Phdr ph[2];
} head;

static struct {
	Elf64_Nhdr nh;
	char name[4];
	uint64_t entry;
} note;

static void setup(void)
{
	ram = mmap(NULL, RAM_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	cr_assert_neq(ram, MAP_FAILED);
	mem = (struct guest_mem){.regions = {{0, RAM_SIZE, ram}}, .n_regions = 1};

	memset(&head, 0, sizeof(head));
	memcpy(head.eh.e_ident, ELFMAG, SELFMAG);
	head.eh.e_ident[EI_CLASS] = ELFCLASS64;
	head.eh.e_ident[EI_DATA] = ELFDATA2LSB;
	head.eh.e_machine = EM_X86_64;
	head.eh.e_phoff = sizeof(Elf64_Ehdr);
	head.eh.e_phentsize = sizeof(Elf64_Phdr);
	head.eh.e_phnum = 2;
	head.ph[0] = (Elf64_Phdr){
		.p_type = PT_LOAD,
		.p_offset = CODE_OFF,
		.p_paddr = CODE_ADDR,
		.p_filesz = CODE_LEN,
		.p_memsz = 4096,
	};
	head.ph[1] =
		(Elf64_Phdr){.p_type = PT_NOTE, .p_offset = NOTE_OFF, .p_filesz = sizeof(note)};
	note.nh = (Elf64_Nhdr){.n_namesz = 4, .n_descsz = 8, .n_type = 18};
	memcpy(note.name, "Xen", 4);
	note.entry = ENTRY;
}

static size_t short_by; /* bytes that the initramfs lacks */

/* 16 bytes that are none of the initramfs, then `len` that are. */
static void fill(int fd, size_t len)
{
	char *text = malloc(len + 16);

	memset(text, '-', 16);
	memset(text + 16, 'i', len);
	cr_assert_eq(write(fd, text, len + 16 - short_by), (ssize_t)(len + 16 - short_by));
	free(text);
}

static int load(const char *cmdline, size_t initramfs_len, struct boot_entry *out)
{
	static uint8_t file[FILE_SIZE];
	struct boot_input in = {
		.elf_fd = memfd_create("kernel", 0),
		.initramfs_fd = memfd_create("initramfs", 0),
		.initramfs_off = 16,
		.initramfs_len = initramfs_len,
		.cmdline = cmdline,
		.rsdp = ACPI_TABLES,
	};
	int r;

	memcpy(file, &head, sizeof(head));
	memcpy(file + NOTE_OFF, &note, sizeof(note));
	memset(file + CODE_OFF, 0xc3, CODE_LEN);
	cr_assert_eq(write(in.elf_fd, file, sizeof(file)), FILE_SIZE);
	fill(in.initramfs_fd, initramfs_len);
	r = boot_load(&mem, &in, out);
	close(in.elf_fd);
	close(in.initramfs_fd);
	return r;
}

TestSuite(boot, .init = setup);

Test(boot, a_kernel_is_placed_and_described)
{
	struct boot_entry e;
	uint64_t words[7];
	uint64_t module[2];

	cr_assert_eq(load("quiet", 5000, &e), 0);
	cr_assert_eq(e.entry, ENTRY);
	cr_assert_eq(ram[CODE_ADDR], 0xc3);
	cr_assert_eq(ram[CODE_ADDR + CODE_LEN], 0);
	cr_assert_str_eq((char *)ram + BOOT_CMDLINE, "quiet");

	/* start_info: magic, then module list, command line, RSDP and memory map addresses. */
	memcpy(words, ram + e.start_info, sizeof(words));
	cr_assert_eq((uint32_t)words[0], 0x336ec578);
	cr_assert_eq(words[2], BOOT_MODLIST);
	cr_assert_eq(words[3], BOOT_CMDLINE);
	cr_assert_eq(words[4], ACPI_TABLES);
	cr_assert_eq(words[5], BOOT_MEMMAP);

	/* The initramfs is whole, page-aligned, at the top. */
	memcpy(module, ram + BOOT_MODLIST, sizeof(module));
	cr_assert_eq(module[1], 5000);
	cr_assert_eq(module[0] % 4096, 0);
	cr_assert(module[0] + module[1] <= RAM_SIZE);
	cr_assert_eq(ram[module[0]], 'i');
	cr_assert_eq(ram[module[0] + 4999], 'i');
}

/* Data at the end of the first page and in the fourth, nothing else; holes at both ends. */
Test(boot, holes_of_the_file_are_zeroes)
{
	enum { AT = 1 << 20, LEN = 64 << 10 };
	struct boot_input in = {.initramfs_fd = memfd_create("initramfs", 0),
				.initramfs_off = 16,
				.initramfs_len = 1,
				.cmdline = ""};
	int fd = memfd_create("kernel", 0);
	struct boot_entry e;

	in.elf_fd = fd;
	fill(in.initramfs_fd, 1);
	head.ph[0].p_offset = AT;
	head.ph[0].p_filesz = head.ph[0].p_memsz = LEN;
	cr_assert_eq(pwrite(fd, &head, sizeof(head), 0), (ssize_t)sizeof(head));
	cr_assert_eq(pwrite(fd, &note, sizeof(note), NOTE_OFF), (ssize_t)sizeof(note));
	cr_assert_eq(pwrite(fd, "first", 5, AT + 4091), 5);
	cr_assert_eq(pwrite(fd, "fourth", 6, AT + 12288), 6);
	cr_assert_eq(ftruncate(fd, AT + LEN - 1), 0);
	cr_assert_eq(boot_load(&mem, &in, &e), -ENOEXEC);
	cr_assert_eq(ftruncate(fd, AT + LEN), 0);
	cr_assert_eq(boot_load(&mem, &in, &e), 0);
	cr_assert_eq(memcmp(ram + CODE_ADDR + 4091, "first", 5), 0);
	cr_assert_eq(memcmp(ram + CODE_ADDR + 12288, "fourth", 6), 0);
	cr_assert_eq(ram[CODE_ADDR + 4096], 0);
	cr_assert_eq(ram[CODE_ADDR + LEN - 1], 0);
	head.ph[0].p_offset = UINT64_MAX - 100;
	cr_assert_eq(pwrite(fd, &head, sizeof(head), 0), (ssize_t)sizeof(head));
	cr_assert_eq(boot_load(&mem, &in, &e), -ENOEXEC);
	close(fd);
	close(in.initramfs_fd);
}

Test(boot, an_initramfs_that_was_cut_is_refused)
{
	struct boot_entry e;

	short_by = 1;
	cr_assert_eq(load("", 5000, &e), -ENOEXEC);
}

Test(boot, the_memory_map_covers_high_memory_too)
{
	static uint8_t high[4096];
	struct boot_entry e;
	struct {
		uint64_t addr, size;
		uint32_t type, zero;
	} last;

	mem.regions[1] = (struct guest_region){HIGH_RAM_BASE, sizeof(high), high};
	mem.n_regions = 2;
	cr_assert_eq(load("", 1, &e), 0);
	memcpy(&last, ram + BOOT_MEMMAP + 4 * sizeof(last), sizeof(last));
	cr_assert_eq(last.addr, HIGH_RAM_BASE);
	cr_assert_eq(last.size, 4096);
	cr_assert_eq(last.type, 1);
}

Test(boot, what_is_no_kernel_is_refused)
{
	struct boot_entry e;

	head.eh.e_ident[0] = 'M';
	cr_assert_eq(load("", 1, &e), -ENOEXEC);
	setup();
	head.eh.e_ident[EI_CLASS] = ELFCLASS32;
	cr_assert_eq(load("", 1, &e), -ENOEXEC);
	setup();
	head.eh.e_machine = EM_AARCH64;
	cr_assert_eq(load("", 1, &e), -ENOEXEC);
	setup();
	head.eh.e_phnum = 0xffff;
	cr_assert_eq(load("", 1, &e), -ENOEXEC);
	setup();
	head.eh.e_phoff = UINT64_MAX - 8;
	cr_assert_eq(load("", 1, &e), -ENOEXEC);
}

Test(boot, a_kernel_without_an_entry_is_refused)
{
	struct boot_entry e;

	note.nh.n_type = 17;
	cr_assert_eq(load("", 1, &e), -ENOEXEC);
	setup();
	note.entry = 0x1000;
	cr_assert_eq(load("", 1, &e), -ENOEXEC);
	setup();
	note.entry = CODE_ADDR + 4096;
	cr_assert_eq(load("", 1, &e), -ENOEXEC);
	setup();
	note.nh.n_descsz = UINT32_MAX;
	cr_assert_eq(load("", 1, &e), -ENOEXEC);
}

Test(boot, segments_that_lie_are_refused)
{
	struct boot_entry e;

	head.ph[0].p_filesz = 8192;
	cr_assert_eq(load("", 1, &e), -ENOEXEC, "more in the file than in memory");
	setup();
	head.ph[0].p_paddr = 0;
	cr_assert_eq(load("", 1, &e), -ENOEXEC, "over our own tables");
	setup();
	head.ph[0].p_paddr = UINT64_MAX - 16;
	cr_assert_eq(load("", 1, &e), -ENOEXEC, "behind the end of everything");
	setup();
	head.ph[0].p_memsz = RAM_SIZE;
	cr_assert_eq(load("", 1, &e), -ENOSPC, "past the end of memory");
	setup();
	head.ph[0].p_offset = FILE_SIZE;
	cr_assert_eq(load("", 1, &e), -ENOEXEC, "outside the file");
	setup();
	head.ph[0].p_offset = (uint64_t)INT64_MAX;
	cr_assert_eq(load("", 1, &e), -ENOEXEC, "at an offset no file has");
}

Test(boot, what_does_not_fit_is_refused)
{
	static char cmdline[BOOT_CMDLINE_MAX + 1];
	struct boot_entry e;

	cr_assert_eq(load("", RAM_SIZE - (2 << 20), &e), -ENOSPC);
	cr_assert_eq(load("", RAM_SIZE + 1, &e), -ENOSPC);
	memset(cmdline, 'x', BOOT_CMDLINE_MAX);
	cr_assert_eq(load(cmdline, 1, &e), -E2BIG);
	cmdline[BOOT_CMDLINE_MAX - 1] = '\0';
	cr_assert_eq(load(cmdline, 1, &e), 0);
}
