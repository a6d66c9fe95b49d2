/* SPDX-License-Identifier: MIT */
/* vmm/control/control_priv.h - what the files of the control channel share. */
#ifndef VMM_CONTROL_CONTROL_PRIV_H
#define VMM_CONTROL_CONTROL_PRIV_H

#include <jansson.h>

#include "common/control_protocol.h"
#include "common/loop.h"
#include "vmm/control/control.h"
#include "vmm/session/command.h"

/* A packet that the client's socket had no room for. */
struct control_packet {
	struct control_packet *next;
	size_t len;
	int fd; /* goes with it; -1: none */
	char text[];
};

struct control_client {
	struct control *control;
	struct control_client *next;
	struct loop_source src;
	bool watches;
	bool dead; /* hung up on; freed by its next event */
	int64_t stats_id; /* of a "stats" that waits; -1: none */
	int64_t logs_id; /* of a "logs" that waits for something behind logs_from; -1: none */
	uint64_t logs_from;
	struct control_packet *queue, **queue_end;
	size_t queued; /* bytes in it */
};

/* Hears of the end of a command that no client asked for. */
typedef void (*control_own_fn)(struct control *ctl, const struct command_result *result);

/* Such a command; borrowed. */
struct control_own {
	char **argv;
	char **env; /* besides the sandbox's; NULL: none */
	const char *run_as; /* NULL: the sandbox's */
	int stop_signal; /* what asks it to end; 0: SIGTERM */
	control_own_fn ended;
};

/* A command that a client asked for, or that is the sandbox's own. */
struct control_command {
	struct control *control;
	struct control_command *next;
	struct control_client *client; /* NULL: it has gone, or there was none */
	control_own_fn own_ended; /* NULL: a client's */
	int stop_signal; /* in the place of SIGTERM; 0: none */
	struct command *command;
	json_t *argv; /* as it came */
	int64_t request_id;
	bool detached;
	bool tty;
	int stdio[3]; /* its own */
	int job; /* likewise: its client's /proc/self/stat; 0: none came */
};

enum control_state { CONTROL_STARTING, CONTROL_RUNNING, CONTROL_STOPPING };

struct control {
	struct control_setup setup;
	struct loop_source listen;
	enum control_state state;
	bool ended;
	bool squeezing; /* the host takes memory from the guest */
	uint64_t started_ms; /* CLOCK_REALTIME */
	uint64_t started_ns; /* CLOCK_MONOTONIC */

	struct control_client *clients;
	unsigned int n_clients;
	struct control_command *commands;
	unsigned int n_commands;
	struct command *main;
	unsigned int startup_next; /* of the configuration's commands */

	struct control_attachment *attachments;
	unsigned int n_attachments;
	struct control_playing *playing; /* an "input" that is not done; NULL: none */
	struct loop_timer input_timer; /* of `playing` */
	bool console_runs; /* there is a shell on the console */

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
	int file; /* the request itself, if it is a file, closed afterwards; -1: it is not */
};

/* ---- control.c ---- */

/* What commands without descriptors said so far is put into the log. */
void control_collect_log(struct control *ctl);

/* ---- clients.c ---- */

/* Sends it, now or when there is room; message is taken over, NULL is "out of memory". */
void control_send(struct control_client *client, json_t *message);
/* "ok", with further members (taken over; NULL: none). */
void control_reply(struct control_client *client, int64_t id, json_t *members);
/* The same with a descriptor, which is taken over. */
void control_reply_with(struct control_client *client, int64_t id, json_t *members, int fd);
/* error: CONTROL_E_*; err: a positive errno, 0: none. */
void control_refuse(struct control_client *client, int64_t id, const char *error, int err,
		    const char *fmt, ...) PRINTF_LIKE(5, 6);
/* To watchers; event is taken over. */
void control_tell(struct control *ctl, json_t *event);
/* Its packets are not worth going on with. */
void control_hang_up(struct control_client *client);
/* Forgets and closes it. */
void control_client_free(struct control_client *client);

/* ---- requests.c ---- */

/* Answers every "logs" that waits for what has been said. */
void control_logs_grew(struct control *ctl);
/* Listens to what is said of memory from here on. */
void control_watch_memory(struct control *ctl);
/* Does what is asked and sees to it that a reply is sent, now or later. */
void control_serve(struct control *ctl, struct control_request *req);

/* ---- exec.c ---- */

void control_exec(struct control *ctl, struct control_request *req);
/* The command of that number, NULL: none. */
struct command *control_find(const struct control *ctl, uint32_t number);
/* Starts one of the sandbox's own, which counts as a detached one. */
int control_exec_own(struct control *ctl, const struct control_own *own) MUST_CHECK;
/* A JSON array of what runs; NULL without memory. */
json_t *control_list(const struct control *ctl);
/* Its commands are hung up on, or become nobody's. */
void control_forget_client(struct control *ctl, const struct control_client *client);
void control_forget_commands(struct control *ctl);

/* ---- startup.c ---- */

/* Runs the configuration's commands, one after the other. */
void control_startup(struct control *ctl);

/* ---- attach.c ---- */

/* Listens to the console from here on. */
void control_watch_console(struct control *ctl);
void control_attach(struct control *ctl, struct control_request *req);
void control_detach_all(struct control *ctl);

/* ---- display.c ---- */

/* False after a refusal. */
bool control_has_display(const struct control *ctl, const struct control_request *req);
void control_display(struct control *ctl, struct control_request *req);
void control_screenshot(struct control *ctl, struct control_request *req);
/* Tells a window's user what the guest is at, until it draws. */
void control_display_say(const struct control *ctl, const char *text);
/* What "stats" says of it; NULL without memory, null without a display. */
json_t *control_display_figures(const struct control *ctl);

/* ---- publish.c ---- */

void control_publish(struct control *ctl, struct control_request *req);
void control_unpublish(struct control *ctl, struct control_request *req);
/* JSON for "info": what is published, and the guest's network; NULL without memory. */
json_t *control_list_ports(const struct control *ctl);
json_t *control_network(const struct control *ctl);
/* What "stats" says of the card; NULL without memory, null without a network. */
json_t *control_network_figures(const struct control *ctl);

/* ---- input.c ---- */

/* Gives the guest keys and pointer, one after the other. */
void control_input(struct control *ctl, struct control_request *req);
/* Gives up what that client's request has not done yet; NULL: whoever's. */
void control_forget_input(struct control *ctl, const struct control_client *client);

/* ---- share.c ---- */

void control_share(struct control *ctl, struct control_request *req);
void control_unshare(struct control *ctl, struct control_request *req);
/* A JSON array of what is shared; NULL without memory. */
json_t *control_list_shares(const struct control *ctl);

#endif
