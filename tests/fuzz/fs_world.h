/* SPDX-License-Identifier: MIT */
/* tests/fuzz/fs_world.h - what the file servers of fuzz_fs serve, and what may become of it. */
#ifndef TESTS_FUZZ_FS_WORLD_H
#define TESTS_FUZZ_FS_WORLD_H

#include <stdio.h>
#include <stdlib.h>

#include "devices/fs/fs_priv.h"
#include "tests/support/fake_guest.h"

/*
 * DOC: the world
 *
 * A directory in memory has a tree that is written to ("tree"), one that nobody but the
 * host may change ("still"), and a file that nobody may ("outside"). Two servers export all of
 * it: "rw" and "one" (a single file) to be written, "ro", and "ix" behind an index. They
 * and their trees live as long as the process; each input finds them as they were.
 */

#define REQUIRE(cond)                                                                       \
	do {                                                                                \
		if (!(cond)) {                                                              \
			fprintf(stderr, "fuzz_fs: %s:%d: %s\n", __FILE__, __LINE__, #cond); \
			abort();                                                            \
		}                                                                           \
	} while (0)

enum {
	FS_WORLD_SERVERS = 2,
	FS_WORLD_SLOT = 2 << 20, /* of the window, bytes */
	FS_WORLD_SLOTS = 4,
	FS_WORLD_MANY = 40, /* files in still/many */
	FS_WORLD_FDS = 75, /* that a server has, where there are not fewer */
};

struct fs_world {
	char dir[64];
	int dirfd;
	struct fake_guest *guests[FS_WORLD_SERVERS];
	struct fs_server *servers[FS_WORLD_SERVERS];
};

extern struct fs_world fs_world;

/* Once. */
void fs_world_new(void);
/* Before an input: all files and exports are there, the drivers reset. The first server is frozen or not. */
void fs_world_begin(bool frozen);
/* After it: resets the drivers and aborts if there is anything that must never be. */
void fs_world_end(void);

/* The host makes a file shorter, replaces one, moves a folder, closes one to others. */
void fs_world_change(uint8_t how);
/* An export of a server, by number; nothing happens if it is there (not there) already. */
void fs_world_add_export(unsigned int server, unsigned int which);
void fs_world_remove_export(unsigned int server, unsigned int which);

#endif
