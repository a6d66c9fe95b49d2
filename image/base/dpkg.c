/* SPDX-License-Identifier: MIT */
/*
 * dpkg's database, read directly (deb-status(5), dpkg's own files below
 * /var/lib/dpkg): `status` says what is installed and which conffiles it has,
 * info/PACKAGE.list what it owns, info/PACKAGE.md5sums the checksums of what
 * is no conffile, `diversions` which file was moved aside for another's. ucf keeps
 * its own of configuration that packages' scripts put into place.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/text.h"
#include "image/base/deb.h"
#include "image/base/packages.h"
#include "image/base/tree_file.h"

#define DPKG "var/lib/dpkg/"
#define UCF  "var/lib/ucf/"

enum {
	UCF_FILE_MAX = 256 << 10,
	UCF_MAX = 1024,
	DIVERSIONS_MAX = 4096,
	BAD_ARCHIVES_MAX = 3, /* each may have cost a minute */
};

/* The value of "Field: value" if the line is that. */
static bool field(struct slice line, const char *name, struct slice *value)
{
	size_t n = strlen(name);

	if (line.len <= n || strncasecmp(line.p, name, n) != 0 || line.p[n] != ':')
		return false;
	*value = (struct slice){line.p + n + 1, line.len - n - 1};
	slice_skip_blanks(value);
	return true;
}

/* One paragraph of `status`. */
struct paragraph {
	struct slice name, version, arch, multi_arch, status, conffiles;
};

/* False at the end of the text. */
static bool cut_paragraph(struct slice *rest, struct paragraph *out)
{
	struct slice line, value;
	bool any = false, in_conffiles = false;

	*out = (struct paragraph){.name = {NULL, 0}};
	while (slice_line(rest, &line)) {
		if (line.len == 0) {
			if (any)
				return true;
			continue;
		}
		any = true;
		if (*line.p == ' ' || *line.p == '\t') {
			if (in_conffiles)
				out->conffiles.len = (size_t)(line.p + line.len - out->conffiles.p);
			continue;
		}
		in_conffiles = field(line, "Conffiles", &value);
		if (in_conffiles)
			out->conffiles = (struct slice){line.p + line.len, 0};
		if (field(line, "Package", &value))
			out->name = value;
		else if (field(line, "Version", &value))
			out->version = value;
		else if (field(line, "Architecture", &value))
			out->arch = value;
		else if (field(line, "Multi-Arch", &value))
			out->multi_arch = value;
		else if (field(line, "Status", &value))
			out->status = value;
	}
	return any;
}

/* Whether the third word of the status says that its files are there. */
static bool has_files(struct slice status)
{
	struct slice word = {NULL, 0};

	for (int i = 0; i < 3; i++)
		if (!slice_word(&status, &word))
			return false;
	return !slice_is(word, "not-installed") && !slice_is(word, "config-files") &&
	       !slice_is(word, "half-installed");
}

/* A name that is safe as part of a file's name. */
static bool is_plain(struct slice s)
{
	return s.len > 0 && s.len < 128 && s.p[0] != '.' && !memchr(s.p, '/', s.len) &&
	       !memchr(s.p, '\0', s.len);
}

static int add_conffiles(struct packages *p, struct slice text)
{
	struct slice line, path, md5, flag;
	uint8_t sum[PACKAGES_MD5];

	while (slice_line(&text, &line)) {
		int r;

		/* "obsolete" and "remove-on-upgrade": the package has it no longer. */
		if (!slice_word(&line, &path) || !slice_word(&line, &md5) ||
		    slice_word(&line, &flag) || !packages_parse_md5(md5.p, md5.len, sum))
			continue;
		r = packages_add_conffile(p, (uint32_t)(p->n - 1), path.p, path.len, sum, false);
		if (r < 0)
			return r;
	}
	return 0;
}

/* The list is the last file that dpkg writes when it has unpacked a package. */
static void note_list(struct packages *p, uint32_t package, const char *path)
{
	struct stat st;

	if (tree_look(p->root, path, TREE_INSIDE_BUT_LAST, &st) < 0)
		return;
	p->list[package].installed = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
	p->list[package].noted = (int64_t)st.st_ctim.tv_sec * 1000000000 + st.st_ctim.tv_nsec;
}

static int read_list(struct packages *p, uint32_t package, struct buffer *text)
{
	struct slice rest, line, last = {NULL, 0};
	char path[512];
	int r;

	snprintf(path, sizeof(path), DPKG "info/%s.list", p->list[package].file);
	r = packages_slurp(p->root, path, PACKAGES_FILE_MAX, text);
	/* One without a list owns nothing that could be shown. */
	if (r < 0)
		return r == -ENOMEM ? r : 0;
	note_list(p, package, path);
	rest = (struct slice){text->data, text->len};
	while (slice_line(&rest, &line)) {
		/* "/." is the root. */
		if (line.len < 3)
			continue;
		r = packages_own(p, package, line.p, line.len);
		if (r < 0)
			return r;
		last = line;
	}
	packages_sample(p, last.p, last.len);
	return 0;
}

