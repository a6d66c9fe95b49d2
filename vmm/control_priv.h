/* SPDX-License-Identifier: MIT */
/* vmm/control_priv.h - what the files of the control channel share. */
#ifndef VMM_CONTROL_PRIV_H
#define VMM_CONTROL_PRIV_H

#include <jansson.h>

#include "vmm/command.h"
#include "vmm/control.h"
#include "vmm/control_protocol.h"
#include "vmm/loop.h"

/* A packet that the client's socket had no room for. */
struct control_packet {
	struct control_packet *next;
	size_t len;
	char text[];
};

struct control_client {
	struct control *control;
	struct control_client *next;
	struct loop_source src;
	bool watches;
	bool dead; /* hung up on; freed by its next event */
	int64_t stats_id; /* of a "stats" that waits; -1: none */
	struct control_packet *queue, **queue_end;
	size_t queued; /* bytes in it */
};

/* A command that a client asked for. */
struct control_command {
	struct control *control;
	struct control_command *next;
	struct control_client *client; /* NULL: it has gone */
	struct command *command;
	json_t *argv; /* as it came */
	int64_t request_id;
	bool detached;
	bool tty;
	int stdio[3]; /* its own */
};

enum control_state { CONTROL_STARTING, CONTROL_RUNNING, CONTROL_STOPPING };

struct control {
	struct control_setup setup;
	struct loop_source listen;
	enum control_state state;
	bool ended;
	uint64_t started_ms; /* CLOCK_REALTIME */
	uint64_t started_ns; /* CLOCK_MONOTONIC */

	struct control_client *clients;
	unsigned int n_clients;
	struct control_command *commands;
	unsigned int n_commands;
	struct command *main;

	int null_fd; /* input of commands without */
	int log_fd; /* where their output goes: a pipe we read ourselves */
	struct loop_source log_source;

	char buf[CONTROL_MESSAGE_MAX + 1]; /* the packet at hand */
};

/* One request at hand. */
struct control_request {
	struct control_client *client;
	int64_t id;
	const char *op;
	const json_t *body;
	int fds[CONTROL_MAX_FDS]; /* closed afterwards unless taken (-1) */
	size_t n_fds;
};

/* ---- control.c ---- */

/* Sends it, now or when there is room; message is taken over, NULL is "out of memory". */
void control_send(struct control_client *client, json_t *message);
/* "ok", with further members (taken over; NULL: none). */
void control_reply(struct control_client *client, int64_t id, json_t *members);
/* error: CONTROL_E_*; err: a positive errno, 0: none. */
void control_refuse(struct control_client *client, int64_t id, const char *error, int err,
		    const char *fmt, ...) PRINTF_LIKE(5, 6);
/* To watchers; event is taken over. */
void control_tell(struct control *ctl, json_t *event);
/* Its packets are not worth going on with. */
void control_hang_up(struct control_client *client);

/* ---- control_requests.c ---- */

/* Does what is asked and sees to it that a reply is sent, now or later. */
void control_serve(struct control *ctl, struct control_request *req);

/* ---- control_exec.c ---- */

void control_exec(struct control *ctl, struct control_request *req);
/* The command of that number, NULL: none. */
struct command *control_find(const struct control *ctl, uint32_t number);
/* A JSON array of what runs; NULL without memory. */
json_t *control_list(const struct control *ctl);
/* Its commands are hung up on, or become nobody's. */
void control_forget_client(struct control *ctl, const struct control_client *client);
void control_forget_commands(struct control *ctl);

#endif
