/* SPDX-License-Identifier: MIT */
#include "image/base/declared.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/slice.h"

enum { FILE_LIMIT = 1 << 20 };

/* --- words --------------------------------------------------------------------------------- */

static int hex_value(char c)
{
	const char *digits = "0123456789abcdef", *at = c ? strchr(digits, c | 0x20) : NULL;

	return at ? (int)(at - digits) : -1;
}

/* The character behind a backslash, which is cut off; -EINVAL for those that nobody needs. */
static int unescape(struct slice *s)
{
	static const char plain[] = "\\\"' nrt", means[] = "\\\"' \n\r\t";
	const char *at = s->len && *s->p ? strchr(plain, *s->p) : NULL;
	int high, low;

	if (at) {
		slice_skip(s, 1);
		return (unsigned char)means[at - plain];
	}
	if (s->len < 3 || *s->p != 'x')
		return -EINVAL;
	high = hex_value(s->p[1]);
	low = hex_value(s->p[2]);
	slice_skip(s, 3);
	return high < 0 || low < 0 || high + low == 0 ? -EINVAL : high << 4 | low;
}

/* Text in which each backslash begins an escape. -EINVAL. */
static int take_char(struct slice *s)
{
	char c = *s->p;

	slice_skip(s, 1);
	if (c == '\\')
		return unescape(s);
	return c == '\0' ? -EINVAL : (unsigned char)c;
}

/* The next word, without its quotes. 0: there is none; 1; -EINVAL. */
static int cut_word(struct slice *rest, char out[DECLARED_WORD])
{
	char quote = '\0';
	size_t n = 0;

	slice_skip_blanks(rest);
	out[0] = '\0';
	if (rest->len == 0)
		return 0;
	while (rest->len > 0 && (quote || (*rest->p != ' ' && *rest->p != '\t'))) {
		int c;

		if ((quote && *rest->p == quote) ||
		    (!quote && (*rest->p == '"' || *rest->p == '\''))) {
			quote = quote ? '\0' : *rest->p;
			slice_skip(rest, 1);
			continue;
		}
		c = take_char(rest);
		if (c < 0 || n + 1 == DECLARED_WORD)
			return -EINVAL;
		out[n++] = (char)c;
	}
	out[n] = '\0';
	return quote ? -EINVAL : 1;
}

/* Specifiers whose value os-release(5) has, and the name of that. */
static const struct {
	char letter;
	const char *name;
} os_fields[DECLARED_OS_FIELDS] = {{'A', "IMAGE_VERSION"}, {'B', "BUILD_ID"},
				   {'M', "IMAGE_ID"},	   {'o', "ID"},
				   {'w', "VERSION_ID"},	   {'W', "VARIANT_ID"}};

/* Those whose value is any system's; the first ones are sysusers.d(5)'s, too. */
static const struct {
	char letter;
	const char *value;
} specifiers[] = {{'%', "%"},	       {'a', "x86-64"},	  {'T', "/tmp"},     {'V', "/var/tmp"},
		  {'C', "/var/cache"}, {'L', "/var/log"}, {'S', "/var/lib"}, {'t', "/run"},
		  {'g', "root"},       {'G', "0"},	  {'h', "/root"},    {'u', "root"},
		  {'U', "0"}};

enum { SPECIFIERS_SYSUSERS = 4, SPECIFIERS_TMPFILES = ARRAY_SIZE(specifiers) };

/* What the letter stands for, of the first `n`; NULL: that is not known. */
static const char *specifier(const struct declared *d, size_t n, char letter)
{
	for (size_t i = 0; i < n; i++)
		if (specifiers[i].letter == letter)
			return specifiers[i].value;
	for (size_t i = 0; i < DECLARED_OS_FIELDS; i++)
		if (os_fields[i].letter == letter)
			return d->os[i];
	return NULL;
}

