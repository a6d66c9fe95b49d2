/* SPDX-License-Identifier: MIT */
#include "image/base/declared.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "image/base/declared_priv.h"

enum { FILE_LIMIT = 1 << 20 };

typedef int (*parse_fn)(struct declared *d, const char *text, size_t len);

static int is_conf(const struct dirent *e)
{
	size_t n = strlen(e->d_name);

	return n > 5 && strcmp(e->d_name + n - 5, ".conf") == 0;
}

static int compare_names(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int read_dir(const struct packages *p, const char *dir, parse_fn parse, struct declared *d)
{
	struct open_how how = {.flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC,
			       .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
	AUTO_CLOSE int fd = (int)syscall(SYS_openat2, p->root, dir, &how, sizeof(how));
	struct buffer text = {NULL, 0, 0};
	struct dirent **names = NULL;
	char path[256];
	int n = fd < 0 ? 0 : scandirat(fd, ".", &names, is_conf, compare_names), r = 0;

	for (int i = 0; i < n; i++) {
		if (r == 0 &&
		    (size_t)snprintf(path, sizeof(path), "/%s/%s", dir, names[i]->d_name) <
			    sizeof(path) &&
		    packages_owner(p, path) &&
		    packages_slurp(p->root, path + 1, FILE_LIMIT, &text) == 0)
			r = parse(d, text.data, text.len);
		free(names[i]);
	}
	free(names);
	free(text.data);
	return r;
}

static int read_os(const struct packages *p, struct declared *d)
{
	struct buffer text = {NULL, 0, 0};
	int r = packages_slurp(p->root, "etc/os-release", FILE_LIMIT, &text);

	if (r < 0)
		r = packages_slurp(p->root, "usr/lib/os-release", FILE_LIMIT, &text);
	/* Without one the specifiers that need it are not known. */
	r = r < 0 ? 0 : declared_parse_os(d, text.data, text.len);
	free(text.data);
	return r;
}

int declared_read(const struct packages *p, struct declared *d)
{
	int r = read_os(p, d);

	if (r == 0)
		r = read_dir(p, "usr/lib/sysusers.d", declared_parse_sysusers, d);
	if (r == 0)
		r = read_dir(p, "usr/lib/tmpfiles.d", declared_parse_tmpfiles, d);
	return r < 0 ? r : declared_finish(d);
}

void declared_fini(struct declared *d)
{
	declared_fini_sysusers(d);
	declared_fini_tmpfiles(d);
	for (size_t i = 0; i < DECLARED_OS_FIELDS; i++)
		free(d->os[i]);
	*d = (struct declared){.n_paths = 0};
}
