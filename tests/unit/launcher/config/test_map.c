/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "launcher/config/map.h"
#include "tests/support/no_override.h"

/* /tmp/X/{home,work/{sub,a:b},data/file,pipe,link -> data} */
static char tree[] = "/tmp/sandcastle-test-XXXXXX";
static char home[128], work[128];
static struct map_base base = {work, home};
static struct sandbox_config cfg;

static void make_dir(const char *name)
{
	char path[128];

	sprintf(path, "%s/%s", tree, name);
	cr_assert_eq(mkdir(path, 0755), 0);
}

static void setup(void)
{
	char path[128];

	cr_assert_not_null(mkdtemp(tree));
	sprintf(home, "%s/home", tree);
	sprintf(work, "%s/work", tree);
	make_dir("home");
	make_dir("work");
	make_dir("work/sub");
	make_dir("work/a:b");
	make_dir("data");
	sprintf(path, "%s/data/file", tree);
	close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0644));
	sprintf(path, "%s/pipe", tree);
	mkfifo(path, 0600);
	sprintf(path, "%s/link", tree);
	cr_assert_eq(symlink("data", path), 0);
	setenv("DATA", "data", 1);
	unsetenv("NOT_SET");
	sandbox_config_init(&cfg);
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
	sandbox_config_fini(&cfg);
	nftw(tree, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

TestSuite(map, .init = setup, .fini = teardown);

/* Adds `text`, in which @ stands for the tree. */
static int add(const char *text)
{
	char full[512];
	size_t n = 0;

	for (; *text; text++)
		n += (size_t)(*text == '@' ? sprintf(full + n, "%s", tree)
					   : sprintf(full + n, "%c", *text));
	full[n] = '\0';
	return map_add(&cfg, &base, full);
}

/* The last map that was added. */
static void last_is(const char *host, const char *guest, bool writable)
{
	const struct config_map *m = &cfg.maps[cfg.n_maps - 1];
	char full[256];

	sprintf(full, "%s/%s", tree, host);
	cr_assert_str_eq(m->host, full);
	if (guest[0] != '/') {
		sprintf(full, "%s/%s", tree, guest);
		guest = full;
	}
	cr_assert_str_eq(m->guest, guest);
	cr_assert_eq(m->writable, writable);
	cr_assert_geq(m->fd, 0);
}

Test(map, host_alone)
{
	cr_assert_eq(add("@/data"), 0);
	last_is("data", "data", false);
	cr_assert_not(cfg.maps[0].is_file);
	cr_assert_eq(add("."), 0);
	last_is("work", "work", false);
	cr_assert_eq(add("sub:rw"), 0);
	last_is("work/sub", "work/sub", true);
	cr_assert_eq(add("../data/file:ro"), 0);
	last_is("data/file", "data/file", false);
	cr_assert(cfg.maps[3].is_file);
}

Test(map, changes_that_are_thrown_away)
{
	cr_assert_eq(add("sub:discard"), 0);
	last_is("work/sub", "work/sub", false);
	cr_assert(cfg.maps[0].discard);
	cr_assert_eq(add("sub:/mnt/z:discard"), 0);
	cr_assert(cfg.maps[1].discard);
	cr_assert_eq(add("sub:/mnt/y:ro"), 0);
	cr_assert_not(cfg.maps[2].discard);
	/* A layer is above a folder. */
	cr_assert_eq(add("../data/file:discard"), -ENOTSUP);
	/* What is to stay may be inside. */
	sandbox_config_fini(&cfg);
	sandbox_config_init(&cfg);
	cr_assert_eq(add(".:discard"), 0);
	cr_assert_eq(add("sub:rw"), 0);
	cr_assert_eq(map_check_all(&cfg), 0);
}

Test(map, host_and_guest)
{
	cr_assert_eq(add("sub:/mnt//x/./y/"), 0);
	last_is("work/sub", "/mnt/x/y", false);
	cr_assert_eq(add("sub:/mnt/z:rw"), 0);
	last_is("work/sub", "/mnt/z", true);
	cr_assert_eq(add("sub:out"), 0);
	last_is("work/sub", "work/out", false);
}

Test(map, home_variables_and_links)
{
	cr_assert_eq(add("~"), 0);
	last_is("home", "home", false);
	cr_assert_eq(add("~/../$DATA:/mnt/a"), 0);
	last_is("data", "/mnt/a", false);
	cr_assert_eq(add("../${DATA}/file:~/f"), 0);
	last_is("data/file", "home/f", false);
	cr_assert_eq(add("@/link"), 0);
	last_is("data", "data", false);
}

Test(map, a_colon_in_a_name)
{
	cr_assert_eq(add("a\\:b:rw"), 0);
	last_is("work/a:b", "work/a:b", true);
	cr_assert_eq(add("a\\:b:/mnt/c\\:d"), 0);
	last_is("work/a:b", "/mnt/c:d", false);
}

Test(map, malformed)
{
	cr_assert_eq(add(""), -EINVAL);
	cr_assert_eq(add(":/mnt/x"), -EINVAL);
	cr_assert_eq(add("sub:"), -EINVAL);
	cr_assert_eq(add("sub:/a:/b"), -EINVAL);
	cr_assert_eq(add("sub:/a:RW"), -EINVAL);
	cr_assert_eq(add("sub:/a:rw:ro"), -EINVAL);
	cr_assert_eq(add("$NOT_SET/x"), -EINVAL);
	cr_assert_eq(add("sub$"), -EINVAL);
	cr_assert_eq(add("${DATA"), -EINVAL);
	cr_assert_eq(add("$(id)"), -EINVAL);
	cr_assert_eq(cfg.n_maps, 0);
}

Test(map, source_that_is_not_there)
{
	cr_assert_eq(add("nothing"), -ENOENT);
	cr_assert_eq(add("@/data/file/x"), -ENOTDIR);
	cr_assert_eq(add("@/pipe:/mnt/p"), -ENOTSUP);
	cr_assert_eq(add("/dev/null:/mnt/null"), -ENOTSUP);
	cr_assert_eq(cfg.n_maps, 0);
}

Test(map, source_without_permission)
{
	char path[256];

	sprintf(path, "%s/sub", work);
	chmod(path, 0555);
	give_up_override();
	cr_assert_eq(add("sub:rw"), -EACCES);
	cr_assert_eq(add("sub"), 0);
	chmod(path, 0);
	cr_assert_eq(add("sub"), -EACCES);
	chmod(path, 0755);
}

Test(map, guest_path_that_climbs)
{
	cr_assert_eq(add("sub:../x"), -EINVAL);
	cr_assert_eq(add("sub:/mnt/../etc"), -EINVAL);
	cr_assert_eq(add("sub:/.."), -EINVAL);
	cr_assert_eq(add("sub:/mnt/..x"), 0);
}

Test(map, guest_path_that_is_taken_by_the_system)
{
	static const char *const bad[] = {"/",	     "//.",  "/proc",	   "/proc/1",
					  "/sys/fs", "/dev", "/dev/shm/x", "/usr",
					  "/etc/",   "/run", "/bin"};
	char text[64];

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		sprintf(text, "sub:%s", bad[i]);
		cr_assert_eq(add(text), -EPERM, "%s", bad[i]);
	}
	cr_assert_eq(add("sub:/usr/local/x"), 0);
	cr_assert_eq(add("sub:/process"), 0);
	cr_assert_eq(add("/"), -EPERM);
}

