/* SPDX-License-Identifier: MIT */
/* image/base/rules.h - what of a host's files goes into the base image: image/rules/, and the user's. */
#ifndef IMAGE_BASE_RULES_H
#define IMAGE_BASE_RULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/util.h"

/*
 * DOC: rules
 *
 * One a line: `VERB PATTERN [= SOURCE]   # reason`. Empty lines and lines that
 * begin with # are passed over. A pattern is an absolute path whose components
 * may hold the shell's wildcards; "**" stands for any number of components, at the
 * end for the directory in front of it too. The first rule that matches decides; the user's
 * rules come first.
 *
 *   deny     not in the image, nor anything below; small and capital letters are the same
 *   share    files that everyone may read need no package here; their bytes stay the host's.
 *            "= @program": only programs; "= @python": only
 *            compiled Python whose source is in the image
 *   links    symbolic links need no package here, nor do directories if the pattern ends in "**"
 *   copy     as share, but their bytes are kept in the image. "= @apt", "= @pam": only the
 *            lines that a filter of image/base/filter.h lets through
 *   empty    the directory is there, with nothing in it
 *   default  a file that is made for the image: of another file below the root ("= /path"),
 *            or of what image/base/defaults.c has under that name ("= @name"). No wildcards.
 *
 * What a user's own share and copy let in is not looked into. Where no rule matches, a file is in the image if a package owns it.
 */

enum rule_verb { RULE_DENY, RULE_SHARE, RULE_LINKS, RULE_COPY, RULE_EMPTY, RULE_DEFAULT };

/* What "= @name" of share and copy asks of a file. */
enum rule_check {
	RULE_ANY_FILE,
	RULE_PROGRAM, /* share */
	RULE_PYTHON, /* share */
	RULE_TREE, /* share: as it is now, also what a package had otherwise */
	RULE_APT, /* copy */
	RULE_PAM, /* copy */
};

enum { RULE_MAX = 2048, RULE_DEPTH = 32, RULE_ACTIVE_MAX = 6144 };

/* How a component of a pattern is compared. */
enum rule_shape {
	SHAPE_NAME,
	SHAPE_ANY,
	SHAPE_ANY_DEPTH,
	SHAPE_BEGIN,
	SHAPE_END,
	SHAPE_WITHIN,
	SHAPE_GLOB
};

struct rule_part {
	char *text; /* as written */
	char *key; /* within `text`: what SHAPE_BEGIN, SHAPE_END and SHAPE_WITHIN look for */
	size_t len; /* of key */
	enum rule_shape shape;
};

struct rule {
	enum rule_verb verb;
	char *pattern; /* "/etc/ssl/private" */
	struct rule_part *parts; /* its components */
	unsigned int n_parts;
	enum rule_check check;
	char *source; /* RULE_DEFAULT: "/path" or "@name" */
	char *reason;
};

struct rules {
	struct rule *list;
	size_t n;
	size_t n_own; /* the first so many are the user's, who knows what they share */
	size_t active; /* of RULE_ACTIVE_MAX: as many states as all of them can be in at once */
};

/* The rules of image/rules/, as built in. */
extern const char rules_builtin[], rules_builtin_end[];

/*
 * Adds the rules of a text. -EINVAL: *line is the first malformed one; -E2BIG: *line is the first
 * that is one too many; -ENOMEM.
 */
int rules_parse(struct rules *rules, const char *text, size_t len, unsigned int *line) MUST_CHECK;
void rules_fini(struct rules *rules); /* zeroed is fine */

/* How far the rules' patterns match the directory one is in. */
struct rule_at {
	uint16_t rule, part;
};

struct rule_state {
	struct rule_at at[RULE_ACTIVE_MAX];
	unsigned int n;
};

/* In the root directory. */
void rules_begin(const struct rules *rules, struct rule_state *out);
/*
 * One name in the directory of `state`: the rule that matches it, or NULL. If
 * `below` is not NULL it is set to the state in the directory of that name.
 */
const struct rule *rules_enter(const struct rules *rules, const struct rule_state *state,
			       const char *name, struct rule_state *below);
#endif
