/* SPDX-License-Identifier: MIT */
#include "image/base/content.h"

#include "image/base/content_priv.h"

enum {
	KEY_BODY = 16, /* characters of a key's body that tell it from a text about keys */
	VALUE_MIN = 3,
};

/* --- keys ---------------------------------------------------------------------------------- */

/* Skips what may stand between a key's first line and its body, in a string of JSON or C too. */
static void skip_line_end(struct slice *s)
{
	while (s->len > 0) {
		if (begins(*s, "\\n") || begins(*s, "\\r"))
			slice_skip(s, 2);
		else if (strchr("\r\n\t \"'+,", *s->p) && *s->p)
			slice_skip(s, 1);
		else
			break;
	}
}

/* Behind "-----BEGIN ... PRIVATE KEY-----": true if a key comes. */
static bool is_key_body(struct slice s, bool own_line)
{
	if (own_line && s.len > 0 && (*s.p == '\n' || *s.p == '\r'))
		return true;
	skip_line_end(&s);
	return run_of(s, is_base64) >= KEY_BODY || begins(s, "Proc-Type:") ||
	       begins(s, "Version:") || begins(s, "Comment:");
}

/* True if the marker at `at` is the first on its line but for blanks. */
static bool is_first(const char *text, const char *at)
{
	while (at > text && (at[-1] == ' ' || at[-1] == '\t'))
		at--;
	return at == text || at[-1] == '\n';
}

/* PEM (RFC 7468), OpenSSH and PGP: "-----BEGIN x PRIVATE KEY-----"; SSH2: "---- BEGIN x ----". */
static bool has_pem(const char *text, size_t len)
{
	static const char *const kinds[] = {"PRIVATE KEY-----", "PRIVATE KEY BLOCK-----",
					    "PRIVATE KEY ----", "SECRET KEY-----"};
	struct slice s = {text, len};

	while (skip_to(&s, "BEGIN ")) {
		const char *marker = s.p - strlen("BEGIN ");

		while (marker > text && (marker[-1] == '-' || marker[-1] == ' '))
			marker--;
		if (marker == text + (s.p - text) - strlen("BEGIN "))
			continue;
		for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
			struct slice rest = {s.p, min_size(s.len, 64)};

			if (!skip_to(&rest, kinds[i]) || memchr(s.p, '\n', (size_t)(rest.p - s.p)))
				continue;
			rest.len = s.len - (size_t)(rest.p - s.p);
			if (is_key_body(rest, is_first(text, marker)))
				return true;
		}
	}
	return false;
}

/* A first byte that says "a secret key", and a body that has the format's version (RFC 4880). */
static bool is_pgp_key(const char *text, size_t len)
{
	const unsigned char *p = (const unsigned char *)text;
	size_t head = 0;

	if (len < 32)
		return false;
	if ((p[0] & 0xfc) == 0x94 && (p[0] & 3) < 3)
		head = (size_t)1 << (p[0] & 3);
	else if (p[0] == 0xc5)
		head = p[1] < 192 ? 1 : p[1] < 224 ? 2 : 5;
	return head > 0 && p[1 + head] >= 3 && p[1 + head] <= 6;
}

/* --- tokens -------------------------------------------------------------------------------- */

static bool is_token(char c)
{
	return isalnum((unsigned char)c) || c == '_' || c == '-';
}

static bool is_hash(char c)
{
	return isalnum((unsigned char)c) || (c && strchr("./$=,+", c));
}

