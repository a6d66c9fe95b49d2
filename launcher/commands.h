/* SPDX-License-Identifier: MIT */
/* launcher/commands.h - the subcommands of sandcastle, one file each. */
#ifndef LAUNCHER_COMMANDS_H
#define LAUNCHER_COMMANDS_H

/* The exit code for a failure of our own; podman's, as are those of sandbox_run(). */
enum { EXIT_SANDCASTLE_FAILED = 125 };

/* argv[0] is the subcommand's name; they return the exit code of the process. */
int cmd_run(int argc, char **argv);
int cmd_start(int argc, char **argv);
int cmd_list(int argc, char **argv);
int cmd_exec(int argc, char **argv);
int cmd_attach(int argc, char **argv);
int cmd_cp(int argc, char **argv);
int cmd_share(int argc, char **argv);
int cmd_stop(int argc, char **argv);
int cmd_wait(int argc, char **argv);
int cmd_logs(int argc, char **argv);
int cmd_stats(int argc, char **argv);
int cmd_image(int argc, char **argv);
int cmd_config(int argc, char **argv);
int cmd_doctor(int argc, char **argv);

#endif
