/* SPDX-License-Identifier: MIT */
/* launcher/copy/tar_extract.h - a tar archive that nobody trusts, unpacked below one folder. */
#ifndef LAUNCHER_COPY_TAR_EXTRACT_H
#define LAUNCHER_COPY_TAR_EXTRACT_H

#include "launcher/copy/copy_tally.h"
#include "launcher/copy/tar_lib.h"

/*
 * DOC: what a guest may send
 *
 * The archive is a hostile guest's. libarchive takes it apart, its tar reader and
 * no other, without decompressors. What is done with an entry is decided here:
 *
 *   - Its name has to begin with `from`, or it is skipped; so is an absolute one
 *     or one with "..".
 *   - The folder it is to be in is opened beneath `top` by openat2(), without
 *     following a symbolic link, one of the archive included; there the entry has
 *     one plain name.
 *   - Folders, files and symbolic links are made. Devices, FIFOs, sockets and hard
 *     links are skipped.
 *   - A file or link is made under a name of ours and renamed, so that nothing half-written has its
 *     name, and what was there is replaced, never written to or through.
 *   - Modes lose their set-id and sticky bits, and what the user's umask takes; owners, attributes and
 *     ACLs are not looked at.
 *   - Names that steer terminals are skipped.
 *
 * A file's length is not trusted either. A twentieth of the bytes and files that were free at the
 * beginning, at most 1 GiB, stays so. There are at most TAR_ENTRIES_MAX entries.
 */

enum { TAR_ENTRIES_MAX = 10 * 1000 * 1000 };

struct tar_extract {
	int top; /* the folder, O_PATH; borrowed */
	const char *to; /* its path, for messages */
	const char *from; /* first component of names in the archive; ".": of any */
	const char *as; /* what it is called below top; ".": it is top */
	struct copy_tally *tally;
};

/*
 * Reads fd to the archive's end. Logs on failure, unless there was nothing to read:
 * -ENODATA. SIGINT, SIGTERM and SIGHUP remove the file that is being made and end
 * the process, from the first call on.
 */
int tar_extract(const struct tar_lib *lib, const struct tar_extract *x, int fd) MUST_CHECK;

#endif