/* Puts its value in each specifier's place. -EINVAL: one is not known, or it is too long. */
static int expand(const struct declared *d, size_t n_specifiers, char text[DECLARED_WORD])
{
	char out[DECLARED_WORD];
	size_t n = 0;

	for (const char *p = text; *p;) {
		const char *value = p;
		size_t len = 1;

		if (*p++ == '%') {
			value = *p ? specifier(d, n_specifiers, *p++) : NULL;
			len = value ? strlen(value) : DECLARED_WORD;
		}
		if (n + len >= DECLARED_WORD)
			return -EINVAL;
		memcpy(out + n, value, len);
		n += len;
	}
	memcpy(text, out, n);
	text[n] = '\0';
	return 0;
}

/* Up to `max` words; those that are missing are "-". -EINVAL. */
static int cut_words(const struct declared *d, size_t n_specifiers, struct slice *line,
		     char words[][DECLARED_WORD], unsigned int max)
{
	for (unsigned int i = 0; i < max; i++) {
		int r = cut_word(line, words[i]);

		if (r == 1)
			r = expand(d, n_specifiers, words[i]);
		if (r < 0)
			return r;
		if (!words[i][0])
			memcpy(words[i], "-", 2);
	}
	return 0;
}

static bool is_dash(const char *word)
{
	return word[0] == '-' && word[1] == '\0';
}

/* "-" is NULL. *failed is set if there is no memory. */
static char *copy(const char *word, bool *failed)
{
	char *s = is_dash(word) ? NULL : strdup(word);

	*failed |= !s && !is_dash(word);
	return s;
}

/* The lines that are not empty and no comment. */
static bool next_line(struct slice *rest, struct slice *line)
{
	while (slice_line(rest, line)) {
		slice_skip_blanks(line);
		if (line->len > 0 && *line->p != '#')
			return true;
	}
	return false;
}

/* Room for one more. */
static void *grow(void **list, size_t n, size_t size)
{
	void *p = *list;

	/* A power of two: all places are taken. */
	if ((n & (n - 1)) == 0) {
		p = reallocarray(*list, n ? 2 * n : 1, size);
		if (!p)
			return NULL;
		*list = p;
	}
	return (char *)p + n * size;
}

/* --- os-release ---------------------------------------------------------------------------- */

/* A value as os-release(5) asks for it: nothing in it needs a shell. False: another. */
static bool is_os_value(struct slice *value)
{
	if (value->len >= 2 && (*value->p == '"' || *value->p == '\'') &&
	    value->p[value->len - 1] == *value->p) {
		slice_skip(value, 1);
		value->len--;
	}
	for (size_t i = 0; i < value->len; i++) {
		char c = value->p[i];

		if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9') &&
		    (c == '\0' || !strchr("._-+~^", c)))
			return false;
	}
	return value->len < DECLARED_WORD;
}

int declared_parse_os(struct declared *d, const char *text, size_t len)
{
	for (size_t i = 0; i < DECLARED_OS_FIELDS; i++) {
		struct slice rest = {text, len}, line, value = {"", 0};
		size_t n = strlen(os_fields[i].name);

		/* The last one counts, as in a shell. */
		while (next_line(&rest, &line)) {
			if (line.len <= n || memcmp(line.p, os_fields[i].name, n) != 0 ||
			    line.p[n] != '=')
				continue;
			slice_skip(&line, n + 1);
			value = line;
		}
		if (!is_os_value(&value))
			continue;
		d->os[i] = strndup(value.p, value.len);
		if (!d->os[i])
			return -ENOMEM;
	}
	return 0;
}

/* --- sysusers.d ---------------------------------------------------------------------------- */

/* What may stand in passwd(5) and group(5) without harm. */
static bool is_name(const char *s)
{
	size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-");

	return n > 0 && n <= 31 && s[n] == '\0' && s[0] != '-' && s[0] != '.' &&
	       !(s[0] >= '0' && s[0] <= '9');
}

