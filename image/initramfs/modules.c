/* SPDX-License-Identifier: MIT */
#include "image/initramfs/modules.h"

#include <errno.h>
#include <string.h>

#include "common/text.h"

/* "kernel/fs/fuse/virtiofs.ko.xz" -> "virtiofs"; false for what cannot be a module file. */
static bool module_name(struct slice path, char *out)
{
	const char *slash = memrchr(path.p, '/', path.len);
	const char *name = slash ? slash + 1 : path.p;
	const size_t len = path.len - (size_t)(name - path.p);
	const char *ko = memmem(name, len, ".ko", 3);
	const size_t n = ko ? (size_t)(ko - name) : 0;

	if (n == 0 || n > MODULE_NAME_MAX)
		return false;
	for (size_t i = 0; i < n; i++)
		out[i] = name[i] == '-' ? '_' : name[i];
	out[n] = '\0';
	return true;
}

/* Relative and staying below its directory. */
static bool path_is_inside(struct slice path)
{
	const char *p = path.p, *end = path.p + path.len;

	if (path.len == 0 || *p == '/')
		return false;
	while (p < end) {
		const char *slash = memchr(p, '/', (size_t)(end - p));
		const char *stop = slash ? slash : end;

		if (stop - p == 2 && p[0] == '.' && p[1] == '.')
			return false;
		p = slash ? slash + 1 : end;
	}
	return true;
}

/* The next line of a text, without its newline; false at the end. */
static bool next_line(const char **text, struct slice *line)
{
	const char *end;

	if (**text == '\0')
		return false;
	end = strchrnul(*text, '\n');
	*line = (struct slice){*text, (size_t)(end - *text)};
	*text = *end ? end + 1 : end;
	return true;
}

static bool names_module(struct slice path, const char *name)
{
	char found[MODULE_NAME_MAX + 1];

	return module_name(path, found) && strcmp(found, name) == 0;
}

static bool is_builtin(const char *builtin, const char *name)
{
	struct slice line;

	while (next_line(&builtin, &line))
		if (names_module(line, name))
			return true;
	return false;
}

/* The module's line: its path, and the paths behind the colon. */
static int find_line(const char *dep, const char *name, struct slice *path, struct slice *deps)
{
	struct slice line;

	while (next_line(&dep, &line)) {
		const char *colon = memchr(line.p, ':', line.len);

		if (!colon)
			return -EBADMSG;
		*path = (struct slice){line.p, (size_t)(colon - line.p)};
		if (!names_module(*path, name))
			continue;
		*deps = (struct slice){colon + 1, line.len - path->len - 1};
		return 0;
	}
	return -ENOENT;
}

static int add_file(struct module_list *list, struct slice path, bool optional)
{
	char name[MODULE_NAME_MAX + 1];
	struct module_file *f;

	if (!path_is_inside(path) || !module_name(path, name))
		return -EBADMSG;
	for (size_t i = 0; i < list->n; i++) {
		if (strcmp(list->files[i].name, name) != 0)
			continue;
		/* What one module cannot do without is not optional for the guest. */
		list->files[i].optional = list->files[i].optional && optional;
		return 0;
	}
	if (list->n == MODULES_MAX)
		return -E2BIG;
	f = &list->files[list->n];
	*f = (struct module_file){strdup(name), strndup(path.p, path.len), NULL, optional};
	if (!f->name || !f->path) {
		free(f->name);
		free(f->path);
		return -ENOMEM;
	}
	list->n++;
	return 0;
}

/*
 * depmod writes the whole closure on each line, the last one to be loaded
 * first, so no line has to be followed to another.
 */
static int add_with_deps(struct module_list *list, struct slice path, struct slice deps,
			 bool optional)
{
	const char *end = deps.p + deps.len;
	int r = 0;

	while (r == 0 && end > deps.p) {
		const char *space = memrchr(deps.p, ' ', (size_t)(end - deps.p));
		const char *start = space ? space + 1 : deps.p;

		if (start < end)
			r = add_file(list, (struct slice){start, (size_t)(end - start)}, optional);
		end = space ? space : deps.p;
	}
	return r == 0 ? add_file(list, path, optional) : r;
}

/* A name as the caller wrote it, less parameters; false for one that no module can have. */
static bool canonical_name(const char *wanted, char *out)
{
	const size_t n = strcspn(wanted, " ");

	if (n == 0 || n > MODULE_NAME_MAX)
		return false;
	for (size_t i = 0; i < n; i++)
		out[i] = wanted[i] == '-' ? '_' : wanted[i];
	out[n] = '\0';
	return true;
}

/* Parameters behind the name go to the module of that name, which is in the list. */
static int set_params(struct module_list *list, const char *name, const char *wanted)
{
	const char *space = strchr(wanted, ' ');

	for (size_t i = 0; space && i < list->n; i++) {
		struct module_file *f = &list->files[i];

		if (strcmp(f->name, name) != 0)
			continue;
		free(f->params);
		f->params = strdup(space + 1);
		return f->params ? 0 : -ENOMEM;
	}
	return 0;
}

int modules_resolve(const char *dep, const char *builtin, const char *const *wanted,
		    struct module_list *out, const char **missing)
{
	struct module_list list = {0};
	int r = 0;

	for (; *wanted && r == 0; wanted++) {
		const bool optional = **wanted == '?';
		char name[MODULE_NAME_MAX + 1];
		struct slice path, deps;

		if (!canonical_name(*wanted + optional, name)) {
			r = -ENOENT;
		} else if (!is_builtin(builtin, name)) {
			r = find_line(dep, name, &path, &deps);
			if (r == 0)
				r = add_with_deps(&list, path, deps, optional);
			if (r == 0)
				r = set_params(&list, name, *wanted);
		}
		if (r == -ENOENT && optional)
			r = 0;
		if (r == -ENOENT)
			*missing = *wanted;
	}
	if (r < 0) {
		module_list_fini(&list);
		return r;
	}
	*out = list;
	return 0;
}

void module_list_fini(struct module_list *list)
{
	for (size_t i = 0; i < list->n; i++) {
		free(list->files[i].name);
		free(list->files[i].path);
		free(list->files[i].params);
	}
	list->n = 0;
}
