/* SPDX-License-Identifier: MIT */
/*
 * ci COMMAND...: runs each command, a line for sh, in a clean sandbox of its own
 * that sees the current directory read-only; all at once, in one thread.
 * Exits with the number of those that failed.
 */
#include <errno.h>
#include <poll.h>
#include <sandcastle.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_JOBS = 16, OUTPUT_MAX = 64 << 10 };

struct job {
	const char *line;
	struct sandcastle_sandbox *sb;
	int code; /* -1: not known yet */
	struct sandcastle_usage used; /* by the command */
	char *output; /* the first OUTPUT_MAX bytes of it */
	size_t len;
};

static void keep(void *data, int stream, const void *bytes, size_t len)
{
	struct job *job = data;
	const size_t room = OUTPUT_MAX - job->len, n = len < room ? len : room;

	(void)stream;
	memcpy(job->output + job->len, bytes, n);
	job->len += n;
}

static int begin(struct job *job, const char *line, const char *cwd)
{
	struct sandcastle_map map = {.host = cwd};
	struct sandcastle_options options = SANDCASTLE_OPTIONS_INIT;

	job->line = line;
	job->code = -1;
	job->used.size = sizeof(job->used);
	job->output = malloc(OUTPUT_MAX);
	if (!job->output || sandcastle_new(&job->sb) != SANDCASTLE_OK)
		return -1;
	options.cpus = 1;
	options.maps = &map;
	options.n_maps = 1;
	options.workdir = cwd;
	return sandcastle_start(job->sb, &options);
}

static int run(struct job *job)
{
	const char *argv[] = {"sh", "-c", job->line, NULL};
	struct sandcastle_exec_options command = SANDCASTLE_EXEC_OPTIONS_INIT;
	struct sandcastle_command *cmd;

	command.argv = argv;
	command.stdio[1].kind = SANDCASTLE_STDIO_CALLBACK;
	command.stdio[2].kind = SANDCASTLE_STDIO_CALLBACK;
	command.output = keep;
	command.data = job;
	return sandcastle_exec(job->sb, &command, &cmd);
}

/* Everything that happened in one sandbox since the last time; true if it is done. */
static int step(struct job *job)
{
	struct sandcastle_event event = SANDCASTLE_EVENT_INIT;

	while (sandcastle_next_event(job->sb, 0, &event) == SANDCASTLE_OK) {
		if (event.type == SANDCASTLE_EVENT_READY && run(job) != SANDCASTLE_OK)
			event.type = SANDCASTLE_EVENT_ENDED;
		if (event.type == SANDCASTLE_EVENT_EXITED) {
			job->code = event.code;
			(void)sandcastle_command_usage(event.command, &job->used);
		}
		if (event.type == SANDCASTLE_EVENT_ENDED)
			job->code = 125;
		if (job->code >= 0)
			return 1;
	}
	return 0;
}

static void report(struct job *job)
{
	char why[512] = "";

	if (job->code == 0)
		return;
	sandcastle_message(job->sb, why, sizeof(why));
	printf("\n--- %s: exit code %d, %.2f s of CPU time, %d MiB%s%s\n%.*s", job->line, job->code,
	       (double)(job->used.user_us + job->used.system_us) / 1e6,
	       (int)(job->used.memory >> 20), *why ? ": " : "", why, (int)job->len, job->output);
}

static int finish(struct job *jobs, int n)
{
	int failed = 0;

	for (int i = 0; i < n; i++) {
		failed += jobs[i].code != 0;
		report(&jobs[i]);
		sandcastle_free(jobs[i].sb);
		free(jobs[i].output);
	}
	return failed;
}

int main(int argc, char **argv)
{
	char *cwd = getcwd(NULL, 0);
	struct job jobs[MAX_JOBS] = {{0}};
	struct pollfd fds[MAX_JOBS];
	int n = argc - 1, left;

	if (n < 1 || n > MAX_JOBS || !cwd) {
		fprintf(stderr, "usage: ci COMMAND... (at most %d)\n", MAX_JOBS);
		return 125;
	}
	for (int i = 0; i < n; i++) {
		if (begin(&jobs[i], argv[i + 1], cwd) != SANDCASTLE_OK)
			jobs[i].code = 125;
		fds[i] = (struct pollfd){jobs[i].code < 0 ? sandcastle_fd(jobs[i].sb) : -1, POLLIN,
					 0};
	}
	do {
		int failed = 0;

		left = 0;
		for (int i = 0; i < n; i++) {
			if (fds[i].fd >= 0 && step(&jobs[i]))
				fds[i].fd = -1;
			left += fds[i].fd >= 0;
			failed += jobs[i].code > 0;
		}
		fprintf(stderr, "\r%d of %d done, %d failed ", n - left, n, failed);
	} while (left > 0 && (poll(fds, (nfds_t)n, -1) >= 0 || errno == EINTR));
	fputc('\n', stderr);
	free(cwd);
	return finish(jobs, n);
}
