/* SPDX-License-Identifier: MIT */
/* The smallest useful program: one command in one sandbox. hello [COMMAND [ARG...]] */
#include <sandcastle.h>
#include <stdio.h>

static void print(void *data, int stream, const void *bytes, size_t len)
{
	(void)data;
	fwrite(bytes, 1, len, stream == 1 ? stdout : stderr);
}

static int run(struct sandcastle_sandbox *sb, const char *const *argv, int *code)
{
	struct sandcastle_options options = SANDCASTLE_OPTIONS_INIT;
	struct sandcastle_exec_options command = SANDCASTLE_EXEC_OPTIONS_INIT;
	struct sandcastle_command *cmd;
	int r;

	options.cpus = 1;
	command.argv = argv;
	command.stdio[1].kind = SANDCASTLE_STDIO_CALLBACK;
	command.stdio[2].kind = SANDCASTLE_STDIO_CALLBACK;
	command.output = print;
	r = sandcastle_start(sb, &options);
	if (r == SANDCASTLE_OK)
		r = sandcastle_wait_ready(sb, -1);
	if (r == SANDCASTLE_OK)
		r = sandcastle_exec(sb, &command, &cmd);
	if (r == SANDCASTLE_OK)
		r = sandcastle_command_wait(cmd, -1, code);
	return r;
}

int main(int argc, char **argv)
{
	static const char *const uname[] = {"uname", "-a", NULL};
	struct sandcastle_sandbox *sb;
	char message[512];
	int code = 125;

	if (sandcastle_new(&sb) != SANDCASTLE_OK)
		return 125;
	if (run(sb, argc > 1 ? (const char *const *)&argv[1] : uname, &code) != SANDCASTLE_OK) {
		sandcastle_message(sb, message, sizeof(message));
		fprintf(stderr, "hello: %s\n", message);
	}
	sandcastle_free(sb);
	return code;
}
