/* SPDX-License-Identifier: MIT */
/* balloon/pin.h - keeps the program itself in memory while the host is short. */
#ifndef BALLOON_PIN_H
#define BALLOON_PIN_H

/*
 * DOC: why the program is locked
 *
 * Where a cgroup is above its memory.high the kernel first drops the file pages of
 * the group, and the only ones are often our own code. Each page of it that is
 * needed again is read again, is charged to the group, and whoever is charged
 * sleeps for up to 2 s; by then the page is gone again. So the thread that is to
 * give memory back did next to nothing for minutes.
 *
 * The program's code is read in and locked, of its constants and the libraries what
 * has been used. What the limit for locked memory (RLIMIT_MEMLOCK, 8 MiB by default)
 * does not allow stays as it was. Not for guest RAM, which is the guest's and the host's.
 */
void pin_program(void);

#endif
