/* SPDX-License-Identifier: MIT */
#include "image/base/deb.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "image/archive_lib.h"

enum { CHUNK = 65536, MAX_MEMBERS = 1 << 20 };

/* The tar inside the ar, read as it is unpacked. */
struct member {
	struct archive_lib lib;
	struct archive *outer;
	char buf[CHUNK];
};

static la_ssize_t member_read(struct archive *a, void *client, const void **out)
{
	struct member *m = client;
	la_ssize_t n = m->lib.read_data(m->outer, m->buf, sizeof(m->buf));

	if (n < 0)
		m->lib.set_error(a, EIO, "the package ends early");
	*out = m->buf;
	return n;
}

/* In-process decompressors only: for others the library would start a program. */
static void allow_filters(const struct archive_lib *lib, struct archive *a)
{
	(void)lib->filter_gzip(a);
	(void)lib->filter_xz(a);
	(void)lib->filter_bzip2(a);
	(void)lib->filter_lzma(a);
	(void)lib->filter_zstd(a);
}

static int read_file(const struct archive_lib *lib, struct archive *tar, size_t max,
		     struct buffer *out)
{
	char buf[4096];
	la_ssize_t n;

	out->len = 0;
	while ((n = lib->read_data(tar, buf, sizeof(buf))) > 0) {
		if ((size_t)n > max - out->len)
			return -EFBIG;
		if (buffer_add(out, buf, (size_t)n) < 0)
			return -ENOMEM;
	}
	return n < 0 ? -EBADMSG : 0;
}

/* "./etc/motd" or "etc/motd" for "/etc/motd". */
static bool names(const char *member, const char *path)
{
	if (!member)
		return false;
	if (member[0] == '.')
		member++;
	if (member[0] == '/')
		member++;
	return strcmp(member, path + 1) == 0;
}

static int find_in_tar(struct member *m, const char *path, size_t max, struct buffer *out)
{
	const struct archive_lib *lib = &m->lib;
	struct archive *tar = lib->read_new();
	struct archive_entry *e;
	int r = -ENOENT;

	if (!tar)
		return -ENOMEM;
	allow_filters(lib, tar);
	(void)lib->format_tar(tar);
	if (lib->read_open(tar, m, NULL, member_read, NULL) != ARCHIVE_OK)
		r = -EBADMSG;
	for (unsigned int i = 0; r == -ENOENT && i < MAX_MEMBERS; i++) {
		int got = lib->read_next_header(tar, &e);

		if (got == ARCHIVE_EOF)
			break;
		if (got < ARCHIVE_WARN)
			r = -EBADMSG;
		else if (names(lib->entry_pathname(e), path) &&
			 lib->entry_filetype(e) == AE_IFREG && !lib->entry_hardlink(e))
			r = read_file(lib, tar, max, out);
	}
	lib->read_free(tar);
	return r;
}

static int find_data(struct member *m, int fd, const char *path, size_t max, struct buffer *out)
{
	const struct archive_lib *lib = &m->lib;
	struct archive_entry *e;

	(void)lib->format_ar(m->outer);
	if (lib->read_open_fd(m->outer, fd, CHUNK) != ARCHIVE_OK)
		return -EBADMSG;
	for (unsigned int i = 0; i < 16; i++) {
		const char *name;

		if (lib->read_next_header(m->outer, &e) != ARCHIVE_OK)
			break;
		name = lib->entry_pathname(e);
		if (name && strncmp(name, "data.tar", 8) == 0)
			return find_in_tar(m, path, max, out);
	}
	return -ENOENT;
}

static int find_in_deb(int fd, const char *path, size_t max, struct buffer *out)
{
	AUTO_FREE struct member *m = malloc(sizeof(*m));
	int r = m ? archive_lib_open(&m->lib) : -ENOMEM;

	if (r < 0)
		return r;
	m->outer = m->lib.read_new();
	r = m->outer ? find_data(m, fd, path, max, out) : -ENOMEM;
	m->lib.read_free(m->outer);
	return r;
}

int deb_original(int root, const char *cache, const char *name, const char *version,
		 const char *arch, const char *path, size_t max, struct buffer *out)
{
	AUTO_CLOSE int fd = -1;
	char file[768], escaped[256];
	size_t n = 0;

	/* A colon in the version (its epoch) is written %3a. */
	for (const char *v = version; *v; v++) {
		if (n + 4 > sizeof(escaped) || *v == '/')
			return -ENOENT;
		if (*v == ':')
			n += (size_t)snprintf(escaped + n, 4, "%%3a");
		else
			escaped[n++] = *v;
	}
	escaped[n] = '\0';
	if ((size_t)snprintf(file, sizeof(file), "%s/%s_%s_%s.deb", cache, name, escaped, arch) >=
	    sizeof(file))
		return -ENOENT;
	fd = openat(root, file, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return -ENOENT;
	return find_in_deb(fd, path, max, out);
}
