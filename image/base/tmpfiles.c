/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fnmatch.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

#include "image/base/declared_priv.h"

/* The letter and what may stand behind it: "L+", "d!-". */
static bool parse_kind(const char *word, enum declared_kind *out)
{
	static const struct {
		char letter;
		enum declared_kind kind;
	} kinds[] = {{'d', DECLARED_DIR},  {'D', DECLARED_DIR},	 {'v', DECLARED_DIR},
		     {'q', DECLARED_DIR},  {'Q', DECLARED_DIR},	 {'f', DECLARED_FILE},
		     {'F', DECLARED_FILE}, {'L', DECLARED_LINK}, {'C', DECLARED_COPY}};

	/* "^" and "~" are of credentials and base64, "?" of what is there. */
	if (!word[0] || word[1 + strspn(word + 1, "+!-=$")] != '\0')
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		if (kinds[i].letter == word[0]) {
			*out = kinds[i].kind;
			return true;
		}
	}
	return false;
}

/* Below /etc or /var. Cuts the slash at the end off. */
static bool is_path(char *path)
{
	size_t n = strlen(path);

	if (n > 1 && path[n - 1] == '/')
		path[--n] = '\0';
	if ((strncmp(path, "/etc/", 5) != 0 && strncmp(path, "/var/", 5) != 0) ||
	    strstr(path, "//") || path[n - 1] == '/')
		return false;
	/* They are links to what is the sandbox's own. */
	if (strncmp(path, "/var/run/", 9) == 0 || strncmp(path, "/var/lock/", 10) == 0)
		return false;
	for (const char *p = path; p; p = strchr(p + 1, '/')) {
		size_t len = strcspn(p + 1, "/");

		if (len > NAME_MAX || (len == 1 && p[1] == '.') ||
		    (len == 2 && p[1] == '.' && p[2] == '.'))
			return false;
	}
	return true;
}

static bool parse_mode(const char *word, uint16_t *out)
{
	char *end;
	unsigned long mode;

	*out = DECLARED_NO_MODE;
	if (declared_is_dash(word))
		return true;
	/* Whether it is for what is there already, too. */
	word += strspn(word, "~:");
	mode = strtoul(word, &end, 8);
	if (*word < '0' || *word > '7' || *end || mode > 07777)
		return false;
	*out = (uint16_t)mode;
	return true;
}

/* The rest of the line. False if it cannot be known here. */
static bool parse_argument(const struct declared *d, struct slice rest,
			   const struct declared_path *p, char out[DECLARED_WORD])
{
	size_t n = 0;

	slice_skip_blanks(&rest);
	if (rest.len == 1 && *rest.p == '-')
		rest.len = 0;
	if (rest.len == 0 && (p->kind == DECLARED_LINK || p->kind == DECLARED_COPY))
		return (size_t)snprintf(out, DECLARED_WORD, "/usr/share/factory%s", p->path) <
		       DECLARED_WORD;
	while (rest.len > 0) {
		int c = declared_take_char(&rest);

		if (c < 0 || n + 1 == DECLARED_WORD)
			return false;
		out[n++] = (char)c;
	}
	out[n] = '\0';
	return declared_expand(d, DECLARED_SPECIFIERS_TMPFILES, out) == 0;
}

static void path_fini(struct declared_path *p)
{
	free(p->path);
	free(p->user);
	free(p->group);
	free(p->argument);
}

/* Takes the strings over, also on failure. */
static int add_path(struct declared *d, struct declared_path *p)
{
	void *list = d->paths;
	struct declared_path *at = NULL;

	if (d->n_paths < DECLARED_MAX && p->path && p->argument)
		at = declared_grow(&list, d->n_paths, sizeof(*at));
	if (at) {
		d->paths = list;
		*at = *p;
		d->n_paths++;
		return 0;
	}
	path_fini(p);
	return d->n_paths == DECLARED_MAX ? 0 : -ENOMEM;
}

static int parse_path(struct declared *d, struct declared_path *p, char words[][DECLARED_WORD],
		      struct slice rest)
{
	char argument[DECLARED_WORD];
	bool failed = false;

	p->path = words[1];
	if (strpbrk(words[1], "*?[") || !parse_mode(words[2], &p->mode) ||
	    !parse_argument(d, rest, p, argument))
		return 0;
	if (p->mode == DECLARED_NO_MODE && p->kind != DECLARED_COPY)
		p->mode = p->kind == DECLARED_DIR ? 0755 : 0644;
	p->path = declared_copy(words[1], &failed);
	p->user = declared_copy(words[3] + (words[3][0] == ':'), &failed);
	p->group = declared_copy(words[4] + (words[4][0] == ':'), &failed);
	p->argument = strdup(argument);
	if (failed) {
		path_fini(p);
		return -ENOMEM;
	}
	return add_path(d, p);
}

static void change_fini(struct declared_change *c)
{
	free(c->pattern);
	free(c->user);
	free(c->group);
}

/* "z", "Z" or "e" and what may stand behind it. */
static bool parse_change_kind(const char *word, struct declared_change *c)
{
	c->below = word[0] == 'Z';
	c->only_dirs = word[0] == 'e';
	return word[0] && strchr("zZe", word[0]) && word[1 + strspn(word + 1, "!-")] == '\0';
}

