/* SPDX-License-Identifier: MIT */
#include "launcher/copy/guest_run.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "common/exit_codes.h"
#include "common/log.h"
#include "launcher/control_call.h"
#include "launcher/copy/copy_tally.h"

enum { SAID_MAX = 16 * 1024 };

/* A file in memory of a fixed size: a guest can fill it, not our memory. */
static int make_said(void)
{
	AUTO_CLOSE int fd = memfd_create("sandcastle-said", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0 || ftruncate(fd, SAID_MAX) < 0 ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK) < 0)
		return -errno;
	return steal_fd(&fd);
}

static json_t *compose(const char *const *argv)
{
	json_t *list = json_array(), *request = json_pack("{s:s, s:o}", "op", "exec", "argv", list);

	for (; *argv; argv++)
		if (json_array_append_new(list, control_bytes_new(*argv)) < 0) {
			json_decref(request);
			return NULL;
		}
	return request;
}

int guest_run_start(struct client *client, const char *const *argv, const int fds[2],
		    struct guest_run *out)
{
	AUTO_CLOSE int null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	AUTO_CLOSE int said = make_said();
	const int stdio[3] = {fds[0] < 0 ? null_fd : fds[0], fds[1] < 0 ? null_fd : fds[1], said};
	json_t *reply = NULL;
	int r;

	if (null_fd < 0 || said < 0) {
		r = null_fd < 0 ? -errno : said;
		log_error("cannot prepare %s: %s", argv[0], strerror(-r));
		return r;
	}
	r = control_ask_with(client, compose(argv), stdio, 3, &reply);
	if (r == 0)
		*out = (struct guest_run){
			.client = client,
			.command = json_integer_value(json_object_get(reply, "command")),
			.said_fd = steal_fd(&said),
		};
	json_decref(reply);
	return r;
}

/* True if the event is the end of the program, or of the sandbox. */
static bool take(const struct guest_run *run, const json_t *m, int *code, int *r)
{
	const char *event = json_text(m, "event");

	if (strcmp(event, "ended") == 0) {
		*r = -EPIPE;
		return true;
	}
	if (strcmp(event, "exited") != 0 ||
	    json_integer_value(json_object_get(m, "command")) != run->command)
		return false;
	*code = exit_code_of_message(m);
	*r = 0;
	/* Without a code the sandbox's own end comes next. */
	return *code >= 0;
}

int guest_run_wait(struct guest_run *run, int *code)
{
	bool over = false;
	int r = 0;

	while (r == 0 && !over) {
		json_t *m = NULL;

		r = client_receive(run->client, -1, &m);
		if (r == 0)
			over = take(run, m, code, &r);
		json_decref(m);
	}
	if (r < 0)
		log_error("the sandbox '%s' ended meanwhile", client_name(run->client));
	return r;
}

void guest_run_said(const struct guest_run *run, char *out, size_t size)
{
	char text[SAID_MAX + 1] = "";

	if (pread(run->said_fd, text, SAID_MAX, 0) < 0)
		text[0] = '\0';
	copy_printable(text, out, size);
}

void guest_run_fini(struct guest_run *run)
{
	if (run->said_fd > 0)
		close(run->said_fd);
	run->said_fd = -1;
}
