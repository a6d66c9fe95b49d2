/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "image/base/index_writer.h"
#include "tests/unit/image/image_files.h"

static struct index_entry entry(enum index_kind kind, mode_t mode)
{
	return (struct index_entry){.kind = (uint8_t)kind, .mode = (uint16_t)mode};
}

/* /etc/{motd: pristine, shadow: left out}, /usr/bin/{b, a, link -> a}, /usr/empty */
static uint8_t *small_index(size_t *len)
{
	const struct index_header head = {.probe_ino = 7, .built = 99, .stamp = {1, 2, 3}};
	struct index_entry dir = entry(INDEX_DIR, S_IFDIR | 0755);
	struct index_entry shared = entry(INDEX_SHARED, S_IFREG | 0755);
	struct index_entry pristine = entry(INDEX_PRISTINE, S_IFREG | 0644);
	struct index_entry link = entry(INDEX_LINK, S_IFLNK | 0777);
	struct index_entry left = entry(INDEX_LEFT_OUT, S_IFREG | 0600);
	struct index_writer *w = NULL;
	uint32_t usr, bin, etc;
	uint8_t *file = NULL;

	shared.size = 4000000000u;
	shared.where = 1234;
	shared.mtime = 5;
	cr_assert_eq(index_writer_new(&w), 0);
	cr_assert_eq(index_writer_add(w, 0, "usr", &dir, NULL, 0, &usr), 0);
	cr_assert_eq(index_writer_add(w, usr, "bin", &dir, NULL, 0, &bin), 0);
	cr_assert_eq(index_writer_add(w, bin, "b", &shared, NULL, 0, NULL), 0);
	cr_assert_eq(index_writer_add(w, bin, "a", &shared, NULL, 0, NULL), 0);
	cr_assert_eq(index_writer_add(w, 0, "etc", &dir, NULL, 0, &etc), 0);
	cr_assert_eq(index_writer_add(w, etc, "motd", &pristine, "hello\n", 6, NULL), 0);
	cr_assert_eq(index_writer_add(w, etc, "shadow", &left, NULL, 0, NULL), 0);
	cr_assert_eq(index_writer_add(w, bin, "link", &link, "a", 1, NULL), 0);
	cr_assert_eq(index_writer_add(w, usr, "empty", &dir, NULL, 0, NULL), 0);
	cr_assert_eq(index_writer_finish(w, &head, &file, len), 0);
	index_writer_free(w);
	return file;
}

static uint32_t find(const struct index *ix, const char *path)
{
	uint32_t e = 0;

	cr_assert_eq(index_lookup_path(ix, path, &e), 0, "%s", path);
	return e;
}

Test(index, what_was_written_is_found)
{
	size_t len = 0;
	uint8_t *file = small_index(&len);
	int fd = fd_of(file, len);
	struct index *ix = NULL;
	const struct index_entry *e;
	char path[64];
	uint32_t top, n;

	cr_assert_eq(index_open(fd, false, &ix), 0);
	cr_assert_eq(index_check_names(ix), 0);
	cr_assert_eq(ix->head->built, 99);
	e = &ix->entries[find(ix, "usr/bin/a")];
	cr_assert_eq(e->kind, INDEX_SHARED);
	cr_assert_eq(e->size, 4000000000u);
	cr_assert_eq(e->where, 1234);
	cr_assert_eq(index_path(ix, find(ix, "usr/bin/a"), path, sizeof(path), &top), 0);
	cr_assert_str_eq(path, "usr/bin/a");
	cr_assert_eq(top, find(ix, "usr"));
	cr_assert_eq(index_path(ix, INDEX_ROOT, path, sizeof(path), &top), 0);
	cr_assert_str_eq(path, "");
	cr_assert_eq(index_path(ix, find(ix, "usr/bin/a"), path, 9, &top), -ENAMETOOLONG);
	e = &ix->entries[find(ix, "etc/motd")];
	cr_assert_eq(e->size, 6);
	cr_assert_arr_eq(ix->blob + e->where, "hello\n", 6);
	e = &ix->entries[find(ix, "usr/bin/link")];
	cr_assert_arr_eq(ix->strings + index_first(e), "a", 1);
	cr_assert_eq(index_count(e), 1);
	cr_assert_eq(index_count(&ix->entries[find(ix, "usr/empty")]), 0);
	cr_assert_eq(index_lookup_path(ix, "usr/bin/c", &n), -ENOENT);
	cr_assert_eq(index_lookup_path(ix, "usr/bin/a/x", &n), -ENOENT);
	cr_assert_eq(index_lookup_path(ix, "etc/shadow", &n), -ENOENT, "left out");
	index_free(ix);
	close(fd);
	free(file);
}

Test(index, a_file_is_the_same_by_its_marks)
{
	size_t len = 0;
	uint8_t *file = small_index(&len);
	struct index *ix = NULL;
	const struct index_entry *e;

	cr_assert_eq(index_from_memory(file, len, &ix), 0);
	e = &ix->entries[find(ix, "usr/bin/b")];
	cr_assert(index_same_file(ix, e, 1234, 4000000000u, 5));
	cr_assert_not(index_same_file(ix, e, 1235, 4000000000u, 5));
	cr_assert_not(index_same_file(ix, e, 1234, 4000000001u, 5));
	cr_assert_not(index_same_file(ix, e, 1234, 4000000000u, 6));
	ix->use_inodes = false;
	cr_assert(index_same_file(ix, e, 1235, 4000000000u, 5));
	index_free(ix);
	free(file);
}

