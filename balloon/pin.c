/* SPDX-License-Identifier: MIT */
#include "balloon/pin.h"

#include <link.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

/* The main program is the first that is shown, and has no name. */
static int pin_object(struct dl_phdr_info *info, size_t size, void *arg)
{
	bool is_program = !info->dlpi_name || !info->dlpi_name[0];
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);

	(void)size;
	(void)arg;
	for (unsigned int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *h = &info->dlpi_phdr[i];
		uintptr_t start = (info->dlpi_addr + h->p_vaddr) & ~(page - 1);
		uintptr_t end = info->dlpi_addr + h->p_vaddr + h->p_memsz;

		/* What is written to is no file's any more. */
		if (h->p_type != PT_LOAD || h->p_flags & PF_W)
			continue;
		/*
		 * An address of the linker's, which knows no pointer for it. Beside the code of the
		 * program is the guest's agent, which is not needed again.
		 */
		(void)mlock2((const void *)start, end - start,
			     is_program && (h->p_flags & PF_X) ? 0 : MLOCK_ONFAULT);
	}
	return 0;
}

void pin_program(void)
{
	(void)dl_iterate_phdr(pin_object, NULL);
}
