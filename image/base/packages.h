/* SPDX-License-Identifier: MIT */
/* image/base/packages.h - which files the installed packages own, whatever the distribution. */
#ifndef IMAGE_BASE_PACKAGES_H
#define IMAGE_BASE_PACKAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "common/text.h"
#include "common/util.h"

/*
 * DOC: one file per kind of package database
 *
 * A kind (dpkg; rpm or pacman would be others) fills a struct packages through
 * packages_add() and packages_own(); everything above sees that. `root` is a
 * descriptor of the root directory of the system the database describes, which
 * need not be the host's own. Nothing of a database is trusted: its text may
 * be malformed, and its paths may hold anything but end in the tree.
 */

#define PACKAGES_NOBODY UINT32_MAX

enum {
	PACKAGES_MD5 = 16, /* bytes of a checksum */
	PACKAGES_FILE_MAX = 64 << 20, /* a file of the database larger than this is not read */
};

struct package {
	char *name;
	char *version;
	char *arch;
	char *file; /* how its files are called in the database: "libc6:amd64" */
	int64_t installed, noted; /* ns: when its list of files was last written to, changed */
};

/* A file that an administrator or another package has moved aside. */
struct package_diversion {
	char *from, *to; /* resolved, as owners are */
};

/* A configuration file, which may be changed by who runs the machine. */
struct package_conffile {
	char *path;
	uint8_t md5[PACKAGES_MD5]; /* as the package has it */
	uint32_t package;
	bool made; /* by the package's scripts of a master: original() knows of it, no archive */
};

struct package_slot {
	uint32_t key; /* offset in the table's text, + 1; 0: free */
	uint32_t hash; /* kept, so that other keys are told apart without their text */
	uint32_t value;
};

/* A hash table of texts, open addressing, at most three quarters full. */
struct package_table {
	struct buffer text;
	struct package_slot *slots;
	size_t n, n_slots;
};

/* The checksums of the package that was last asked for, and how many archives were no use. */
struct package_sums {
	struct buffer text;
	uint32_t package; /* PACKAGES_NOBODY: nothing was read yet */
	unsigned int bad_archives;
};

struct package_kind;

struct packages {
	const struct package_kind *kind;
	int root; /* borrowed */
	struct package *list;
	size_t n, room;
	struct package_conffile *conffiles; /* sorted by path */
	size_t n_conffiles, room_conffiles;
	struct package_sums *sums; /* one; the kind's own */
	struct package_diversion *diversions;
	size_t n_diversions, room_diversions;
	size_t sampled,
		sampled_older; /* files looked at, and those not changed since their package came */

	/* Owned paths, absolute, the directories' symbolic links resolved; the value: its package. */
	struct package_table owners;
	/*
	 * Directories as the database spells them, each with what it resolves to behind it in
	 * the text ("as spelt\0resolved\0"); the value: whether it and those above are owned.
	 */
	struct package_table dirs;
};

struct package_kind {
	const char *name; /* "dpkg" */
	/* A file below the root that changes with every change of the database. */
	const char *probe;
	/* Adds text that is another after each change of the database. -ENOENT: not of this kind. */
	int (*stamp)(int root, struct buffer *out);
	/* Fills *p, which is initialised. */
	int (*read)(struct packages *p);
	/* The checksum that the package has for a file that is no conffile. -ENOENT. */
	int (*md5)(const struct packages *p, uint32_t package, const char *path,
		   uint8_t out[PACKAGES_MD5]);
	/*
	 * The package's own bytes of a file, if they are at hand; at most `max`. -ENOENT. They come
	 * from the tree, so whoever knows the checksum compares it.
	 */
	int (*original)(const struct packages *p, uint32_t package, const char *path, size_t max,
			struct buffer *out);
};

extern const struct package_kind package_kind_dpkg;

/* The kind that has a database below root, or NULL. */
const struct package_kind *packages_kind(int root);

/* -ENOENT: no database is known there; -EBADMSG: it is malformed. */
int packages_read(int root, struct packages **out) MUST_CHECK;
void packages_free(struct packages *p); /* NULL is fine */

/* The package that owns an absolute path without links in its directories; NULL: none. */
const struct package *packages_owner(const struct packages *p, const char *path);
const struct package_conffile *packages_conffile(const struct packages *p, const char *path);

/*
 * Whether a file is still the package's, by its times. dpkg gives a file the time of modification
 * that its archive has, and writes the list of files when all are there: a file that is younger than
 * the list was written to since. A time that was set back is seen by the time of change, which no
 * program can set, unless most files' are younger than the lists: then all of the system was
 * copied here. PACKAGES_COMPARE: its checksum, which is put into md5, decides.
 */
enum packages_verdict { PACKAGES_SAME, PACKAGES_COMPARE, PACKAGES_CHANGED };
enum packages_verdict packages_judge(const struct packages *p, const struct package *owner,
				     const char *path, const struct stat *st,
				     uint8_t md5[PACKAGES_MD5]);
/*
 * The bytes of a file that a package owns and nobody has changed, of an absolute path without links
 * in its directories. -ENOENT: it is not that; else as packages_slurp().
 */
int packages_slurp_vouched(const struct packages *p, const char *path, size_t max,
			   struct buffer *out) MUST_CHECK;

/* Embed it. Told the text of each file; what is not 0 ends it. */
struct package_reader {
	int (*read)(struct package_reader *reader, const char *text, size_t len);
};

/*
 * Reads the files of a directory ("usr/lib/sysusers.d") whose names end in `suffix`, of those that
 * packages_slurp_vouched() reads, in the order of their names. 0, or what reader->read() ended with.
 */
int packages_read_dir(const struct packages *p, const char *dir, const char *suffix,
		      struct package_reader *reader) MUST_CHECK;

/* For the kinds. */

/* Takes the strings over, also on failure; NULL is no memory. */
int packages_add(struct packages *p, const struct package *package) MUST_CHECK;
/* One that is known already stays; `made` ones count least. */
int packages_add_conffile(struct packages *p, uint32_t package, const char *path, size_t len,
			  const uint8_t md5[PACKAGES_MD5], bool made) MUST_CHECK;
/* Looks at one of the last package's files, a path in its database's spelling, for packages_judge(). */
void packages_sample(struct packages *p, const char *path, size_t len);
/*
 * What is at `from` now is another's: of the package `by`, or of nobody known (PACKAGES_NOBODY).
 * What was there is at `to`, and stays its package's. After all lists are read.
 */
int packages_divert(struct packages *p, struct slice from, struct slice to, uint32_t by) MUST_CHECK;
/* The path that a package has for what was moved aside to `path`; else that itself. */
const char *packages_undiverted(const struct packages *p, const char *path);
/* True if a path in the database's spelling, without its first slash, is `path`. */
bool packages_is_spelling(const struct packages *p, struct slice spelt, const char *path);
/* The package owns this path, as its database spells it, and the directories above. */
int packages_own(struct packages *p, uint32_t package, const char *path, size_t len) MUST_CHECK;
/* A whole file below root, NUL-terminated behind out->len. -EFBIG beyond `max`. */
int packages_slurp(int root, const char *path, size_t max, struct buffer *out) MUST_CHECK;
/* 32 hexadecimal digits. */
bool packages_parse_md5(const char *text, size_t len, uint8_t out[PACKAGES_MD5]);

bool packages_has_md5(const struct buffer *bytes, const uint8_t md5[PACKAGES_MD5]);

#endif
