/* SPDX-License-Identifier: MIT */
#include "vmm/kvm/x86/boot.h"

#include <elf.h>
#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vmm/kvm/x86/layout.h"

enum {
	MAX_PROGRAM_HEADERS = 64,
	MAX_NOTES = 4096, /* bytes */
	PAGE = 4096,

	NOTE_PVH_ENTRY = 18, /* XEN_ELFNOTE_PHYS32_ENTRY */

	MEMMAP_RAM = 1,
	MEMMAP_RESERVED = 2,
	MEMMAP_MAX = 8,
};

#define START_INFO_MAGIC 0x336ec578u

/* The three structures of the PVH boot ABI, version 1. */
struct start_info {
	uint32_t magic, version, flags, n_modules;
	uint64_t modlist, cmdline, rsdp, memmap;
	uint32_t n_memmap, reserved;
};

struct module_entry {
	uint64_t addr, size, cmdline, reserved;
};

struct memmap_entry {
	uint64_t addr, size;
	uint32_t type, reserved;
};

struct loader {
	const struct guest_mem *mem;
	int fd;
	Elf64_Phdr phdrs[MAX_PROGRAM_HEADERS];
	unsigned int n_phdrs;
	gpa_t end; /* first address behind the kernel */
	uint32_t entry;
};

static int read_at(int fd, void *dst, size_t len, uint64_t off)
{
	uint8_t *p = dst;

	if (off > INT64_MAX - len)
		return -ENOEXEC;
	while (len > 0) {
		ssize_t n = pread(fd, p, len, (off_t)off);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return -ENOEXEC; /* shorter than its headers say */
		p += n;
		off += (uint64_t)n;
		len -= (size_t)n;
	}
	return 0;
}

static int read_headers(struct loader *l)
{
	Elf64_Ehdr eh;
	int r = read_at(l->fd, &eh, sizeof(eh), 0);

	if (r < 0)
		return r;
	if (memcmp(eh.e_ident, ELFMAG, SELFMAG) != 0 || eh.e_ident[EI_CLASS] != ELFCLASS64 ||
	    eh.e_ident[EI_DATA] != ELFDATA2LSB || eh.e_machine != EM_X86_64 ||
	    eh.e_phentsize != sizeof(Elf64_Phdr) || eh.e_phnum == 0 ||
	    eh.e_phnum > MAX_PROGRAM_HEADERS)
		return -ENOEXEC;
	l->n_phdrs = eh.e_phnum;
	return read_at(l->fd, l->phdrs, eh.e_phnum * sizeof(Elf64_Phdr), eh.e_phoff);
}

/* Reads into memory that is zero already: holes of the file are passed over. */
static int read_sparse(int fd, uint8_t *dst, size_t len, uint64_t off)
{
	uint64_t end = off + len;
	struct stat st;

	if (off > INT64_MAX - len || fstat(fd, &st) < 0 || end > (uint64_t)st.st_size)
		return -ENOEXEC;
	for (uint64_t at = off; at < end;) {
		off_t data = lseek(fd, (off_t)at, SEEK_DATA);
		off_t hole = data < 0 ? -1 : lseek(fd, data, SEEK_HOLE);
		uint64_t stop = hole < 0 ? end : min_u64((uint64_t)hole, end);
		int r;

		if (data < 0 && errno == ENXIO)
			return 0; /* nothing but a hole is left */
		/* A file system that knows no holes has data everywhere. */
		if (data > 0)
			at = (uint64_t)data;
		if (at >= end)
			return 0;
		r = read_at(fd, dst + (at - off), stop - at, at);
		if (r < 0)
			return r;
		at = stop;
	}
	return 0;
}

static int load_segment(struct loader *l, const Elf64_Phdr *ph)
{
	uint8_t *dst;

	if (ph->p_filesz > ph->p_memsz || ph->p_paddr < KERNEL_MIN || ph->p_paddr >= LOW_RAM_END)
		return -ENOEXEC;
	dst = guest_ptr(l->mem, ph->p_paddr, ph->p_memsz);
	if (!dst)
		return -ENOSPC;
	if (ph->p_paddr + ph->p_memsz > l->end)
		l->end = ph->p_paddr + ph->p_memsz;
	/* The rest, up to p_memsz, is zero already: the memory is fresh. */
	return read_sparse(l->fd, dst, ph->p_filesz, ph->p_offset);
}

