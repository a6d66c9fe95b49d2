/* SPDX-License-Identifier: MIT */
/* Archives as `sandcastle cp` makes them, and as a hostile guest might. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>

#include "common/log.h"
#include "launcher/copy/tar_create.h"
#include "launcher/copy/tar_extract.h"
#include "tests/support/ustar.h"

static char dir[] = "/tmp/sandcastle-tar-XXXXXX";
static int top, tar_fd; /* dir/in, and the archive */
static struct tar_lib lib;
static struct copy_tally tally;

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static void setup(void)
{
	int fd;

	cr_assert_not_null(mkdtemp(dir));
	cr_assert_eq(chdir(dir), 0);
	cr_assert(mkdir("in", 0755) == 0 && mkdir("outside", 0755) == 0);
	fd = open("outside/secret", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	cr_assert_eq(write(fd, "secret", 6), 6);
	close(fd);
	top = open("in", O_PATH | O_DIRECTORY | O_CLOEXEC);
	tar_fd = memfd_create("tar", MFD_CLOEXEC);
	cr_assert(top >= 0 && tar_fd >= 0);
	cr_assert_eq(tar_lib_open(&lib), 0);
	copy_tally_init(&tally, false);
}

static void teardown(void)
{
	close(top);
	close(tar_fd);
	(void)nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

TestSuite(tar, .init = setup, .fini = teardown, .timeout = 60);

/* An entry; `size` may be a lie. */
static void put_sized(const char *name, char type, unsigned int mode, const char *link,
		      const char *content, unsigned long size)
{
	char block[USTAR_BLOCK];
	const size_t len = strlen(content);

	ustar_header(block, name, type, mode, link, size);
	cr_assert_eq(write(tar_fd, block, sizeof(block)), USTAR_BLOCK);
	for (size_t at = 0; at < len; at += USTAR_BLOCK) {
		memset(block, 0, sizeof(block));
		memcpy(block, content + at, min_size(sizeof(block), len - at));
		cr_assert_eq(write(tar_fd, block, sizeof(block)), USTAR_BLOCK);
	}
}

static void put(const char *name, char type, unsigned int mode, const char *link,
		const char *content)
{
	put_sized(name, type, mode, link, content, strlen(content));
}

static int extract(const char *from, const char *as)
{
	const struct tar_extract x = {
		.top = top, .to = "here", .from = from, .as = as, .tally = &tally};
	static const char end[1024];

	cr_assert_eq(write(tar_fd, end, sizeof(end)), (ssize_t)sizeof(end));
	cr_assert_eq(lseek(tar_fd, 0, SEEK_SET), 0);
	return tar_extract(&lib, &x, tar_fd);
}

/* Mode of what is there, without following a link; 0: nothing. */
static mode_t mode_of(const char *path)
{
	struct stat st;

	return fstatat(top, path, &st, AT_SYMLINK_NOFOLLOW) < 0 ? 0 : st.st_mode;
}

static void expect_text(const char *path, const char *text)
{
	char buf[64] = "";
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	cr_assert_geq(fd, 0, "%s", path);
	cr_assert_eq(read(fd, buf, sizeof(buf) - 1), (ssize_t)strlen(text), "%s", path);
	cr_assert_str_eq(buf, text);
	close(fd);
}

/* The names in a folder, without "." and "..". */
static int count_names(const char *path)
{
	struct dirent **list;
	int n = scandir(path, &list, NULL, NULL);

	for (int i = 0; i < n; i++)
		free(list[i]);
	if (n >= 0)
		free(list);
	return n - 2;
}

Test(tar, a_tree_arrives_as_it_was)
{
	struct stat st;

	put("t/", '5', 0750, "", "");
	put("t/file", '0', 0640, "", "content");
	put("t/ro/", '5', 0555, "", "");
	put("t/ro/a\nb", '0', 0444, "", "odd");
	put("t/link", '2', 0777, "/etc/passwd", "");
	put("t/empty", '0', 0600, "", "");
	cr_assert_eq(extract("t", "t"), 0);
	cr_assert_eq(tally.skipped, 0);
	cr_assert_eq(mode_of("t"), S_IFDIR | 0750);
	cr_assert_eq(mode_of("t/ro"), S_IFDIR | 0555);
	cr_assert_eq(mode_of("t/ro/a\nb"), S_IFREG | 0444);
	cr_assert(S_ISLNK(mode_of("t/link")));
	cr_assert_eq(mode_of("t/empty"), S_IFREG | 0600);
	expect_text("in/t/file", "content");
	cr_assert_eq(fstatat(top, "t", &st, 0), 0);
	cr_assert_eq(st.st_mtim.tv_sec, 1000000000);
	cr_assert_eq(fstatat(top, "t/file", &st, 0), 0);
	cr_assert_eq(st.st_mtim.tv_sec, 1000000000);
	cr_assert_eq(st.st_uid, getuid());
	cr_assert_eq(count_names("in/t"), 4);
	(void)fchmodat(top, "t/ro", 0755, 0);
}

Test(tar, another_name_or_the_content_alone)
{
	put("./", '5', 0700, "", "");
	put("./a", '0', 0644, "", "1");
	cr_assert_eq(extract(".", "."), 0);
	expect_text("in/a", "1");
	/* The folder it goes to stays as it is. */
	cr_assert_eq(mode_of("."), S_IFDIR | 0755);
	(void)ftruncate(tar_fd, 0);
	(void)lseek(tar_fd, 0, SEEK_SET);
	put("a", '0', 0644, "", "2");
	cr_assert_eq(extract("a", "b"), 0);
	expect_text("in/b", "2");
	expect_text("in/a", "1");
	cr_assert_eq(tally.skipped, 0);
}

Test(tar, nothing_leaves_the_folder)
{
	put("t/", '5', 0755, "", "");
	put("/tmp/sandcastle-absolute", '0', 0644, "", "x");
	put("t/../../outside/secret", '0', 0644, "", "x");
	put("..", '5', 0755, "", "");
	put("other", '0', 0644, "", "x");
	put("t/up", '2', 0777, "../../outside", "");
	put("t/up/secret", '0', 0644, "", "x");
	put("t/up/made", '0', 0644, "", "x");
	put("t/up/folder", '5', 0755, "", "");
	put("t/up/", '5', 0700, "", "");
	put("t/root", '2', 0777, "/", "");
	put("t/root/tmp/sandcastle-by-link", '0', 0644, "", "x");
	put("t/hard", '1', 0644, "../outside/secret", "");
	put("t/hard2", '1', 0644, "t/up", "");
	put("t/missing/file", '0', 0644, "", "x");
	put("", '0', 0644, "", "x");
	put("t/last", '0', 0644, "", "good");
	cr_assert_eq(extract("t", "t"), 0);
	cr_assert_geq(tally.skipped, 12);
	expect_text("in/t/last", "good");
	expect_text("outside/secret", "secret");
	cr_assert_eq(count_names("outside"), 1);
	cr_assert_eq(count_names("in"), 1);
	cr_assert_eq(count_names("in/t"), 3);
	cr_assert_lt(access("/tmp/sandcastle-absolute", F_OK), 0);
	cr_assert_lt(access("/tmp/sandcastle-by-link", F_OK), 0);
	cr_assert(S_ISLNK(mode_of("t/up")));
}

Test(tar, links_and_files_that_are_there_are_replaced_never_followed)
{
	cr_assert_eq(symlinkat("../outside/secret", top, "file"), 0);
	cr_assert_eq(symlinkat("../outside", top, "folder"), 0);
	cr_assert_eq(mkdirat(top, "taken", 0755), 0);
	put("file", '0', 0644, "", "new");
	put("folder/secret", '0', 0644, "", "new");
	put("folder", '5', 0777, "", "");
	put("taken", '0', 0644, "", "new");
	cr_assert_eq(extract(".", "."), 0);
	cr_assert_eq(tally.skipped, 3);
	expect_text("in/file", "new");
	cr_assert(S_ISREG(mode_of("file")));
	cr_assert(S_ISLNK(mode_of("folder")));
	cr_assert(S_ISDIR(mode_of("taken")));
	expect_text("outside/secret", "secret");
	/* No temporary names are left. */
	cr_assert_eq(count_names("in"), 3);
}

Test(tar, devices_and_set_id_bits_do_not_come_along)
{
	put("null", '3', 0666, "", "");
	put("disk", '4', 0666, "", "");
	put("fifo", '6', 0666, "", "");
	put("suid", '0', 06755, "", "#!");
	put("sgid", '5', 02777, "", "");
	put("sticky", '5', 01777, "", "");
	cr_assert_eq(extract(".", "."), 0);
	cr_assert_eq(tally.skipped, 3);
	cr_assert(mode_of("null") == 0 && mode_of("disk") == 0 && mode_of("fifo") == 0);
	cr_assert_eq(mode_of("suid"), S_IFREG | 0755);
	cr_assert_eq(mode_of("sgid"), S_IFDIR | 0755);
	cr_assert_eq(mode_of("sticky"), S_IFDIR | 0755);
}

Test(tar, an_archive_that_breaks_off_or_lies)
{
	put("good", '0', 0644, "", "good");
	put_sized("big", '0', 0644, "", "no more", 1ul << 32);
	cr_assert_eq(extract(".", "."), -EBADMSG);
	expect_text("in/good", "good");
	cr_assert_eq(count_names("in"), 1);
}

Test(tar, what_is_no_archive)
{
	cr_assert_eq(
		tar_extract(&lib, &(struct tar_extract){top, "here", "a", "a", &tally}, tar_fd),
		-ENODATA);
	for (int i = 0; i < 1000; i++)
		cr_assert_eq(write(tar_fd, "no tar at all...", 16), 16);
	cr_assert_lt(extract("a", "a"), 0);
	cr_assert_eq(count_names("in"), 0);
}

Test(tar, compressed_archives_are_none)
{
	/* gzip's magic: a decompressor is not tried. */
	cr_assert_eq(write(tar_fd, "\x1f\x8b\x08\0\0\0\0\0\0\x03", 10), 10);
	cr_assert_lt(extract("a", "a"), 0);
}

Test(tar, deep_trees)
{
	static char name[4096];

	/* As deep as a header's name can be. */
	for (size_t n = 2; n < 98; n += 2) {
		memset(name, 0, sizeof(name));
		for (size_t i = 0; i < n; i += 2)
			memcpy(name + i, "d/", 2);
		put(name, '5', 0711, "", "");
	}
	cr_assert_eq(extract("d", "d"), 0);
	cr_assert_eq(tally.skipped, 0);
	cr_assert_eq(mode_of("d/d/d/d/d/d"), S_IFDIR | 0711);
}

Test(tar, from_the_host_and_back)
{
	struct tar_create *t = NULL;
	struct stat st;
	char link[16] = "";
	const struct timespec times[2] = {{.tv_sec = 1}, {.tv_sec = 981173106}};
	int fd;

	cr_assert(mkdir("src", 0750) == 0 && mkdir("src/empty", 0700) == 0);
	fd = open("src/a\nb\xff", O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
	cr_assert_eq(write(fd, "content", 7), 7);
	cr_assert_eq(futimens(fd, times), 0);
	close(fd);
	fd = open("src/suid", O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
	cr_assert_eq(fchmod(fd, 04755), 0);
	close(fd);
	cr_assert_eq(symlink("../outside/secret", "src/link"), 0);
	cr_assert_eq(mkfifo("src/fifo", 0600), 0);
	cr_assert_eq(tar_create_new(&lib, tar_fd, &tally, &t), 0);
	cr_assert_eq(tar_create_add(t, "src", "other"), 0);
	cr_assert_eq(tar_create_add(t, "src/.", "."), 0);
	cr_assert_eq(tar_create_add(t, "nonexistent", "nonexistent"), 0);
	cr_assert_eq(tar_create_finish(t), 0);
	tar_create_free(t);
	/* Twice the FIFO, and what is not there. */
	cr_assert_eq(tally.skipped, 3);
	cr_assert_eq(extract(".", "."), 0);
	cr_assert_eq(tally.skipped, 3);
	cr_assert_eq(mode_of("other"), S_IFDIR | 0750);
	cr_assert_eq(mode_of("other/empty"), S_IFDIR | 0700);
	cr_assert_eq(mode_of("suid"), S_IFREG | 0755);
	expect_text("in/other/a\nb\xff", "content");
	cr_assert_eq(fstatat(top, "a\nb\xff", &st, 0), 0);
	cr_assert_eq(st.st_mtim.tv_sec, 981173106);
	cr_assert_eq(st.st_mode, S_IFREG | 0755);
	cr_assert_eq(readlinkat(top, "link", link, sizeof(link)), 16);
	cr_assert_eq(count_names("in/other"), 4);
	cr_assert_eq(count_names("in"), 5);
}

Test(tar, a_signal_leaves_nothing_half_written)
{
	int ends[2], status;
	char half[1536] = "";
	pid_t pid;

	put_sized("file", '0', 0644, "", "half", 1 << 20);
	cr_assert_eq(lseek(tar_fd, 0, SEEK_SET), 0);
	cr_assert_eq(read(tar_fd, half, sizeof(half)), 1024);
	cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
	pid = fork();
	if (pid == 0) {
		const struct tar_extract x = {top, "here", ".", ".", &tally};

		close(ends[1]);
		_exit(tar_extract(&lib, &x, ends[0]) < 0);
	}
	cr_assert_eq(write(ends[1], half, sizeof(half)), sizeof(half));
	while (count_names("in") == 0)
		usleep(1000);
	kill(pid, SIGINT);
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 128 + SIGINT);
	cr_assert_eq(count_names("in"), 0);
	close(ends[0]);
	close(ends[1]);
}

Test(tar, who_reads_goes_away)
{
	struct tar_create *t = NULL;
	int ends[2], fd, r;

	(void)signal(SIGPIPE, SIG_IGN);
	cr_assert_eq(pipe2(ends, O_CLOEXEC), 0);
	close(ends[0]);
	fd = open("big", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	cr_assert_eq(ftruncate(fd, 1 << 20), 0);
	close(fd);
	cr_assert_eq(tar_create_new(&lib, ends[1], &tally, &t), 0);
	r = tar_create_add(t, "big", "big");
	if (r == 0)
		r = tar_create_finish(t);
	cr_assert_eq(r, -EPIPE);
	tar_create_free(t);
	close(ends[1]);
}

Test(tar, modes_are_the_users_to_limit)
{
	(void)umask(027);
	cr_assert_eq(mkdirat(top, "there", 0700), 0);
	put("there/", '5', 0777, "", "");
	put("there/new/", '5', 0777, "", "");
	put("there/new/file", '0', 0666, "", "x");
	cr_assert_eq(extract("there", "there"), 0);
	/* A folder that was there keeps the mode it had. */
	cr_assert_eq(mode_of("there"), S_IFDIR | 0700);
	cr_assert_eq(mode_of("there/new"), S_IFDIR | 0750);
	cr_assert_eq(mode_of("there/new/file"), S_IFREG | 0640);
	cr_assert_eq(umask(022), 027);
}

Test(tar, names_that_steer_a_terminal_are_left_out)
{
	put("t/", '5', 0755, "", "");
	put("t/\033]0;title\007", '0', 0644, "", "x");
	put("t/a\rb", '0', 0644, "", "x");
	put("t/a\bb", '5', 0755, "", "");
	put("t/\177", '0', 0644, "", "x");
	put("t/\302\233m", '0', 0644, "", "x");
	put("t/link", '2', 0777, "\033[31m", "");
	put("t/\303\274\tber", '0', 0644, "", "kept");
	cr_assert_eq(extract("t", "t"), 0);
	cr_assert_eq(tally.skipped, 6);
	cr_assert_eq(count_names("in/t"), 1);
	expect_text("in/t/\303\274\tber", "kept");
}

static uint64_t free_bytes(int fd)
{
	struct statvfs st;

	cr_assert_eq(fstatvfs(fd, &st), 0);
	return (uint64_t)st.f_bavail * st.f_frsize;
}

/* A file system of its own, as small as that. */
static void mount_small(const char *options)
{
	if (unshare(CLONE_NEWNS) < 0 || mount("", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("none", "in", "tmpfs", 0, options) < 0) {
		teardown();
		cr_skip("mounting needs root");
	}
	close(top);
	top = open("in", O_PATH | O_DIRECTORY | O_CLOEXEC);
	cr_assert_geq(top, 0);
}

Test(tar, a_guest_does_not_fill_the_disk)
{
	static char content[65536];
	char name[32];
	uint64_t before;

	mount_small("size=8m");
	before = free_bytes(top);
	memset(content, 'x', sizeof(content) - 1);
	put("t/", '5', 0755, "", "");
	for (int i = 0; i < 200; i++) {
		snprintf(name, sizeof(name), "t/%d", i);
		put(name, '0', 0644, "", content);
	}
	cr_assert_eq(extract("t", "t"), -ENOSPC);
	cr_assert_geq(free_bytes(top), before / 20);
	cr_assert_leq(free_bytes(top), before / 4, "most of the room is there to be used");
	cr_assert_eq(umount2("in", MNT_DETACH), 0);
}

Test(tar, nor_takes_all_its_files)
{
	struct statvfs st;
	char name[32];

	mount_small("size=64m,nr_inodes=1000");
	for (int i = 0; i < 1200; i++) {
		snprintf(name, sizeof(name), "t%d", i);
		put(name, '0', 0644, "", "");
	}
	cr_assert_eq(extract(".", "."), -ENOSPC);
	cr_assert_eq(fstatvfs(top, &st), 0);
	cr_assert_geq(st.f_favail, 40);
	cr_assert_eq(umount2("in", MNT_DETACH), 0);
}
