/* SPDX-License-Identifier: MIT */
/* What a package file that apt has kept gives. */
#include <archive.h>
#include <archive_entry.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "image/base/deb.h"
#include "image/base/packages.h"
#include "tests/unit/image/base/base_tree.h"
#include "tests/unit/image/image_files.h"

TestSuite(deb, .init = make_tree, .fini = remove_tree);

Test(deb, a_changed_file_is_replaced_by_the_packages)
{
	write_deb("var/cache/apt/archives/tool_1%3a2-3_amd64.deb", "./etc/changed.conf",
		  "original\n");
	open_image(BASE_CURRENT);
	expect_bytes("etc/changed.conf", "original\n");
	cr_expect_eq(find_entry("etc/changed.conf")->how, INDEX_FROM_PACKAGE);
}

Test(deb, a_package_that_is_none_does_no_harm)
{
	tree_write_text(tree, "var/cache/apt/archives/tool_1%3a2-3_amd64.deb", "!<arch>\ngarbage");
	open_image(BASE_CURRENT);
	cr_expect_eq(left_out("etc", "changed.conf"), INDEX_LEFT_CHANGED);
}

Test(deb, an_edited_file_is_replaced_if_the_archive_has_it)
{
	char sums[128];

	write_deb("var/cache/apt/archives/extra_1_all.deb", "./usr/share/app/unit", "packaged");
	tree_write_text(tree, "usr/share/app/unit", "SECRET-MARK");
	sprintf(sums, "%s  usr/share/app/unit\n", md5_of("packaged"));
	own_files("/usr/share/app/unit\n", sums);
	touch_file("usr/share/app/unit", 2000000000);
	open_image(BASE_CURRENT);
	expect_bytes("usr/share/app/unit", "packaged");
	/* What the archive has is compared, too. */
	sprintf(sums, "%s  usr/share/app/unit\n", md5_of("other"));
	own_files("/usr/share/app/unit\n", sums);
	open_image(BASE_ANEW);
	cr_expect_eq(left_out("usr/share/app", "unit"), INDEX_LEFT_CHANGED);
}

/* A link in another's tree leads nowhere but into it. */
Test(deb, an_archive_outside_the_tree_is_not_read)
{
	char path[4096];

	write_deb("outside.deb", "./etc/changed.conf", "original\n");
	in_tree("outside.deb", path);
	tree_write_text(tree, "var/cache/apt/archives/x", "");
	link_to(path, "var/cache/apt/archives/tool_1%3a2-3_amd64.deb");
	open_image(BASE_CURRENT);
	cr_expect_eq(left_out("etc", "changed.conf"), INDEX_LEFT_CHANGED);
}

static struct buffer bytes;

static int original(const char *version, const char *arch, const char *path, size_t max)
{
	AUTO_CLOSE int root = open(tree, O_PATH | O_DIRECTORY | O_CLOEXEC);

	return deb_original(root, "cache", "p", version, arch, path, max, &bytes);
}

Test(deb, a_file_of_the_package_with_that_name_version_and_architecture)
{
	write_deb("cache/p_1%3a2-3_all.deb", "./etc/file", "12345");
	cr_assert_eq(original("1:2-3", "all", "/etc/file", 5), 0);
	cr_expect(bytes.len == 5 && memcmp(bytes.data, "12345", 5) == 0);
	cr_expect_eq(original("1:2-3", "all", "/etc/file", 4), -EFBIG);
	cr_expect_eq(original("1:2-3", "all", "/etc/other", 5), -ENOENT);
	cr_expect_eq(original("1:2-3", "all", "/etc", 5), -ENOENT);
	cr_expect_eq(original("1:2-4", "all", "/etc/file", 5), -ENOENT);
	cr_expect_eq(original("1:2-3", "amd64", "/etc/file", 5), -ENOENT);
	write_deb("cache/p_2_all.deb", "etc/file", "plain name");
	cr_expect_eq(original("2", "all", "/etc/file", 99), 0);
	cr_expect_eq(bytes.len, 10, "what was there is replaced");
	free(bytes.data);
}

Test(deb, a_version_is_no_path)
{
	char version[300];

	write_deb("p_2_all.deb", "./etc/file", "outside");
	cr_expect_eq(original("/../../p_2", "all", "/etc/file", 9), -ENOENT);
	memset(version, ':', sizeof(version) - 1);
	version[sizeof(version) - 1] = '\0';
	cr_expect_eq(original(version, "all", "/etc/file", 9), -ENOENT);
	free(bytes.data);
}

Test(deb, what_is_no_package)
{
	char path[4096];

	tree_write_text(tree, "cache/p_1_all.deb", "garbage");
	cr_expect_eq(original("1", "all", "/etc/file", 9), -EBADMSG);
	tree_write_text(tree, "cache/p_2_all.deb",
			"!<arch>\ndata.tar.xz     0           0     0     100644  7         `\n"
			"garbage\n");
	cr_expect_eq(original("2", "all", "/etc/file", 9), -EBADMSG);
	in_tree("cache/p_3_all.deb", path);
	cr_assert_eq(mkdir(path, 0755), 0);
	cr_expect_eq(original("3", "all", "/etc/file", 9), -ENOENT);
	free(bytes.data);
}

