/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "balloon/figures.h"
#include "balloon/keeper.h"
#include "battery/battery.h"
#include "common/clock.h"
#include "devices/console.h"
#include "devices/fs/fs.h"
#include "vmm/config/config.h"
#include "vmm/confine/confine.h"
#include "vmm/control/control_priv.h"
#include "vmm/session/guest_log.h"
#include "vmm/session/session.h"

enum { DEFAULT_STOP_MS = 10 * 1000, MAX_STOP_MS = 24 * 60 * 60 * 1000 };

static void bad_request(const struct control_request *req, const char *what)
{
	control_refuse(req->client, req->id, CONTROL_E_BAD_REQUEST, 0, "%s", what);
}

static void refuse_memory(struct control_client *client, int64_t id)
{
	control_refuse(client, id, CONTROL_E_FAILED, ENOMEM, "out of memory");
}

/* An optional number; false when it is there and not from min to max. */
static bool get_number(const struct control_request *req, const char *key, int64_t min, int64_t max,
		       int64_t *out)
{
	const json_t *value = json_object_get(req->body, key);

	if (!value)
		return true;
	if (!json_is_integer(value) || json_integer_value(value) < min ||
	    json_integer_value(value) > max)
		return false;
	*out = json_integer_value(value);
	return true;
}

/* The command a request is about, NULL after a refusal. */
static struct command *get_command(struct control *ctl, const struct control_request *req)
{
	int64_t number = 0;
	struct command *cmd;

	if (!get_number(req, "command", 1, UINT32_MAX, &number) || number == 0) {
		bad_request(req, "command: a number is needed");
		return NULL;
	}
	cmd = control_find(ctl, (uint32_t)number);
	if (!cmd)
		control_refuse(req->client, req->id, CONTROL_E_NO_COMMAND, 0,
			       "no command %lld runs", (long long)number);
	return cmd;
}

static void serve_signal(struct control *ctl, struct control_request *req)
{
	struct command *cmd = get_command(ctl, req);
	int64_t signo = 0;

	if (!cmd)
		return;
	if (!get_number(req, "signal", 1, 64, &signo) || signo == 0) {
		bad_request(req, "signal: a number from 1 to 64 is needed");
		return;
	}
	command_signal(cmd, (int)signo);
	control_reply(req->client, req->id, NULL);
}

static void serve_winsize(struct control *ctl, struct control_request *req)
{
	const bool console = json_is_true(json_object_get(req->body, "console"));
	struct command *cmd = console ? NULL : get_command(ctl, req);
	int64_t rows = -1, columns = -1;

	if (!cmd && !console)
		return;
	if (!get_number(req, "rows", 0, UINT16_MAX, &rows) ||
	    !get_number(req, "columns", 0, UINT16_MAX, &columns) || rows < 0 || columns < 0) {
		bad_request(req, "rows and columns: numbers from 0 to 65535 are needed");
		return;
	}
	if (console)
		console_resize(ctl->setup.console, (uint16_t)columns, (uint16_t)rows);
	else
		command_winsize(cmd, (uint16_t)rows, (uint16_t)columns);
	control_reply(req->client, req->id, NULL);
}

static void serve_stop(struct control *ctl, struct control_request *req)
{
	const json_t *force = json_object_get(req->body, "force");
	int64_t timeout = DEFAULT_STOP_MS;

	if (!get_number(req, "timeout_ms", 0, MAX_STOP_MS, &timeout)) {
		bad_request(req, "timeout_ms: at most a day");
		return;
	}
	if (force && !json_is_boolean(force)) {
		bad_request(req, "force: true or false");
		return;
	}
	control_reply(req->client, req->id, NULL);
	ctl->setup.ops->stop(ctl->setup.owner, (uint64_t)timeout, json_is_true(force));
}

static const char *state_name(const struct control *ctl)
{
	static const char *const names[] = {
		[CONTROL_STARTING] = "starting",
		[CONTROL_RUNNING] = "running",
		[CONTROL_STOPPING] = "stopping",
	};

	return names[ctl->state];
}

