/* SPDX-License-Identifier: MIT */
#include "launcher/commands.h"

#include <stdio.h>
#include <string.h>

#include "common/log.h"

const struct command *const commands[] = {
	&cmd_run,      &cmd_start,   &cmd_exec,	  &cmd_open,  &cmd_cp,	 &cmd_share,
	&cmd_publish,  &cmd_ip,	     &cmd_list,	  &cmd_stats, &cmd_logs, &cmd_screenshot,
	&cmd_send,     &cmd_connect, &cmd_attach, &cmd_wait,  &cmd_stop, &cmd_image,
	&cmd_template, &cmd_config,  &cmd_doctor, NULL,
};

static const char help_head[] =
	"Usage: sandcastle COMMAND [OPTIONS]\n"
	"\n"
	"Throw-away Linux machines made of this host's own files.\n"
	"\n"
	"  sandcastle run -- make test    run a command in one\n"
	"  sandcastle doctor              what this host lacks, and how to get it\n"
	"\n"
	"Commands:\n";

static const char help_tail[] =
	"\n"
	"Options:\n"
	"  --version   show the version\n"
	"  -h, --help  show this; `sandcastle COMMAND --help` shows a command's options\n"
	"\n"
	"See also: man sandcastle\n";

static void print_help(FILE *out)
{
	fputs(help_head, out);
	for (const struct command *const *c = commands; *c; c++)
		fprintf(out, "  %-10s  %s\n", (*c)->name, (*c)->brief);
	fputs(help_tail, out);
}

static const struct command *find(const char *name)
{
	for (const struct command *const *c = commands; *c; c++)
		if (strcmp(name, (*c)->name) == 0)
			return *c;
	return NULL;
}

static int unknown_command(const char *word)
{
	const char *names[ARRAY_SIZE(commands)] = {NULL};
	const char *near;

	for (size_t i = 0; commands[i]; i++)
		names[i] = commands[i]->name;
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

/* What the completion script asks: the commands' names, or what one of them takes. */
static int complete(const char *name)
{
	const struct command *command = name ? find(name) : NULL;

	if (command)
		options_list(command);
	for (const struct command *const *c = commands; !name && *c; c++)
		puts((*c)->name);
	return 0;
}

int commands_main(int argc, char **argv)
{
	const char *word = argc > 1 ? argv[1] : NULL;
	const struct command *command;

	if (!word) {
		print_help(stderr);
		fputc('\n', stderr);
		log_error("a command is missing; `sandcastle run -- bash` opens a shell in a "
			  "sandbox");
		return EXIT_SANDCASTLE_FAILED;
	}
	if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "help") == 0) {
		print_help(stdout);
		return 0;
	}
	if (strcmp(word, "--version") == 0) {
		puts("sandcastle " SANDCASTLE_VERSION);
		return 0;
	}
	if (strcmp(word, "--complete") == 0)
		return complete(argc > 2 ? argv[2] : NULL);
	if (word[0] == '-') {
		log_error("unknown option %s; see `sandcastle --help`", word);
		return EXIT_SANDCASTLE_FAILED;
	}
	command = find(word);
	return command ? command_run(command, argc - 1, argv + 1) : unknown_command(word);
}