/* Bytes as bzip2 has them; streams of it may follow each other. */
static size_t add_bzip2(char *out, size_t room, const void *data, size_t len)
{
	struct archive *a = archive_write_new();
	struct archive_entry *e = archive_entry_new();
	size_t used = 0;

	cr_assert_eq(archive_write_set_format_raw(a), ARCHIVE_OK);
	cr_assert_eq(archive_write_add_filter_bzip2(a), ARCHIVE_OK);
	archive_write_set_bytes_per_block(a, 0);
	cr_assert_eq(archive_write_open_memory(a, out, room, &used), ARCHIVE_OK);
	archive_entry_set_filetype(e, AE_IFREG);
	archive_entry_set_pathname(e, "data");
	cr_assert_eq(archive_write_header(a, e), ARCHIVE_OK);
	cr_assert_eq(archive_write_data(a, data, len), (la_ssize_t)len);
	cr_assert_eq(archive_write_free(a), ARCHIVE_OK);
	archive_entry_free(e);
	return used;
}

/* The header of a file of a million GiB, which is in front of everything else. */
static void endless_file(uint8_t header[512])
{
	unsigned int sum = 0;

	memset(header, 0, 512);
	strcpy((char *)header, "./big");
	strcpy((char *)header + 100, "0000644");
	/* Its size in base 256. */
	header[124] = 0x80;
	header[124 + 5] = 4;
	strcpy((char *)header + 136, "00000000000");
	header[156] = '0';
	memcpy(header + 257, "ustar\00000", 8);
	memset(header + 148, ' ', 8);
	for (unsigned int i = 0; i < 512; i++)
		sum += header[i];
	snprintf((char *)header + 148, 8, "%06o", sum);
}

/* A few kilobytes that unpack to 90 GB: some minutes of work. */
static void write_bomb(const char *name)
{
	enum { ZEROES = 46000000, TIMES = 2000, ROOM = 1 << 20 };
	static char deb[ROOM], stream[4096];
	uint8_t header[512];
	char *zeroes = calloc(1, ZEROES);
	size_t head = 8 + 60, len = head, n;

	cr_assert_not_null(zeroes);
	endless_file(header);
	len += add_bzip2(deb + len, ROOM - len, header, sizeof(header));
	n = add_bzip2(stream, sizeof(stream), zeroes, ZEROES);
	free(zeroes);
	for (unsigned int i = 0; i < TIMES && len + n < ROOM; i++, len += n)
		memcpy(deb + len, stream, n);
	snprintf(deb, head + 1, "!<arch>\n%-16s%-12d%-6d%-6d%-8o%-10zu`\n", "data.tar.bz2", 0, 0, 0,
		 0100644, len - head);
	/* What the terminating NUL has taken. */
	deb[head] = 'B';
	tree_write(tree, name, deb, len);
}

/* The process that unpacks has a minute; here a second or two, which is what the test itself has. */
Test(deb, unpacking_takes_no_longer_than_it_may, .timeout = 120)
{
	struct rlimit cpu;
	struct rusage used;

	write_bomb("cache/p_1_all.deb");
	cr_assert_eq(getrusage(RUSAGE_SELF, &used), 0);
	cpu.rlim_cur = cpu.rlim_max =
		(rlim_t)used.ru_utime.tv_sec + (rlim_t)used.ru_stime.tv_sec + 3;
	cr_assert_eq(setrlimit(RLIMIT_CPU, &cpu), 0);
	cr_expect_eq(original("1", "all", "/etc/file", 9), -EBADMSG);
	cr_assert_eq(getrusage(RUSAGE_CHILDREN, &used), 0);
	cr_expect_geq(used.ru_utime.tv_sec + used.ru_stime.tv_sec, 1, "it was at work");
	cr_expect_leq(used.ru_utime.tv_sec + used.ru_stime.tv_sec, (time_t)cpu.rlim_max + 1);
	free(bytes.data);
}

/* Each may cost a minute, so the fourth is not asked, good or bad. */
Test(deb, of_bad_archives_three_are_tried)
{
	AUTO_CLOSE int root = open(tree, O_PATH | O_DIRECTORY | O_CLOEXEC);
	char name[64], status[2048] = "";
	struct packages *p;

	for (int i = 0; i < 5; i++) {
		sprintf(status + strlen(status),
			"Package: p%d\nStatus: install ok installed\nArchitecture: all\nVersion: "
			"1\n\n",
			i);
		sprintf(name, "var/cache/apt/archives/p%d_1_all.deb", i);
		if (i == 0 || i == 4)
			write_deb(name, "./etc/file", "packaged");
		else
			tree_write_text(tree, name, "garbage");
	}
	tree_write_text(tree, "var/lib/dpkg/status", status);
	cr_assert_eq(packages_read(root, &p), 0);
	cr_expect_eq(p->kind->original(p, 0, "/etc/file", 9, &bytes), 0);
	for (uint32_t i = 1; i <= 3; i++)
		cr_expect_eq(p->kind->original(p, i, "/etc/file", 9, &bytes), -EBADMSG);
	cr_expect_eq(p->kind->original(p, 4, "/etc/file", 9, &bytes), -ENOENT);
	packages_free(p);
	free(bytes.data);
}
