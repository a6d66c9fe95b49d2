/* SPDX-License-Identifier: MIT */
#include "balloon/pressure.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>

#define MIB (1ull << 20)

/*
 * Some task stalled for 0.1 s in all of the last 2 s. Everyone may have windows
 * of whole multiples of 2 s, if anyone may.
 */
static const char trigger[] = "some 100000 2000000";

#define RESERVE_MIN (32 * MIB)
#define RESERVE_MAX (1024 * MIB)
#define OWN_MEMORY  (32 * MIB)

/* The file from its beginning, NUL-terminated; also one that is longer than the buffer. */
static int read_all(int fd, char *buf, size_t size)
{
	ssize_t n = pread(fd, buf, size - 1, 0);

	if (n < 0)
		return -errno;
	buf[n] = '\0';
	return 0;
}

/* The number behind `key` at the start of a line; 0 if there is none. */
static uint64_t value_of(const char *text, const char *key)
{
	size_t len = strlen(key);

	for (const char *line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, key, len) == 0)
			return strtoull(line + len, NULL, 10);
	}
	return 0;
}

static int open_trigger(const char *root, const char *path)
{
	char full[512];
	AUTO_CLOSE int fd = -1;

	if (snprintf(full, sizeof(full), "%s%s", root, path) >= (int)sizeof(full))
		return -ENAMETOOLONG;
	fd = open(full, O_RDWR | O_CLOEXEC | O_NONBLOCK);
	/* The terminating NUL is part of what the kernel reads. */
	if (fd < 0 || write(fd, trigger, sizeof(trigger)) != (ssize_t)sizeof(trigger))
		return -errno;
	return steal_fd(&fd);
}

static void add_trigger(struct pressure *p, const char *root, const char *path)
{
	int fd = open_trigger(root, path);

	if (fd >= 0)
		p->triggers[p->n_triggers++] = fd;
}

static int limits_met(int events_fd, uint64_t *out)
{
	char text[512];
	int r = read_all(events_fd, text, sizeof(text));

	if (r == 0)
		*out = value_of(text, "high ") + value_of(text, "max ") + value_of(text, "oom ");
	return r;
}

static const char *const file_names[] = {
	[PRESSURE_EVENTS] = "memory.events", [PRESSURE_HIGH] = "memory.high",
	[PRESSURE_MAX] = "memory.max",	     [PRESSURE_CURRENT] = "memory.current",
	[PRESSURE_STAT] = "memory.stat",
};

static void close_group(struct pressure_group *g)
{
	for (unsigned int i = 0; i < PRESSURE_N_FILES; i++)
		if (g->fds[i] >= 0)
			close(g->fds[i]);
}

/* -errno if it has no memory.events that can be read. Every file is read once. */
static int open_group(const char *path, struct pressure_group *g)
{
	AUTO_CLOSE int dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	char text[16];
	int r;

	for (unsigned int i = 0; i < PRESSURE_N_FILES; i++) {
		g->fds[i] = dir < 0 ? -1
				    : openat(dir, file_names[i], O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
		if (g->fds[i] >= 0)
			(void)!read_all(g->fds[i], text, sizeof(text));
	}
	r = g->fds[PRESSURE_EVENTS] < 0 ? -ENOENT : limits_met(g->fds[PRESSURE_EVENTS], &g->events);
	if (r < 0)
		close_group(g);
	return r;
}

static void watch_limit(struct pressure *p, const char *group, const char *name)
{
	char path[512];

	if (snprintf(path, sizeof(path), "%s/%s", group, name) < (int)sizeof(path))
		(void)inotify_add_watch(p->changes_fd, path, IN_MODIFY);
}

/* A group without the memory controller has no such file, and is left out. */
static void add_group(struct pressure *p, const char *path)
{
	if (open_group(path, &p->groups[p->n_groups]) < 0)
		return;
	p->n_groups++;
	if (p->changes_fd < 0)
		p->changes_fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	watch_limit(p, path, "memory.high");
	watch_limit(p, path, "memory.max");
}

/* Our own cgroup, "/path", in `text`; NULL: none of version 2. */
static char *own_group(const char *root, char *text, size_t size)
{
	char path[512], *name;
	AUTO_CLOSE int fd = -1;

	if (snprintf(path, sizeof(path), "%s/proc/self/cgroup", root) >= (int)sizeof(path))
		return NULL;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || read_all(fd, text, size) < 0)
		return NULL;
	/* Version 2 is the line "0::/path". */
	name = strncmp(text, "0::/", 4) == 0 ? text + 3 : strstr(text, "\n0::/");
	if (!name)
		return NULL;
	name += *name == '\n' ? 4 : 0;
	name[strcspn(name, "\n")] = '\0';
	return name;
}

/* The group `name` and all above it; what looks like the root may be a container's. */
static void add_groups(struct pressure *p, const char *root, char *name)
{
	char path[512], *slash;

	for (;;) {
		if (snprintf(path, sizeof(path), "%s/sys/fs/cgroup%s", root, name) <
		    (int)sizeof(path))
			add_group(p, path);
		if (name[1] == '\0' || p->n_groups == PRESSURE_MAX_GROUPS)
			break;
		slash = strrchr(name, '/');
		slash[slash == name] = '\0';
	}
}

