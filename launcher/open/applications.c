/* SPDX-License-Identifier: MIT */
#include "launcher/open/applications.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "launcher/open/mimeapps.h"

enum { FILE_MAX_BYTES = 4 << 20, PARENTS_MAX = 8, DESKTOPS_MAX = 8, DESKTOP_NAME_MAX = 32 };

/* Programs in the order they are tried, and what stands before a command or a folder. */
struct helper {
	const char *words[4];
};

static const struct helper file_managers[] = {
	{{"pcmanfm", "--no-desktop"}},
	{{"thunar"}},
	{{"nemo"}},
	{{"nautilus", "--new-window"}},
	{{"caja", "--no-desktop"}},
	{{"dolphin"}},
	{{"pcmanfm-qt"}},
};

/* Those that stay in the foreground. */
static const struct helper terminals[] = {
	{{"foot"}},
	{{"xfce4-terminal", "--disable-server", "-x"}},
	{{"gnome-terminal", "--wait", "--"}},
	{{"konsole", "-e"}},
	{{"xterm", "-e"}},
};

int app_places_init(struct app_places *p, const char *home, const char *root, char **block)
{
	const char *config = getenv("XDG_CONFIG_HOME"), *data = getenv("XDG_DATA_HOME");
	const char *configs = getenv("XDG_CONFIG_DIRS"), *datas = getenv("XDG_DATA_DIRS");
	const char *desktops = getenv("XDG_CURRENT_DESKTOP");
	int n;

	if (asprintf(block, "%s/.config%c%s/.local/share", home, '\0', home) < 0)
		return -ENOMEM;
	n = (int)strlen(*block) + 1;
	*p = (struct app_places){
		.config_home = config && *config == '/' ? config : *block,
		.config_dirs = configs && *configs ? configs : "/etc/xdg",
		.data_home = data && *data == '/' ? data : *block + n,
		.data_dirs = datas && *datas ? datas : "/usr/local/share:/usr/share",
		.desktops = desktops ? desktops : "",
		.root = root ? root : "",
	};
	return 0;
}

/* The file's bytes, malloc'ed; an empty slice if it cannot be read. */
static struct slice load(const char *path, struct buffer *b)
{
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

	b->len = 0;
	if (fd < 0 || read_whole(fd, FILE_MAX_BYTES, b) < 0)
		b->len = 0;
	return (struct slice){b->data, b->len};
}

/* Cuts the next part off a list with colons. */
static bool next_part(struct slice *list, struct slice *part)
{
	const char *end = list->len ? memchr(list->p, ':', list->len) : NULL;

	if (list->len == 0)
		return false;
	*part = (struct slice){list->p, end ? (size_t)(end - list->p) : list->len};
	slice_skip(list, part->len + (end != NULL));
	return true;
}

/* What is done with a file; false: go on with the next one. */
typedef bool (*file_fn)(struct slice text, void *owner);

/* visit()s `name` in each of the directories, in order, until it returns true. */
static bool visit_dirs(const char *dirs, const char *name, file_fn visit, void *owner)
{
	struct slice list = {dirs, strlen(dirs)}, dir;
	struct buffer b = {.data = NULL};
	bool done = false;

	while (!done && next_part(&list, &dir)) {
		char path[PATH_MAX];
		int n = snprintf(path, sizeof(path), "%.*s/%s", (int)min_u64(dir.len, PATH_MAX),
				 dir.p, name);

		if (dir.len > 0 && *dir.p == '/' && n > 0 && (size_t)n < sizeof(path))
			done = visit(load(path, &b), owner);
	}
	free(b.data);
	return done;
}

struct name_search {
	const char *name;
	struct globs_match best;
};

static bool search_globs(struct slice text, void *owner)
{
	struct name_search *s = owner;

	globs_find(text, s->name, &s->best);
	return false;
}

void app_type(const struct app_places *p, const char *name, char type[MIME_TYPE_MAX])
{
	struct name_search s = {.name = name};

	(void)visit_dirs(p->data_home, "mime/globs2", search_globs, &s);
	(void)visit_dirs(p->data_dirs, "mime/globs2", search_globs, &s);
	memcpy(type, s.best.type, MIME_TYPE_MAX);
}

struct parent_search {
	const char *type;
	char parent[MIME_TYPE_MAX];
};

static bool search_parent(struct slice text, void *owner)
{
	struct parent_search *s = owner;

	return globs_parent(text, s->type, s->parent);
}