/* What counts only where something is made: NULL. */
static char *copy_unless_new(const char *word, bool *failed)
{
	return word[0] == ':' ? NULL : declared_copy(word, failed);
}

static int parse_change(struct declared *d, struct declared_change *c, char words[][DECLARED_WORD])
{
	const char *mode = words[2];
	size_t prefix = strspn(mode, "~:");
	void *list = d->changes;
	struct declared_change *at;
	bool failed = false;

	/* The shell's braces are no part of fnmatch(). */
	if (d->n_changes == DECLARED_CHANGE_MAX || strchr(words[1], '{') ||
	    !parse_mode(mode, &c->mode))
		return 0;
	for (size_t i = 0; i < d->n_changes; i++)
		if (d->changes[i].below == c->below && d->changes[i].only_dirs == c->only_dirs &&
		    strcmp(d->changes[i].pattern, words[1]) == 0)
			return 0;
	c->masked = memchr(mode, '~', prefix) != NULL;
	if (memchr(mode, ':', prefix))
		c->mode = DECLARED_NO_MODE;
	at = declared_grow(&list, d->n_changes, sizeof(*at));
	if (!at)
		return -ENOMEM;
	d->changes = list;
	c->pattern = declared_copy(words[1], &failed);
	c->user = copy_unless_new(words[3], &failed);
	c->group = copy_unless_new(words[4], &failed);
	if (failed) {
		change_fini(c);
		return -ENOMEM;
	}
	*at = *c;
	d->n_changes++;
	return 0;
}

/* `words`: type, path, mode, user, group, age. */
static int parse_tmpfile(struct declared *d, char words[][DECLARED_WORD], struct slice rest)
{
	struct declared_path p = {.path = NULL};
	struct declared_change c = {.pattern = NULL};

	if (!is_path(words[1]))
		return 0;
	if (parse_kind(words[0], &p.kind))
		return parse_path(d, &p, words, rest);
	return parse_change_kind(words[0], &c) ? parse_change(d, &c, words) : 0;
}

int declared_parse_tmpfiles(struct declared *d, const char *text, size_t len)
{
	struct slice rest = {text, len}, line;
	char words[6][DECLARED_WORD];
	int r = 0;

	while (r == 0 && declared_next_line(&rest, &line))
		if (declared_cut_words(d, DECLARED_SPECIFIERS_TMPFILES, &line, words,
				       ARRAY_SIZE(words)) == 0)
			r = parse_tmpfile(d, words, line);
	return r;
}

static int compare_paths(const void *a, const void *b)
{
	const struct declared_path *x = a, *y = b;

	return strcmp(x->path, y->path);
}

/* Of several that name one path the first. */
static void drop_repeated(struct declared *d)
{
	size_t n = 0;

	for (size_t i = 0; i < d->n_paths; i++) {
		bool known = false;

		for (size_t k = 0; k < n && !known; k++)
			known = strcmp(d->paths[k].path, d->paths[i].path) == 0;
		if (known)
			path_fini(&d->paths[i]);
		else
			d->paths[n++] = d->paths[i];
	}
	d->n_paths = n;
}

int declared_finish(struct declared *d)
{
	size_t n = d->n_paths;

	for (size_t i = 0; i < n; i++) {
		char *path = d->paths[i].path;

		/* "/var" itself is there. */
		for (char *p = strchr(path + 5, '/'); p; p = strchr(p + 1, '/')) {
			struct declared_path above = {
				.kind = DECLARED_DIR,
				.implied = true,
				.mode = 0755,
			};
			int r;

			above.path = strndup(d->paths[i].path, (size_t)(p - path));
			above.argument = strdup("");
			r = add_path(d, &above);
			if (r < 0)
				return r;
		}
	}
	drop_repeated(d);
	if (d->n_paths)
		qsort(d->paths, d->n_paths, sizeof(*d->paths), compare_paths);
	return 0;
}

const struct declared_path *declared_find(const struct declared *d, const char *path)
{
	const struct declared_path key = {.path = (char *)(uintptr_t)path};

	return d->n_paths ? bsearch(&key, d->paths, d->n_paths, sizeof(key), compare_paths) : NULL;
}

bool declared_concerns(const struct declared_change *c, const char *path, bool dir)
{
	int flags = FNM_PATHNAME | FNM_PERIOD | (c->below ? FNM_LEADING_DIR : 0);

	return (dir || !c->only_dirs) && fnmatch(c->pattern, path, flags) == 0;
}

uint16_t declared_mode(const struct declared_change *c, uint16_t mode)
{
	unsigned int m = c->mode, had = mode & 0777u;

	if (c->mode == DECLARED_NO_MODE)
		return mode;
	if (c->masked) {
		/* All three who may, or none. */
		for (unsigned int bits = 0111; bits <= 0444; bits <<= 1)
			if (!(had & bits))
				m &= ~bits;
		if (!S_ISDIR(mode))
			m &= 0777;
	}
	return (uint16_t)((mode & S_IFMT) | m);
}

void declared_fini_tmpfiles(struct declared *d)
{
	for (size_t i = 0; i < d->n_paths; i++)
		path_fini(&d->paths[i]);
	for (size_t i = 0; i < d->n_changes; i++)
		change_fini(&d->changes[i]);
	free(d->paths);
	free(d->changes);
}
