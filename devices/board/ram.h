/* SPDX-License-Identifier: MIT */
/* devices/board/ram.h - the host memory behind the guest's RAM, and how it goes back. */
#ifndef DEVICES_BOARD_RAM_H
#define DEVICES_BOARD_RAM_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/util.h"

/*
 * DOC: one file, mapped once
 *
 * Guest RAM is a file in memory, mapped shared, so that another process can be
 * given it, and taken from the host page by page as it is touched. Where the
 * host lets us, the file is on a tmpfs of our own that uses huge pages; else it
 * is a memfd (docs/decisions/0003-huge-pages.md). Nothing else has the file
 * open and it has no name, so its size stays what it is.
 */
struct ram {
	int fd; /* owned; -1: none, for it is a template's */
	uint8_t *host; /* aligned to 2 MiB; NULL: none */
	uint64_t size; /* bytes */
	bool huge; /* the file uses huge pages */
	/* Of a template's only, else NULL: */
	uint8_t *blocks; /* a bit for each 2 MiB: something of the file is there */
	int statm_fd; /* what this process has, in pages */
	int pagemap_fd; /* what each of its pages is */
	uint64_t before; /* bytes that were its own before it had this RAM */
	pid_t helper; /* the process that made the file, until ram_reap(); 0: none */
};

/*
 * `size` is a multiple of 4 KiB. Call it before there are threads: it may start
 * a child process, see ram_reap(). ram_fini() is fine on zeroes with fd -1.
 */
int ram_init(struct ram *ram, uint64_t size) MUST_CHECK;
/* The same over a memfd, whatever the host offers. */
int ram_init_memfd(struct ram *ram, uint64_t size) MUST_CHECK;

/* A part of a template that is not zero: bytes of RAM, whole pages. */
struct ram_extent {
	uint64_t offset, len;
};

/*
 * RAM that begins as what a file has: extents, ascending, and none of them beyond `size`. Each
 * sandbox sees the file's pages, and has one of its own from its first write on. The file's
 * offset of RAM offset 0 is a multiple of 2 MiB, as nested huge pages want it.
 */
struct ram_template {
	int fd; /* borrowed, read-only */
	uint64_t offset;
	const struct ram_extent *extents;
	uint32_t n_extents;
};

int ram_init_template(struct ram *ram, uint64_t size, const struct ram_template *from) MUST_CHECK;
void ram_fini(struct ram *ram);

/*
 * Waits for the end of the child process ram_init() may have started. That takes
 * the kernel some milliseconds (it has namespaces to undo), so do something else
 * in between. More than once is fine; ram_fini() does it, too.
 */
void ram_reap(struct ram *ram);

/*
 * Gives the whole host pages inside [host, host+len) back; they read as zeroes until they are
 * written, also where a template had something. -EFAULT, and nothing happens, if the range is
 * not whole inside this RAM. Any thread.
 */
int ram_discard(const struct ram *ram, const void *host, uint64_t len) MUST_CHECK;

/*
 * Bytes the host has given so far, less what went back. Of a template's RAM what is this sandbox's
 * own; what the process allocates beside it after ram_init_template() counts as well. Any thread.
 */
int ram_resident(const struct ram *ram, uint64_t *out) MUST_CHECK;
/* Bytes that are the template's own pages, mapped here and shared with all who do so; else 0. Any thread. */
int ram_template_mapped(const struct ram *ram, uint64_t *out) MUST_CHECK;

#endif
