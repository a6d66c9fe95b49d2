/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>

#include "common/control_bytes.h"
#include "vmm/config/config.h"
#include "vmm/control/control_priv.h"
#include "vmm/session/session.h"

/* What a request for a command asks for, taken apart; strings are its own. */
struct exec_request {
	char **argv, **env;
	char *workdir;
	const char *user; /* the request's */
	bool tty, detach;
	uint16_t rows, columns;
	uint64_t limits[SC_LIMITS];
};

static void free_strings(char **list)
{
	for (char **s = list; s && *s; s++)
		free(*s);
	free(list);
}

static void exec_request_fini(struct exec_request *e)
{
	free_strings(e->argv);
	free_strings(e->env);
	free(e->workdir);
}

/* An array of bytes as a NULL-terminated list. -EINVAL: it is not one. */
static int get_strings(const json_t *array, char ***out)
{
	const size_t n = json_array_size(array);
	char **list = calloc(n + 1, sizeof(*list));

	if (!list)
		return -ENOMEM;
	if (!json_is_array(array)) {
		free(list);
		return -EINVAL;
	}
	for (size_t i = 0; i < n; i++) {
		int r = control_bytes_get(json_array_get(array, i), &list[i]);

		if (r < 0) {
			free_strings(list);
			return r;
		}
	}
	*out = list;
	return 0;
}

static bool get_flag(const json_t *body, const char *key, bool *out)
{
	const json_t *value = json_object_get(body, key);

	*out = json_is_true(value);
	return !value || json_is_boolean(value);
}

static bool get_size(const json_t *body, const char *key, uint16_t *out)
{
	const json_t *value = json_object_get(body, key);
	const json_int_t n = json_integer_value(value);

	if (value && (!json_is_integer(value) || n < 0 || n > UINT16_MAX))
		return false;
	*out = (uint16_t)n;
	return true;
}

/* "limits": an object of numbers from 1, by these names. */
static bool get_limits(const json_t *body, uint64_t out[SC_LIMITS])
{
	static const char *const names[] = {
		[SC_LIMIT_MEMORY] = "memory",	  [SC_LIMIT_FILE_SIZE] = "file-size",
		[SC_LIMIT_CPU_SECONDS] = "cpu-s", [SC_LIMIT_PROCESSES] = "processes",
		[SC_LIMIT_FILES] = "files",
	};
	const json_t *limits = json_object_get(body, "limits");
	size_t n = 0;

	if (!limits)
		return true;
	for (unsigned int i = 0; i < SC_LIMITS; i++) {
		const json_t *value = json_object_get(limits, names[i]);

		if (!value)
			continue;
		if (!json_is_integer(value) || json_integer_value(value) < 1)
			return false;
		out[i] = (uint64_t)json_integer_value(value);
		n++;
	}
	return json_is_object(limits) && n == json_object_size(limits);
}

/* Entries are "K=V". */
static bool is_environment(char *const *env)
{
	for (; env && *env; env++)
		if (**env == '=' || !strchr(*env, '='))
			return false;
	return true;
}