/* A beginning, and so many characters of a kind at least behind it. */
static const struct {
	const char *begin;
	unsigned int more;
	bool (*is)(char c);
} tokens[] = {
	/* As their makers publish it. */
	{"ghp_", 36, is_token},
	{"gho_", 36, is_token},
	{"ghu_", 36, is_token},
	{"ghs_", 36, is_token},
	{"ghr_", 36, is_token},
	{"github_pat_", 22, is_token},
	{"glpat-", 20, is_token},
	{"gldt-", 20, is_token},
	{"glrt-", 20, is_token},
	{"AKIA", 16, is_token},
	{"ASIA", 16, is_token},
	{"xoxb-", 20, is_token},
	{"xoxp-", 20, is_token},
	{"xoxa-", 20, is_token},
	{"xapp-", 20, is_token},
	{"sk_live_", 20, is_token},
	{"rk_live_", 20, is_token},
	{"npm_", 36, is_token},
	{"pypi-AgEI", 40, is_token},
	{"AIza", 35, is_token},
	{"hvs.", 24, is_token},
	{"dop_v1_", 40, is_token},
	{"SG.", 22, is_token},
	{"sk-ant-", 30, is_token},
	{"dckr_pat_", 20, is_token},
	{"shpat_", 32, is_token},
	{"AGE-SECRET-KEY-1", 16, is_token},
	/* Hashes of passwords as crypt(5) and LDAP write them: htpasswd, shadow. */
	{"$apr1$", 20, is_hash},
	{"$1$", 20, is_hash},
	{"$2a$", 20, is_hash},
	{"$2b$", 20, is_hash},
	{"$2y$", 20, is_hash},
	{"$5$", 20, is_hash},
	{"$6$", 20, is_hash},
	{"$y$", 20, is_hash},
	{"$gy$", 20, is_hash},
	{"$7$", 20, is_hash},
	{"$argon2", 20, is_hash},
	{"{SSHA}", 20, is_hash},
	{"{SHA}", 20, is_hash},
};

/* A JSON web token: three parts, the first two of which begin with '{"' in base64. */
static bool is_web_token(struct slice s)
{
	if (!begins(s, "eyJ"))
		return false;
	slice_skip(&s, run_of(s, is_token));
	if (!begins(s, ".eyJ"))
		return false;
	slice_skip(&s, 1);
	slice_skip(&s, run_of(s, is_token));
	return s.len > KEY_BODY && *s.p == '.';
}

/* A bit for each of the tokens, and one for web tokens. */
enum { WEB_TOKEN = ARRAY_SIZE(tokens) };
_Static_assert(WEB_TOKEN < 64, "a bit for each");

/* Which tokens have a character as their first, and as their second. */
struct token_starts {
	uint64_t first[256], second[256];
};

static void note_start(struct token_starts *t, const char *begin, unsigned int bit)
{
	t->first[(unsigned char)begin[0]] |= 1ull << bit;
	t->second[(unsigned char)begin[1]] |= 1ull << bit;
}

/* `which`: those whose first two characters are here. */
static bool is_token_here(struct slice s, uint64_t which)
{
	for (; which; which &= which - 1) {
		const unsigned int i = (unsigned int)__builtin_ctzll(which);
		struct slice rest = s;

		if (i == WEB_TOKEN)
			return is_web_token(s);
		if (!begins(s, tokens[i].begin))
			continue;
		slice_skip(&rest, strlen(tokens[i].begin));
		if (run_of(rest, tokens[i].is) >= tokens[i].more)
			return true;
	}
	return false;
}

/* One pass: most pairs of characters begin none of them, or are in the middle of a word. */
static bool has_token(const char *text, size_t len)
{
	struct token_starts starts = {.first = {0}};

	for (unsigned int i = 0; i < ARRAY_SIZE(tokens); i++)
		note_start(&starts, tokens[i].begin, i);
	note_start(&starts, "eyJ", WEB_TOKEN);
	for (size_t i = 0; i + 1 < len; i++) {
		const uint64_t which = starts.first[(unsigned char)text[i]] &
				       starts.second[(unsigned char)text[i + 1]];

		if (which && (i == 0 || !is_word(text[i - 1]) || !is_word(text[i])) &&
		    is_token_here((struct slice){text + i, len - i}, which))
			return true;
	}
	return false;
}

/* Formats whose first line is their name. */
static bool is_key_file(const char *text, size_t len)
{
	static const char *const heads[] = {"PuTTY-User-Key-File-", "PGP-KEY-DATA",
					    "SSH PRIVATE KEY FILE FORMAT", "$ANSIBLE_VAULT;"};
	struct slice s = {text, len};

	for (size_t i = 0; i < ARRAY_SIZE(heads); i++)
		if (begins(s, heads[i]))
			return true;
	return is_pgp_key(text, len);
}

