/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "image/base/packages.h"
#include "tests/unit/image/base/base_tree.h"
#include "tests/unit/image/image_files.h"

static int root = -1;
static struct packages *p;
static bool has_md5;

/* "0...0" is the checksum of every file, if there is one. */
static int kind_md5(const struct packages *of, uint32_t package, const char *path,
		    uint8_t out[PACKAGES_MD5])
{
	cr_assert(of == p && package < p->n && path[0] == '/');
	if (!has_md5)
		return -ENOENT;
	memset(out, 0, PACKAGES_MD5);
	return 0;
}

static const struct package_kind kind = {.name = "test", .md5 = kind_md5};

static uint32_t add_package(const char *name)
{
	const struct package package = {.name = strdup(name),
					.version = strdup("1"),
					.arch = strdup("all"),
					.file = strdup(name)};

	cr_assert_eq(packages_add(p, &package), 0);
	return (uint32_t)(p->n - 1);
}

static void set_up(void)
{
	tree = tree_new();
	root = open(tree, O_PATH | O_DIRECTORY | O_CLOEXEC);
	p = calloc(1, sizeof(*p));
	p->kind = &kind;
	p->root = root;
	add_package("first");
}

static void clean_up(void)
{
	packages_free(p);
	close(root);
	tree_remove(tree);
}

TestSuite(packages, .init = set_up, .fini = clean_up);

static void own(uint32_t package, const char *path)
{
	cr_assert_eq(packages_own(p, package, path, strlen(path)), 0, "%s", path);
}

/* The owner's name, or "". */
static const char *owner(const char *path)
{
	const struct package *package = packages_owner(p, path);

	return package ? package->name : "";
}

Test(packages, what_is_owned_and_the_directories_above)
{
	const uint32_t second = add_package("second");

	own(0, "/usr/share/a/file");
	own(second, "/usr/share/b/file");
	own(second, "/usr/share/a/file");
	cr_expect_str_eq(owner("/usr/share/a/file"), "first", "the first that has it");
	cr_expect_str_eq(owner("/usr/share/a"), "first");
	cr_expect_str_eq(owner("/usr/share/b"), "second");
	cr_expect_str_eq(owner("/usr"), "first");
	cr_expect_str_eq(owner("/usr/share/a/fil"), "");
	cr_expect_str_eq(owner("/usr/share/a/file/"), "");
	cr_expect_str_eq(owner(""), "");
}

Test(packages, links_of_directories_are_resolved_in_the_tree)
{
	char path[4096];

	tree_write_text(tree, "usr/lib/x", "");
	link_to("usr/lib", "lib");
	link_to("/usr/lib", "absolute");
	link_to("../../../../usr/lib", "usr/up");
	link_to("loop", "loop");
	link_to("b", "a");
	link_to("a", "b");
	in_tree("usr/lib/self", path);
	cr_assert_eq(symlink("x", path), 0);
	own(0, "/lib/one");
	own(0, "/absolute/two");
	own(0, "/usr/up/three");
	own(0, "/usr/lib/./four");
	own(0, "/usr/share/../lib/five");
	own(0, "/../../six");
	own(0, "/usr/lib/self");
	own(0, "/loop/x");
	own(0, "/a/x");
	cr_expect_str_eq(owner("/usr/lib/one"), "first");
	cr_expect_str_eq(owner("/usr/lib/two"), "first");
	cr_expect_str_eq(owner("/usr/lib/three"), "first");
	cr_expect_str_eq(owner("/usr/lib/four"), "first");
	cr_expect_str_eq(owner("/usr/lib/five"), "first");
	cr_expect_str_eq(owner("/six"), "first", "the root's parent is the root");
	cr_expect_str_eq(owner("/usr/lib/self"), "first", "the last name is not followed");
	cr_expect_str_eq(owner("/lib/one"), "");
	cr_expect_str_eq(owner("/loop/x"), "");
	cr_expect_str_eq(owner("/a/x"), "");
}

Test(packages, paths_that_cannot_be_are_owned_by_nobody)
{
	static const char nul[] = "/usr/a\0b";
	static char deep[4000], text[8000];

	own(0, "");
	own(0, "/");
	own(0, "relative");
	own(0, "/usr/");
	cr_assert_eq(packages_own(p, 0, nul, sizeof(nul) - 1), 0);
	for (size_t i = 0; i + 2 < sizeof(deep); i += 2)
		memcpy(deep + i, "/a", 2);
	own(0, deep);
	memset(text, 'a', sizeof(text) - 1);
	text[0] = '/';
	own(0, text);
	cr_expect_eq(p->owners.n, 0);
}

Test(packages, tens_of_thousands_of_paths_are_all_found)
{
	char path[64];

	for (int i = 0; i < 40000; i++) {
		snprintf(path, sizeof(path), "/d%d/f%d", i % 100, i);
		own(0, path);
	}
	cr_expect_eq(p->owners.n, 40100);
	for (int i = 0; i < 40000; i++) {
		snprintf(path, sizeof(path), "/d%d/f%d", i % 100, i);
		cr_assert_str_eq(owner(path), "first", "%s", path);
		snprintf(path, sizeof(path), "/d%d/f%d", (i + 1) % 100, i);
		cr_assert_str_eq(owner(path), "", "%s", path);
	}
}

