/* SPDX-License-Identifier: MIT */
#include "launcher/control_call.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/log.h"
#include "library/client/rundir.h"

const char *json_text(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	return text ? text : "";
}

bool control_tell_foreign(const char *top, int error)
{
	if (!top || (error != -EPERM && error != -EACCES && error != -ENOTDIR && error != -ELOOP))
		return false;
	log_error("%s is not this user's alone, so no sandbox is looked for there; set "
		  "XDG_RUNTIME_DIR to a directory that is yours alone",
		  top);
	return true;
}

int control_open(const char *name, struct client **out)
{
	AUTO_FREE char *top = rundir_top();
	AUTO_CLOSE int dir_fd = top ? rundir_open(top, name) : -ENOMEM;
	int r = dir_fd < 0 ? dir_fd : client_new(dir_fd, out);

	switch (r) {
	case 0:
		break;
	case -ENOENT:
	case -ECONNREFUSED:
	case -EPIPE:
		log_error(
			"no sandbox named '%s' is running; `sandcastle list` shows those that are",
			name);
		break;
	case -EPROTONOSUPPORT:
		log_error("the sandbox '%s' was started by another version of Sandcastle; "
			  "stop it with that, or by its process",
			  name);
		break;
	default:
		if (!control_tell_foreign(top, r))
			log_error("cannot reach the sandbox '%s': %s", name, strerror(-r));
		break;
	}
	return r;
}

int control_ask(struct client *c, json_t *request, json_t **reply)
{
	return control_ask_with(c, request, NULL, 0, reply);
}

int control_ask_with(struct client *c, json_t *request, const int *fds, size_t n_fds,
		     json_t **reply)
{
	json_t *answer = NULL;
	int r = client_call(c, request, fds, n_fds, &answer);

	if (r == 0) {
		*reply = answer;
		return 0;
	}
	if (r == -EREMOTEIO)
		log_error("%s: %s", client_name(c), json_text(answer, "message"));
	else if (r == -EPIPE)
		log_error("the sandbox '%s' has ended", client_name(c));
	else
		log_error("cannot speak with the sandbox '%s': %s", client_name(c), strerror(-r));
	json_decref(answer);
	return r;
}

int control_names(char ***names)
{
	AUTO_FREE char *top = rundir_top();
	int r = top ? rundir_list(top, names) : -ENOMEM;

	if (r < 0 && !control_tell_foreign(top, r))
		log_error("cannot look into %s: %s", top ? top : "memory", strerror(-r));
	return r;
}

void control_await_end(struct client *c, char *reason, char *message, size_t size)
{
	json_t *m;

	reason[0] = message[0] = '\0';
	while (client_receive(c, -1, &m) == 0) {
		if (strcmp(json_text(m, "event"), "ended") == 0) {
			snprintf(reason, size, "%s", json_text(m, "reason"));
			snprintf(message, size, "%s", json_text(m, "message"));
		}
		json_decref(m);
	}
}
