/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <errno.h>
#include <ftw.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "launcher/config/checkout.h"

static char top[] = "/tmp/sandcastle-test-XXXXXX";
static struct checkout found;

static char *at(const char *name)
{
	static char paths[8][256];
	static unsigned int next;
	char *path = paths[next++ % 8];

	snprintf(path, sizeof(paths[0]), "%s/%s", top, name);
	return path;
}

static void dirs(const char *name)
{
	char *path = at(name);

	for (char *p = path + strlen(top) + 1; (p = strchr(p, '/')); *p++ = '/') {
		*p = '\0';
		(void)mkdir(path, 0755);
	}
	cr_assert(mkdir(path, 0755) == 0 || errno == EEXIST);
}

static void file(const char *name, const char *format, ...)
{
	FILE *f = fopen(at(name), "w");
	va_list ap;

	cr_assert_not_null(f);
	va_start(ap, format);
	vfprintf(f, format, ap);
	va_end(ap);
	fclose(f);
}

static void setup(void)
{
	cr_assert_not_null(mkdtemp(top));
	dirs("main/.git");
	dirs("main/a/b");
	file("main/.git/HEAD", "ref: refs/heads/main\n");
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static void teardown(void)
{
	checkout_fini(&found);
	nftw(top, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

TestSuite(checkout, .init = setup, .fini = teardown);

static void expect(const char *from, const char *root, const char *git)
{
	checkout_fini(&found);
	cr_assert_eq(checkout_find(at(from), getuid(), &found), 0, "%s", from);
	cr_assert_str_eq(found.root, at(root));
	if (git)
		cr_assert_str_eq(found.git, at(git));
	else
		cr_assert_null(found.git);
}

static void expect_none(const char *from)
{
	checkout_fini(&found);
	cr_assert_eq(checkout_find(at(from), getuid(), &found), -ENOENT, "%s: %s", from,
		     found.root);
	cr_assert_null(found.root);
}

Test(checkout, the_top_of_a_tree)
{
	expect("main", "main", NULL);
	expect("main/a/b", "main", NULL);
	dirs("other");
	expect_none("other");
	cr_assert_eq(checkout_find("/", getuid(), &found), -ENOENT);
}

Test(checkout, somebody_elses_or_none)
{
	cr_assert_eq(checkout_find(at("main"), getuid() + 1, &found), -ENOENT);
	unlink(at("main/.git/HEAD"));
	expect_none("main/a");
}

static void add_worktree(const char *back)
{
	dirs("wt/sub");
	dirs("main/.git/worktrees/wt");
	file("wt/.git", "gitdir: %s\n", at("main/.git/worktrees/wt"));
	file("main/.git/worktrees/wt/HEAD", "ref: refs/heads/wt\n");
	file("main/.git/worktrees/wt/commondir", "../..\n");
	file("main/.git/worktrees/wt/gitdir", "%s\n", at(back));
}

Test(checkout, a_worktree)
{
	add_worktree("wt/.git");
	expect("wt", "wt", "main/.git");
	expect("wt/sub", "wt", "main/.git");
	/* Its data is of another one's. */
	add_worktree("main/.git");
	expect_none("wt");
}

/* Data of the tree's own that names a repository which knows nothing of it. */
Test(checkout, a_worktree_that_claims_a_repository)
{
	dirs("wt");
	dirs("fake/worktrees/wt");
	file("wt/.git", "gitdir: ../fake/worktrees/wt\n");
	file("fake/worktrees/wt/HEAD", "x\n");
	file("fake/worktrees/wt/gitdir", "%s\n", at("wt/.git"));
	file("fake/worktrees/wt/commondir", "%s\n", at("main/.git"));
	expect_none("wt");
	file("fake/worktrees/wt/commondir", "../..\n");
	expect("wt", "wt", "fake");
}

Test(checkout, a_submodule)
{
	dirs("main/sub/c");
	dirs("main/.git/modules/sub");
	file("main/sub/.git", "gitdir: ../.git/modules/sub\n");
	file("main/.git/modules/sub/HEAD", "ref: refs/heads/main\n");
	file("main/.git/modules/sub/config", "[core]\n\tbare = false\n\tworktree = ../../../sub\n");
	expect("main/sub/c", "main/sub", "main/.git/modules/sub");
	/* That of another tree: the one around it is still one. */
	file("main/.git/modules/sub/config", "[core]\n\tworktree = ../../../a\n");
	expect("main/sub/c", "main", NULL);
	file("main/.git/modules/sub/config", "[core]\n");
	expect("main/sub/c", "main", NULL);
}

Test(checkout, a_file_that_names_something_else)
{
	static const char *const texts[] = {
		"",
		"gitdir: \n",
		"gitdir: /etc\n",
		"gitdir: ../nowhere\n",
		"gitdir: ..\n",
		"gitdir: ../main/.git\n",
		"x",
	};

	dirs("wt");
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		file("wt/.git", "%s", texts[i]);
		expect_none("wt");
	}
	unlink(at("wt/.git"));
	cr_assert_eq(symlink(at("main/.git"), at("wt/.git")), 0);
	expect_none("wt");
}

Test(checkout, what_is_inside_the_tree_is_not_named)
{
	dirs("wt/data/worktrees/wt");
	file("wt/.git", "gitdir: data/worktrees/wt\n");
	file("wt/data/worktrees/wt/HEAD", "x\n");
	file("wt/data/worktrees/wt/gitdir", "%s\n", at("wt/.git"));
	file("wt/data/worktrees/wt/commondir", "../..\n");
	expect("wt", "wt", NULL);
}