static bool is_field(const char *s)
{
	for (const char *p = s; *p; p++)
		if (*p == ':' || (unsigned char)*p < ' ')
			return false;
	return is_dash(s) || s[0] == '/';
}

static bool parse_id(const char *s, size_t len, uint32_t *out)
{
	uint64_t id = 0;

	for (size_t i = 0; i < len; i++) {
		if (s[i] < '0' || s[i] > '9' || id > UINT32_MAX)
			return false;
		id = id * 10 + (uint64_t)(s[i] - '0');
	}
	/* The last two numbers mean "none" to the kernel. */
	if (len == 0 || id >= UINT32_MAX || id == UINT16_MAX)
		return false;
	*out = (uint32_t)id;
	return true;
}

/* "-", "UID", "UID:GID", "UID:GROUP"; a path stands for who owns it, which is as good as any. */
static bool parse_ids(const char *word, struct declared_account *a, bool *failed)
{
	const char *colon = strchr(word, ':');
	size_t n = colon ? (size_t)(colon - word) : strlen(word);

	a->id = a->gid = DECLARED_NO_ID;
	if (word[0] == '/')
		return true;
	if (!(n == 1 && word[0] == '-') && !parse_id(word, n, &a->id))
		return false;
	if (!colon || parse_id(colon + 1, strlen(colon + 1), &a->gid))
		return true;
	if (!is_name(colon + 1))
		return false;
	a->group = copy(colon + 1, failed);
	return true;
}

static void account_fini(struct declared_account *a)
{
	free(a->name);
	free(a->group);
	free(a->home);
	free(a->shell);
}

/* `words`: type, name, numbers, who it is, home, shell. */
static int add_account(struct declared *d, char words[][DECLARED_WORD])
{
	bool user = words[0][0] == 'u', failed = false;
	void *list = user ? d->users : d->groups;
	size_t *n = user ? &d->n_users : &d->n_groups;
	struct declared_account a = {.name = NULL}, *at;

	if (*n == DECLARED_MAX || !is_name(words[1]) || !is_field(words[4]) ||
	    !is_field(words[5]) || !parse_ids(words[2], &a, &failed))
		return 0;
	at = grow(&list, *n, sizeof(*at));
	if (at && user)
		d->users = list;
	else if (at)
		d->groups = list;
	a.name = copy(words[1], &failed);
	a.home = copy(words[4], &failed);
	a.shell = copy(words[5], &failed);
	if (!at || failed) {
		account_fini(&a);
		return -ENOMEM;
	}
	*at = a;
	(*n)++;
	return 0;
}

static int add_member(struct declared *d, const char *user, const char *group)
{
	void *list = d->members;
	struct declared_member *at;
	bool failed = false;

	if (d->n_members == DECLARED_MAX || !is_name(user) || !is_name(group))
		return 0;
	at = grow(&list, d->n_members, sizeof(*at));
	if (!at)
		return -ENOMEM;
	d->members = list;
	at->user = copy(user, &failed);
	at->group = copy(group, &failed);
	d->n_members++;
	return failed ? -ENOMEM : 0;
}

int declared_parse_sysusers(struct declared *d, const char *text, size_t len)
{
	struct slice rest = {text, len}, line;
	char words[6][DECLARED_WORD];
	int r = 0;

	while (r == 0 && next_line(&rest, &line)) {
		if (cut_words(d, SPECIFIERS_SYSUSERS, &line, words, ARRAY_SIZE(words)) < 0)
			continue;
		/* "u!" is a user that is locked, as all of ours are. */
		if (strcmp(words[0], "u") == 0 || strcmp(words[0], "u!") == 0 ||
		    strcmp(words[0], "g") == 0)
			r = add_account(d, words);
		else if (strcmp(words[0], "m") == 0)
			r = add_member(d, words[1], words[2]);
	}
	return r;
}

