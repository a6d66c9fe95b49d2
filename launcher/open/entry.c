/* SPDX-License-Identifier: MIT */
/*
 * DOC: Exec=
 *
 * A value is unescaped twice: as every value of a key file (\s, \n, \t, \r, \\), and then as a command
 * line, where a word in double quotes may hold blanks, and \", \`, \$ and \\. There is no other
 * quoting and no shell. Field codes are expanded outside of quotes only, where %f and the like are
 * a word alone; %% is a percent sign.
 */
#include "launcher/open/entry.h"

#include <ctype.h>

#include "launcher/open/keyfile.h"

enum { VALUE_MAX = 2048 };

struct values {
	struct slice exec, name, icon;
	bool is_application, hidden, terminal;
};

static void read_values(struct slice text, struct values *v)
{
	struct keyfile k = {.rest = text};

	while (keyfile_next(&k)) {
		if (!slice_is(k.group, "Desktop Entry"))
			continue;
		if (slice_is(k.key, "Exec"))
			v->exec = k.value;
		else if (slice_is(k.key, "Name"))
			v->name = k.value;
		else if (slice_is(k.key, "Icon"))
			v->icon = k.value;
		else if (slice_is(k.key, "Type"))
			v->is_application = slice_is(k.value, "Application");
		else if (slice_is(k.key, "Hidden"))
			v->hidden = slice_is(k.value, "true");
		else if (slice_is(k.key, "Terminal"))
			v->terminal = slice_is(k.value, "true");
	}
}

/* As every value of a key file. Returns the length, or -EINVAL. */
static int unescape(struct slice value, char out[VALUE_MAX])
{
	static const char from[] = "sntr\\", to[] = " \n\t\r\\";
	size_t n = 0;

	if (value.len == 0 || value.len >= VALUE_MAX || memchr(value.p, '\0', value.len))
		return -EINVAL;
	for (size_t i = 0; i < value.len; i++) {
		const char *known;

		out[n++] = value.p[i];
		if (value.p[i] != '\\' || i + 1 == value.len)
			continue;
		known = strchr(from, value.p[i + 1]);
		/* Another one is the command line's, or nobody's. */
		if (known) {
			out[n - 1] = to[known - from];
			i++;
		}
	}
	out[n] = '\0';
	return (int)n;
}

static int put(struct entry *e, char c)
{
	if (e->len == sizeof(e->text))
		return -E2BIG;
	e->text[e->len++] = c;
	return 0;
}

static int put_text(struct entry *e, const char *s, size_t len)
{
	if (len > sizeof(e->text) - e->len)
		return -E2BIG;
	if (len > 0)
		memcpy(e->text + e->len, s, len);
	e->len += len;
	return 0;
}

/* What the bytes since the last word are, unless those are none. */
static int end_word(struct entry *e, size_t from)
{
	int r = put(e, '\0');

	if (r < 0)
		return r;
	if (e->n == ENTRY_WORDS_MAX)
		return -E2BIG;
	e->argv[e->n++] = e->text + from;
	return 0;
}

static int put_word(struct entry *e, const char *s, size_t len)
{
	const size_t from = e->len;
	int r = put_text(e, s, len);

	return r == 0 ? end_word(e, from) : r;
}

/* A file: URI has everything but the plainest letters as %XX. */
static int put_uri(struct entry *e, const char *path)
{
	static const char digits[] = "0123456789ABCDEF";
	const size_t from = e->len;
	int r = put_text(e, "file://", 7);

	for (; r == 0 && *path; path++) {
		const unsigned char c = (unsigned char)*path;

		if (isalnum(c) || memchr("/-._~", c, 5)) {
			r = put(e, (char)c);
			continue;
		}
		r = put_text(e, (const char[]){'%', digits[c >> 4], digits[c & 15]}, 3);
	}
	return r == 0 ? end_word(e, from) : r;
}