static const char *pressure_name(const struct control *ctl)
{
	return ctl->squeezing ? "squeezing" : "calm";
}

static void serve_watch(struct control *ctl, struct control_request *req)
{
	req->client->watches = true;
	control_reply(
		req->client, req->id,
		json_pack("{s:s, s:s}", "state", state_name(ctl), "pressure", pressure_name(ctl)));
}

static json_t *confinement_json(const struct control *ctl)
{
	const struct confinement *c = ctl->setup.confinement;

	return json_pack("{s:b, s:b, s:i, s:s}", "mounts", (int)c->mounts, "network",
			 (int)c->network, "landlock", c->landlock, "why", c->why);
}

static void serve_info(struct control *ctl, struct control_request *req)
{
	const struct sandbox_config *cfg = ctl->setup.config;
	const uint64_t resident = keeper_resident(ctl->setup.keeper);
	json_t *info = json_pack(
		"{s:s, s:i, s:s, s:I, s:i, s:I, s:I, s:s, s:b, s:o, s:o, s:o, s:o, s:o, s:o}",
		"name", cfg->name, "pid", (int)getpid(), "state", state_name(ctl), "started_ms",
		(json_int_t)ctl->started_ms, "cpus", (int)cfg->cpus, "memory",
		(json_int_t)cfg->memory, "resident", (json_int_t)resident, "kernel",
		ctl->setup.kernel, "tied", (int)ctl->setup.tied, "main",
		ctl->main ? json_integer(command_id(ctl->main)) : json_null(), "shares",
		control_list_shares(ctl), "network", control_network(ctl), "published",
		control_list_ports(ctl), "confinement", confinement_json(ctl), "commands",
		control_list(ctl));

	if (info)
		control_reply(req->client, req->id, info);
	else
		refuse_memory(req->client, req->id);
}

/* What the guest makes one of the file servers keep, and the limit of each. */
static json_t *files_json(const struct fs_server *server)
{
	struct fs_figures f;

	fs_server_figures(server, &f);
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I}", "known", (json_int_t)f.nodes,
			 "known_max", (json_int_t)f.max_nodes, "descriptors",
			 (json_int_t)f.descriptors, "descriptors_max",
			 (json_int_t)f.max_descriptors, "locks", (json_int_t)f.locked_ranges,
			 "locks_max", (json_int_t)f.max_locked_ranges);
}

/* Answers every "stats" that waits. With the balloon's lock held. */
static void got_figures(void *owner, const struct figures *memory)
{
	struct control *ctl = owner;
	json_t *files = json_pack("{s:o, s:o}", "base", files_json(ctl->setup.base_files), "maps",
				  files_json(ctl->setup.map_files));
	json_t *stats = json_pack("{s:I, s:I, s:i, s:i, s:b, s:o, s:o, s:o, s:o, s:o}", "uptime_ms",
				  (json_int_t)(now_ms() - ctl->started_ns / 1000000), "cpu_ms",
				  (json_int_t)clock_ms(CLOCK_PROCESS_CPUTIME_ID), "commands",
				  (int)(ctl->n_commands + (ctl->main ? 1u : 0u)), "clients",
				  (int)ctl->n_clients, "clone", (int)ctl->setup.cloned, "memory",
				  figures_json(memory), "power", battery_json(ctl->setup.battery),
				  "files", files, "display", control_display_figures(ctl),
				  "network", control_network_figures(ctl));

	for (struct control_client *c = ctl->clients; c; c = c->next) {
		if (c->stats_id < 0)
			continue;
		if (stats)
			control_reply(c, c->stats_id, json_incref(stats));
		else
			refuse_memory(c, c->stats_id);
		c->stats_id = -1;
	}
	json_decref(stats);
}

