/* SPDX-License-Identifier: MIT */
/* vmm/session/shares.h - the host's folders and files that a sandbox shows, and how they come and go. */
#ifndef VMM_SESSION_SHARES_H
#define VMM_SESSION_SHARES_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/util.h"

struct config_map;
struct fs_server;
struct loop;
struct sandbox_config;
struct session;
struct shares;

/*
 * DOC: a share has two halves
 *
 * One is an export of a file server, "map<number>", the other a mount in the
 * guest. To add one, the server gets the export, then the guest is asked to mount
 * it. To remove one, the guest is asked to detach it, and the server takes the
 * export back, which is what counts: it is done whatever the guest says, at once
 * if the share is read-only. Otherwise the guest may write back first what it
 * owes the host, for detach_limit_ms.
 *
 * The server is spoken to on its own thread: it may be behind a slow disk, and
 * this one must not be. No number is given twice, as the guest's kernel may
 * remember a name for a moment.
 *
 * All on the loop thread, never within a vsock callback.
 */

/* What became of a request. 0, and text says what went wrong beside, or ""; or a negative errno and why. */
typedef void (*shares_done_fn)(void *asker, int64_t id, int error, const char *text);

/* The running file server of the shares. */
struct shares_files {
	struct loop *loop;
	struct fs_server *server;
	pthread_mutex_t *lock; /* its device's */
};

struct shares_setup {
	struct loop *loop;
	struct session *session;
	struct shares_files files;
	const struct sandbox_config *config; /* its maps are there from the start */
	shares_done_fn done;
	uint64_t mount_limit_ms, detach_limit_ms; /* for the guest's answers */
	uint64_t server_limit_ms; /* for the server's, -ETIMEDOUT after it; 0: none */
};

/* What setup points to is borrowed. */
int shares_new(const struct shares_setup *setup, struct shares **out) MUST_CHECK;
/* After the session, and when the file server's loop has stopped. NULL is fine. */
void shares_free(struct shares *sh);

/*
 * Adds *map, whose paths are absolute and normalised and whose fd is O_PATH; it
 * is taken over, also on failure. done(asker, id, ...) follows if it returns 0. Else
 * `why`, of MAP_WHY_MAX bytes, has a line: -EAGAIN not before the guest is
 * ready, -EPERM the place is taken by the system, -EEXIST or by another share, -E2BIG there are
 * CONFIG_MAX_MAPS.
 */
int shares_add(struct shares *sh, struct config_map *map, void *asker, int64_t id,
	       char *why) MUST_CHECK;
/*
 * Removes the share at that path of the guest. -ENOENT: there is none; -EBUSY:
 * another one lies in it, or it comes or goes already; -EAGAIN.
 */
int shares_remove(struct shares *sh, const char *guest, void *asker, int64_t id,
		  char *why) MUST_CHECK;
/* Its requests go on, but it is not told. */
void shares_forget(struct shares *sh, const void *asker);

/* The i-th of those the guest can see; NULL: there are fewer. */
const struct config_map *shares_get(const struct shares *sh, size_t i);
/* True if the guest may owe the host something. */
bool shares_writable(const struct shares *sh);

#endif
