/* SPDX-License-Identifier: MIT */
#include "tests/support/poor_host.h"

#include <sched.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SOME_USER = 1000 };

bool leave_root(void)
{
	if (geteuid() != 0)
		return true;
	/* Files of /proc/self are root's after a change of the user, until it is dumpable again. */
	return setgid(SOME_USER) == 0 && setuid(SOME_USER) == 0 &&
	       prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) == 0;
}

bool host_has_namespaces(void)
{
	const pid_t pid = fork();
	int status = 1;

	if (pid == 0)
		_exit(leave_root() && unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0 ? 0 : 1);
	return waitpid(pid, &status, 0) == pid && status == 0;
}

static bool write_line(const char *path, const char *line)
{
	FILE *f = fopen(path, "we");
	const bool written = f && fputs(line, f) >= 0;

	return f && fclose(f) == 0 && written;
}

bool enter_poor_host(void)
{
	const unsigned int uid = geteuid(), gid = getegid();
	char map[48];

	/* A namespace has a limit of further ones, which is its root's to set. */
	if (unshare(CLONE_NEWUSER) < 0)
		return false;
	snprintf(map, sizeof(map), "%u %u 1", uid, uid);
	if (!write_line("/proc/self/uid_map", map) || !write_line("/proc/self/setgroups", "deny"))
		return false;
	snprintf(map, sizeof(map), "%u %u 1", gid, gid);
	return write_line("/proc/self/gid_map", map) &&
	       write_line("/proc/sys/user/max_user_namespaces", "0");
}
