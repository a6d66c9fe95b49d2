/* SPDX-License-Identifier: MIT */
/* common/kernel_fs.h - knows the file systems whose files are no data but doors into a kernel. */
#ifndef COMMON_KERNEL_FS_H
#define COMMON_KERNEL_FS_H

/*
 * The name of the file system fd is on, "proc", if reading its files shows what a kernel or another
 * process holds, writing them changes that, or either may never end; NULL otherwise,
 * also if it cannot be told. fd may be O_PATH.
 */
const char *kernel_fs_name(int fd);

#endif
