/* SPDX-License-Identifier: MIT */
#include "common/beside.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

void program_beside(const char *name, char *path, size_t size)
{
	char self[PATH_MAX];
	const ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	const char *slash;

	self[n > 0 ? n : 0] = '\0';
	slash = strrchr(self, '/');
	if (!slash ||
	    (size_t)snprintf(path, size, "%.*s/%s", (int)(slash - self), self, name) >= size ||
	    access(path, X_OK) < 0)
		snprintf(path, size, "%s", name);
}
