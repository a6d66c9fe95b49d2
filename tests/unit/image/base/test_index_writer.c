/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "image/base/index_writer.h"

static const struct index_entry file = {.kind = INDEX_PRISTINE, .mode = S_IFREG | 0644};
static const struct index_entry dir = {.kind = INDEX_DIR, .mode = S_IFDIR | 0755};
static const struct index_entry link_ = {.kind = INDEX_LINK, .mode = S_IFLNK | 0777};

static int finish(struct index_writer *w, struct index **out, uint8_t **bytes)
{
	const struct index_header head = {.built = 7};
	size_t len;
	int r = index_writer_finish(w, &head, bytes, &len);

	index_writer_free(w);
	return r < 0 ? r : index_from_memory(*bytes, len, out);
}

Test(index_writer, names_in_any_order_are_found)
{
	struct index_writer *w;
	struct index *ix;
	uint8_t *bytes;
	uint32_t sub, found;

	cr_assert_eq(index_writer_new(&w), 0);
	cr_assert_eq(index_writer_add(w, INDEX_ROOT, "z", &file, "zz", 2, NULL), 0);
	cr_assert_eq(index_writer_add(w, INDEX_ROOT, "sub", &dir, NULL, 0, &sub), 0);
	cr_assert_eq(index_writer_add(w, sub, "z", &link_, "../z", 4, NULL), 0);
	cr_assert_eq(index_writer_add(w, INDEX_ROOT, "a", &file, "", 0, NULL), 0);
	cr_expect_eq(index_writer_find(w, sub, "z")->kind, INDEX_LINK);
	cr_expect_eq(index_writer_find(w, INDEX_ROOT, "z")->kind, INDEX_PRISTINE);
	cr_expect_null(index_writer_find(w, sub, "a"));
	cr_expect_null(index_writer_find(w, INDEX_ROOT, "zz"));
	cr_assert_eq(finish(w, &ix, &bytes), 0);
	cr_assert_eq(index_check_names(ix), 0);
	cr_expect_eq(ix->head->built, 7);
	cr_assert_eq(index_lookup_path(ix, "sub/z", &found), 0);
	cr_expect_eq(index_count(&ix->entries[found]), 4);
	cr_assert_eq(index_lookup_path(ix, "z", &found), 0);
	cr_expect_eq(ix->entries[found].size, 2);
	index_free(ix);
	free(bytes);
}

Test(index_writer, what_cannot_be_added)
{
	struct index_writer *w;
	struct index *ix;
	uint8_t *bytes = NULL;
	char name[300];

	memset(name, 'x', sizeof(name));
	name[256] = '\0';
	cr_assert_eq(index_writer_new(&w), 0);
	cr_expect_eq(index_writer_add(w, INDEX_ROOT, "", &file, "", 0, NULL), -ENAMETOOLONG);
	cr_expect_eq(index_writer_add(w, INDEX_ROOT, name, &file, "", 0, NULL), -ENAMETOOLONG);
	cr_expect_eq(index_writer_add(w, INDEX_ROOT, "l", &link_, "", 0, NULL), -ENAMETOOLONG);
	cr_assert_eq(index_writer_add(w, INDEX_ROOT, "twice", &file, "", 0, NULL), 0);
	cr_assert_eq(index_writer_add(w, INDEX_ROOT, "twice", &file, "", 0, NULL), 0);
	cr_expect_eq(finish(w, &ix, &bytes), -EEXIST);
}
