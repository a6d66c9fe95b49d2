/* SPDX-License-Identifier: MIT */
/* devices/fs/fs.h - virtio-fs (VIRTIO 1.2 section 5.11): host folders for the guest. */
#ifndef DEVICES_FS_FS_H
#define DEVICES_FS_FS_H

#include <stdbool.h>
#include <stdint.h>

#include "devices/virtio/virtio.h"

/*
 * DOC: one file system, many exports
 *
 * The file system's root is a directory of our own making that holds one entry
 * per export, by the export's name. A guest mounts the file system once and
 * binds what it needs; a further export costs no device. Exports come and go while
 * the guest runs. A name that was in use should not be given to another export:
 * the guest's kernel may know it for a moment longer. See docs/file-sharing.md for what holds and what a guest may rely on.
 *
 * What the server needs of its process: a umask of 0 (the guest's kernel
 * applied its own), SIGXFSZ ignored (a guest may write past RLIMIT_FSIZE), and
 * RLIMIT_NOFILE at its final value before fs_server_new(), which leaves 256
 * descriptors to others, and half of the rest to a second server. The caller serialises calls.
 * A request may wait for the host for as long as its file system takes: the device
 * lock is not held then, but nothing else is served.
 */

enum fs_cache {
	FS_CACHE_SHORT, /* a folder people work in: the host's changes show within a second */
	/*
	 * Files that do not change while a sandbox runs. They have no extended
	 * attributes, and if the export is read-only, their set-id bits are shown.
	 */
	FS_CACHE_LONG,
};

struct fs_export_config {
	const char *name; /* one path component; copied */
	int fd; /* O_PATH: a directory, or a regular file (then the export is a
			     directory that holds it as "file"); taken over, also on failure */
	bool writable;
	enum fs_cache cache;
	/*
	 * NULL, or what is in the export, whose root directory fd is: names and attributes
	 * are the index's; read-only, FS_CACHE_LONG. Borrowed for the device's life.
	 */
	const struct index *index;
};

struct fs_server;
struct index;

int fs_server_new(struct fs_server **out) MUST_CHECK;
void fs_server_free(struct fs_server *server); /* NULL is fine */
/*
 * Before the first export, for a guest of so much memory: it has as many files as its
 * kernel can know, which takes some 1 KiB of that for each.
 */
void fs_server_limit(struct fs_server *server, uint64_t memory);
/*
 * For a server all of whose exports are read-only and FS_CACHE_LONG, before the device
 * is used: what the guest's kernel would ask of each file is answered once for all of
 * them, by ENOSYS. There are no extended attributes (overlayfs asks for one of each file it
 * looks up), and neither files nor directories are opened: the guest keeps what it has read
 * and listed, always with the attributes of what is in a directory. What it locks is its own affair.
 * An export behind an index needs such a server.
 */
void fs_server_freeze(struct fs_server *server);
/*
 * Before the device is used, or later under its lock and on the thread of its loop. -EEXIST, -EINVAL (name, or neither
 * file nor directory), -EOPNOTSUPP (kernel_fs_name()), -ENAMETOOLONG, -ENOENT (empty name), -ENOSPC (128 exports), -ENFILE.
 */
int fs_server_add_export(struct fs_server *server,
			 const struct fs_export_config *export) MUST_CHECK;
/*
 * Takes an export back, whatever the guest has open, locked or mapped of it: its
 * numbers are current no more (ESTALE, EBADF), what the window has of it reads as
 * zeroes, and no descriptor of it is left. Under the device's lock, on the thread
 * of its loop, so that no request is at work. -ENOENT; -ENOMEM: the host has no mapping left to take a file
 * out of the window with (vm.max_map_count), and the export stays.
 */
int fs_server_remove_export(struct fs_server *server, const char *name) MUST_CHECK;

enum { FS_MAX_WRITABLE = 128 };

/* The descriptors, the server's, of its writable exports' folders and files; how many. */
size_t fs_server_writable(const struct fs_server *server, int fds[FS_MAX_WRITABLE]);

/* What a guest makes the host keep for it. */
struct fs_figures {
	uint32_t nodes, max_nodes; /* files it knows */
	uint32_t descriptors, max_descriptors; /* of them open, with what it has open itself */
	uint32_t locked_ranges, max_locked_ranges;
};

/* Any thread, no lock: a host that does not answer a request keeps nobody. As of the last one that ended. */
void fs_server_figures(const struct fs_server *server, struct fs_figures *out);

/*
 * Forgets the driver: handles, locks, waiting requests, every node it knew. Under the
 * device's lock. Closes what the guest had open, which may wait for the host's file system.
 */
void fs_server_reset(struct fs_server *server);

/*
 * A DAX window of `size` bytes, a multiple of 2 MiB: the guest may have files of
 * read-only exports mapped there instead of reading them (docs/file-sharing.md).
 * Once, before virtio_fs_new().
 */
int fs_server_add_window(struct fs_server *server, uint64_t size) MUST_CHECK;
/*
 * For a vCPU that met a page the host cannot provide: takes out of the window
 * what files no longer have. True if it was that, or if a request is at work, so
 * that it cannot be told yet: the vCPU goes on, and comes again. Under the
 * device's lock, which is not held while a request is at work.
 */
bool fs_server_mend_window(struct fs_server *server);

/* Takes server over, also on failure. `tag` has at most 36 bytes. */
int virtio_fs_new(const char *tag, struct fs_server *server, struct virtio_device **out) MUST_CHECK;

#endif
