/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "devices/console.h"
#include "vmm/config/config.h"
#include "vmm/control/control_priv.h"
#include "vmm/session/guest_log.h"

/*
 * DOC: the console's clients
 *
 * A client that attaches gives us one end of a stream socket: what the guest
 * writes to its console goes into it, and what comes out is typed there. Several
 * may; each sees everything and types as it likes. Nothing of it is kept here:
 * output that a client has no room for is dropped, for that client, and said to be;
 * input stays in the socket until the guest takes it.
 *
 * At the other end of the console is a login shell of root's, started for the
 * first that attaches. It stays when all have detached, so that they find again
 * what they left, and everybody is hung up on when it ends.
 */
enum { ATTACHED_MAX = 16, HISTORY_BYTES = 2048, INPUT_PIECE = 1024 };

struct control_attachment {
	struct control *control;
	struct control_attachment *next;
	struct loop_source src; /* our end of the client's socket, and our own */
	bool input_ended; /* nothing more is typed; it goes on looking */
	bool input_waits; /* the console has no room */
	bool lossy; /* something was dropped since it last had room */
};

static void detach(struct control_attachment *a)
{
	struct control_attachment **at = &a->control->attachments;

	while (*at != a)
		at = &(*at)->next;
	*at = a->next;
	a->control->n_attachments--;
	loop_remove(&a->src);
	close(a->src.fd);
	free(a);
}

/* What it waits for now; that it is hung up on is told in any case. */
static void await(struct control_attachment *a)
{
	const uint32_t events = (a->input_ended || a->input_waits ? 0u : (uint32_t)EPOLLIN) |
				(a->lossy ? (uint32_t)EPOLLOUT : 0u);

	/* One that cannot be watched any more has to attach anew. */
	if (loop_modify(&a->src, events) < 0)
		(void)shutdown(a->src.fd, SHUT_RDWR);
}

