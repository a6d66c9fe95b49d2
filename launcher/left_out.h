/* SPDX-License-Identifier: MIT */
/* launcher/left_out.h - says why the host's user has a command that the sandbox has not. */
#ifndef LAUNCHER_LEFT_OUT_H
#define LAUNCHER_LEFT_OUT_H

struct base_image;
struct sandbox_config;

/*
 * Warns in one line, with the cure, if cfg->argv[0] is found here by PATH, and is not in the base image
 * nor below a mapped folder. Not an error: it may be made in the sandbox meanwhile.
 */
void left_out_warn(const struct base_image *base, const struct sandbox_config *cfg);

#endif
