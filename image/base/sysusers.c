/* SPDX-License-Identifier: MIT */
#include <errno.h>

#include "image/base/declared_priv.h"

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
	return declared_is_dash(s) || s[0] == '/';
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
	a->group = declared_copy(colon + 1, failed);
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
	at = declared_grow(&list, *n, sizeof(*at));
	if (at && user)
		d->users = list;
	else if (at)
		d->groups = list;
	a.name = declared_copy(words[1], &failed);
	a.home = declared_copy(words[4], &failed);
	a.shell = declared_copy(words[5], &failed);
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
	at = declared_grow(&list, d->n_members, sizeof(*at));
	if (!at)
		return -ENOMEM;
	d->members = list;
	at->user = declared_copy(user, &failed);
	at->group = declared_copy(group, &failed);
	d->n_members++;
	return failed ? -ENOMEM : 0;
}

int declared_parse_sysusers(struct declared *d, const char *text, size_t len)
{
	struct slice rest = {text, len}, line;
	char words[6][DECLARED_WORD];
	int r = 0;

	while (r == 0 && declared_next_line(&rest, &line)) {
		if (declared_cut_words(d, DECLARED_SPECIFIERS_SYSUSERS, &line, words,
				       ARRAY_SIZE(words)) < 0)
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

void declared_fini_sysusers(struct declared *d)
{
	for (size_t i = 0; i < d->n_users; i++)
		account_fini(&d->users[i]);
	for (size_t i = 0; i < d->n_groups; i++)
		account_fini(&d->groups[i]);
	for (size_t i = 0; i < d->n_members; i++) {
		free(d->members[i].user);
		free(d->members[i].group);
	}
	free(d->users);
	free(d->groups);
	free(d->members);
}