bool content_has_key(const char *text, size_t len)
{
	return is_key_file(text, len) || has_pem(text, len) || has_token(text, len);
}

/* --- configuration ------------------------------------------------------------------------- */

static bool has_url_with_user(const char *text, size_t len)
{
	struct slice s = {text, len};

	while (skip_to(&s, "://")) {
		size_t n = user_info(s);

		/* "ssh://git@host" has no password; one alone is as long as a token. */
		if (n && (memchr(s.p, ':', n) || n > TOKEN_MIN))
			return true;
	}
	return false;
}

/* Names behind which secrets stand, in small letters. A longer name may end in one of them. */
static const char *const names[] = {
	"password",	  "passwd",	 "passphrase",	 "passwort",   "secret",     "token",
	"apikey",	  "api_key",	 "api-key",	 "accesskey",  "access_key", "privatekey",
	"private_key",	  "private-key", "presharedkey", "psk",	       "bindpw",     "rootpw",
	"credential",	  "credentials", "secretkey",	 "secret_key", "authkey",    "auth_key",
	"encryption_key", "_auth",	 "_authtoken",	 "pass",       "pwd",
};

static bool is_name_char(char c)
{
	return is_word(c) || c == '-' || c == '.';
}

/* The name that ends in front of s.p[at], blanks and a quote between them. */
static struct slice name_before(struct slice s, size_t at)
{
	size_t end = at, begin;

	while (end > 0 && (s.p[end - 1] == ' ' || s.p[end - 1] == '\t'))
		end--;
	if (end > 0 && (s.p[end - 1] == '"' || s.p[end - 1] == '\''))
		end--;
	for (begin = end; begin > 0 && is_name_char(s.p[begin - 1]); begin--)
		;
	return (struct slice){s.p + begin, end - begin};
}

static bool is_secret_name(struct slice name)
{
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		size_t n = strlen(names[i]);

		if (name.len >= n && strncasecmp(name.p + name.len - n, names[i], n) == 0)
			return true;
	}
	return false;
}

/* Behind "=" or ":": true if a value follows that is not only a reference to one. */
static bool is_value(struct slice s)
{
	while (s.len > 0 && strchr(" \t\"'>=", *s.p) && *s.p)
		slice_skip(&s, 1);
	if (s.len < VALUE_MIN || strchr("$%<{[(", *s.p))
		return false;
	for (size_t i = 0; i < VALUE_MIN; i++)
		if (isspace((unsigned char)s.p[i]) || strchr("\"',;", s.p[i]))
			return false;
	return true;
}

/* "password = x" and "<password>x" anywhere in a line, "password: x" where the line or a string is the name. */
static bool has_assignment(const char *text, size_t len)
{
	struct slice rest = {text, len}, line;

	while (slice_line(&rest, &line)) {
		for (size_t i = 1; i < line.len; i++) {
			struct slice name, value = line;

			if (line.p[i] != '=' && line.p[i] != ':' && line.p[i] != '>')
				continue;
			name = name_before(line, i);
			if (line.p[i] == '>' && (name.p == line.p || name.p[-1] != '<'))
				continue;
			if (line.p[i] == ':' && name.p > line.p && name.p[-1] != '"' &&
			    name.p[-1] != '\'')
				continue;
			slice_skip(&value, i + 1);
			if (is_secret_name(name) && is_value(value))
				return true;
		}
	}
	return false;
}

/* netrc(5): "machine x login y password z". */
static bool is_netrc(const char *text, size_t len)
{
	struct slice s = {text, len};

	return (skip_to(&s, "machine ") || skip_to(&s, "default ")) && skip_to(&s, "login ") &&
	       skip_to(&s, "password ");
}

bool content_is_secret(const char *text, size_t len)
{
	return content_has_key(text, len) || has_url_with_user(text, len) ||
	       has_assignment(text, len) || is_netrc(text, len);
}