Test(map, same_place_twice)
{
	cr_assert_eq(add("sub:/mnt/x"), 0);
	cr_assert_eq(add("@/data:/mnt/x/"), 0);
	cr_assert_eq(map_check_all(&cfg), -EEXIST);
}

Test(map, one_that_hides_part_of_another)
{
	cr_assert_eq(add("@/data:/mnt/x/y"), 0);
	cr_assert_eq(add("sub:/mnt/x"), 0);
	cr_assert_eq(map_check_all(&cfg), -EEXIST);
}

Test(map, names_that_only_begin_alike)
{
	cr_assert_eq(add("sub:/mnt/x"), 0);
	cr_assert_eq(add("@/data:/mnt/xy"), 0);
	cr_assert_eq(add("@/home:/mnt/x-y"), 0);
	cr_assert_eq(map_check_all(&cfg), 0);
}

Test(map, a_writable_folder_in_a_read_only_one)
{
	cr_assert_eq(add("sub:rw"), 0);
	cr_assert_eq(add("."), 0);
	cr_assert_eq(map_check_all(&cfg), 0);
	cr_assert_str_eq(cfg.maps[0].guest, work, "parents first");
}

Test(map, a_folder_in_a_writable_one)
{
	cr_assert_eq(add("sub"), 0);
	cr_assert_eq(add(".:rw"), 0);
	cr_assert_eq(map_check_all(&cfg), -EEXIST);
}

