/* SPDX-License-Identifier: MIT */
/* image/base/declared_priv.h - what the readers of sysusers.d and tmpfiles.d share: lines, words, specifiers. */
#ifndef IMAGE_BASE_DECLARED_PRIV_H
#define IMAGE_BASE_DECLARED_PRIV_H

#include <stdbool.h>

#include "common/text.h"
#include "image/base/declared.h"

/* How many of the fixed specifiers each format knows; those of os-release are known to both. */
enum { DECLARED_SPECIFIERS_SYSUSERS = 4, DECLARED_SPECIFIERS_TMPFILES = 13 };

/* declared_words.c */

/* Cuts the next line off *rest that is neither empty nor a comment; false at the end. */
bool declared_next_line(struct slice *rest, struct slice *line);
/* Cuts up to `max` words off a line; those that are missing are "-". -EINVAL: malformed. */
int declared_cut_words(const struct declared *d, size_t n_specifiers, struct slice *line,
		       char words[][DECLARED_WORD], unsigned int max) MUST_CHECK;
/* Takes the next character of text in which a backslash begins an escape. -EINVAL: malformed. */
int declared_take_char(struct slice *s) MUST_CHECK;
/* Puts its value in each specifier's place. -EINVAL: one is not known, or it is too long. */
int declared_expand(const struct declared *d, size_t n_specifiers,
		    char text[DECLARED_WORD]) MUST_CHECK;

bool declared_is_dash(const char *word);
/* A copy; NULL for "-". Sets *failed if there is no memory. */
char *declared_copy(const char *word, bool *failed);
/* The place behind the last of `n` elements of *list, which grows by doubling; NULL: no memory. */
void *declared_grow(void **list, size_t n, size_t size);

/* Free what the two readers have put into *d. */
void declared_fini_sysusers(struct declared *d);
void declared_fini_tmpfiles(struct declared *d);

#endif
