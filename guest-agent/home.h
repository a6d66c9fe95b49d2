/* SPDX-License-Identifier: MIT */
/* guest-agent/home.h - what a new home directory begins with. */
#ifndef GUEST_AGENT_HOME_H
#define GUEST_AGENT_HOME_H

#include <sys/types.h>

/*
 * Copies what is in the directory `skel` (/etc/skel) into the empty one `home`, for
 * that owner: files, directories and symbolic links. What cannot be copied is
 * left out: a command runs without it as well.
 */
void home_fill(const char *skel, const char *home, uid_t uid, gid_t gid);

#endif
