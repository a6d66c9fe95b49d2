/* SPDX-License-Identifier: MIT */
/* image/base/content.h - looks into files that no package vouches for, before they are in the image. */
#ifndef IMAGE_BASE_CONTENT_H
#define IMAGE_BASE_CONTENT_H

#include <stdbool.h>
#include <stddef.h>

#include "common/text.h"
#include "common/util.h"

/*
 * DOC: what is looked for
 *
 * Private keys (PEM, OpenSSH, PGP, PuTTY, age, WireGuard), tokens whose form their
 * makers publish (GitHub, GitLab, AWS, Slack, Stripe, npm, PyPI, Google, JSON web
 * tokens, ...) and password hashes have a form of their own, which a program that only
 * speaks of them does not have: content_has_key() finds these and is for anything. In
 * configuration content_is_secret() finds passwords in URLs, and values behind a name such
 * as "password", "secret" or "token", too.
 *
 * Neither is a proof that a file is harmless. They come on top of rules that name what may be in
 * the image at all.
 */

bool content_has_key(const char *text, size_t len);
bool content_is_secret(const char *text, size_t len);

#endif
