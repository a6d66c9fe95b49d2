/* SPDX-License-Identifier: MIT */
/* image/base/filter.h - cuts out of configuration what is not known to be harmless. */
#ifndef IMAGE_BASE_FILTER_H
#define IMAGE_BASE_FILTER_H

#include <stdbool.h>
#include <stddef.h>

#include "common/text.h"
#include "common/util.h"

/*
 * What is left of apt's sources (sources.list(5), both formats): lines that are entirely of the
 * format, user information cut out of their URLs. Comments go, as passwords are noted in
 * them; so does a source whose path has something that looks like a token.
 */
int filter_apt(struct buffer *text) MUST_CHECK;

/*
 * True if each line of a file of /etc/pam.d names a module with arguments that stand so in
 * `profiles`, the texts of /usr/share/pam-configs: then pam-auth-update wrote it, and nobody put a
 * password into it. Its comments are cut out.
 */
bool filter_pam(struct buffer *text, const char *profiles, size_t len) MUST_CHECK;

#endif