/* --- tmpfiles.d ---------------------------------------------------------------------------- */

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
	if (is_dash(word))
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
		int c = take_char(&rest);

		if (c < 0 || n + 1 == DECLARED_WORD)
			return false;
		out[n++] = (char)c;
	}
	out[n] = '\0';
	return expand(d, SPECIFIERS_TMPFILES, out) == 0;
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
		at = grow(&list, d->n_paths, sizeof(*at));
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
	p->path = copy(words[1], &failed);
	p->user = copy(words[3] + (words[3][0] == ':'), &failed);
	p->group = copy(words[4] + (words[4][0] == ':'), &failed);
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
	return word[0] == ':' ? NULL : copy(word, failed);
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
	at = grow(&list, d->n_changes, sizeof(*at));
	if (!at)
		return -ENOMEM;
	d->changes = list;
	c->pattern = copy(words[1], &failed);
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

	while (r == 0 && next_line(&rest, &line))
		if (cut_words(d, SPECIFIERS_TMPFILES, &line, words, ARRAY_SIZE(words)) == 0)
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

/* --- files --------------------------------------------------------------------------------- */

typedef int (*parse_fn)(struct declared *d, const char *text, size_t len);

static int is_conf(const struct dirent *e)
{
	size_t n = strlen(e->d_name);

	return n > 5 && strcmp(e->d_name + n - 5, ".conf") == 0;
}

static int compare_names(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int read_dir(const struct packages *p, const char *dir, parse_fn parse, struct declared *d)
{
	struct open_how how = {.flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC,
			       .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
	AUTO_CLOSE int fd = (int)syscall(SYS_openat2, p->root, dir, &how, sizeof(how));
	struct buffer text = {NULL, 0, 0};
	struct dirent **names = NULL;
	char path[256];
	int n = fd < 0 ? 0 : scandirat(fd, ".", &names, is_conf, compare_names), r = 0;

	for (int i = 0; i < n; i++) {
		if (r == 0 &&
		    (size_t)snprintf(path, sizeof(path), "/%s/%s", dir, names[i]->d_name) <
			    sizeof(path) &&
		    packages_owner(p, path) &&
		    packages_slurp(p->root, path + 1, FILE_LIMIT, &text) == 0)
			r = parse(d, text.data, text.len);
		free(names[i]);
	}
	free(names);
	free(text.data);
	return r;
}

static int read_os(const struct packages *p, struct declared *d)
{
	struct buffer text = {NULL, 0, 0};
	int r = packages_slurp(p->root, "etc/os-release", FILE_LIMIT, &text);

	if (r < 0)
		r = packages_slurp(p->root, "usr/lib/os-release", FILE_LIMIT, &text);
	/* Without one the specifiers that need it are not known. */
	r = r < 0 ? 0 : declared_parse_os(d, text.data, text.len);
	free(text.data);
	return r;
}

int declared_read(const struct packages *p, struct declared *d)
{
	int r = read_os(p, d);

	if (r == 0)
		r = read_dir(p, "usr/lib/sysusers.d", declared_parse_sysusers, d);
	if (r == 0)
		r = read_dir(p, "usr/lib/tmpfiles.d", declared_parse_tmpfiles, d);
	return r < 0 ? r : declared_finish(d);
}

void declared_fini(struct declared *d)
{
	for (size_t i = 0; i < d->n_users; i++)
		account_fini(&d->users[i]);
	for (size_t i = 0; i < d->n_groups; i++)
		account_fini(&d->groups[i]);
	for (size_t i = 0; i < d->n_members; i++) {
		free(d->members[i].user);
		free(d->members[i].group);
	}
	for (size_t i = 0; i < d->n_paths; i++)
		path_fini(&d->paths[i]);
	for (size_t i = 0; i < d->n_changes; i++)
		change_fini(&d->changes[i]);
	for (size_t i = 0; i < DECLARED_OS_FIELDS; i++)
		free(d->os[i]);
	free(d->changes);
	free(d->users);
	free(d->groups);
	free(d->members);
	free(d->paths);
	*d = (struct declared){.n_paths = 0};
}