static int add_package(struct packages *p, const struct paragraph *para)
{
	bool same = slice_is(para->multi_arch, "same");
	struct package package = {
		.name = strndup(para->name.p, para->name.len),
		.version = strndup(para->version.p, para->version.len),
		.arch = strndup(para->arch.p, para->arch.len),
	};

	if (!same)
		package.file = strndup(para->name.p, para->name.len);
	else if (asprintf(&package.file, "%.*s:%.*s", (int)para->name.len, para->name.p,
			  (int)para->arch.len, para->arch.p) < 0)
		package.file = NULL;
	return packages_add(p, &package);
}

static const struct package *find_package(const struct packages *p, struct slice name)
{
	for (size_t i = 0; i < p->n; i++)
		if (slice_is(name, p->list[i].name))
			return &p->list[i];
	return NULL;
}

/*
 * Three lines each: the path, where it was moved, and for whom. ":" is the administrator, whose own
 * file then has the path.
 */
static int read_diversions(struct packages *p, struct buffer *text)
{
	struct slice rest, from, to, by;
	int r = packages_slurp(p->root, DPKG "diversions", PACKAGES_FILE_MAX, text);

	if (r < 0)
		return r == -ENOMEM ? r : 0;
	rest = (struct slice){text->data, text->len};
	for (unsigned int i = 0; r == 0 && i < DIVERSIONS_MAX && slice_line(&rest, &from) &&
				 slice_line(&rest, &to) && slice_line(&rest, &by);
	     i++) {
		const struct package *owner = find_package(p, by);

		r = packages_divert(p, from, to,
				    owner ? (uint32_t)(owner - p->list) : PACKAGES_NOBODY);
	}
	return r;
}

/* The checksum that ucf noted for a path: a line "md5  path" of its hashfile. */
static bool ucf_md5(struct slice hashes, struct slice path, uint8_t out[PACKAGES_MD5])
{
	struct slice line, md5, name;

	while (slice_line(&hashes, &line))
		if (slice_word(&line, &md5) && slice_word(&line, &name) && name.len == path.len &&
		    memcmp(name.p, path.p, path.len) == 0)
			return packages_parse_md5(md5.p, md5.len, out);
	return false;
}

/*
 * ucf(1): configuration that packages make of masters. Its registry says whose a
 * file is, its hashfile what the package last put there.
 */
static int read_ucf(struct packages *p, struct buffer *text)
{
	struct buffer hashes = {NULL, 0, 0};
	struct slice rest, line, name, path;
	uint8_t md5[PACKAGES_MD5];
	int r = packages_slurp(p->root, UCF "registry", UCF_FILE_MAX, text);

	if (r == 0)
		r = packages_slurp(p->root, UCF "hashfile", UCF_FILE_MAX, &hashes);
	rest = (struct slice){text->data, r == 0 ? text->len : 0};
	r = r == -ENOMEM ? r : 0;
	for (unsigned int i = 0; r == 0 && i < UCF_MAX && slice_line(&rest, &line); i++) {
		const struct package *owner;

		if (!slice_word(&line, &name) || !slice_word(&line, &path))
			continue;
		owner = find_package(p, name);
		if (owner && ucf_md5((struct slice){hashes.data, hashes.len}, path, md5))
			r = packages_add_conffile(p, (uint32_t)(owner - p->list), path.p, path.len,
						  md5, true);
	}
	free(hashes.data);
	return r;
}

static int dpkg_read(struct packages *p)
{
	struct buffer status = {NULL, 0, 0}, text = {NULL, 0, 0};
	struct paragraph para;
	struct slice rest;
	int r = packages_slurp(p->root, DPKG "status", PACKAGES_FILE_MAX, &status);

	rest = (struct slice){status.data, r == 0 ? status.len : 0};
	while (r == 0 && cut_paragraph(&rest, &para)) {
		if (!has_files(para.status) || !is_plain(para.name) || !is_plain(para.arch) ||
		    !para.version.len)
			continue;
		r = add_package(p, &para);
		if (r == 0)
			r = read_list(p, (uint32_t)(p->n - 1), &text);
		if (r == 0 && para.conffiles.len)
			r = add_conffiles(p, para.conffiles);
	}
	if (r == 0 && p->n == 0)
		r = -EBADMSG;
	if (r == 0)
		r = read_diversions(p, &text);
	if (r == 0)
		r = read_ucf(p, &text);
	free(status.data);
	free(text.data);
	return r;
}

/* The package's md5sums, which many are asked of in a row. Empty if there is none. */
static struct slice read_sums(const struct packages *p, uint32_t package)
{
	struct package_sums *sums = p->sums;
	char file[512];

	if (sums->package != package) {
		snprintf(file, sizeof(file), DPKG "info/%s.md5sums", p->list[package].file);
		sums->package = package;
		if (packages_slurp(p->root, file, PACKAGES_FILE_MAX, &sums->text) < 0)
			sums->text.len = 0;
	}
	return (struct slice){sums->text.data, sums->text.len};
}

