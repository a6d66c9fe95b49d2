/* SPDX-License-Identifier: MIT */
#include "image/base/filter.h"

#include <errno.h>

#include "image/base/content_priv.h"

/* --- apt's sources ------------------------------------------------------------------------- */

static bool is_hex(char c)
{
	return isxdigit((unsigned char)c) || c == '-';
}

/* A stretch of letters and digits, both, that is longer than a name would be. */
static bool has_random_word(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if (run_of((struct slice){s.p + i, s.len - i}, is_hex) >= TOKEN_MIN)
			return true;
	while (s.len > 0) {
		size_t n = run_of(s, is_word), digits = 0, letters = 0;

		for (size_t i = 0; i < n; i++) {
			digits += isdigit((unsigned char)s.p[i]) != 0;
			letters += isalpha((unsigned char)s.p[i]) != 0;
		}
		if (n >= TOKEN_MIN && digits >= 2 && letters > 0)
			return true;
		slice_skip(&s, n < s.len ? n + 1 : n);
	}
	return false;
}

static bool is_plain_word(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if (!isalnum((unsigned char)s.p[i]) && !strchr("+-._/:~,=", s.p[i]))
			return false;
	return s.len > 0 && !has_random_word(s);
}

/* A URL, without what stands in front of an "@" in it; false: it is none that can be kept. */
static bool put_url(struct slice url, char *out, size_t *n)
{
	struct slice rest = url;
	size_t head;

	if (!skip_to(&rest, ":"))
		return false;
	head = (size_t)(rest.p - url.p);
	if (begins(rest, "//")) {
		slice_skip(&rest, 2);
		head += 2;
		slice_skip(&rest, user_info(rest));
	}
	if (!is_plain_word(rest))
		return false;
	memcpy(out + *n, url.p, head);
	memcpy(out + *n + head, rest.p, rest.len);
	*n += head + rest.len;
	return true;
}

/* The words of a line, URLs among them; `out` has as many bytes as the line. */
static bool put_words(struct slice words, char *out, size_t *n)
{
	struct slice word;

	while (slice_word(&words, &word)) {
		out[(*n)++] = ' ';
		if (memchr(word.p, ':', word.len) ? !put_url(word, out, n) : !is_plain_word(word))
			return false;
		if (!memchr(word.p, ':', word.len)) {
			memcpy(out + *n, word.p, word.len);
			*n += word.len;
		}
	}
	return true;
}

/* "deb [options] URL suite component ...": what is put into `out`; 0: it is not kept. */
static size_t put_one_line(struct slice line, char *out)
{
	struct slice word, option;
	size_t n;

	if (!slice_word(&line, &word) || (!slice_is(word, "deb") && !slice_is(word, "deb-src")))
		return 0;
	memcpy(out, word.p, word.len);
	n = word.len;
	slice_skip_blanks(&line);
	if (line.len > 0 && *line.p == '[') {
		const char *end = memchr(line.p, ']', line.len);

		if (!end)
			return 0;
		option = (struct slice){line.p + 1, (size_t)(end - line.p) - 1};
		slice_skip(&line, option.len + 2);
		out[n++] = ' ';
		out[n++] = '[';
		while (slice_word(&option, &word)) {
			if (!is_plain_word(word))
				return 0;
			memcpy(out + n, word.p, word.len);
			n += word.len;
			out[n++] = ' ';
		}
		if (out[n - 1] == '[')
			return 0;
		out[n - 1] = ']';
	}
	return put_words(line, out, &n) ? n : 0;
}

static const char *const fields[] = {"Types",	  "URIs",    "Suites",	      "Components",
				     "Signed-By", "Enabled", "Architectures", "Languages",
				     "Targets",	  "Trusted", "By-Hash",	      "X-Repolib-Name"};

/* "Field: words" of the other format. */
static size_t put_field(struct slice line, char *out)
{
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		size_t n = strlen(fields[i]);

		if (line.len <= n || strncasecmp(line.p, fields[i], n) != 0 || line.p[n] != ':')
			continue;
		memcpy(out, line.p, ++n);
		slice_skip(&line, n);
		return put_words(line, out, &n) ? n : 0;
	}
	return 0;
}