/* What the type is a kind of. All text is plain text, without a word of it in any file. */
static bool find_parent(const struct app_places *p, const char *type, char parent[MIME_TYPE_MAX])
{
	struct parent_search s = {.type = type};

	if (!visit_dirs(p->data_home, "mime/subclasses", search_parent, &s) &&
	    !visit_dirs(p->data_dirs, "mime/subclasses", search_parent, &s)) {
		if (strncmp(type, "text/", 5) != 0 || strcmp(type, "text/plain") == 0)
			return false;
		snprintf(s.parent, sizeof(s.parent), "text/plain");
	}
	memcpy(parent, s.parent, MIME_TYPE_MAX);
	return true;
}

struct app_search {
	const char *type;
	enum mimeapps_part part;
	struct apps found, removed;
};

static bool search_apps(struct slice text, void *owner)
{
	struct app_search *s = owner;

	if (s->part == MIMEAPPS_ADDED)
		mimeapps_read(text, MIMEAPPS_REMOVED, s->type, NULL, &s->removed);
	mimeapps_read(text, s->part, s->type, s->part == MIMEAPPS_DEFAULT ? NULL : &s->removed,
		      &s->found);
	return false;
}

/* The file of each of the desktop's names before the one for all. */
static void search_lists(const struct app_places *p, const char *dirs, const char *folder,
			 struct app_search *s)
{
	struct slice list = {p->desktops, strlen(p->desktops)}, desktop;
	char name[sizeof("applications/-mimeapps.list") + DESKTOP_NAME_MAX];

	for (unsigned int i = 0; i < DESKTOPS_MAX && next_part(&list, &desktop); i++) {
		char lower[DESKTOP_NAME_MAX];
		size_t n = 0;

		for (; n < desktop.len && n < sizeof(lower) - 1; n++)
			lower[n] = (char)tolower((unsigned char)desktop.p[n]);
		lower[n] = '\0';
		snprintf(name, sizeof(name), "%s%s-mimeapps.list", folder, lower);
		if (n > 0 && !strchr(lower, '/'))
			(void)visit_dirs(dirs, name, search_apps, s);
	}
	snprintf(name, sizeof(name), "%smimeapps.list", folder);
	(void)visit_dirs(dirs, name, search_apps, s);
}

static void search_part(const struct app_places *p, enum mimeapps_part part, struct app_search *s)
{
	s->part = part;
	search_lists(p, p->config_home, "", s);
	search_lists(p, p->config_dirs, "", s);
	search_lists(p, p->data_home, "applications/", s);
	search_lists(p, p->data_dirs, "applications/", s);
}

static void search_all(const struct app_places *p, struct app_search *s)
{
	search_part(p, MIMEAPPS_DEFAULT, s);
	search_part(p, MIMEAPPS_ADDED, s);
	s->part = MIMEAPPS_CACHE;
	(void)visit_dirs(p->data_home, "applications/mimeinfo.cache", search_apps, s);
	(void)visit_dirs(p->data_dirs, "applications/mimeinfo.cache", search_apps, s);
}

/* Whether the sandbox's system has a program. A link may lead to where only it can follow. */
static bool has_program(const struct app_places *p, const char *name)
{
	static const char *const dirs[] = {"/usr/local/bin/", "/usr/bin/", "/bin/",
					   "/usr/local/games/", "/usr/games/"};
	char path[PATH_MAX];
	struct stat st;

	for (size_t i = 0; i < (*name == '/' ? 1 : ARRAY_SIZE(dirs)); i++) {
		int n = snprintf(path, sizeof(path), "%s%s%s", p->root, *name == '/' ? "" : dirs[i],
				 name);

		if (n > 0 && (size_t)n < sizeof(path) && lstat(path, &st) == 0)
			return true;
	}
	return false;
}

/* xterm is the one of them that needs X. */
static bool can_show(const struct app_places *p, const struct helper *h)
{
	const bool needs_x = strcmp(h->words[0], "xterm") == 0;

	return has_program(p, h->words[0]) &&
	       (!needs_x || !has_program(p, "sway") || has_program(p, "Xwayland"));
}

/* Puts a helper's words before those of the command. */
static int put_before(const struct app_places *p, const struct helper *list, size_t n_list,
		      struct entry *e)
{
	size_t n = 0;

	while (n_list > 0 && !can_show(p, list)) {
		list++;
		n_list--;
	}
	if (n_list == 0)
		return -ENOENT;
	while (n < ARRAY_SIZE(list->words) && list->words[n])
		n++;
	if (e->n + n > ENTRY_WORDS_MAX)
		return -E2BIG;
	memmove(e->argv + n, e->argv, (e->n + 1) * sizeof(*e->argv));
	e->n += n;
	for (size_t i = 0; i < n; i++) {
		const size_t size = strlen(list->words[i]) + 1;

		if (size > sizeof(e->text) - e->len)
			return -E2BIG;
		memcpy(e->text + e->len, list->words[i], size);
		e->argv[i] = e->text + e->len;
		e->len += size;
	}
	return 0;
}

