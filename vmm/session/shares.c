/* SPDX-License-Identifier: MIT */
#include "vmm/session/shares.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/loop.h"
#include "devices/fs/fs.h"
#include "vmm/config/config.h"
#include "vmm/config/map_rules.h"
#include "vmm/session/session_priv.h"

enum share_state {
	SHARE_EXPORTING, /* the server is told of it */
	SHARE_MOUNTING, /* the guest is */
	SHARE_THERE,
	SHARE_DETACHING, /* the guest is to let go of it */
	SHARE_REVOKING, /* the server is to take it back */
};

struct share {
	struct shares *owner;
	struct share *next;
	struct config_map map; /* fd is -1 once the server has it */
	uint32_t number;
	enum share_state state;

	/* Who asked for what is being done; NULL: nobody waits. */
	void *asker;
	int64_t id;
	int error; /* what to tell: adding it failed */
	char text[256];

	struct exchange guest; /* MAP or UNMAP, and the answer */
	bool said, answered;
	int answer; /* 0, or a negative errno */
	char answer_text[AGENT_TEXT_MAX];
	uint64_t deadline_ms; /* for the guest's answer; 0: none is due */
	struct loop_task task; /* to the server's loop and back */
	int result; /* that it brings */
};

struct shares {
	struct shares_setup setup;
	struct share *list; /* oldest first */
	uint32_t next_number;
	struct loop_timer timer;
	struct map_owns owns; /* as they were at the start */
};

static void share_free(struct share *s)
{
	config_map_fini(&s->map);
	free(s);
}

static void tell(struct share *s)
{
	void *asker = s->asker;

	s->asker = NULL;
	if (asker)
		s->owner->setup.done(asker, s->id, s->error, s->text);
}

/* It is no more. */
static void finish(struct share *s)
{
	struct share **at = &s->owner->list;

	while (*at != s)
		at = &(*at)->next;
	*at = s->next;
	tell(s);
	share_free(s);
}

/* The earliest of the deadlines. */
static void arm(struct shares *sh)
{
	uint64_t first = 0, now = now_ms();

	for (const struct share *s = sh->list; s; s = s->next)
		if (s->deadline_ms && (!first || s->deadline_ms < first))
			first = s->deadline_ms;
	loop_timer_set(&sh->timer, !first ? 0 : first > now ? first - now : 1);
}

static void exports_changed(struct loop_task *task);

/* On the server's thread. */
static void change_exports(struct loop_task *task)
{
	struct share *s = CONTAINER_OF(task, struct share, task);
	const struct shares_files *files = &s->owner->setup.files;
	char name[24];
	struct fs_export_config export = {
		.name = name,
		.fd = s->map.fd,
		.writable = s->map.writable,
		.cache = FS_CACHE_SHORT,
	};

	snprintf(name, sizeof(name), "map%u", s->number);
	pthread_mutex_lock(files->lock);
	if (s->state == SHARE_EXPORTING) {
		s->map.fd = -1;
		s->result = fs_server_add_export(files->server, &export);
	} else {
		s->result = fs_server_remove_export(files->server, name);
	}
	pthread_mutex_unlock(files->lock);
	s->task.fn = exports_changed;
	loop_post(s->owner->setup.loop, &s->task);
}

static void tell_server(struct share *s, enum share_state state)
{
	const uint64_t limit = s->owner->setup.server_limit_ms;

	s->state = state;
	s->deadline_ms = limit ? now_ms() + limit : 0;
	arm(s->owner);
	s->task.fn = change_exports;
	loop_post(s->owner->setup.files.loop, &s->task);
}

/* The guest has done as it was told, or has not, or will not. */
static void guest_done(struct share *s, int error, const char *text)
{
	session_remove(&s->guest);
	s->deadline_ms = 0;
	arm(s->owner);
	snprintf(s->text, sizeof(s->text), "%s", text);
	if (s->state == SHARE_MOUNTING && error == 0) {
		s->state = SHARE_THERE;
		tell(s);
	} else if (s->state == SHARE_MOUNTING) {
		s->error = error;
		tell_server(s, SHARE_REVOKING);
	} else if (s->map.writable) {
		tell_server(s, SHARE_REVOKING);
	} else {
		finish(s);
	}
}

static void take_answer(struct share *s, int error, const char *text)
{
	s->answered = true;
	s->answer = error;
	snprintf(s->answer_text, sizeof(s->answer_text), "%s", text);
	session_notify(s->guest.session);
}

static bool compose(struct exchange *x, struct agent_buffer *buf)
{
	struct share *s = CONTAINER_OF(x, struct share, guest);
	int r;

	if (s->said)
		return false;
	s->said = true;
	r = agent_wire_map(buf, &s->map, s->number, s->state == SHARE_DETACHING, x->id);
	if (r < 0)
		take_answer(s, r, "cannot tell the guest of it");
	return r == 0;
}

