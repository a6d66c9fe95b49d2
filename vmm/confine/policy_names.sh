#!/bin/sh
# policy_names.sh CC: the names of all system calls, by number, as a C array.
echo 'static const char *const names[] = {'
echo '#include <asm/unistd_64.h>' | "$1" -dM -E - |
	sed -n 's/^#define __NR_\([a-z0-9_]*\) \([0-9]*\)$/	[\2] = "\1",/p'
echo '};'
