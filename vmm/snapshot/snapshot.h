/* SPDX-License-Identifier: MIT */
/* vmm/snapshot/snapshot.h - the file a machine goes on from: its state, and its RAM. */
#ifndef VMM_SNAPSHOT_SNAPSHOT_H
#define VMM_SNAPSHOT_SNAPSHOT_H

#include <stdint.h>

#include "common/util.h"
#include "devices/board/ram.h"

/*
 * DOC: the file
 *
 *	0         header, 4 KiB: magic, format, sizes, key, SHA-256 of header, state and extents
 *	4096      state: what machine_save() wrote
 *	...       extents: offset and length in RAM of what is not zero, ascending
 *	2 MiB * n RAM, sparse, at its own offsets
 *
 * All numbers are little endian. The RAM is not in the checksum, as it would have to be read whole
 * for each start: it is on the disk before the file has a name (vmm/template.h).
 */

enum {
	SNAPSHOT_KEY = 32, /* bytes */
	SNAPSHOT_MAX_EXTENTS = 4096,
	SNAPSHOT_MAX_STATE = 16 << 20,
};

struct snapshot {
	uint8_t *state; /* owned */
	size_t state_len;
	struct ram_extent *extents; /* owned */
	struct ram_template ram; /* whose fd is that of snapshot_open() */
	int64_t created; /* seconds since 1970 */
};

/*
 * Writes one into the empty file fd. `ram` is `ram_size` bytes that nobody changes meanwhile, kept
 * in file ram_fd. -E2BIG: there are too many extents.
 */
int snapshot_write(int fd, const uint8_t key[SNAPSHOT_KEY], const uint8_t *ram, uint64_t ram_size,
		   int ram_fd, const void *state, size_t state_len) MUST_CHECK;

/*
 * Reads one, of a machine with ram_size bytes of RAM; fd is borrowed as long as *out is used, and
 * its content may be anything. -EBADMSG: it is no snapshot, or a damaged one; -ESTALE: it
 * is of another key, format or size.
 */
int snapshot_open(int fd, const uint8_t key[SNAPSHOT_KEY], uint64_t ram_size,
		  struct snapshot *out) MUST_CHECK;
void snapshot_fini(struct snapshot *s); /* zeroed is fine */

#endif
