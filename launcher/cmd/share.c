/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/log.h"
#include "common/mounts.h"
#include "launcher/commands.h"
#include "launcher/config/map.h"
#include "launcher/config/run_options.h"
#include "launcher/control_call.h"
#include "launcher/options.h"

struct share {
	struct call call;
	bool remove;
};

static const struct option_row options[] = {
	{"remove", 'r', NULL, option_flag, offsetof(struct share, remove), 0,
	 "take the share at GUEST back"},
	{0},
};

static int add(struct client *c, const struct config_map *map)
{
	AUTO_CLOSE int mount = -1;
	json_t *request;
	json_t *reply = NULL;
	int r;

	if (map->discard) {
		log_error("`discard` is for folders that a sandbox is started with; write "
			  "`--map %s:discard` there",
			  map->host);
		return -EINVAL;
	}
	request = json_pack("{s:s, s:o, s:o, s:b}", "op", "share", "host",
			    control_bytes_new(map->host), "guest", control_bytes_new(map->guest),
			    "write", (int)map->writable);
	/* Where none can be made the sandbox says what that means for it. */
	if (mount_detach_elsewhere(map->fd, map->writable, &mount) < 0)
		mount = -1;
	r = control_ask_with(c, request, mount >= 0 ? &mount : &map->fd, 1, &reply);

	json_decref(reply);
	return r;
}

/* True if the i-th share's path in the guest is that. */
static bool is_at(const json_t *share, const char *path)
{
	AUTO_FREE char *guest = NULL;

	return path && control_bytes_get(json_object_get(share, "guest"), &guest) == 0 &&
	       strcmp(guest, path) == 0;
}

/*
 * The share that is meant by `text`: the one at that path, or at the path of the host
 * that it leads to here, as both may have been written when it was added. Borrowed.
 */
static const json_t *find(const json_t *info, const struct map_base *base, const char *text)
{
	const json_t *shares = json_object_get(info, "shares"), *found = NULL;
	AUTO_FREE char *path = NULL;
	AUTO_FREE char *real = NULL;

	if (path_expand(base, text, strlen(text), &path) < 0)
		return NULL;
	real = realpath(path, NULL);
	if (!path_normalise(path))
		path[0] = '\0';
	for (size_t i = 0; i < json_array_size(shares); i++) {
		const json_t *share = json_array_get(shares, i);

		if (is_at(share, path) || (!found && is_at(share, real)))
			found = share;
	}
	if (!found)
		log_error("nothing is shared at %s; `sandcastle list --json` shows what is", text);
	return found;
}

static int remove_share(struct client *c, const struct map_base *base, const char *text)
{
	json_t *info = NULL, *reply = NULL;
	const json_t *share;
	int r = control_ask(c, json_pack("{s:s}", "op", "info"), &info);

	share = r == 0 ? find(info, base, text) : NULL;
	if (r == 0 && !share)
		r = -ENOENT;
	if (r == 0)
		r = control_ask(c,
				json_pack("{s:s, s:O}", "op", "unshare", "guest",
					  json_object_get(share, "guest")),
				&reply);
	if (r == 0 && json_text(reply, "warning")[0])
		log_warn("%s", json_text(reply, "warning"));
	json_decref(reply);
	json_decref(info);
	return r;
}

static int run(struct call *call)
{
	const struct share *s = CONTAINER_OF(call, struct share, call);
	const char *name = call->argv[0], *text = call->argv[1];
	AUTO_FREE char *cwd = getcwd(NULL, 0);
	struct run_host host;
	struct sandbox_config cfg;
	struct map_base base;
	struct client *c = NULL;
	int r = cwd ? 0 : -errno;

	if (r < 0)
		log_error("cannot tell where this is: %s", strerror(-r));
	sandbox_config_init(&cfg);
	run_host_describe(&host, cwd);
	base = (struct map_base){.cwd = cwd, .home = host.user.home};
	if (r == 0 && !s->remove)
		r = map_add(&cfg, &base, text);
	if (r == 0)
		r = control_open(name, &c);
	if (r == 0)
		r = s->remove ? remove_share(c, &base, text) : add(c, &cfg.maps[0]);
	client_free(c);
	sandbox_config_fini(&cfg);
	return r < 0 ? EXIT_SANDCASTLE_FAILED : 0;
}

const struct command cmd_share = {
	.name = "share",
	.brief = "show a folder of the host in one of them, or take it back",
	.usage = "[OPTIONS] NAME HOST[:GUEST][:ro|rw]\n--remove NAME GUEST",
	.about = "Shows the folder or file HOST in the running sandbox NAME, at GUEST or at the\n"
		 "same path. It is read-only unless rw is written, and the host sees to that.\n"
		 "Commands that run already see it, too.\n"
		 "\n"
		 "  sandcastle share quiet-dune ~/Downloads/case-7\n"
		 "  sandcastle share quiet-dune ./results:/srv/results:rw\n"
		 "  sandcastle share --remove quiet-dune /srv/results\n"
		 "\n"
		 "--remove takes back what was shared so, or mapped at the start, also while\n"
		 "programs in the sandbox use it: they get errors from then on. What they changed\n"
		 "below it is written to the host first.\n",
	.options = options,
	.min = 2,
	.max = 2,
	.wants = "takes a sandbox and a path; write `sandcastle share NAME "
		 "HOST[:GUEST][:rw]` or `sandcastle share --remove NAME GUEST`",
	.size = sizeof(struct share),
	.run = run,
};
