/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "common/control_bytes.h"
#include "common/mounts.h"
#include "vmm/config/config.h"
#include "vmm/config/map_rules.h"
#include "vmm/confine/confine.h"
#include "vmm/control/control_priv.h"
#include "vmm/session/shares.h"

/* What the guest's kernel takes for a path. */
static bool is_path(const char *path)
{
	if (path[0] != '/' || strlen(path) >= PATH_MAX)
		return false;
	for (const char *p = path; *p; p += strcspn(p, "/"))
		if (strcspn(++p, "/") > NAME_MAX)
			return false;
	return true;
}

/* A member that is an absolute path, malloc'ed and normalised; NULL: it is not one. */
static char *get_path(const struct control_request *req, const char *key)
{
	char *path = NULL;

	if (control_bytes_get(json_object_get(req->body, key), &path) == 0 && is_path(path) &&
	    path_normalise(path))
		return path;
	free(path);
	return NULL;
}

/* NULL, or what is wrong. *map is to be fini'ed in both cases. */
static const char *parse(struct control_request *req, struct config_map *map)
{
	const json_t *write = json_object_get(req->body, "write");
	struct stat st;

	map->host = get_path(req, "host");
	map->guest = get_path(req, "guest");
	if (!map->host || !map->guest)
		return "host and guest: absolute paths without '..' are needed";
	if (write && !json_is_boolean(write))
		return "write: true or false";
	map->writable = json_is_true(write);
	if (req->n_fds != 1)
		return "one descriptor is needed, of what is to be shared";
	map->fd = steal_fd(&req->fds[0]);
	/* One that could be read or written would be more than is asked for. */
	if (!(fcntl(map->fd, F_GETFL) & O_PATH) || fstat(map->fd, &st) < 0 ||
	    (!S_ISDIR(st.st_mode) && !S_ISREG(st.st_mode)))
		return "the descriptor has to be one of O_PATH, of a folder or a file";
	map->is_file = S_ISREG(st.st_mode);
	return NULL;
}

static const char *error_name(int error)
{
	switch (error) {
	case -EEXIST:
	case -EPERM:
		return CONTROL_E_TAKEN;
	case -EAGAIN:
	case -EBUSY:
	case -E2BIG:
		return CONTROL_E_BUSY;
	case -ENOENT:
		return CONTROL_E_NO_SHARE;
	default:
		return CONTROL_E_FAILED;
	}
}

/* True after a refusal. */
static bool is_stopping(const struct control *ctl, const struct control_request *req)
{
	if (ctl->state == CONTROL_STOPPING)
		control_refuse(req->client, req->id, CONTROL_E_STOPPING, 0,
			       "the sandbox is about to end");
	return ctl->state == CONTROL_STOPPING;
}

/* NULL, or why a folder that came cannot be shown without giving the process more than that. */
static const char *check_mount(const struct control *ctl, const struct config_map *map)
{
	const struct confinement *c = ctl->setup.confinement;

	if (c->mounts && mount_check(map->fd, map->writable) < 0)
		return "a folder is shared as a mount of its own, which whoever asked could not "
		       "make: users may make no namespaces there, or it is a client of an older "
		       "version";
	if (!c->mounts && c->landlock)
		return "the sandbox is confined by Landlock, to what it was started with: start it "
		       "with --map, or on a host that lets users make namespaces "
		       "(docs/confinement.md)";
	return NULL;
}

void control_share(struct control *ctl, struct control_request *req)
{
	struct config_map map = {.fd = -1};
	char why[MAP_WHY_MAX];
	const char *wrong = parse(req, &map);
	int r;

	if (wrong || is_stopping(ctl, req)) {
		config_map_fini(&map);
		if (wrong)
			control_refuse(req->client, req->id, CONTROL_E_BAD_REQUEST, 0, "%s", wrong);
		return;
	}
	wrong = check_mount(ctl, &map);
	if (wrong) {
		config_map_fini(&map);
		control_refuse(req->client, req->id, CONTROL_E_FAILED, 0, "%s", wrong);
		return;
	}
	r = shares_add(ctl->setup.shares, &map, req->client, req->id, why);
	if (r < 0)
		control_refuse(req->client, req->id, error_name(r), 0, "%s", why);
}

void control_unshare(struct control *ctl, struct control_request *req)
{
	AUTO_FREE char *guest = get_path(req, "guest");
	char why[MAP_WHY_MAX];
	int r;

	if (!guest) {
		control_refuse(req->client, req->id, CONTROL_E_BAD_REQUEST, 0,
			       "guest: an absolute path without '..' is needed");
		return;
	}
	if (is_stopping(ctl, req))
		return;
	r = shares_remove(ctl->setup.shares, guest, req->client, req->id, why);
	if (r < 0)
		control_refuse(req->client, req->id, error_name(r), 0, "%s", why);
}

void control_shared(void *asker, int64_t id, int error, const char *text)
{
	struct control_client *client = asker;

	if (error < 0)
		control_refuse(client, id, CONTROL_E_FAILED, -error, "%s", text);
	else
		control_reply(client, id, text[0] ? json_pack("{s:s}", "warning", text) : NULL);
}

json_t *control_list_shares(const struct control *ctl)
{
	json_t *list = json_array();
	const struct config_map *map;

	for (size_t i = 0; (map = shares_get(ctl->setup.shares, i)) != NULL; i++)
		(void)json_array_append_new(list, json_pack("{s:o, s:o, s:b}", "host",
							    control_bytes_new(map->host), "guest",
							    control_bytes_new(map->guest), "write",
							    (int)map->writable));
	return list;
}