Test(packages, a_file_is_judged_by_its_times)
{
	uint8_t md5[PACKAGES_MD5] = {1};
	struct stat st = {.st_mtim.tv_sec = 100, .st_ctim.tv_sec = 900};

	p->list[0].installed = p->list[0].noted = 100ll * 1000000000;
	cr_expect_eq(packages_judge(p, p->list, "/a", &st, md5), PACKAGES_SAME);
	st.st_mtim.tv_nsec = 1;
	cr_expect_eq(packages_judge(p, p->list, "/a", &st, md5), PACKAGES_SAME,
		     "times are rounded by up to two seconds");
	st.st_mtim.tv_sec = 103;
	cr_expect_eq(packages_judge(p, p->list, "/a", &st, md5), PACKAGES_CHANGED);
	cr_expect_eq(md5[0], 1);
	has_md5 = true;
	cr_expect_eq(packages_judge(p, p->list, "/a", &st, md5), PACKAGES_COMPARE);
	cr_expect_eq(md5[0], 0);
	st.st_mtim = (struct timespec){.tv_sec = 100, .tv_nsec = 1};
	cr_expect_eq(packages_judge(p, p->list, "/a", &st, md5), PACKAGES_COMPARE);
}

Test(packages, a_time_that_was_set_back_is_seen_where_times_of_change_mean_something)
{
	uint8_t md5[PACKAGES_MD5];
	struct stat st = {.st_mtim.tv_sec = 50, .st_ctim.tv_sec = 200};

	has_md5 = true;
	p->list[0].installed = p->list[0].noted = 100ll * 1000000000;
	p->sampled = p->sampled_older = 31;
	cr_expect_eq(packages_judge(p, p->list, "/a", &st, md5), PACKAGES_SAME, "too few samples");
	p->sampled = p->sampled_older = 32;
	cr_expect_eq(packages_judge(p, p->list, "/a", &st, md5), PACKAGES_COMPARE);
	st.st_ctim.tv_sec = 100;
	cr_expect_eq(packages_judge(p, p->list, "/a", &st, md5), PACKAGES_SAME);
	st.st_ctim.tv_sec = 200;
	p->sampled_older = 27;
	cr_expect_eq(packages_judge(p, p->list, "/a", &st, md5), PACKAGES_SAME,
		     "the system was copied here");
}

Test(packages, samples_are_files_that_are_there)
{
	tree_write_text(tree, "usr/file", "");
	link_to("file", "usr/link");
	p->list[0].noted = INT64_MAX;
	packages_sample(p, "/usr/file", 9);
	packages_sample(p, "/usr/file and more", 9);
	packages_sample(p, "/usr/link", 9);
	packages_sample(p, "/usr/none", 9);
	packages_sample(p, "/usr", 4);
	packages_sample(p, "/", 1);
	packages_sample(p, NULL, 0);
	cr_expect_eq(p->sampled, 2);
	cr_expect_eq(p->sampled_older, 2);
	p->list[0].noted = 0;
	packages_sample(p, "/usr/file", 9);
	cr_expect_eq(p->sampled, 3);
	cr_expect_eq(p->sampled_older, 2);
}

Test(packages, a_whole_file_below_the_root)
{
	struct buffer text = {NULL, 0, 0};

	tree_write_text(tree, "dir/file", "bytes");
	link_to("/dir/file", "link");
	link_to("../../../dir/file", "dir/up");
	cr_assert_eq(packages_slurp(root, "dir/file", 5, &text), 0);
	cr_expect(text.len == 5 && strcmp(text.data, "bytes") == 0);
	cr_expect_eq(packages_slurp(root, "link", 5, &text), 0, "the tree's root is its root");
	cr_expect_eq(packages_slurp(root, "dir/up", 5, &text), 0);
	cr_expect_eq(packages_slurp(root, "dir/file", 4, &text), -EFBIG);
	cr_expect_eq(packages_slurp(root, "dir", 5, &text), -EINVAL);
	cr_expect_eq(packages_slurp(root, "none", 5, &text), -ENOENT);
	link_to("/proc/self/exe", "outside");
	cr_expect_eq(packages_slurp(root, "outside", 1 << 30, &text), -ENOENT);
	free(text.data);
}

Test(packages, only_what_is_vouched_for_is_read)
{
	struct buffer text = {NULL, 0, 0};

	p->list[0].installed = 1000ll * 1000000000;
	tree_write_text(tree, "usr/same", "x");
	touch_file("usr/same", 999);
	tree_write_text(tree, "usr/changed", "x");
	tree_write_text(tree, "usr/stranger", "x");
	own(0, "/usr/same");
	own(0, "/usr/changed");
	own(0, "/usr/gone");
	cr_expect_eq(packages_slurp_vouched(p, "/usr/same", 10, &text), 0);
	cr_expect_eq(packages_slurp_vouched(p, "/usr/changed", 10, &text), -ENOENT);
	cr_expect_eq(packages_slurp_vouched(p, "/usr/stranger", 10, &text), -ENOENT);
	cr_expect_eq(packages_slurp_vouched(p, "/usr/gone", 10, &text), -ENOENT);
	has_md5 = true;
	cr_expect_eq(packages_slurp_vouched(p, "/usr/changed", 10, &text), -ENOENT,
		     "its checksum is another");
	free(text.data);
}

