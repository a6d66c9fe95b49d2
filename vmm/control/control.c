/* SPDX-License-Identifier: MIT */
#include "vmm/control/control.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>

#include "common/log.h"
#include "vmm/control/control_priv.h"
#include "vmm/session/guest_log.h"
#include "vmm/session/session.h"

/* Of 4 KiB: a whole pipe. */
enum { LOG_READS_A_TURN = 16, SOMEBODY = 65534 };

static void tell_state(struct control *ctl, const char *event)
{
	control_tell(ctl, json_pack("{s:s, s:s}", "type", "event", "event", event));
}

static bool is_allowed(int fd)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	/*
	 * A user namespace shows root, and anyone else, as 65534; but through the socket's folder comes
	 * nobody but the user and root.
	 */
	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 &&
	       (peer.uid == geteuid() || peer.uid == 0 || peer.uid == SOMEBODY);
}

static void listen_event(struct loop_source *src, uint32_t events)
{
	struct control *ctl = CONTAINER_OF(src, struct control, listen);
	int fd = accept4(src->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)events;
	if (fd < 0) {
		/*
		 * No descriptor to accept with. The waiting client keeps the socket readable,
		 * so stop watching it until control_client_free() frees one.
		 */
		if (errno == EMFILE || errno == ENFILE)
			loop_remove(src);
		return;
	}
	if (!is_allowed(fd)) {
		log_info("a client of another user was refused");
		close(fd);
	} else if (control_add_client(ctl, fd) < 0) {
		log_info("a client was refused: there are %u", ctl->n_clients);
	}
}

void control_collect_log(struct control *ctl)
{
	char buf[4096];
	ssize_t n;

	for (unsigned int i = 0; i < LOG_READS_A_TURN; i++) {
		n = read(ctl->log_source.fd, buf, sizeof(buf));
		if (n <= 0)
			return;
		guest_log_add(ctl->setup.log, buf, (size_t)n);
	}
}

static void log_event(struct loop_source *src, uint32_t events)
{
	(void)events;
	control_collect_log(CONTAINER_OF(src, struct control, log_source));
}

static int open_log(struct control *ctl)
{
	int ends[2];

	ctl->null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (ctl->null_fd < 0 || pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
		return -errno;
	ctl->log_source =
		(struct loop_source){.fd = ends[0], .fn = log_event, .name = "control-log"};
	ctl->log_fd = ends[1];
	return loop_add(ctl->setup.loop, &ctl->log_source, EPOLLIN);
}

int control_new(const struct control_setup *setup, int listen_fd, struct control **out)
{
	struct control *ctl = calloc(1, sizeof(*ctl));
	struct timespec now;
	int r;

	if (!ctl)
		return -ENOMEM;
	/* Objects' hashes are seeded by a file that nothing opens once the process is confined. */
	json_object_seed(0);
	ctl->setup = *setup;
	ctl->null_fd = ctl->log_fd = ctl->log_source.fd = -1;
	ctl->listen = (struct loop_source){.fd = listen_fd, .fn = listen_event, .name = "control"};
	clock_gettime(CLOCK_REALTIME, &now);
	ctl->started_ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
	clock_gettime(CLOCK_MONOTONIC, &now);
	ctl->started_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
	r = open_log(ctl);
	if (r == 0 && listen_fd >= 0)
		r = loop_add(setup->loop, &ctl->listen, EPOLLIN);
	if (r < 0) {
		control_free(ctl);
		return r;
	}
	control_watch_console(ctl);
	control_watch_memory(ctl);
	*out = ctl;
	return 0;
}

void control_end(struct control *ctl, const char *reason, const char *message)
{
	json_t *event = json_pack("{s:s, s:s, s:s, s:s}", "type", "event", "event", "ended",
				  "reason", reason, "message", message);

	ctl->ended = true;
	control_forget_commands(ctl);
	control_forget_input(ctl, NULL);
	control_detach_all(ctl);
	control_logs_grew(ctl);
	for (struct control_client *c = ctl->clients; c; c = c->next)
		control_send(c, json_incref(event));
	json_decref(event);
	loop_remove(&ctl->listen);
}

void control_free(struct control *ctl)
{
	if (!ctl)
		return;
	ctl->ended = true;
	guest_log_watch(ctl->setup.log, NULL, NULL, NULL);
	control_forget_commands(ctl);
	control_forget_input(ctl, NULL);
	control_detach_all(ctl);
	while (ctl->clients)
		control_client_free(ctl->clients);
	loop_remove(&ctl->listen);
	loop_remove(&ctl->log_source);
	if (ctl->log_source.fd >= 0)
		close(ctl->log_source.fd);
	if (ctl->log_fd >= 0)
		close(ctl->log_fd);
	if (ctl->null_fd >= 0)
		close(ctl->null_fd);
	free(ctl);
}

void control_set_main(struct control *ctl, struct command *main)
{
	ctl->main = main;
}

void control_ready(struct control *ctl)
{
	if (ctl->state != CONTROL_STARTING)
		return;
	ctl->state = CONTROL_RUNNING;
	tell_state(ctl, "ready");
	control_display_say(ctl, "Runs; nothing draws on its screen yet");
	control_startup(ctl);
}

void control_stopping(struct control *ctl)
{
	if (ctl->state == CONTROL_STOPPING)
		return;
	ctl->state = CONTROL_STOPPING;
	tell_state(ctl, "stopping");
	control_display_say(ctl, "Stops");
}
