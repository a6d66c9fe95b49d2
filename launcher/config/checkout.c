/* SPDX-License-Identifier: MIT */
#include "launcher/config/checkout.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vmm/config/map_rules.h"

enum { TEXT_MAX = 16 << 10 };

static char *steal(char **text)
{
	char *t = *text;

	*text = NULL;
	return t;
}

/* DIR/NAME; NULL: no memory. */
static char *join(const char *dir, const char *name)
{
	char *path = NULL;

	if (asprintf(&path, "%s/%s", strcmp(dir, "/") == 0 ? "" : dir, name) < 0)
		return NULL;
	return path;
}

static bool exists(const char *dir, const char *name)
{
	AUTO_FREE char *path = join(dir, name);

	return path && access(path, F_OK) == 0;
}

/* A small file of text as a string; NULL if there is none. */
static char *read_text(const char *path)
{
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	AUTO_FREE char *text = NULL;
	struct stat st;
	ssize_t n;

	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return NULL;
	text = malloc(TEXT_MAX + 1);
	n = text ? read(fd, text, TEXT_MAX) : -1;
	if (n < 0)
		return NULL;
	text[n] = '\0';
	return steal(&text);
}

/* `path` as it stands in a file of git's in directory dir, resolved; NULL: it leads nowhere. */
static char *resolve(const char *dir, char *path)
{
	AUTO_FREE char *joined = NULL;
	size_t len = strlen(path);

	while (len > 0 && isspace((unsigned char)path[len - 1]))
		path[--len] = '\0';
	if (len == 0)
		return NULL;
	if (path[0] == '/')
		return realpath(path, NULL);
	joined = join(dir, path);
	return joined ? realpath(joined, NULL) : NULL;
}

/* What file NAME in dir says after `head`, resolved. */
static char *pointer(const char *dir, const char *name, const char *head)
{
	AUTO_FREE char *path = join(dir, name);
	AUTO_FREE char *text = path ? read_text(path) : NULL;

	if (!text || strncmp(text, head, strlen(head)) != 0)
		return NULL;
	return resolve(dir, text + strlen(head));
}

/* The repository that worktree data `data` is of, if it knows that `dot_git` is its. */
static char *worktree_repository(const char *data, const char *dot_git)
{
	AUTO_FREE char *back = pointer(data, "gitdir", "");
	AUTO_FREE char *repository = pointer(data, "commondir", "");
	AUTO_FREE char *worktrees = repository ? join(repository, "worktrees") : NULL;

	if (!back || !worktrees || strcmp(back, dot_git) != 0 || strcmp(data, worktrees) == 0 ||
	    !path_is_below(data, worktrees))
		return NULL;
	return steal(&repository);
}

/* Whether the git directory of a submodule says that `root` is its tree. */
static bool is_submodule(const char *data, const char *root)
{
	AUTO_FREE char *path = join(data, "config");
	AUTO_FREE char *text = path ? read_text(path) : NULL;
	char *rest = text;

	for (char *line; text && (line = strsep(&rest, "\n"));) {
		AUTO_FREE char *tree = NULL;

		line += strspn(line, " \t");
		if (strncmp(line, "worktree", 8) != 0)
			continue;
		line += 8 + strspn(line + 8, " \t");
		if (*line != '=')
			continue;
		line++;
		tree = resolve(data, line + strspn(line, " \t"));
		return tree && strcmp(tree, root) == 0;
	}
	return false;
}

/* Fills out for a tree whose .git is a file. */
static int follow(const char *root, const char *dot_git, struct checkout *out)
{
	AUTO_FREE char *data = pointer(root, ".git", "gitdir: ");
	AUTO_FREE char *git = NULL;

	if (!data || !exists(data, "HEAD"))
		return -ENOENT;
	git = worktree_repository(data, dot_git);
	if (!git && is_submodule(data, root))
		git = strdup(data);
	if (!git)
		return -ENOENT;
	if (!path_is_below(git, root))
		out->git = steal(&git);
	return 0;
}

/* 0: there is one at root. */
static int look_at(const char *root, uid_t uid, struct checkout *out)
{
	AUTO_FREE char *dot_git = join(root, ".git");
	struct stat st;
	int r = -ENOENT;

	if (!dot_git)
		return -ENOMEM;
	if (lstat(dot_git, &st) < 0 || st.st_uid != uid || access(root, R_OK | X_OK) < 0)
		return -ENOENT;
	if (S_ISDIR(st.st_mode))
		r = exists(dot_git, "HEAD") ? 0 : -ENOENT;
	else if (S_ISREG(st.st_mode))
		r = follow(root, dot_git, out);
	if (r == 0) {
		out->root = strdup(root);
		r = out->root ? 0 : -ENOMEM;
	}
	return r;
}

int checkout_find(const char *path, uid_t uid, struct checkout *out)
{
	AUTO_FREE char *at = strdup(path);
	int r = at ? -ENOENT : -ENOMEM;

	*out = (struct checkout){.root = NULL};
	while (r == -ENOENT && at[0] != '\0') {
		r = look_at(at, uid, out);
		*strrchr(at, '/') = '\0';
	}
	if (r < 0)
		checkout_fini(out);
	return r;
}

void checkout_fini(struct checkout *c)
{
	free(c->root);
	free(c->git);
	*c = (struct checkout){.root = NULL};
}