struct listing {
	struct package_reader base;
	char text[64];
	int stop;
};

static int list(struct package_reader *base, const char *text, size_t len)
{
	struct listing *l = CONTAINER_OF(base, struct listing, base);

	strncat(l->text, text, len);
	return l->stop;
}

Test(packages, a_directory_is_read_by_name)
{
	struct listing l = {.base = {list}};

	p->list[0].installed = INT64_MAX;
	tree_write_text(tree, "conf/b.conf", "b");
	tree_write_text(tree, "conf/a.conf", "a");
	tree_write_text(tree, "conf/c.other", "c");
	tree_write_text(tree, "conf/d.conf", "d");
	tree_write_text(tree, "conf/.conf", "e");
	own(0, "/conf/b.conf");
	own(0, "/conf/a.conf");
	own(0, "/conf/c.other");
	own(0, "/conf/.conf");
	cr_expect_eq(packages_read_dir(p, "conf", ".conf", &l.base), 0);
	cr_expect_str_eq(l.text, "ab", "in order; not another's name, nor what nobody owns");
	l = (struct listing){.base = {list}, .stop = -E2BIG};
	cr_expect_eq(packages_read_dir(p, "conf", ".conf", &l.base), -E2BIG);
	cr_expect_str_eq(l.text, "a");
	cr_expect_eq(packages_read_dir(p, "none", ".conf", &l.base), 0);
}

static void divert(const char *from, const char *to, uint32_t by)
{
	cr_assert_eq(packages_divert(p, (struct slice){from, strlen(from)},
				     (struct slice){to, strlen(to)}, by),
		     0);
}

Test(packages, what_was_moved_aside_stays_its_packages)
{
	const uint32_t second = add_package("second");

	own(0, "/bin/a");
	own(0, "/bin/b");
	divert("/bin/a", "/bin/a.real", second);
	divert("/bin/b", "/bin/b.real", PACKAGES_NOBODY);
	divert("/bin/none", "/bin/none.real", second);
	divert("/bin/b", "/bin/b.again", second);
	cr_expect_str_eq(owner("/bin/a"), "second");
	cr_expect_str_eq(owner("/bin/a.real"), "first");
	cr_expect_str_eq(owner("/bin/b"), "");
	cr_expect_str_eq(owner("/bin/b.real"), "first");
	cr_expect_str_eq(owner("/bin/none.real"), "");
	cr_expect_str_eq(owner("/bin/b.again"), "");
	cr_expect_str_eq(packages_undiverted(p, "/bin/a.real"), "/bin/a");
	cr_expect_str_eq(packages_undiverted(p, "/bin/a"), "/bin/a");
}

static bool spells(const char *spelt, const char *path)
{
	return packages_is_spelling(p, (struct slice){spelt, strlen(spelt)}, path);
}

Test(packages, a_path_is_known_by_other_spellings)
{
	tree_write_text(tree, "usr/lib/x", "");
	link_to("usr/lib", "lib");
	own(0, "/lib/a.service");
	cr_expect(spells("usr/lib/a.service", "/usr/lib/a.service"));
	cr_expect(spells("lib/a.service", "/usr/lib/a.service"));
	cr_expect_not(spells("lib/b.service", "/usr/lib/a.service"));
	cr_expect_not(spells("libx/a.service", "/usr/lib/a.service"));
	cr_expect_not(spells("a.service", "/usr/lib/a.service"));
	cr_expect_not(spells("", "/usr/lib/a.service"));
	cr_expect(spells("top", "/top"));
}

Test(packages, checksums_in_hexadecimal)
{
	static const char digits[] = "00112233445566778899aabbccddeeFF";
	const struct buffer empty = {(char[]){""}, 0, 0};
	uint8_t md5[PACKAGES_MD5];

	cr_assert(packages_parse_md5(digits, 32, md5));
	cr_expect(md5[0] == 0 && md5[1] == 0x11 && md5[15] == 0xff);
	cr_expect_not(packages_parse_md5(digits, 31, md5));
	cr_expect_not(packages_parse_md5("0011223344556677x899aabbccddeeff", 32, md5));
	cr_expect_not(packages_has_md5(&empty, md5));
	cr_assert(packages_parse_md5("d41d8cd98f00b204e9800998ecf8427e", 32, md5));
	cr_expect(packages_has_md5(&empty, md5));
}

Test(packages, a_tree_without_a_database)
{
	struct packages *none = NULL;

	cr_expect_null(packages_kind(root));
	cr_expect_eq(packages_read(root, &none), -ENOENT);
	packages_free(NULL);
}
