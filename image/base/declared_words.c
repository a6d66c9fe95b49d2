/* SPDX-License-Identifier: MIT */
#include <errno.h>

#include "image/base/declared_priv.h"

/* The character behind a backslash, which is cut off; -EINVAL for those that nobody needs. */
static int unescape(struct slice *s)
{
	static const char plain[] = "\\\"' nrt", means[] = "\\\"' \n\r\t";
	const char *at = s->len && *s->p ? strchr(plain, *s->p) : NULL;
	int byte;

	if (at) {
		slice_skip(s, 1);
		return (unsigned char)means[at - plain];
	}
	if (s->len < 3 || *s->p != 'x')
		return -EINVAL;
	byte = hex_byte(s->p + 1);
	slice_skip(s, 3);
	return byte <= 0 ? -EINVAL : byte;
}

/* Text in which each backslash begins an escape. -EINVAL. */
int declared_take_char(struct slice *s)
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
		c = declared_take_char(rest);
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

_Static_assert(ARRAY_SIZE(specifiers) == DECLARED_SPECIFIERS_TMPFILES, "all of them");

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
int declared_expand(const struct declared *d, size_t n_specifiers, char text[DECLARED_WORD])
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
int declared_cut_words(const struct declared *d, size_t n_specifiers, struct slice *line,
		       char words[][DECLARED_WORD], unsigned int max)
{
	for (unsigned int i = 0; i < max; i++) {
		int r = cut_word(line, words[i]);

		if (r == 1)
			r = declared_expand(d, n_specifiers, words[i]);
		if (r < 0)
			return r;
		if (!words[i][0])
			memcpy(words[i], "-", 2);
	}
	return 0;
}

bool declared_is_dash(const char *word)
{
	return word[0] == '-' && word[1] == '\0';
}

/* "-" is NULL. *failed is set if there is no memory. */
char *declared_copy(const char *word, bool *failed)
{
	char *s = declared_is_dash(word) ? NULL : strdup(word);

	*failed |= !s && !declared_is_dash(word);
	return s;
}

/* The lines that are not empty and no comment. */
bool declared_next_line(struct slice *rest, struct slice *line)
{
	while (slice_line(rest, line)) {
		slice_skip_blanks(line);
		if (line->len > 0 && *line->p != '#')
			return true;
	}
	return false;
}

/* Room for one more. */
void *declared_grow(void **list, size_t n, size_t size)
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
		while (declared_next_line(&rest, &line)) {
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
