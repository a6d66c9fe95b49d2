/* SPDX-License-Identifier: MIT */
/* vmm/net/keeper.h - starts network processes for a VMM that has given up to start any. */
#ifndef VMM_NET_KEEPER_H
#define VMM_NET_KEEPER_H

#include <sys/types.h>

#include "common/util.h"
#include "vmm/net/process.h"

/*
 * DOC: the keeper
 *
 * A network process may end before its time, and is followed by another one; but the VMM cannot start
 * processes once it is confined. So before that it starts the keeper, which waits at the other
 * end of a SOCK_SEQPACKET socket, the line. The first message there is a struct net_setup, which
 * holds for good: a VMM that was taken over cannot ask for a network that the user did not give.
 * Each one after it has one descriptor, the network process's end of a cable: the keeper ends the
 * process of before, and forks the next one. It reads nothing else, and ends with the line.
 */

/* The word that makes the program the keeper instead of a command. */
#define NET_KEEPER_WORD "network-process"

/* The descriptor number of the line in that process. */
enum { NET_KEEPER_LINE = 3 };

/* So many processes after the first: a guest that can make it crash has no more tries. */
enum { NET_RESTARTS_MAX = 16 };

/* Starts the keeper, a child; *line is the caller's to close. -errno. */
int net_keeper_start(const struct net_setup *setup, int *line, pid_t *pid) MUST_CHECK;
/*
 * Asks for a network process, in place of the one of before. *cable is our end, the caller's to
 * close; net_process_wait(). Starts no process itself. -errno.
 */
int net_keeper_ask(int line, int *cable) MUST_CHECK;

/* What the keeper and the processes it forks do, from main() to the end. Returns the exit code. */
int net_keeper_main(int line);

#endif