/* An id is the path below "applications" with dashes for slashes: the first may be one. */
static bool try_id(const struct app_places *p, const char *dir, const char *id, const char *file,
		   struct entry *out)
{
	char path[PATH_MAX], inner[PATH_MAX];
	struct buffer b = {.data = NULL};
	char *dash;
	struct slice text;
	int r;

	snprintf(inner, sizeof(inner), "%s/applications/%s", dir, id);
	snprintf(path, sizeof(path), "%s%s", p->root, inner);
	text = load(path, &b);
	dash = strchr(inner + strlen(inner) - strlen(id), '-');
	if (text.len == 0 && dash) {
		*dash = '/';
		snprintf(path, sizeof(path), "%s%s", p->root, inner);
		text = load(path, &b);
	}
	r = entry_read(text, inner, file, out);
	free(b.data);
	if (r < 0 || !has_program(p, out->argv[0]))
		return false;
	return !out->terminal || put_before(p, terminals, ARRAY_SIZE(terminals), out) == 0;
}

static int first_app(const struct app_places *p, const struct apps *apps, const char *file,
		     struct entry *out)
{
	for (size_t i = 0; i < apps->n; i++)
		if (try_id(p, "/usr/local/share", apps->ids[i], file, out) ||
		    try_id(p, "/usr/share", apps->ids[i], file, out))
			return 0;
	return -ENOENT;
}

int app_for_type(const struct app_places *p, const char *type, const char *file, struct entry *out)
{
	char now[MIME_TYPE_MAX];
	struct app_search *s = malloc(sizeof(*s));
	int r = s ? -ENOENT : -ENOMEM;

	snprintf(now, sizeof(now), "%s", type);
	for (unsigned int i = 0; r == -ENOENT && *now && i < PARENTS_MAX; i++) {
		*s = (struct app_search){.type = now};
		search_all(p, s);
		r = first_app(p, &s->found, file, out);
		if (r < 0 && !find_parent(p, now, now))
			break;
	}
	free(s);
	return r;
}

int app_for_folder(const struct app_places *p, const char *folder, struct entry *out)
{
	const size_t size = strlen(folder) + 1;

	if (size > sizeof(out->text))
		return -E2BIG;
	memcpy(out->text, folder, size);
	out->len = size;
	out->argv[0] = out->text;
	out->argv[1] = NULL;
	out->n = 1;
	if (put_before(p, file_managers, ARRAY_SIZE(file_managers), out) == 0)
		return 0;
	out->argv[0] = NULL;
	out->n = 0;
	for (size_t i = 0; i < ARRAY_SIZE(terminals); i++) {
		/* A terminal alone has no word for its command. */
		const struct helper alone = {{terminals[i].words[0]}};

		if (put_before(p, &alone, 1, out) == 0)
			return 0;
	}
	return -ENOENT;
}

const char *app_package(const char *type)
{
	static const struct {
		const char *type; /* or how it begins */
		const char *package;
	} known[] = {
		{"application/pdf", "evince"},
		{"application/postscript", "evince"},
		{"application/epub+zip", "foliate"},
		{"application/vnd.oasis.opendocument.spreadsheet", "libreoffice-calc"},
		{"application/vnd.oasis.opendocument.presentation", "libreoffice-impress"},
		{"application/vnd.oasis.opendocument", "libreoffice-writer"},
		{"application/vnd.openxmlformats-officedocument.spreadsheet", "libreoffice-calc"},
		{"application/vnd.openxmlformats-officedocument.presentation",
		 "libreoffice-impress"},
		{"application/vnd.openxmlformats-officedocument", "libreoffice-writer"},
		{"application/vnd.ms-excel", "libreoffice-calc"},
		{"application/vnd.ms-powerpoint", "libreoffice-impress"},
		{"application/msword", "libreoffice-writer"},
		{"application/rtf", "libreoffice-writer"},
		{"application/zip", "engrampa"},
		{"application/x-compressed-tar", "engrampa"},
		{"application/x-tar", "engrampa"},
		{"application/json", "mousepad"},
		{"application/xml", "mousepad"},
		{"text/html", "firefox-esr"},
		{"text/", "mousepad"},
		{"image/", "eog"},
		{"audio/", "mpv"},
		{"video/", "mpv"},
		{"font/", "gnome-font-viewer"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (strncmp(type, known[i].type, strlen(known[i].type)) == 0)
			return known[i].package;
	return NULL;
}
