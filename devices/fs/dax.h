/* SPDX-License-Identifier: MIT */
/* devices/fs/dax.h - the DAX window: host page cache that the guest reads without a request. */
#ifndef DEVICES_FS_DAX_H
#define DEVICES_FS_DAX_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "common/util.h"

/*
 * DOC: the window
 *
 * The window is one range of our address space, which the hypervisor shows the
 * guest read-only (virtio shared memory region 0). It is cut into slots of
 * 2 MiB, the size Linux maps by. A slot holds a part of a file of a read-only
 * export, mapped shared and readable, or nothing: then zero pages stand there.
 * There is never a hole in it that another mapping of the process could fall
 * into.
 *
 * Our own code never reads the window: behind the end of a file there is
 * SIGBUS. A guest that reads there makes KVM_RUN fail, without an address on
 * older kernels, and fs_dax_mend() puts zero pages wherever a file has become
 * shorter. The file's node then is dead: requests that name it get ESTALE, and
 * a guest that looks the path up again gets a new one.
 *
 * A slot's node keeps its descriptor.
 *
 * All calls under the device's lock.
 */

enum { FS_DAX_SHIFT = 21, FS_DAX_SLOT = 1 << FS_DAX_SHIFT };

struct fs_dax;
struct fs_export;
struct fs_node;
struct fs_request;
struct fs_server;
struct state_reader;
struct state_writer;

/* `size` is a multiple of FS_DAX_SLOT. */
int fs_dax_new(uint64_t size, struct fs_dax **out) MUST_CHECK;
/* After fs_dax_clear(). NULL is fine. */
void fs_dax_free(struct fs_dax *dax);
/* Where it is, aligned to FS_DAX_SLOT, and its bytes. */
const void *fs_dax_host(const struct fs_dax *dax);
uint64_t fs_dax_size(const struct fs_dax *dax);

/* True if the guest should map this file rather than read it. */
bool fs_dax_wanted(const struct fs_server *s, const struct fs_node *node, const struct stat *st);

int fs_op_setupmapping(struct fs_server *s, struct fs_request *rq);
int fs_op_removemapping(struct fs_server *s, struct fs_request *rq);

/*
 * Empties the slots with files of the export; NULL: every one. If the host has no
 * mappings left (-ENOMEM), as many as can be.
 */
int fs_dax_clear(struct fs_server *s, const struct fs_export *export);
/*
 * After the guest read something there is no page for. False: it was not in the
 * window, or the host has no mappings left to mend it with.
 */
bool fs_dax_mend(struct fs_server *s);

/* What the window shows. A file that is not what it was when the state was written fails the load. */
void fs_dax_save(const struct fs_server *s, struct state_writer *w);
void fs_dax_load(struct fs_server *s, struct state_reader *r);

/* True if the window shows anything. */
bool fs_dax_is_used(const struct fs_server *s);
/* Takes the node's file out of the window; if it was there, the node is struck. */
void fs_dax_drop(struct fs_server *s, struct fs_node *node);
/*
 * Once a second while the window shows anything: looks at some slots, and takes out what the host has
 * changed, closed to others or moved away since it was mapped. For the guest reads
 * what is mapped without a request that could be refused.
 */
void fs_dax_look(struct fs_server *s);

#endif
