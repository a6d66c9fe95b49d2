/* SPDX-License-Identifier: MIT */
/* Hostile os-release, sysusers.d, tmpfiles.d and passwd files, one after the other, cut at 0xff bytes. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "image/base/accounts.h"
#include "image/base/declared.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int root = -1;
static char top[] = "/dev/shm/sandcastle-fuzz-declared-XXXXXX";

static void remove_tree(void)
{
	if (unlinkat(root, "etc/passwd", 0) || unlinkat(root, "etc", AT_REMOVEDIR) || rmdir(top))
		abort();
}

static void make_tree(void)
{
	if (!mkdtemp(top))
		abort();
	root = open(top, O_RDONLY | O_DIRECTORY);
	if (root < 0 || mkdirat(root, "etc", 0755) || atexit(remove_tree))
		abort();
}

/* Cuts off what stands before the next 0xff byte. */
static size_t cut(const uint8_t **data, size_t *size, const char **out)
{
	const uint8_t *end = *size ? memchr(*data, 0xff, *size) : NULL;
	size_t n = end ? (size_t)(end - *data) : *size;

	*out = (const char *)*data;
	*data += n + (end != NULL);
	*size -= n + (end != NULL);
	return n;
}

static void put_passwd(const uint8_t *data, size_t size)
{
	int fd = openat(root, "etc/passwd", O_WRONLY | O_CREAT | O_TRUNC, 0644);

	if (fd < 0 || write(fd, data, size) != (ssize_t)size)
		abort();
	close(fd);
}

/* What everybody above relies on. */
static void check_paths(const struct declared *d)
{
	for (size_t i = 0; i < d->n_paths; i++) {
		const char *path = d->paths[i].path;

		if ((strncmp(path, "/etc/", 5) != 0 && strncmp(path, "/var/", 5) != 0) ||
		    strstr(path, "/../") || strstr(path, "//") || path[strlen(path) - 1] == '/' ||
		    (d->paths[i].mode > 07777 &&
		     (d->paths[i].mode != DECLARED_NO_MODE || d->paths[i].kind != DECLARED_COPY)) ||
		    declared_find(d, path) != &d->paths[i])
			abort();
	}
}

static void check_changes(const struct declared *d)
{
	for (size_t i = 0; i < d->n_changes; i++) {
		const struct declared_change *c = &d->changes[i];

		if (declared_concerns(c, "/usr/bin/x", false) || declared_concerns(c, "/etc", true))
			abort();
		for (size_t k = 0; k < d->n_paths && k < 16; k++)
			(void)declared_concerns(c, d->paths[k].path, true);
		if (!S_ISREG(declared_mode(c, S_IFREG | 0644)))
			abort();
	}
}

/* Each line of the file has its fields, and no text of a line's makes two of it. */
static void check_lines(const struct buffer *out, size_t lines, size_t colons)
{
	size_t n = 0, c = 0;

	for (size_t i = 0; i < out->len; i++) {
		n += out->data[i] == '\n';
		c += out->data[i] == ':';
	}
	if (n != lines || c != lines * colons)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct packages p = {.kind = &package_kind_dpkg};
	struct declared d = {.n_paths = 0};
	struct accounts a = {.users = {NULL, 0}};
	struct buffer out = {NULL, 0, 0};
	const char *text;
	size_t n;

	if (root < 0)
		make_tree();
	p.root = root;
	n = cut(&data, &size, &text);
	if (declared_parse_os(&d, text, n) < 0)
		abort();
	n = cut(&data, &size, &text);
	if (declared_parse_sysusers(&d, text, n) < 0)
		abort();
	n = cut(&data, &size, &text);
	if (declared_parse_tmpfiles(&d, text, n) < 0 || declared_finish(&d) < 0)
		abort();
	check_paths(&d);
	check_changes(&d);
	put_passwd(data, size);
	if (accounts_read(&p, &d, &a) < 0 || accounts_passwd(&a, &out) < 0)
		abort();
	check_lines(&out, a.users.n, 6);
	out.len = 0;
	if (accounts_gshadow(&a, &out) < 0)
		abort();
	check_lines(&out, a.groups.n, 3);
	accounts_fini(&a);
	declared_fini(&d);
	free(out.data);
	return 0;
}