static bool hear(struct exchange *x, const struct agent_message *m)
{
	struct share *s = CONTAINER_OF(x, struct share, guest);

	if (!s->said || s->answered || (m->type != SC_MSG_MAP_DONE && m->type != SC_MSG_MAP_FAILED))
		return false;
	take_answer(s, -m->error, m->text);
	return true;
}

static void lose(struct exchange *x, bool failed, const char *why)
{
	(void)failed;
	(void)why;
	take_answer(CONTAINER_OF(x, struct share, guest), -ENOTCONN, "the guest is gone");
}

static bool deliver(struct exchange *x)
{
	struct share *s = CONTAINER_OF(x, struct share, guest);

	if (!s->answered)
		return false;
	guest_done(s, s->answer, s->answer_text);
	return true;
}

static void tell_guest(struct share *s, enum share_state state)
{
	static const struct exchange_ops ops = {
		.compose = compose,
		.heard = hear,
		.lost = lose,
		.deliver = deliver,
	};
	const struct shares_setup *setup = &s->owner->setup;
	int r = -ENOTCONN;

	s->state = state;
	s->guest = (struct exchange){.ops = &ops};
	s->said = s->answered = false;
	s->deadline_ms = now_ms() + (state == SHARE_DETACHING ? setup->detach_limit_ms
							      : setup->mount_limit_ms);
	arm(s->owner);
	if (session_state(setup->session) == SESSION_READY)
		r = session_add(setup->session, &s->guest);
	if (r < 0)
		guest_done(s, r, "the guest is gone");
	else
		session_speak(setup->session);
}

static void exports_changed(struct loop_task *task)
{
	struct share *s = CONTAINER_OF(task, struct share, task);

	s->deadline_ms = 0;
	if (s->state == SHARE_EXPORTING && s->result == 0 && s->error) {
		tell_server(s, SHARE_REVOKING);
	} else if (s->state == SHARE_EXPORTING && s->result == 0) {
		tell_guest(s, SHARE_MOUNTING);
	} else if (s->state == SHARE_EXPORTING) {
		s->error = s->result;
		snprintf(s->text, sizeof(s->text), "cannot share it: %s", strerror(-s->result));
		finish(s);
	} else if (s->result < 0) {
		s->error = s->result;
		snprintf(s->text, sizeof(s->text),
			 "the guest still sees it: the host has no mapping left to cover it with; "
			 "raise vm.max_map_count, or stop the sandbox");
		s->state = SHARE_THERE;
		tell(s);
		s->error = 0;
	} else if (s->error || s->map.writable) {
		finish(s);
	} else {
		tell_guest(s, SHARE_DETACHING);
	}
}

/*
 * The server's thread is in a file system of the host's that does not answer. Who asked
 * is told; the server's task stays, and is the first that it does when it is back.
 */
static void server_is_late(struct share *s)
{
	const int error = s->error;

	s->deadline_ms = 0;
	s->error = -ETIMEDOUT;
	if (s->state == SHARE_EXPORTING) {
		snprintf(s->text, sizeof(s->text),
			 "cannot share it: a file system that is shared does not answer");
		tell(s);
		return;
	}
	snprintf(s->text, sizeof(s->text),
		 "a file system that is shared does not answer; the share is gone as soon as it "
		 "does, and until then the guest sees of it what it has mapped");
	tell(s);
	s->error = error;
}

static struct share *overdue(const struct shares *sh)
{
	const uint64_t now = now_ms();
	struct share *s = sh->list;

	while (s && (!s->deadline_ms || s->deadline_ms > now))
		s = s->next;
	return s;
}

static void timer_fired(struct loop_timer *timer)
{
	struct shares *sh = CONTAINER_OF(timer, struct shares, timer);
	struct share *s;

	while ((s = overdue(sh)) != NULL) {
		if (s->state == SHARE_EXPORTING || s->state == SHARE_REVOKING) {
			server_is_late(s);
			continue;
		}
		guest_done(s, -ETIMEDOUT,
			   s->state == SHARE_MOUNTING || !s->map.writable
				   ? "the guest did not answer in time"
				   : "the guest did not answer in time; pages it wrote "
				     "through mmap may be lost");
	}
	arm(sh);
}

/* A share that is in no list yet; NULL without memory. Takes *map over, also on failure. */
static struct share *share_new(struct shares *sh, struct config_map *map)
{
	struct share *s = calloc(1, sizeof(*s));

	if (s) {
		*s = (struct share){.owner = sh, .map = *map, .number = sh->next_number++};
		*map = (struct config_map){.fd = -1};
	}
	config_map_fini(map);
	return s;
}

static void append(struct shares *sh, struct share *s)
{
	struct share **end = &sh->list;

	while (*end)
		end = &(*end)->next;
	*end = s;
}

static int take_first_maps(struct shares *sh)
{
	const struct sandbox_config *cfg = sh->setup.config;

	for (size_t i = 0; i < cfg->n_maps; i++) {
		struct config_map copy = cfg->maps[i];
		struct share *s;

		copy.fd = -1;
		copy.host = strdup(copy.host);
		copy.guest = strdup(copy.guest);
		if (!copy.host || !copy.guest) {
			config_map_fini(&copy);
			return -ENOMEM;
		}
		s = share_new(sh, &copy);
		if (!s)
			return -ENOMEM;
		s->state = SHARE_THERE;
		append(sh, s);
	}
	return 0;
}

