/* SPDX-License-Identifier: MIT */
/* launcher/commands.h - the subcommands of sandcastle: one row each, in a file of its own. */
#ifndef LAUNCHER_COMMANDS_H
#define LAUNCHER_COMMANDS_H

#include "common/exit_codes.h"
#include "launcher/options.h"

extern const struct command cmd_run;
extern const struct command cmd_start;
extern const struct command cmd_open;
extern const struct command cmd_exec;
extern const struct command cmd_cp;
extern const struct command cmd_share;
extern const struct command cmd_publish;
extern const struct command cmd_ip;
extern const struct command cmd_list;
extern const struct command cmd_stats;
extern const struct command cmd_logs;
extern const struct command cmd_screenshot;
extern const struct command cmd_send;
extern const struct command cmd_connect;
extern const struct command cmd_attach;
extern const struct command cmd_wait;
extern const struct command cmd_stop;
extern const struct command cmd_image;
extern const struct command cmd_template;
extern const struct command cmd_config;
extern const struct command cmd_doctor;

/* All of them, in the order of `sandcastle --help`; ends with NULL. */
extern const struct command *const commands[];

/* main() behind its own set-up: finds the command that argv[1] names and runs it. */
int commands_main(int argc, char **argv);

#endif