/* NULL, or what is wrong with the request. *out is to be fini'ed in both cases. */
static const char *parse(const struct control_request *req, struct exec_request *out)
{
	const json_t *env = json_object_get(req->body, "env");
	const json_t *workdir = json_object_get(req->body, "workdir");
	const json_t *user = json_object_get(req->body, "user");
	struct stat st;

	if (get_strings(json_object_get(req->body, "argv"), &out->argv) < 0 || !out->argv[0] ||
	    !out->argv[0][0])
		return "argv: an array of strings is needed, the first of them not empty";
	if (env && (get_strings(env, &out->env) < 0 || !is_environment(out->env)))
		return "env: an array of strings NAME=VALUE";
	if (workdir && (control_bytes_get(workdir, &out->workdir) < 0 || out->workdir[0] != '/'))
		return "workdir: an absolute path";
	out->user = json_string_value(user);
	if (user && (!out->user || !out->user[0] || strlen(out->user) != json_string_length(user)))
		return "user: a name or a number, as a string";
	if (!get_flag(req->body, "tty", &out->tty) || !get_flag(req->body, "detach", &out->detach))
		return "tty and detach: true or false";
	if (!get_size(req->body, "rows", &out->rows) ||
	    !get_size(req->body, "columns", &out->columns))
		return "rows and columns: numbers from 0 to 65535";
	if (!get_limits(req->body, out->limits))
		return "limits: memory, file-size, cpu-s, processes, files, each a number from 1";
	if (req->n_fds != 0 && req->n_fds != 3 && req->n_fds != 4)
		return "three descriptors are needed, or none";
	/* It is read when a key is pressed: of a pipe that would be a wait. */
	if (req->n_fds == 4 && (fstat(req->fds[3], &st) < 0 || !S_ISREG(st.st_mode)))
		return "the fourth descriptor has to be a file: the client's /proc/self/stat";
	if (req->n_fds == 0 && out->tty)
		return "tty: descriptors are needed";
	return NULL;
}

static void command_drop(struct control_command *cc)
{
	struct control *ctl = cc->control;
	struct control_command **at = &ctl->commands;

	while (*at && *at != cc)
		at = &(*at)->next;
	if (*at) {
		*at = cc->next;
		ctl->n_commands--;
	}
	command_free(cc->command);
	for (unsigned int i = 0; i < 3; i++)
		if (cc->stdio[i] >= 0)
			close(cc->stdio[i]);
	if (cc->job > 0)
		close(cc->job);
	json_decref(cc->argv);
	free(cc);
}

static void on_started(struct command *cmd, void *owner)
{
	struct control_command *cc = owner;
	const json_int_t number = command_id(cmd), pid = command_pid(cmd);

	if (cc->client)
		control_reply(cc->client, cc->request_id,
			      json_pack("{s:I, s:I}", "command", number, "pid", pid));
	control_tell(cc->control, json_pack("{s:s, s:s, s:I, s:I}", "type", "event", "event",
					    "started", "command", number, "pid", pid));
}

/* The reply to a request whose command never ran. */
static void refuse_command(const struct control_command *cc, const struct command_result *res)
{
	if (!cc->client)
		return;
	if (res->kind == COMMAND_EXEC_FAILED)
		control_refuse(cc->client, cc->request_id, CONTROL_E_EXEC_FAILED, res->error, "%s",
			       res->text);
	else
		control_refuse(cc->client, cc->request_id, CONTROL_E_FAILED, 0, "%s", res->text);
}

/* Numbers of JSON are signed here; a guest may claim what it likes. */
static json_t *figure(uint64_t v)
{
	return json_integer(v > INT64_MAX ? INT64_MAX : (json_int_t)v);
}

/* No process is without memory: then the guest has not said. */
static void tell_usage(json_t *event, const struct agent_usage *u)
{
	if (u->memory == 0)
		return;
	(void)json_object_update_new(
		event, json_pack("{s:o, s:o, s:o}", "user_us", figure(u->user_us), "system_us",
				 figure(u->system_us), "memory", figure(u->memory)));
}

static void on_ended(struct command *cmd, void *owner)
{
	struct control_command *cc = owner;
	struct control *ctl = cc->control;
	const struct command_result *res = command_result(cmd);
	json_t *event = json_pack("{s:s, s:s, s:I}", "type", "event", "event", "exited", "command",
				  (json_int_t)command_id(cmd));

	if (!command_started(cmd)) {
		refuse_command(cc, res);
		json_decref(event);
	} else {
		if (res->kind == COMMAND_EXITED || res->kind == COMMAND_SIGNALED)
			tell_usage(event, &res->usage);
		if (res->kind == COMMAND_EXITED)
			(void)json_object_set_new(event, "code", json_integer(res->code));
		else if (res->kind == COMMAND_SIGNALED)
			(void)json_object_set_new(event, "signal", json_integer(res->signal));
		else
			(void)json_object_update_new(event, json_pack("{s:s, s:s}", "error",
								      CONTROL_E_FAILED, "message",
								      res->text));
		if (cc->client && !cc->client->watches)
			control_send(cc->client, json_incref(event));
		control_tell(ctl, event);
	}
	if (cc->own_ended)
		cc->own_ended(ctl, res);
	command_drop(cc);
	if (ctl->n_commands == 0)
		ctl->setup.ops->idle(ctl->setup.owner);
}