/* What follows a field on further lines: words, or a public key in ASCII. */
static size_t put_continued(struct slice line, char *out)
{
	static const char *const key[] = {"-----BEGIN PGP PUBLIC KEY BLOCK-----",
					  "-----END PGP PUBLIC KEY BLOCK-----", "."};
	size_t n = 0;

	slice_skip_blanks(&line);
	for (size_t i = 0; i < ARRAY_SIZE(key); i++)
		if (slice_is(line, key[i]))
			n = line.len;
	if (run_of(line, is_base64) == line.len)
		n = line.len;
	if (n > 0) {
		out[0] = ' ';
		memcpy(out + 1, line.p, n);
		return n + 1;
	}
	return put_words(line, out, &n) ? n : 0;
}

/* Puts what can be kept of a line; *kept says if the field it continues was. */
static size_t put_line(struct slice line, char *out, bool *kept)
{
	size_t n;

	if (line.len > 0 && (*line.p == ' ' || *line.p == '\t'))
		return *kept ? put_continued(line, out) : 0;
	n = put_field(line, out);
	*kept = n > 0;
	return n > 0 ? n : put_one_line(line, out);
}

int filter_apt(struct buffer *text)
{
	struct slice rest = {text->data, text->len}, line;
	AUTO_FREE char *out = malloc(2 * text->len + 16);
	bool kept = false;
	size_t n = 0;

	if (!out)
		return -ENOMEM;
	while (slice_line(&rest, &line)) {
		size_t more = put_line(line, out + n, &kept);

		n += more;
		/* An empty line ends a paragraph of the second format. */
		if (more > 0 || line.len == 0)
			out[n++] = '\n';
	}
	if (n > 0)
		memcpy(text->data, out, n);
	text->len = n;
	return 0;
}

/* --- PAM ----------------------------------------------------------------------------------- */

/* Words with one space between them and a newline behind, into out[size]; 0: too long, or none. */
static size_t normalise(struct slice line, char *out, size_t size)
{
	struct slice word;
	size_t n = 0;

	while (slice_word(&line, &word)) {
		if (n + word.len + 2 > size)
			return 0;
		memcpy(out + n, word.p, word.len);
		n += word.len;
		out[n++] = ' ';
	}
	if (n > 0)
		out[n - 1] = '\n';
	return n;
}

/* The module and its arguments, behind the type and what comes of it: "[success=1 default=ignore]". */
static bool cut_module(struct slice *line)
{
	struct slice word;

	for (unsigned int i = 0; i < 2; i++)
		if (!slice_word(line, &word))
			return false;
	while (*word.p == '[' && word.p[word.len - 1] != ']') {
		struct slice more;

		if (!slice_word(line, &more))
			return false;
		word.len = (size_t)(more.p + more.len - word.p);
	}
	return true;
}

static bool profile_has(const char *profiles, size_t len, const char *module, size_t module_len)
{
	struct slice rest = {profiles, len}, line;
	char text[512];

	while (slice_line(&rest, &line)) {
		size_t n = normalise(line, text, sizeof(text));

		if (n > module_len && text[n - module_len - 1] == ' ' &&
		    memcmp(text + n - module_len, module, module_len) == 0)
			return true;
	}
	return false;
}

bool filter_pam(struct buffer *text, const char *profiles, size_t len)
{
	static const char fixed[] = "x pam_deny.so\nx pam_permit.so\n";
	struct slice rest = {text->data, text->len}, line;
	char module[512];
	size_t kept = 0;

	while (slice_line(&rest, &line)) {
		const char *comment = line.len ? memchr(line.p, '#', line.len) : NULL;
		struct slice words;
		size_t n;

		if (comment)
			line.len = (size_t)(comment - line.p);
		slice_skip_blanks(&line);
		if (line.len == 0)
			continue;
		words = line;
		n = cut_module(&words) ? normalise(words, module, sizeof(module)) : 0;
		if (n == 0 || (!profile_has(fixed, sizeof(fixed) - 1, module, n) &&
			       !profile_has(profiles, len, module, n)))
			return false;
		/* Behind it there are as many bytes as are read. */
		memmove(text->data + kept, line.p, line.len);
		kept += line.len;
		if (kept < text->len)
			text->data[kept++] = '\n';
	}
	text->len = kept;
	return true;
}