static int dpkg_md5(const struct packages *p, uint32_t package, const char *path,
		    uint8_t out[PACKAGES_MD5])
{
	const size_t head = 2 * (size_t)PACKAGES_MD5;
	struct slice rest = read_sums(p, package), line;

	path = packages_undiverted(p, path);
	while (slice_line(&rest, &line)) {
		const char *md5 = line.p;

		/* "md5  path", the path without its first slash; it may hold blanks. */
		if (line.len < head + 3)
			continue;
		slice_skip(&line, head + 2);
		if (packages_is_spelling(p, line, path) && packages_parse_md5(md5, head, out))
			return 0;
	}
	return -ENOENT;
}

/* A file's bytes, if everyone may read them and they have that checksum. */
static int read_master(const struct packages *p, const char *path, const uint8_t md5[PACKAGES_MD5],
		       size_t max, struct buffer *out)
{
	struct stat st;
	int r;

	if (tree_look(p->root, path, TREE_INSIDE_BUT_LAST, &st) < 0 || !(st.st_mode & S_IROTH))
		return -ENOENT;
	r = packages_slurp(p->root, path, max, out);
	return r == 0 && !packages_has_md5(out, md5) ? -ENOENT : r;
}

/* A file of the package itself that has this checksum: what the other was made of. */
static int find_master(const struct packages *p, uint32_t package, const uint8_t md5[PACKAGES_MD5],
		       size_t max, struct buffer *out)
{
	struct buffer text = {NULL, 0, 0};
	struct slice rest, line, word;
	uint8_t sum[PACKAGES_MD5];
	char path[PATH_MAX];
	int r;

	snprintf(path, sizeof(path), DPKG "info/%s.md5sums", p->list[package].file);
	r = packages_slurp(p->root, path, PACKAGES_FILE_MAX, &text);
	rest = (struct slice){text.data, r == 0 ? text.len : 0};
	r = -ENOENT;
	while (r == -ENOENT && slice_line(&rest, &line)) {
		if (!slice_word(&line, &word) || !packages_parse_md5(word.p, word.len, sum) ||
		    memcmp(sum, md5, sizeof(sum)) != 0)
			continue;
		slice_skip_blanks(&line);
		if (line.len == 0 || line.len >= sizeof(path) || memchr(line.p, '\0', line.len))
			continue;
		memcpy(path, line.p, line.len);
		path[line.len] = '\0';
		r = read_master(p, path, md5, max, out);
	}
	free(text.data);
	return r;
}

/* What a package's scripts made: ucf may have kept it, or it is a copy of one of its files. */
static int made_original(const struct packages *p, const struct package_conffile *conf, size_t max,
			 struct buffer *out)
{
	char path[PATH_MAX];
	int n = snprintf(path, sizeof(path), UCF "cache/%s", conf->path), r = -ENOENT;

	if (n > 0 && (size_t)n < sizeof(path)) {
		for (char *c = path + strlen(UCF "cache/"); *c; c++)
			if (*c == '/')
				*c = ':';
		r = read_master(p, path, conf->md5, max, out);
	}
	return r == 0 || r == -ENOMEM ? r : find_master(p, conf->package, conf->md5, max, out);
}

static int dpkg_original(const struct packages *p, uint32_t package, const char *path, size_t max,
			 struct buffer *out)
{
	const struct package_conffile *conf = packages_conffile(p, path);
	const struct package *pkg = &p->list[package];
	int r;

	if (conf && conf->made)
		return made_original(p, conf, max, out);
	if (p->sums->bad_archives >= BAD_ARCHIVES_MAX)
		return -ENOENT;
	r = deb_original(p->root, "var/cache/apt/archives", pkg->name, pkg->version, pkg->arch,
			 packages_undiverted(p, path), max, out);
	if (r == -EBADMSG)
		p->sums->bad_archives++;
	return r;
}

/*
 * Size and time of what every run of dpkg writes. Not the inode or change time:
 * those differ where the same files are looked at through another file system.
 */
static int dpkg_stamp(int root, struct buffer *out)
{
	static const char *const files[] = {
		DPKG "status", DPKG "info", DPKG "diversions", DPKG "statoverride", UCF "hashfile",
	};

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		struct stat st = {0};
		char line[128];
		int n, r;

		r = tree_look(root, files[i], TREE_INSIDE, &st);
		if (r < 0 && i == 0)
			return r;
		/* A directory's size is its file system's matter. */
		n = snprintf(line, sizeof(line), "dpkg %zu %jd %jd.%09ld\n", i,
			     S_ISREG(st.st_mode) ? (intmax_t)st.st_size : 0,
			     (intmax_t)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
		r = buffer_add(out, line, (size_t)n);
		if (r < 0)
			return r;
	}
	return 0;
}

const struct package_kind package_kind_dpkg = {
	.name = "dpkg",
	.probe = DPKG "status",
	.stamp = dpkg_stamp,
	.read = dpkg_read,
	.md5 = dpkg_md5,
	.original = dpkg_original,
};