static const struct command_ops command_ops = {.started = on_started, .ended = on_ended};

/* The client's descriptors, or nothing to read and our log to write to. */
static int take_stdio(struct control_command *cc, struct control_request *req)
{
	for (unsigned int i = 0; i < 3; i++) {
		const struct control *ctl = cc->control;

		if (req->n_fds >= 3)
			cc->stdio[i] = steal_fd(&req->fds[i]);
		else
			cc->stdio[i] =
				fcntl(i == 0 ? ctl->null_fd : ctl->log_fd, F_DUPFD_CLOEXEC, 3);
		if (cc->stdio[i] < 0)
			return -errno;
	}
	return 0;
}

static size_t count(char *const *list)
{
	size_t n = 0;

	while (list && list[n])
		n++;
	return n;
}

static bool sets_same(const char *a, const char *b)
{
	const size_t key = strcspn(a, "=") + 1;

	return strncmp(a, b, key) == 0;
}

/* The sandbox's environment but for what `own` sets, then `own`; strings are borrowed. */
static char **join_env(char *const *sandbox, char *const *own)
{
	char **all = calloc(count(sandbox) + count(own) + 1, sizeof(*all));
	size_t n = 0;

	for (size_t i = 0; all && sandbox && sandbox[i]; i++) {
		bool replaced = false;

		for (size_t j = 0; own && own[j]; j++)
			replaced |= sets_same(own[j], sandbox[i]);
		if (!replaced)
			all[n++] = sandbox[i];
	}
	for (size_t j = 0; all && own && own[j]; j++)
		all[n++] = own[j];
	return all;
}

static int start(struct control_command *cc, struct control_request *req,
		 const struct exec_request *e)
{
	const struct control_setup *setup = &cc->control->setup;
	const struct sandbox_config *cfg = setup->config;
	AUTO_FREE char **env = join_env(cfg->env, e->env);
	struct command_spec spec = {
		.argv = e->argv,
		.env = env,
		.workdir = e->workdir ? e->workdir : cfg->workdir,
		.run_as = e->user ? e->user : cfg->run_as,
		.tty = e->tty,
		.rows = e->rows,
		.columns = e->columns,
		.job = cc->job,
	};
	int r = env ? take_stdio(cc, req) : -ENOMEM;

	memcpy(spec.limits, e->limits, sizeof(spec.limits));
	return r < 0 ? r
		     : command_new(setup->session, &spec, cc->stdio, &command_ops, cc,
				   &cc->command);
}

static void add_command(struct control_command *cc)
{
	struct control *ctl = cc->control;

	cc->next = ctl->commands;
	ctl->commands = cc;
	ctl->n_commands++;
}

static void refuse_start(const struct control_request *req, int r)
{
	if (r == -E2BIG)
		control_refuse(req->client, req->id, CONTROL_E_TOO_LARGE, E2BIG,
			       "arguments and environment are too large");
	else if (r == -EAGAIN)
		control_refuse(req->client, req->id, CONTROL_E_BUSY, 0,
			       "there are %d commands already", CONTROL_MAX_COMMANDS);
	else if (r == -ENOTCONN)
		control_refuse(req->client, req->id, CONTROL_E_STOPPING, 0,
			       "the sandbox is about to end");
	else
		control_refuse(req->client, req->id, CONTROL_E_FAILED, -r, "%s", strerror(-r));
}

