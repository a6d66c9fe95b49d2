/* SPDX-License-Identifier: MIT */
/* tests/unit/image/base/base_tree.h - a small system with a dpkg database, and the image that is made of it. */
#ifndef TESTS_UNIT_IMAGE_BASE_TREE_H
#define TESTS_UNIT_IMAGE_BASE_TREE_H

#include <stdbool.h>
#include <sys/types.h>
#include <time.h>

#include "image/base/base.h"

/* The test's own, there from make_tree() until remove_tree(): a TestSuite's init and fini. */
extern char *tree;
extern struct base_image image;

void make_tree(void);
void remove_tree(void);

/* Paths are relative to the tree. in_tree(): out has 4096 bytes. */
void in_tree(const char *path, char *out);
void set_mode(const char *path, mode_t mode);
void link_to(const char *target, const char *path);
void touch_file(const char *name, time_t when);
/* Makes the database look written to at another time. */
void touch_database(time_t when);
/* In hex; valid until the next call. */
const char *md5_of(const char *text);

/* A further package, that owns these paths and has these checksums. */
void own_files(const char *list, const char *sums);
/* A Debian package with one file, as apt keeps it. */
void write_deb(const char *name, const char *path, const char *text);

/* Opens the tree's image as `image`; what was open is closed. */
void open_image(enum base_want want);
/* An entry of it; NULL: no name finds one. */
const struct index_entry *find_entry(const char *path);
/* The image itself has these bytes for the file. */
void expect_bytes(const char *path, const char *bytes);
/* How an entry that no name finds is noted: enum index_how; -1: it can be found; -2: nothing is noted. */
int left_out(const char *dir, const char *name);
/* From then on mounts are this process's own; false: that needs root. */
bool may_mount(void);
/* No file that is shared or in the image has "SECRET-MARK". */
void expect_no_mark(void);

#endif