Test(index, any_damaged_byte_is_noticed)
{
	size_t len = 0;
	uint8_t *file = small_index(&len);

	for (size_t i = 0; i < len; i++) {
		struct index *ix = NULL;
		int fd;

		file[i] ^= 0x10;
		fd = fd_of(file, len);
		cr_assert_eq(index_open(fd, false, &ix), -EBADMSG, "byte %zu", i);
		close(fd);
		file[i] ^= 0x10;
	}
	free(file);
}

Test(index, any_cut_is_noticed)
{
	size_t len = 0;
	uint8_t *file = small_index(&len);

	for (size_t n = 0; n < len; n++) {
		struct index *ix = NULL;
		int fd = fd_of(file, n);

		cr_assert_eq(index_open(fd, false, &ix), -EBADMSG, "%zu bytes", n);
		cr_assert_eq(index_from_memory(file, n, &ix), -EBADMSG);
		close(fd);
	}
	free(file);
}

/* What a checksum would hide: each field out of its bounds. */
Test(index, bounds_are_checked_without_the_checksum)
{
	size_t len = 0;
	uint8_t *file = small_index(&len);
	struct index_header *h = (void *)file;
	struct index_entry *e = (void *)(file + h->entries_off);
	struct index *ix = NULL;
	uint32_t n = (uint32_t)h->n_entries;

#define REFUSED(field, value)                                                      \
	do {                                                                       \
		__typeof__(field) before_ = (field);                               \
		(field) = (value);                                                 \
		cr_expect_eq(index_from_memory(file, len, &ix), -EBADMSG, #field); \
		(field) = before_;                                                 \
	} while (0)
	REFUSED(h->n_entries, 0);
	REFUSED(h->n_entries, UINT64_MAX / 8);
	REFUSED(h->entries_off, 8 + len);
	REFUSED(h->entries_off, h->entries_off + 1);
	REFUSED(h->strings_off, UINT64_MAX);
	REFUSED(h->strings_len, UINT64_MAX);
	REFUSED(h->blob_len, UINT64_MAX);
	REFUSED(h->version, INDEX_VERSION + 1);
	REFUSED(h->header_size, 8);
	REFUSED(e[0].kind, INDEX_LEFT_OUT);
	REFUSED(e[0].size, index_pair(1, n));
	REFUSED(e[0].size, index_pair(0, 2));
	REFUSED(e[1].parent, 1);
	REFUSED(e[1].parent, UINT32_MAX);
	REFUSED(e[1].name, UINT32_MAX);
	REFUSED(e[1].name_len, 0);
	REFUSED(e[1].kind, 0);
	REFUSED(e[1].kind, 200);
	REFUSED(e[1].how, INDEX_HOW_END);
	REFUSED(e[1].mode, S_IFREG | 0644);
	cr_assert_eq(index_from_memory(file, len, &ix), 0);
	n = find(ix, "etc/motd");
	index_free(ix);
	REFUSED(e[n].where, UINT64_MAX);
	REFUSED(e[n].size, 7);
	cr_assert_eq(index_from_memory(file, len, &ix), 0);
	n = find(ix, "usr/bin/link");
	index_free(ix);
	REFUSED(e[n].size, index_pair(UINT32_MAX, 2));
	REFUSED(e[n].size, index_pair(0, INDEX_TARGET_MAX + 1));
	free(file);
}

Test(index, names_are_checked_for_verify)
{
	size_t len = 0;
	uint8_t *file = small_index(&len);
	struct index_header *h = (void *)file;
	struct index *ix = NULL;
	char *strings = (char *)file + h->strings_off;
	uint32_t b;

	cr_assert_eq(index_from_memory(file, len, &ix), 0);
	b = ix->entries[find(ix, "usr/bin/b")].name;
	strings[b] = '/';
	cr_expect_eq(index_check_names(ix), -EBADMSG);
	strings[b] = '.';
	cr_expect_eq(index_check_names(ix), -EBADMSG);
	strings[b] = 'A';
	cr_expect_eq(index_check_names(ix), -EBADMSG, "not sorted");
	strings[b] = 'b';
	cr_expect_eq(index_check_names(ix), 0);
	index_free(ix);
	free(file);
}

Test(index, a_name_twice_is_refused)
{
	const struct index_header head = {.built = 0};
	struct index_entry dir = entry(INDEX_DIR, S_IFDIR | 0755);
	struct index_writer *w = NULL;
	uint8_t *file = NULL;
	size_t len;

	cr_assert_eq(index_writer_new(&w), 0);
	cr_assert_eq(index_writer_add(w, 0, "usr", &dir, NULL, 0, NULL), 0);
	cr_assert_eq(index_writer_add(w, 0, "usr", &dir, NULL, 0, NULL), 0);
	cr_assert_eq(index_writer_finish(w, &head, &file, &len), -EEXIST);
	index_writer_free(w);
}