void control_exec(struct control *ctl, struct control_request *req)
{
	struct exec_request e = {.argv = NULL};
	struct control_command *cc = NULL;
	const char *wrong = parse(req, &e);
	int r = 0;

	if (wrong) {
		control_refuse(req->client, req->id, CONTROL_E_BAD_REQUEST, 0, "%s", wrong);
		exec_request_fini(&e);
		return;
	}
	if (ctl->state == CONTROL_STOPPING)
		r = -ENOTCONN;
	else if (!(cc = calloc(1, sizeof(*cc))))
		r = -ENOMEM;
	if (r == 0) {
		*cc = (struct control_command){
			.control = ctl,
			.client = req->client,
			.argv = json_incref(json_object_get(req->body, "argv")),
			.request_id = req->id,
			.detached = e.detach,
			.tty = e.tty,
			.stdio = {-1, -1, -1},
			.job = req->n_fds == 4 ? steal_fd(&req->fds[3]) : 0,
		};
		r = start(cc, req, &e);
	}
	if (r == 0) {
		add_command(cc);
	} else {
		if (cc)
			command_drop(cc);
		refuse_start(req, r);
	}
	exec_request_fini(&e);
}

static json_t *list_strings(char *const *strings)
{
	json_t *list = json_array();

	for (; list && *strings; strings++)
		(void)json_array_append_new(list, control_bytes_new(*strings));
	return list;
}

int control_exec_own(struct control *ctl, const struct control_own *own)
{
	const struct exec_request e = {.argv = own->argv, .env = own->env, .user = own->run_as};
	struct control_request no_descriptors = {.client = NULL};
	struct control_command *cc = calloc(1, sizeof(*cc));
	int r;

	if (!cc)
		return -ENOMEM;
	*cc = (struct control_command){
		.control = ctl,
		.own_ended = own->ended,
		.stop_signal = own->stop_signal,
		.argv = list_strings(own->argv),
		.detached = true,
		.stdio = {-1, -1, -1},
	};
	r = cc->argv ? start(cc, &no_descriptors, &e) : -ENOMEM;
	if (r < 0) {
		command_drop(cc);
		return r;
	}
	add_command(cc);
	return 0;
}

struct command *control_find(const struct control *ctl, uint32_t number)
{
	if (ctl->main && command_id(ctl->main) == number)
		return ctl->main;
	for (struct control_command *cc = ctl->commands; cc; cc = cc->next)
		if (command_id(cc->command) == number)
			return cc->command;
	return NULL;
}

json_t *control_list(const struct control *ctl)
{
	json_t *list = json_array();

	for (struct control_command *cc = ctl->commands; cc; cc = cc->next)
		if (command_state(cc->command) == COMMAND_STARTED)
			(void)json_array_append_new(
				list,
				json_pack("{s:I, s:O, s:I, s:b, s:b}", "command",
					  (json_int_t)command_id(cc->command), "argv", cc->argv,
					  "pid", (json_int_t)command_pid(cc->command), "detached",
					  (int)cc->detached, "tty", (int)cc->tty));
	return list;
}

void control_forget_client(struct control *ctl, const struct control_client *client)
{
	for (struct control_command *cc = ctl->commands; cc; cc = cc->next) {
		if (cc->client != client)
			continue;
		cc->client = NULL;
		if (!cc->detached)
			command_signal(cc->command, SIGHUP);
	}
}

void control_forget_commands(struct control *ctl)
{
	while (ctl->commands)
		command_drop(ctl->commands);
}

unsigned int control_signal_all(struct control *ctl, int signo)
{
	for (struct control_command *cc = ctl->commands; cc; cc = cc->next)
		command_signal(cc->command,
			       signo == SIGTERM && cc->stop_signal ? cc->stop_signal : signo);
	return ctl->n_commands;
}