int shares_new(const struct shares_setup *setup, struct shares **out)
{
	struct shares *sh = calloc(1, sizeof(*sh));
	int r;

	if (!sh)
		return -ENOMEM;
	sh->setup = *setup;
	r = loop_timer_init(&sh->timer, setup->loop, timer_fired, "shares");
	if (r == 0)
		r = map_owns_init(&sh->owns);
	if (r == 0)
		r = take_first_maps(sh);
	if (r < 0) {
		shares_free(sh);
		return r;
	}
	*out = sh;
	return 0;
}

void shares_free(struct shares *sh)
{
	if (!sh)
		return;
	while (sh->list) {
		struct share *next = sh->list->next;

		share_free(sh->list);
		sh->list = next;
	}
	loop_timer_fini(&sh->timer);
	map_owns_fini(&sh->owns);
	free(sh);
}

/* 0 if the new map fits beside those that are there. */
static int check_place(const struct shares *sh, const struct config_map *map, char *why)
{
	size_t n = 0;
	int r;

	if (session_state(sh->setup.session) != SESSION_READY) {
		snprintf(why, MAP_WHY_MAX, "the sandbox is not ready yet; try again in a moment");
		return -EAGAIN;
	}
	if (guest_path_is_reserved(map->guest)) {
		snprintf(why, MAP_WHY_MAX,
			 "the system in the sandbox needs %s; choose another place", map->guest);
		return -EPERM;
	}
	r = map_check_host(map, &sh->owns, why, MAP_WHY_MAX);
	if (r < 0)
		return r;
	for (const struct share *s = sh->list; s; s = s->next, n++) {
		r = 0;

		if (path_is_below(map->guest, s->map.guest)) {
			r = map_check_pair(&s->map, map, why, MAP_WHY_MAX);
		} else if (path_is_below(s->map.guest, map->guest)) {
			snprintf(why, MAP_WHY_MAX,
				 "it would hide the share at %s; remove that first, or choose "
				 "another place",
				 s->map.guest);
			r = -EEXIST;
		}
		if (r < 0)
			return r;
	}
	if (n < CONFIG_MAX_MAPS && sh->next_number < UINT32_MAX)
		return 0;
	snprintf(why, MAP_WHY_MAX, "there are %zu shares; remove one, or share a folder of several",
		 n);
	return -E2BIG;
}

int shares_add(struct shares *sh, struct config_map *map, void *asker, int64_t id, char *why)
{
	int r = check_place(sh, map, why);
	struct share *s;

	if (r < 0) {
		config_map_fini(map);
		return r;
	}
	s = share_new(sh, map);
	if (!s) {
		snprintf(why, MAP_WHY_MAX, "out of memory");
		return -ENOMEM;
	}
	s->asker = asker;
	s->id = id;
	append(sh, s);
	tell_server(s, SHARE_EXPORTING);
	return 0;
}

static struct share *find(const struct shares *sh, const char *guest)
{
	struct share *s = sh->list;

	while (s && strcmp(s->map.guest, guest) != 0)
		s = s->next;
	return s;
}

int shares_remove(struct shares *sh, const char *guest, void *asker, int64_t id, char *why)
{
	struct share *s = find(sh, guest);

	if (!s) {
		snprintf(why, MAP_WHY_MAX, "nothing is shared at %s", guest);
		return -ENOENT;
	}
	if (session_state(sh->setup.session) != SESSION_READY) {
		snprintf(why, MAP_WHY_MAX, "the sandbox is not ready yet; try again in a moment");
		return -EAGAIN;
	}
	for (const struct share *other = sh->list; other; other = other->next) {
		if (other == s || !path_is_below(other->map.guest, guest))
			continue;
		snprintf(why, MAP_WHY_MAX, "the share at %s lies in it; remove that first",
			 other->map.guest);
		return -EBUSY;
	}
	if (s->state != SHARE_THERE) {
		snprintf(why, MAP_WHY_MAX, "the share at %s is being added or removed", guest);
		return -EBUSY;
	}
	s->asker = asker;
	s->id = id;
	if (s->map.writable)
		tell_guest(s, SHARE_DETACHING);
	else
		tell_server(s, SHARE_REVOKING);
	return 0;
}

void shares_forget(struct shares *sh, const void *asker)
{
	for (struct share *s = sh->list; s; s = s->next)
		if (s->asker == asker)
			s->asker = NULL;
}

const struct config_map *shares_get(const struct shares *sh, size_t i)
{
	const struct share *s = sh->list;

	while (s && (s->state < SHARE_THERE || s->error || i-- > 0))
		s = s->next;
	return s ? &s->map : NULL;
}

bool shares_writable(const struct shares *sh)
{
	for (const struct share *s = sh->list; s; s = s->next)
		if (s->map.writable)
			return true;
	return false;
}