/* Looks for the entry note; its value is an address of 4 or 8 bytes. */
static int parse_notes(struct loader *l, const Elf64_Phdr *ph)
{
	uint8_t notes[MAX_NOTES];
	size_t len = min_size(ph->p_filesz, sizeof(notes)), off = 0;
	int r = read_at(l->fd, notes, len, ph->p_offset);

	if (r < 0)
		return r;
	while (len - off >= sizeof(Elf64_Nhdr)) {
		Elf64_Nhdr nh;
		size_t name, desc;

		memcpy(&nh, notes + off, sizeof(nh));
		if (nh.n_namesz > MAX_NOTES || nh.n_descsz > MAX_NOTES)
			return 0;
		name = off + sizeof(nh);
		desc = name + align_up(nh.n_namesz, 4);
		off = desc + align_up(nh.n_descsz, 4);
		if (off > len)
			return 0;
		if (nh.n_type == NOTE_PVH_ENTRY && nh.n_namesz == 4 &&
		    memcmp(notes + name, "Xen", 4) == 0 && (nh.n_descsz == 4 || nh.n_descsz == 8))
			memcpy(&l->entry, notes + desc, sizeof(l->entry));
	}
	return 0;
}

static int load_kernel(struct loader *l)
{
	int r = read_headers(l);

	for (unsigned int i = 0; r == 0 && i < l->n_phdrs; i++) {
		if (l->phdrs[i].p_type == PT_LOAD)
			r = load_segment(l, &l->phdrs[i]);
		else if (l->phdrs[i].p_type == PT_NOTE)
			r = parse_notes(l, &l->phdrs[i]);
	}
	if (r == 0 && (l->entry < KERNEL_MIN || l->entry >= l->end))
		r = -ENOEXEC;
	return r;
}

static int place_initramfs(const struct loader *l, const struct boot_input *in, gpa_t *out)
{
	uint64_t low = l->mem->regions[0].size;
	size_t len = in->initramfs_len;
	uint8_t *dst;
	gpa_t addr;

	if (len > low || l->end > low - len)
		return -ENOSPC;
	addr = (low - len) & ~(uint64_t)(PAGE - 1);
	dst = addr < l->end ? NULL : guest_ptr(l->mem, addr, len);
	if (!dst)
		return -ENOSPC;
	*out = addr;
	return read_at(in->initramfs_fd, dst, len, in->initramfs_off);
}

static unsigned int make_memmap(const struct guest_mem *mem, struct memmap_entry map[MEMMAP_MAX])
{
	unsigned int n = 0;

	map[n++] = (struct memmap_entry){0, LOW_CONVENTIONAL_END, MEMMAP_RAM, 0};
	map[n++] = (struct memmap_entry){ACPI_TABLES, ACPI_TABLES_SIZE, MEMMAP_RESERVED, 0};
	map[n++] =
		(struct memmap_entry){KERNEL_MIN, mem->regions[0].size - KERNEL_MIN, MEMMAP_RAM, 0};
	/* The kernel believes in ECAM only where the map reserves it. */
	map[n++] = (struct memmap_entry){ECAM_BASE, ECAM_SIZE, MEMMAP_RESERVED, 0};
	for (unsigned int i = 1; i < mem->n_regions; i++)
		map[n++] = (struct memmap_entry){mem->regions[i].base, mem->regions[i].size,
						 MEMMAP_RAM, 0};
	return n;
}

static int write_start_info(const struct loader *l, const struct boot_input *in, gpa_t initramfs)
{
	struct memmap_entry map[MEMMAP_MAX];
	struct module_entry module = {.addr = initramfs, .size = in->initramfs_len};
	struct start_info info = {
		.magic = START_INFO_MAGIC,
		.version = 1,
		.n_modules = 1,
		.modlist = BOOT_MODLIST,
		.cmdline = BOOT_CMDLINE,
		.rsdp = in->rsdp,
		.memmap = BOOT_MEMMAP,
	};
	int r;

	if (strlen(in->cmdline) >= BOOT_CMDLINE_MAX)
		return -E2BIG;
	info.n_memmap = make_memmap(l->mem, map);
	r = guest_write(l->mem, BOOT_CMDLINE, in->cmdline, strlen(in->cmdline) + 1);
	if (r == 0)
		r = guest_write(l->mem, BOOT_MEMMAP, map, info.n_memmap * sizeof(map[0]));
	if (r == 0)
		r = guest_write(l->mem, BOOT_MODLIST, &module, sizeof(module));
	if (r == 0)
		r = guest_write(l->mem, BOOT_START_INFO, &info, sizeof(info));
	return r;
}

int boot_load(const struct guest_mem *mem, const struct boot_input *in, struct boot_entry *out)
{
	struct loader l = {.mem = mem, .fd = in->elf_fd};
	gpa_t initramfs_at;
	int r = load_kernel(&l);

	if (r == 0)
		r = place_initramfs(&l, in, &initramfs_at);
	if (r == 0)
		r = write_start_info(&l, in, initramfs_at);
	if (r == 0)
		*out = (struct boot_entry){.entry = l.entry, .start_info = BOOT_START_INFO};
	return r;
}