static void serve_stats(struct control *ctl, struct control_request *req)
{
	if (req->client->stats_id >= 0) {
		control_refuse(req->client, req->id, CONTROL_E_BUSY, 0,
			       "the stats asked for before are not there yet");
		return;
	}
	req->client->stats_id = req->id;
	keeper_ask(ctl->setup.keeper, got_figures, ctl);
}

/* With the balloon's lock held. */
static void pressure_changed(void *owner, bool squeezing)
{
	struct control *ctl = owner;

	ctl->squeezing = squeezing;
	control_tell(ctl, json_pack("{s:s, s:s, s:s}", "type", "event", "event", "pressure",
				    "pressure", pressure_name(ctl)));
}

void control_watch_memory(struct control *ctl)
{
	keeper_on_pressure(ctl->setup.keeper, pressure_changed, ctl);
}

static void send_log(struct control_client *client, int64_t id, uint64_t from)
{
	char text[GUEST_LOG_SIZE + 1];
	uint64_t start,
		next = guest_log_read(client->control->setup.log, from, text, sizeof(text), &start);

	control_reply(client, id,
		      json_pack("{s:I, s:I, s:s}", "from", (json_int_t)start, "next",
				(json_int_t)next, "text", text));
}

void control_logs_grew(struct control *ctl)
{
	const uint64_t end = guest_log_end(ctl->setup.log);
	bool waits = false;

	for (struct control_client *c = ctl->clients; c; c = c->next) {
		if (c->logs_id >= 0 && c->logs_from != end) {
			send_log(c, c->logs_id, c->logs_from);
			c->logs_id = -1;
		}
		waits |= c->logs_id >= 0;
	}
	/* What is said costs no wake-up while nobody waits for it. */
	if (!waits)
		guest_log_watch(ctl->setup.log, NULL, NULL, NULL);
}

static void logs_grew(void *owner)
{
	control_logs_grew(owner);
}

static void serve_logs(struct control *ctl, struct control_request *req)
{
	const json_t *wait = json_object_get(req->body, "wait");
	int64_t from = 0;

	if (!get_number(req, "from", 0, CONTROL_MAX_ID, &from)) {
		bad_request(req, "from: a position of an earlier reply, or 0");
		return;
	}
	if (wait && !json_is_boolean(wait)) {
		bad_request(req, "wait: true or false");
		return;
	}
	if (!json_is_true(wait)) {
		send_log(req->client, req->id, (uint64_t)from);
		return;
	}
	if (req->client->logs_id >= 0) {
		control_refuse(req->client, req->id, CONTROL_E_BUSY, 0,
			       "the logs asked for before are not there yet");
		return;
	}
	req->client->logs_id = req->id;
	req->client->logs_from = (uint64_t)from;
	/* First, for what is said from here on must not be missed. */
	guest_log_watch(ctl->setup.log, ctl->setup.loop, logs_grew, ctl);
	control_logs_grew(ctl);
}

static const struct {
	const char *op;
	void (*serve)(struct control *ctl, struct control_request *req);
} requests[] = {
	{"exec", control_exec},
	{"signal", serve_signal},
	{"winsize", serve_winsize},
	{"stop", serve_stop},
	{"watch", serve_watch},
	{"info", serve_info},
	{"stats", serve_stats},
	{"logs", serve_logs},
	{"attach", control_attach},
	{"share", control_share},
	{"unshare", control_unshare},
	{"publish", control_publish},
	{"unpublish", control_unpublish},
	{"display", control_display},
	{"screenshot", control_screenshot},
	{"input", control_input},
};

void control_serve(struct control *ctl, struct control_request *req)
{
	for (size_t i = 0; i < ARRAY_SIZE(requests); i++)
		if (strcmp(requests[i].op, req->op) == 0) {
			requests[i].serve(ctl, req);
			return;
		}
	control_refuse(req->client, req->id, CONTROL_E_UNKNOWN_OP, 0,
		       "protocol %d of this version has no such request", CONTROL_PROTOCOL);
}