static void send_output(struct control_attachment *a, const void *buf, size_t len)
{
	ssize_t n = a->lossy ? 0 : send(a->src.fd, buf, len, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (n == (ssize_t)len || a->lossy)
		return;
	a->lossy = true;
	await(a);
}

static void has_room(struct control_attachment *a)
{
	static const char said[] = "\r\n[some output was lost here]\r\n";

	a->lossy = false;
	await(a);
	send_output(a, said, sizeof(said) - 1);
}

/* Looked at first and taken out afterwards, as far as the console had room for it. */
static void take_input(struct control_attachment *a)
{
	char buf[INPUT_PIECE];
	ssize_t n = recv(a->src.fd, buf, sizeof(buf), MSG_PEEK | MSG_DONTWAIT);
	size_t taken;

	if (n <= 0) {
		a->input_ended = n == 0 || errno != EAGAIN;
		await(a);
		return;
	}
	taken = console_input(a->control->setup.console, buf, (size_t)n);
	if (taken > 0)
		(void)!recv(a->src.fd, buf, taken, MSG_DONTWAIT);
	if (taken < (size_t)n) {
		a->input_waits = true;
		await(a);
	}
}

static void attachment_event(struct loop_source *src, uint32_t events)
{
	struct control_attachment *a = CONTAINER_OF(src, struct control_attachment, src);

	if (events & EPOLLOUT)
		has_room(a);
	if (events & EPOLLIN && !a->input_ended && !a->input_waits)
		take_input(a);
	/* The rest of what it typed is lost with it if the guest does not read. */
	else if (events & (EPOLLHUP | EPOLLERR))
		detach(a);
}

static void show(struct control *ctl, const void *buf, size_t len)
{
	for (struct control_attachment *a = ctl->attachments; a; a = a->next)
		send_output(a, buf, len);
}

/* Both with the console's lock held. */
static void console_output(void *owner, const void *buf, size_t len)
{
	struct control *ctl = owner;

	guest_log_add(ctl->setup.log, buf, len);
	show(ctl, buf, len);
}

static void console_room(void *owner)
{
	struct control *ctl = owner;

	for (struct control_attachment *a = ctl->attachments; a; a = a->next) {
		if (!a->input_waits)
			continue;
		a->input_waits = false;
		await(a);
	}
}

void control_watch_console(struct control *ctl)
{
	static const struct console_ops ops = {
		.output = console_output,
		.input_room = console_room,
	};

	console_set_ops(ctl->setup.console, &ops, ctl);
}

/* The last lines of the log, as a terminal wants them. */
static void send_history(struct control_attachment *a)
{
	char text[GUEST_LOG_SIZE + 1], out[2 * HISTORY_BYTES];
	uint64_t start, end = guest_log_read(a->control->setup.log, 0, text, sizeof(text), &start);
	const size_t len = (size_t)(end - start);
	size_t at = len - min_size(len, HISTORY_BYTES), n = 0;

	/* From the beginning of a line on. */
	while (at > 0 && at < len && text[at - 1] != '\n')
		at++;
	for (; at < len; at++) {
		if (text[at] == '\n')
			out[n++] = '\r';
		out[n++] = text[at];
	}
	send_output(a, out, n);
}

void control_detach_all(struct control *ctl)
{
	while (ctl->attachments)
		detach(ctl->attachments);
}

static void shell_ended(struct control *ctl, const struct command_result *res)
{
	static const char no_shell[] = "\r\n[the console's shell cannot be run]\r\n";

	ctl->console_runs = false;
	if (res->kind != COMMAND_EXITED && res->kind != COMMAND_SIGNALED)
		show(ctl, no_shell, sizeof(no_shell) - 1);
	control_detach_all(ctl);
}

/*
 * The console's driver may still be on its way when the sandbox has just begun.
 * A session's leader gets the first terminal it opens as its own.
 */
static int start_shell(struct control *ctl, const char *term)
{
	static char script[] =
		"n=0; until [ -c /dev/hvc0 ]; do n=$((n+1)); [ $n -lt 300 ] || exit; "
		"sleep 0.1; done; exec \"${SHELL:-sh}\" -l <>/dev/hvc0 >&0 2>&1";
	char sh[] = "sh", dash_c[] = "-c", variable[80];
	char *argv[] = {sh, dash_c, script, NULL}, *env[] = {variable, NULL};
	const struct control_own own = {
		.argv = argv,
		.env = env,
		.run_as = "root",
		/* An interactive shell ignores SIGTERM. */
		.stop_signal = SIGHUP,
		.ended = shell_ended,
	};

	snprintf(variable, sizeof(variable), "TERM=%s", term);
	return control_exec_own(ctl, &own);
}

/* NULL, or what is wrong with the request. */
static const char *check(const struct control_request *req, const char **term)
{
	const json_t *value = json_object_get(req->body, "term");
	int type = 0;
	socklen_t len = sizeof(type);

	*term = value ? json_string_value(value) : "vt100";
	if (!*term || strlen(*term) > 64)
		return "term: a string of at most 64 characters";
	if (req->n_fds != 1 || getsockopt(req->fds[0], SOL_SOCKET, SO_TYPE, &type, &len) < 0 ||
	    type != SOCK_STREAM)
		return "one descriptor is needed, a stream socket";
	return NULL;
}

static int attach(struct control *ctl, int *fd)
{
	struct control_attachment *a;
	int r;

	if (ctl->n_attachments == ATTACHED_MAX)
		return -EBUSY;
	a = calloc(1, sizeof(*a));
	if (!a)
		return -ENOMEM;
	a->control = ctl;
	a->src = (struct loop_source){.fd = *fd, .fn = attachment_event, .name = "attached"};
	r = loop_add(ctl->setup.loop, &a->src, EPOLLIN);
	if (r < 0) {
		free(a);
		return r;
	}
	*fd = -1;
	a->next = ctl->attachments;
	ctl->attachments = a;
	ctl->n_attachments++;
	send_history(a);
	return 0;
}

void control_attach(struct control *ctl, struct control_request *req)
{
	const char *term, *wrong = check(req, &term);
	int r;

	if (wrong) {
		control_refuse(req->client, req->id, CONTROL_E_BAD_REQUEST, 0, "%s", wrong);
		return;
	}
	r = ctl->state == CONTROL_STOPPING ? -ENOTCONN : attach(ctl, &req->fds[0]);
	if (r == 0 && !ctl->console_runs) {
		r = start_shell(ctl, term);
		ctl->console_runs = r == 0;
		if (r < 0)
			detach(ctl->attachments);
	}
	if (r == 0)
		control_reply(req->client, req->id, NULL);
	else if (r == -ENOTCONN)
		control_refuse(req->client, req->id, CONTROL_E_STOPPING, 0,
			       "the sandbox is about to end");
	else if (r == -EBUSY)
		control_refuse(req->client, req->id, CONTROL_E_BUSY, 0,
			       "there are %d at the console already", ATTACHED_MAX);
	else
		control_refuse(req->client, req->id, CONTROL_E_FAILED, -r, "%s", strerror(-r));
}
