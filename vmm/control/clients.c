/* SPDX-License-Identifier: MIT */
/* Clients of the control channel: packets in, with descriptors, and packets out. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "vmm/config/config.h"
#include "vmm/control/control_priv.h"
#include "vmm/session/shares.h"

/* Requests of one client, before the others have their turn. */
enum { REQUESTS_A_TURN = 8 };

void control_hang_up(struct control_client *client)
{
	if (client->dead)
		return;
	client->dead = true;
	/* The loop reports the hang-up; client_event() frees the client then. */
	(void)shutdown(client->src.fd, SHUT_RDWR);
}

static void free_packet(struct control_packet *packet)
{
	if (packet->fd >= 0)
		close(packet->fd);
	free(packet);
}

static void free_queue(struct control_client *client)
{
	while (client->queue) {
		struct control_packet *next = client->queue->next;

		free_packet(client->queue);
		client->queue = next;
	}
	client->queue_end = &client->queue;
	client->queued = 0;
}

void control_client_free(struct control_client *client)
{
	struct control *ctl = client->control;
	struct control_client **at = &ctl->clients;

	while (*at != client)
		at = &(*at)->next;
	*at = client->next;
	ctl->n_clients--;
	control_forget_client(ctl, client);
	control_forget_input(ctl, client);
	shares_forget(ctl->setup.shares, client);
	free_queue(client);
	loop_remove(&client->src);
	close(client->src.fd);
	free(client);
	/* Its descriptor may be what another was refused for. */
	if (!ctl->listen.loop && ctl->listen.fd >= 0 && !ctl->ended)
		(void)!loop_add(ctl->setup.loop, &ctl->listen, EPOLLIN);
}

/* 1: sent; 0: no room; the client is hung up on when it cannot be. */
static int send_packet(struct control_client *client, const char *text, size_t len, int fd)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = {.align = {.cmsg_len = CMSG_LEN(sizeof(int)),
			       .cmsg_level = SOL_SOCKET,
			       .cmsg_type = SCM_RIGHTS}};
	struct iovec iov = {.iov_len = len};
	struct msghdr mh = {.msg_iov = &iov, .msg_iovlen = 1};
	ssize_t n;

	/* An iovec cannot say that it is only read. */
	memcpy(&iov.iov_base, &text, sizeof(text));
	if (fd >= 0) {
		memcpy(CMSG_DATA(&control.align), &fd, sizeof(fd));
		mh.msg_control = control.bytes;
		mh.msg_controllen = sizeof(control.bytes);
	}
	do
		n = sendmsg(client->src.fd, &mh, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n >= 0)
		return 1;
	if (errno == EAGAIN)
		return 0;
	control_hang_up(client);
	return 1;
}

/* Takes fd over. */
static void queue_packet(struct control_client *client, const char *text, size_t len, int fd)
{
	struct control_packet *packet = NULL;

	if (client->queued + len <= CONTROL_QUEUE_MAX)
		packet = malloc(sizeof(*packet) + len);
	if (!packet || (!client->queue && loop_modify(&client->src, EPOLLIN | EPOLLOUT) < 0)) {
		free(packet);
		if (fd >= 0)
			close(fd);
		control_hang_up(client);
		return;
	}
	packet->next = NULL;
	packet->len = len;
	packet->fd = fd;
	memcpy(packet->text, text, len);
	*client->queue_end = packet;
	client->queue_end = &packet->next;
	client->queued += len;
}

static void flush_queue(struct control_client *client)
{
	while (client->queue && !client->dead) {
		struct control_packet *packet = client->queue;

		if (send_packet(client, packet->text, packet->len, packet->fd) == 0)
			return;
		client->queue = packet->next;
		client->queued -= packet->len;
		free_packet(packet);
	}
	client->queue_end = &client->queue;
	if (!client->dead && loop_modify(&client->src, EPOLLIN) < 0)
		control_hang_up(client);
}

/* Takes message and fd over. */
static void send_with(struct control_client *client, json_t *message, int fd)
{
	char *text = message ? json_dumps(message, JSON_COMPACT) : NULL;
	size_t len = text ? strlen(text) : 0;

	json_decref(message);
	if (!text || len > CONTROL_MESSAGE_MAX)
		control_hang_up(client);
	else if (!client->dead && (client->queue || send_packet(client, text, len, fd) == 0))
		queue_packet(client, text, len, steal_fd(&fd));
	if (fd >= 0)
		close(fd);
	free(text);
}

void control_send(struct control_client *client, json_t *message)
{
	send_with(client, message, -1);
}

void control_reply(struct control_client *client, int64_t id, json_t *members)
{
	control_reply_with(client, id, members, -1);
}

void control_reply_with(struct control_client *client, int64_t id, json_t *members, int fd)
{
	json_t *reply =
		json_pack("{s:s, s:I, s:b}", "type", "reply", "id", (json_int_t)id, "ok", 1);

	if (reply && members && json_object_update(reply, members) < 0) {
		json_decref(reply);
		reply = NULL;
	}
	json_decref(members);
	send_with(client, reply, fd);
}

void control_refuse(struct control_client *client, int64_t id, const char *error, int err,
		    const char *fmt, ...)
{
	char message[512];
	json_t *reply, *text;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(message, sizeof(message), fmt, ap);
	va_end(ap);
	text = json_string(message);
	/* A path in it need not be text, and may be cut in the middle of a character. */
	for (char *p = message; !text && *p; p++)
		if ((unsigned char)*p > 0x7e)
			*p = '?';
	reply = json_pack("{s:s, s:I, s:b, s:s, s:o}", "type", "reply", "id", (json_int_t)id, "ok",
			  0, "error", error, "message", text ? text : json_string(message));
	if (reply && err != 0)
		(void)json_object_set_new(reply, "errno", json_integer(err));
	control_send(client, reply);
}

