/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "common/log.h"
#include "launcher/commands.h"
#include "launcher/options.h"

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
} commands[] = {
	{"run", cmd_run},	{"start", cmd_start},	{"exec", cmd_exec},   {"list", cmd_list},
	{"cp", cmd_cp},		{"share", cmd_share},	{"stats", cmd_stats}, {"logs", cmd_logs},
	{"attach", cmd_attach}, {"wait", cmd_wait},	{"stop", cmd_stop},   {"image", cmd_image},
	{"config", cmd_config}, {"doctor", cmd_doctor},
};

static const char help[] =
	"Usage: sandcastle COMMAND [OPTIONS]\n"
	"\n"
	"Throw-away Linux machines made of this host's own files.\n"
	"\n"
	"  sandcastle run -- make test    run a command in one\n"
	"  sandcastle doctor              what this host lacks, and how to get it\n"
	"\n"
	"Commands:\n"
	"  run         a sandbox for one command; its stdio, signals and exit code\n"
	"  start       a sandbox that stays until it is stopped\n"
	"  exec        run a command in one of them\n"
	"  cp          copy files into one of them or out of it\n"
	"  share       show a folder of the host in one of them, or take it back\n"
	"  list        the sandboxes that are running\n"
	"  stats       what one uses, and knows of power\n"
	"  logs        what its kernel and detached commands said\n"
	"  attach      a terminal at its console\n"
	"  wait        wait until one has ended\n"
	"  stop        end some of them\n"
	"  image       the base image that sandboxes start from: build, info, verify, clean\n"
	"  config      what a .sandbox or .wsb file means\n"
	"  doctor      check this host\n"
	"\n"
	"Options:\n"
	"  --version   show the version\n"
	"  -h, --help  show this; `sandcastle COMMAND --help` shows a command's options\n"
	"\n"
	"See also: man sandcastle\n";

/* A file opened as number 0, 1 or 2 would be taken for the command's stdio. */
static void fill_stdio(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd > STDERR_FILENO)
		close(fd);
}

static int unknown_command(const char *word)
{
	const char *names[ARRAY_SIZE(commands) + 1] = {NULL};
	const char *near;

	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		names[i] = commands[i].name;
	near = nearest_word(word, names);
	if (near)
		log_error("unknown command '%s', did you mean '%s'? See `sandcastle --help`", word,
			  near);
	else
		log_error("unknown command '%s'; to run it in a sandbox, write `sandcastle run -- "
			  "%s`",
			  word, word);
	return EXIT_SANDCASTLE_FAILED;
}

int main(int argc, char **argv)
{
	const char *word = argc > 1 ? argv[1] : NULL;

	fill_stdio();
	if (!word) {
		fputs(help, stderr);
		fputc('\n', stderr);
		log_error("a command is missing; `sandcastle run -- bash` opens a shell in a "
			  "sandbox");
		return EXIT_SANDCASTLE_FAILED;
	}
	if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "help") == 0) {
		fputs(help, stdout);
		return 0;
	}
	if (strcmp(word, "--version") == 0) {
		puts("sandcastle " SANDCASTLE_VERSION);
		return 0;
	}
	if (word[0] == '-') {
		log_error("unknown option %s; see `sandcastle --help`", word);
		return EXIT_SANDCASTLE_FAILED;
	}
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (strcmp(word, commands[i].name) == 0)
			return commands[i].run(argc - 1, argv + 1);
	return unknown_command(word);
}
