/* SPDX-License-Identifier: MIT */
/* image/base/build_priv.h - what the files that build an index share: the builder, and a directory of the walk. */
#ifndef IMAGE_BASE_BUILD_PRIV_H
#define IMAGE_BASE_BUILD_PRIV_H

#include <limits.h>
#include <sys/stat.h>

#include "common/text.h"
#include "image/base/accounts.h"
#include "image/base/build.h"
#include "image/base/declared.h"
#include "image/base/defaults.h"
#include "image/base/index_writer.h"

/*
 * DOC: the files of the builder
 *
 * build.c prepares and finishes, and has what the others share. walk.c goes through the
 * directories and decides for each name. host_file.c adds files and links the host has;
 * made.c adds what no walk finds: files that rules make, and what packages declare.
 */

enum {
	BUILD_COPY_MAX = 4 << 20, /* a larger file is not copied into the image */
	BUILD_DEPTH_MAX = 64,
};

#define BUILD_NO_OLD UINT32_MAX

struct builder {
	const struct build_input *in;
	struct index_writer *writer;
	struct buffer bytes;
	struct buffer profiles; /* of /usr/share/pam-configs, once they were asked for */
	struct declared declared;
	struct accounts accounts;
	bool *done; /* of declared.paths: it is in the image */
	size_t copied; /* bytes of all declared copies so far */
	uint64_t read; /* bytes of all files that were read so far */
	dev_t dev; /* of the topmost directory one is in */
	uid_t uid; /* whose tree it is: shown as root */
	gid_t gid;
	size_t files;
	size_t path_len;
	char path[PATH_MAX]; /* of the name that is looked at */
};

/* A directory that is being walked. */
struct walk {
	int fd;
	uint32_t dir; /* in the writer */
	uint32_t above; /* the directory it is in, in the writer */
	uint32_t old; /* in the old index; BUILD_NO_OLD: not there */
	unsigned int depth;
	bool pristine;
	struct rule_state rules;
};

/* build.c */

/* A directory of which nothing is known; its rules are set by rules_enter(). */
static inline void build_begin(struct walk *w)
{
	w->fd = -1;
	w->dir = w->above = w->depth = 0;
	w->old = BUILD_NO_OLD;
	w->pristine = false;
	w->rules.n = 0;
}

static inline int64_t build_nanoseconds(const struct timespec *t)
{
	return (int64_t)t->tv_sec * 1000000000 + t->tv_nsec;
}

/* An entry with what stat() said; the tree's owner becomes root. */
struct index_entry build_entry(const struct builder *b, const struct stat *st, enum index_kind kind,
			       enum index_how how);
/* Adds what b->path names, changed as packages declare it. */
int build_add_entry(struct builder *b, const struct walk *w, const char *name,
		    struct index_entry *e, const void *text, size_t len, uint32_t *out) MUST_CHECK;
/* Adds a file with the bytes of b->bytes. */
int build_add_bytes(struct builder *b, const struct walk *w, const char *name,
		    const struct stat *st, enum index_how how) MUST_CHECK;
/* Notes that a name is not in the image. `rule` is asked for INDEX_LEFT_DENIED only. */
int build_leave_out(struct builder *b, const struct walk *w, const char *name,
		    const struct stat *st, enum index_how why, const struct rule *rule) MUST_CHECK;

/* Appends a name to b->path; false: the path would be too long. */
bool build_push(struct builder *b, const char *name);
/* Cuts b->path back to the length it had before. */
void build_pop(struct builder *b, size_t before);

/* The line that declares b->path, or NULL. */
const struct declared_path *build_declared_here(const struct builder *b);
/* The image has what the line declares; NULL is fine. */
void build_mark_done(struct builder *b, const struct declared_path *d);
/* True if the line sets owner and mode of an existing thing of that mode. */
bool build_declares(const struct declared_path *d, mode_t mode);
/* Sets owner and mode as the line has them; of a copy only what the line names. */
void build_declare(const struct builder *b, const struct declared_path *d, struct index_entry *e);
void build_declare_owner(const struct builder *b, const struct declared_path *d,
			 struct index_entry *e);

/* walk.c: adds what is in a directory, whose descriptor is w->fd. */
int build_walk(struct builder *b, const struct walk *w) MUST_CHECK;
/* Looks at a name without following it; false: it is not there. */
bool build_look(int dir, const char *name, struct stat *st, bool *mounted);

/* host_file.c: adds or leaves out a regular file, a symbolic link. */
int build_add_file(struct builder *b, const struct walk *w, const char *name, const struct stat *st,
		   const struct rule *rule) MUST_CHECK;
int build_add_link(struct builder *b, const struct walk *w, const char *name, const struct stat *st,
		   const struct rule *rule) MUST_CHECK;

/* made.c: adds what no walk finds in this directory. */
int build_add_made(struct builder *b, const struct walk *w) MUST_CHECK;
/* The bytes of a default rule into b->bytes. -ENOENT: none, so the host's file counts. */
int build_default_bytes(struct builder *b, const struct rule *rule,
			struct default_file *file) MUST_CHECK;

#endif
