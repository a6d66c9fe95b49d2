/* SPDX-License-Identifier: MIT */
/* One handle of libsandcastle in several threads: commands, events, figures, all at once. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "include/sandcastle.h"

enum { THREADS = 4, ROUNDS = 12 };

static struct sandcastle_sandbox *sb;
static atomic_size_t output;
static atomic_int failures;

static void count(void *data, int stream, const void *bytes, size_t len)
{
	struct sandcastle_stats stats = {.size = sizeof(stats)};

	(void)data;
	(void)stream;
	(void)bytes;
	atomic_fetch_add(&output, len);
	/* It may ask, while the other threads do. */
	if (sandcastle_stats(sb, &stats) != SANDCASTLE_OK)
		atomic_fetch_add(&failures, 1);
}

static void *run_commands(void *arg)
{
	static const char *const argv[] = {"sh", "-c", "echo 123; exit 3", NULL};
	struct sandcastle_exec_options x = SANDCASTLE_EXEC_OPTIONS_INIT;

	x.argv = argv;
	x.stdio[1].kind = SANDCASTLE_STDIO_CALLBACK;
	x.output = count;
	for (int i = 0; i < ROUNDS; i++) {
		struct sandcastle_command *cmd = NULL;
		int code = -1;

		if (sandcastle_exec(sb, &x, &cmd) != SANDCASTLE_OK ||
		    sandcastle_command_wait(cmd, -1, &code) != SANDCASTLE_OK || code != 3)
			atomic_fetch_add(&failures, 1);
	}
	return arg;
}

/* Until the sandbox ends. */
static void *fetch_events(void *arg)
{
	struct sandcastle_event ev = SANDCASTLE_EVENT_INIT;
	int *exits = arg;

	while (sandcastle_next_event(sb, -1, &ev) == SANDCASTLE_OK)
		*exits += ev.type == SANDCASTLE_EVENT_EXITED;
	return NULL;
}

int main(int argc, char **argv)
{
	struct sandcastle_options options = SANDCASTLE_OPTIONS_INIT;
	struct sandcastle_stats stats = {.size = sizeof(stats)};
	char run_dir[] = "/tmp/sandcastle-test-XXXXXX";
	pthread_t threads[THREADS], events;
	int exits = 0;

	options.program = argc > 1 ? argv[1] : NULL;
	options.runtime_dir = mkdtemp(run_dir);
	if (!options.runtime_dir || sandcastle_new(&sb) != SANDCASTLE_OK ||
	    sandcastle_start(sb, &options) != SANDCASTLE_OK)
		return 1;
	if (pthread_create(&events, NULL, fetch_events, &exits) != 0)
		return 1;
	for (int i = 0; i < THREADS; i++)
		if (pthread_create(&threads[i], NULL, run_commands, NULL) != 0)
			return 1;
	if (sandcastle_wait_ready(sb, -1) != SANDCASTLE_OK ||
	    sandcastle_stats(sb, &stats) != SANDCASTLE_OK)
		atomic_fetch_add(&failures, 1);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	if (sandcastle_stop(sb, 0) != SANDCASTLE_OK || sandcastle_wait(sb, -1) != SANDCASTLE_OK)
		atomic_fetch_add(&failures, 1);
	pthread_join(events, NULL);
	sandcastle_free(sb);
	for (int i = 0; i < 100 && rmdir(run_dir) < 0; i++)
		usleep(10000);
	printf("%d failures, %zu bytes, %d exits\n", atomic_load(&failures), atomic_load(&output),
	       exits);
	return failures || output != (size_t)THREADS * ROUNDS * 4 || exits != THREADS * ROUNDS;
}