void control_tell(struct control *ctl, json_t *event)
{
	for (struct control_client *c = ctl->clients; c; c = c->next)
		if (c->watches)
			control_send(c, json_incref(event));
	json_decref(event);
}

/* A descriptor that came: of a request that is a file, the file comes first. */
static bool take_fd(struct control_request *req, bool is_file, int fd)
{
	if (is_file && req->file < 0) {
		req->file = fd;
		return true;
	}
	if (req->n_fds < CONTROL_MAX_FDS) {
		req->fds[req->n_fds++] = fd;
		return true;
	}
	close(fd);
	return false;
}

/* Takes the descriptors out of a message. False: they are too many, or cut off. */
static bool take_fds(struct msghdr *msg, bool is_file, struct control_request *req)
{
	struct cmsghdr *head;
	bool good = (msg->msg_flags & MSG_CTRUNC) == 0;

	for (head = CMSG_FIRSTHDR(msg); head; head = CMSG_NXTHDR(msg, head)) {
		const size_t n = (head->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < n; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(head) + i * sizeof(fd), sizeof(fd));
			good = take_fd(req, is_file, fd) && good;
		}
	}
	return good;
}

/* Serves one request; false if it is none. */
static bool take_request(struct control_client *client, const char *text, size_t len,
			 struct control_request *req)
{
	json_t *body = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
	const char *type = json_string_value(json_object_get(body, "type"));
	const json_t *id = json_object_get(body, "id");
	bool good;

	req->op = json_string_value(json_object_get(body, "op"));
	req->id = json_integer_value(id);
	req->body = body;
	good = type && strcmp(type, "request") == 0 && req->op && json_is_integer(id) &&
	       req->id >= 0 && req->id <= CONTROL_MAX_ID;
	if (good)
		control_serve(client->control, req);
	json_decref(body);
	return good;
}

/* The same for one that comes as a file. Its seals are why it can be read where it is. */
static bool take_file(struct control_client *client, struct control_request *req)
{
	const int seals = req->file < 0 ? -1 : fcntl(req->file, F_GET_SEALS);
	struct stat st;
	void *text;
	bool good;

	if (seals < 0 || (seals & CONTROL_FILE_SEALS) != CONTROL_FILE_SEALS ||
	    fstat(req->file, &st) < 0 || st.st_size < 1 || st.st_size > CONTROL_FILE_MAX)
		return false;
	text = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, req->file, 0);
	if (text == MAP_FAILED)
		return false;
	good = take_request(client, text, (size_t)st.st_size, req);
	(void)munmap(text, (size_t)st.st_size);
	return good;
}

static void close_fds(struct control_request *req)
{
	for (size_t i = 0; i < req->n_fds; i++)
		if (req->fds[i] >= 0)
			close(req->fds[i]);
	if (req->file >= 0)
		close(req->file);
}

/* One packet from the socket; false if there is none. */
static bool receive(struct control_client *client)
{
	static const char file[] = CONTROL_FILE_PACKET;
	struct control *ctl = client->control;
	struct control_request req = {.client = client, .file = -1};
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE((CONTROL_MAX_FDS + 2) * sizeof(int))];
	} control;
	struct iovec iov = {.iov_base = ctl->buf, .iov_len = sizeof(ctl->buf)};
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.buf,
		.msg_controllen = sizeof(control.buf),
	};
	const ssize_t n = recvmsg(client->src.fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	const bool is_file = n == sizeof(file) - 1 && memcmp(ctl->buf, file, sizeof(file) - 1) == 0;
	bool good;

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	good = n > 0 && take_fds(&msg, is_file, &req) && n <= CONTROL_MESSAGE_MAX;
	if (!good ||
	    !(is_file ? take_file(client, &req) : take_request(client, ctl->buf, (size_t)n, &req)))
		control_hang_up(client);
	close_fds(&req);
	return true;
}

static void client_event(struct loop_source *src, uint32_t events)
{
	struct control_client *client = CONTAINER_OF(src, struct control_client, src);

	if (events & EPOLLOUT)
		flush_queue(client);
	for (unsigned int i = 0; i < REQUESTS_A_TURN && !client->dead; i++)
		if (client->control->ended || !receive(client))
			break;
	if (client->dead || (events & (EPOLLHUP | EPOLLERR) && !(events & EPOLLIN)))
		control_client_free(client);
}

static void say_hello(struct control_client *client)
{
	const struct sandbox_config *cfg = client->control->setup.config;

	control_send(client, json_pack("{s:s, s:i, s:s, s:s, s:i}", "type", "hello", "protocol",
				       CONTROL_PROTOCOL, "version", SANDCASTLE_VERSION, "name",
				       cfg->name, "pid", (int)getpid()));
}

int control_add_client(struct control *ctl, int fd)
{
	struct control_client *client = NULL;
	int r = -EBUSY;

	if (ctl->n_clients < CONTROL_MAX_CLIENTS) {
		client = calloc(1, sizeof(*client));
		r = client ? 0 : -ENOMEM;
	}
	if (r == 0) {
		client->control = ctl;
		client->stats_id = client->logs_id = -1;
		client->queue_end = &client->queue;
		client->src = (struct loop_source){
			.fd = fd, .fn = client_event, .name = "control-client"};
		r = loop_add(ctl->setup.loop, &client->src, EPOLLIN);
	}
	if (r < 0) {
		free(client);
		close(fd);
		return r;
	}
	client->next = ctl->clients;
	ctl->clients = client;
	ctl->n_clients++;
	say_hello(client);
	return 0;
}