int pressure_init(struct pressure *p, const char *root)
{
	char path[512], text[400], *group;

	*p = (struct pressure){.meminfo_fd = -1, .changes_fd = -1};
	if (snprintf(path, sizeof(path), "%s/proc/meminfo", root) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	p->meminfo_fd = open(path, O_RDONLY | O_CLOEXEC);
	if (p->meminfo_fd < 0)
		return -errno;
	add_trigger(p, root, "/proc/pressure/memory");
	group = own_group(root, text, sizeof(text));
	if (group && snprintf(path, sizeof(path), "/sys/fs/cgroup%s/memory.pressure", group) <
			     (int)sizeof(path))
		add_trigger(p, root, path);
	if (group)
		add_groups(p, root, group);
	return 0;
}

void pressure_fini(struct pressure *p)
{
	while (p->n_groups > 0)
		close_group(&p->groups[--p->n_groups]);
	while (p->n_triggers > 0)
		close(p->triggers[--p->n_triggers]);
	if (p->changes_fd >= 0)
		close(p->changes_fd);
	p->changes_fd = -1;
	if (p->meminfo_fd >= 0)
		close(p->meminfo_fd);
	p->meminfo_fd = -1;
}

static uint64_t reserve_of(uint64_t total)
{
	uint64_t reserve = min_u64(total / 16, RESERVE_MAX);

	return reserve > RESERVE_MIN ? reserve : RESERVE_MIN;
}

static int sample_host(const struct pressure *p, struct pressure_sample *out)
{
	char text[1024];
	int r = read_all(p->meminfo_fd, text, sizeof(text));

	if (r < 0)
		return r;
	out->total = value_of(text, "MemTotal:") << 10;
	out->available = value_of(text, "MemAvailable:") << 10;
	out->reserve = reserve_of(out->total);
	return out->total > 0 ? 0 : -EINVAL;
}

/* "max" and a file that is not there or cannot be read are no limit. */
static uint64_t limit_of(const struct pressure_group *g, enum pressure_file file)
{
	char text[32];

	if (g->fds[file] < 0 || read_all(g->fds[file], text, sizeof(text)) < 0 || text[0] < '0' ||
	    text[0] > '9')
		return UINT64_MAX;
	return strtoull(text, NULL, 10);
}

/* False: the group sets no limit. */
static bool sample_group(const struct pressure_group *g, struct pressure_sample *out)
{
	uint64_t limit = min_u64(limit_of(g, PRESSURE_MAX), limit_of(g, PRESSURE_HIGH));
	uint64_t used = limit_of(g, PRESSURE_CURRENT);
	uint64_t files = 0;
	char text[4096];

	if (limit == UINT64_MAX || used == UINT64_MAX)
		return false;
	/* Page cache charged to the group goes before anybody has to wait. */
	if (g->fds[PRESSURE_STAT] >= 0 && read_all(g->fds[PRESSURE_STAT], text, sizeof(text)) == 0)
		files = value_of(text, "inactive_file ") + value_of(text, "active_file ");
	used -= min_u64(used, files);
	out->total = limit;
	out->available = limit > used ? limit - used : 0;
	out->reserve = reserve_of(limit);
	return true;
}

/* Compares available / reserve. */
static bool tighter(const struct pressure_sample *a, const struct pressure_sample *b)
{
	return (a->available / MIB) * (b->reserve / MIB) <
	       (b->available / MIB) * (a->reserve / MIB);
}

int pressure_sample(const struct pressure *p, struct pressure_sample *out)
{
	struct pressure_sample tightest, s;
	int r = sample_host(p, &tightest);

	if (r < 0)
		return r;
	for (unsigned int i = 0; i < p->n_groups; i++)
		if (sample_group(&p->groups[i], &s) && tighter(&s, &tightest))
			tightest = s;
	*out = tightest;
	return 0;
}

uint64_t pressure_ram_limit(const char *root)
{
	struct pressure p = {.meminfo_fd = -1, .changes_fd = -1};
	uint64_t limit = UINT64_MAX;
	char text[400], *group = own_group(root, text, sizeof(text));

	if (group)
		add_groups(&p, root, group);
	for (unsigned int i = 0; i < p.n_groups; i++)
		limit = min_u64(limit, limit_of(&p.groups[i], PRESSURE_MAX));
	pressure_fini(&p);
	if (limit == UINT64_MAX)
		return limit;
	/* Ourselves, and the page tables of host and KVM. */
	return limit > OWN_MEMORY ? (limit - OWN_MEMORY) / 64 * 63 : 0;
}

int pressure_group_met_limit(struct pressure *p, unsigned int group)
{
	struct pressure_group *g = &p->groups[group];
	uint64_t before = g->events;
	int r = limits_met(g->fds[PRESSURE_EVENTS], &g->events);

	return r < 0 ? r : g->events > before;
}

void pressure_limits_changed(struct pressure *p)
{
	char events[1024];

	while (read(p->changes_fd, events, sizeof(events)) > 0)
		;
}