struct fields {
	const struct values *values;
	const char *desktop, *file;
};

/* A word that is a field code alone; 1: it is none that stands for words. */
static int put_field(struct entry *e, const struct fields *f, char code)
{
	switch (code) {
	case 'f':
	case 'F':
		return f->file ? put_word(e, f->file, strlen(f->file)) : 0;
	case 'u':
	case 'U':
		return f->file ? put_uri(e, f->file) : 0;
	case 'i':
		if (f->values->icon.len == 0)
			return 0;
		return put_word(e, "--icon", 6) < 0
			       ? -E2BIG
			       : put_word(e, f->values->icon.p, f->values->icon.len);
	case 'c':
		return put_word(e, f->values->name.p, f->values->name.len);
	case 'k':
		return put_word(e, f->desktop, strlen(f->desktop));
	case 'd': /* deprecated: nothing */
	case 'D':
	case 'n':
	case 'N':
	case 'v':
	case 'm':
		return 0;
	default:
		return 1;
	}
}

/* Inside of a longer word %f and %u are the path, as programs have --file=%f. */
static int put_inner(struct entry *e, const struct fields *f, char code)
{
	switch (code) {
	case '%':
		return put(e, '%');
	case 'f':
	case 'u':
		return f->file ? put_text(e, f->file, strlen(f->file)) : 0;
	case 'c':
		return put_text(e, f->values->name.p, f->values->name.len);
	case 'k':
		return put_text(e, f->desktop, strlen(f->desktop));
	default:
		return -EINVAL;
	}
}

static bool ends_word(char c)
{
	return c == '\0' || c == ' ' || c == '\t' || c == '\n';
}

/* Behind the first quotation mark; *at is behind the last one then. */
static int put_quoted(struct entry *e, const char **at)
{
	const char *p = *at;
	int r = 0;

	for (; r == 0 && *p != '"'; p++) {
		if (*p == '\\' && p[1] && strchr("\"`$\\", p[1]))
			p++;
		if (*p == '\0')
			return -EINVAL;
		r = put(e, *p);
	}
	*at = p + 1;
	return r;
}

/* One word, which begins at *at. */
static int put_next(struct entry *e, const struct fields *f, const char **at)
{
	const size_t from = e->len;
	const char *p = *at;
	int r;

	if (*p == '%' && p[1] && ends_word(p[2]) && (r = put_field(e, f, p[1])) <= 0) {
		*at = p + 2;
		return r;
	}
	for (r = 0; r == 0 && !ends_word(*p);) {
		if (*p == '"') {
			p++;
			r = put_quoted(e, &p);
		} else if (*p == '%') {
			r = p[1] ? put_inner(e, f, p[1]) : -EINVAL;
			p += 2;
		} else {
			p += *p == '\\' && p[1];
			r = put(e, *p++);
		}
	}
	*at = p;
	return r == 0 ? end_word(e, from) : r;
}

int entry_read(struct slice text, const char *desktop, const char *file, struct entry *out)
{
	struct values v = {.hidden = false};
	const struct fields f = {.values = &v, .desktop = desktop, .file = file};
	char line[VALUE_MAX];
	const char *p = line;
	int r;

	read_values(text, &v);
	if (!v.is_application || v.hidden || unescape(v.exec, line) < 0)
		return -EINVAL;
	/* Names with a NUL would end early. */
	if ((v.name.len && memchr(v.name.p, '\0', v.name.len)) ||
	    (v.icon.len && memchr(v.icon.p, '\0', v.icon.len)))
		return -EINVAL;
	out->n = out->len = 0;
	out->terminal = v.terminal;
	for (r = 0; r == 0;) {
		while (*p && ends_word(*p))
			p++;
		if (!*p)
			break;
		r = put_next(out, &f, &p);
	}
	if (r < 0)
		return r;
	out->argv[out->n] = NULL;
	return out->n > 0 && out->argv[0][0] ? 0 : -EINVAL;
}