Test(map, more_than_there_may_be)
{
	char text[32];

	for (int i = 0; i < CONFIG_MAX_MAPS; i++) {
		sprintf(text, "sub:/mnt/%d", i);
		cr_assert_eq(add(text), 0);
	}
	cr_assert_eq(add("sub:/mnt/more"), -E2BIG);
	cr_assert_eq(map_check_all(&cfg), 0);
}

Test(map, normalise)
{
	static const struct {
		const char *in, *out;
		bool clean;
	} cases[] = {
		{"/", "/", true},	  {"//a///b/", "/a/b", true},
		{"/./a/.", "/a", true},	  {"/a/../b", "/a/../b", false},
		{"/a..b", "/a..b", true}, {"/.", "/", true},
	};
	char path[32];

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		snprintf(path, sizeof(path), "%s", cases[i].in);
		cr_assert_eq(path_normalise(path), cases[i].clean, "%s", cases[i].in);
		cr_assert_str_eq(path, cases[i].out);
	}
}

Test(map, a_kernels_file_system_is_refused)
{
	cr_assert_eq(map_add(&cfg, &base, "/proc/self:/mnt"), -EOPNOTSUPP);
	cr_assert_eq(map_add(&cfg, &base, "/proc:/mnt:rw"), -EOPNOTSUPP);
	cr_assert_eq(cfg.n_maps, 0);
}

Test(map, what_decides_of_later_sandboxes_is_not_written)
{
	char path[160], text[200];

	snprintf(path, sizeof(path), "%s/cache", home);
	setenv("XDG_CACHE_HOME", path, 1);
	unsetenv("XDG_CONFIG_HOME");
	setenv("HOME", home, 1);
	make_dir("home/cache");
	make_dir("home/cache/sandcastle");
	make_dir("home/cache/other");
	/* Above it, it, and in it; the configuration is not even there yet. */
	snprintf(text, sizeof(text), "%s:/mnt:rw", home);
	cr_assert_eq(map_add(&cfg, &base, text), -EPERM);
	snprintf(text, sizeof(text), "%s/sandcastle:/mnt:rw", path);
	cr_assert_eq(map_add(&cfg, &base, text), -EPERM);
	setenv("XDG_CACHE_HOME", "/nowhere", 1);
	cr_assert_eq(map_add(&cfg, &base, home), 0);
	snprintf(text, sizeof(text), "%s:/mnt:rw", home);
	cr_assert_eq(map_add(&cfg, &base, text), -EPERM);
	/* Beside it is fine, and to be read all of it. */
	snprintf(text, sizeof(text), "%s/other:/mnt:rw", path);
	cr_assert_eq(map_add(&cfg, &base, text), 0);
}
