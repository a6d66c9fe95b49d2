/* SPDX-License-Identifier: MIT */
/*
 * An online judge's verdict on one program, with our stdin and stdout: judge SECONDS COMMAND [ARG...].
 * SECONDS are its CPU time, and it may take three times that; 256 MiB, 64 processes, files of 1 MiB.
 */
#include <sandcastle.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

/* Until the command's own event comes, or the time is up. */
static int await(struct sandcastle_sandbox *sb, struct sandcastle_command *cmd, int timeout_ms,
		 struct sandcastle_event *event, struct sandcastle_usage *usage)
{
	int r = sandcastle_command_wait(cmd, timeout_ms, NULL);

	if (r != SANDCASTLE_OK)
		return r;
	do
		r = sandcastle_next_event(sb, 0, event);
	while (r == SANDCASTLE_OK && event->command != cmd);
	return r == SANDCASTLE_OK ? sandcastle_command_usage(cmd, usage) : r;
}

static int run(struct sandcastle_sandbox *sb, const char *const *argv, int seconds,
	       struct sandcastle_event *event, struct sandcastle_usage *usage)
{
	struct sandcastle_options options = SANDCASTLE_OPTIONS_INIT;
	struct sandcastle_exec_options command = SANDCASTLE_EXEC_OPTIONS_INIT;
	struct sandcastle_command *cmd = NULL;
	int r;

	options.cpus = 1;
	options.memory = 512 << 20;
	command.argv = argv;
	command.user = "nobody"; /* root has no limit of processes */
	command.workdir = "/tmp";
	command.limit_memory = 256 << 20;
	command.limit_file_size = 1 << 20;
	command.limit_cpu_s = (uint32_t)seconds;
	command.limit_processes = 64;
	for (int i = 0; i < 3; i++)
		command.stdio[i] = (struct sandcastle_stdio){SANDCASTLE_STDIO_FD, i};
	r = sandcastle_start(sb, &options);
	if (r == SANDCASTLE_OK)
		r = sandcastle_wait_ready(sb, -1);
	if (r == SANDCASTLE_OK)
		r = sandcastle_exec(sb, &command, &cmd);
	return r == SANDCASTLE_OK ? await(sb, cmd, 3000 * seconds, event, usage) : r;
}

int main(int argc, char **argv)
{
	struct sandcastle_event event = SANDCASTLE_EVENT_INIT;
	struct sandcastle_usage usage = SANDCASTLE_USAGE_INIT;
	struct sandcastle_sandbox *sb;
	char message[512];
	int seconds = argc > 2 ? atoi(argv[1]) : 0, r;

	if (seconds < 1 || seconds > 3600 || sandcastle_new(&sb) != SANDCASTLE_OK)
		return 125;
	r = run(sb, (const char *const *)&argv[2], seconds, &event, &usage);
	sandcastle_message(sb, message, sizeof(message));
	sandcastle_free(sb);
	if (r == SANDCASTLE_E_TIMEOUT)
		fprintf(stderr, "time limit\n");
	else if (r != SANDCASTLE_OK)
		fprintf(stderr, "judge: %s\n", message);
	else if (event.signal == SIGXCPU)
		fprintf(stderr, "CPU time limit\n");
	else if (event.signal == SIGXFSZ)
		fprintf(stderr, "output limit\n");
	else if (event.signal)
		fprintf(stderr, "signal %d\n", event.signal);
	else
		fprintf(stderr, "exit status %d\n", event.code);
	if (r == SANDCASTLE_OK)
		fprintf(stderr, "%d ms, %d KiB\n", (int)((usage.user_us + usage.system_us) / 1000),
			(int)(usage.memory / 1024));
	return r != SANDCASTLE_OK || event.code != 0;
}
