/* SPDX-License-Identifier: MIT */
#include "image/base/rules.h"

#include <errno.h>
#include <fnmatch.h>
#include <string.h>

static const char *const verbs[] = {
	[RULE_DENY] = "deny", [RULE_SHARE] = "share", [RULE_LINKS] = "links",
	[RULE_COPY] = "copy", [RULE_EMPTY] = "empty", [RULE_DEFAULT] = "default",
};

static const struct {
	enum rule_verb verb;
	enum rule_check check;
	const char *name;
} checks[] = {
	{RULE_SHARE, RULE_PROGRAM, "@program"}, {RULE_SHARE, RULE_PYTHON, "@python"},
	{RULE_SHARE, RULE_TREE, "@tree"},	{RULE_COPY, RULE_APT, "@apt"},
	{RULE_COPY, RULE_PAM, "@pam"},
};

static void rule_fini(struct rule *rule)
{
	for (unsigned int i = 0; i < rule->n_parts; i++)
		free(rule->parts[i].text);
	free(rule->parts);
	free(rule->pattern);
	free(rule->source);
	free(rule->reason);
}

void rules_fini(struct rules *rules)
{
	for (size_t i = 0; i < rules->n; i++)
		rule_fini(&rules->list[i]);
	free(rules->list);
	*rules = (struct rules){.n = 0};
}

static int parse_verb(const char *word, enum rule_verb *out)
{
	for (size_t i = 0; i < ARRAY_SIZE(verbs); i++) {
		if (strcmp(word, verbs[i]) == 0) {
			*out = (enum rule_verb)i;
			return 0;
		}
	}
	return -EINVAL;
}

/* Most components are of a shape that needs no fnmatch(). A key ends where a "*" was. */
static int parse_part(const char *text, size_t len, struct rule_part *out)
{
	bool before, behind;

	out->text = strndup(text, len);
	if (!out->text)
		return -ENOMEM;
	before = len > 0 && text[0] == '*';
	behind = len > 1 && text[len - 1] == '*';
	out->key = out->text + before;
	out->len = len - before - behind;
	if (len == 2 && before && behind)
		out->shape = SHAPE_ANY_DEPTH;
	else if (len == 1 && before)
		out->shape = SHAPE_ANY;
	else if (strcspn(out->key, "*?[\\") < out->len)
		out->shape = SHAPE_GLOB;
	else if (before && behind)
		out->shape = SHAPE_WITHIN;
	else if (before)
		out->shape = SHAPE_END;
	else
		out->shape = behind ? SHAPE_BEGIN : SHAPE_NAME;
	if (out->shape != SHAPE_GLOB)
		out->key[out->len] = '\0';
	return 0;
}

static int split_pattern(struct rule *rule)
{
	const char *p = rule->pattern;

	if (*p != '/' || p[1] == '\0')
		return -EINVAL;
	while (*p) {
		size_t n = strcspn(++p, "/");
		struct rule_part *parts;

		if (n == 0 || rule->n_parts == RULE_DEPTH || (n == 1 && p[0] == '.') ||
		    (n == 2 && p[0] == '.' && p[1] == '.'))
			return -EINVAL;
		parts = reallocarray(rule->parts, rule->n_parts + 1, sizeof(*parts));
		if (!parts)
			return -ENOMEM;
		rule->parts = parts;
		if (parse_part(p, n, &rule->parts[rule->n_parts]) < 0)
			return -ENOMEM;
		rule->n_parts++;
		p += n;
	}
	return rule->verb == RULE_DEFAULT && strpbrk(rule->pattern, "*?[") ? -EINVAL : 0;
}

/* What stands behind the pattern, beginning with that word: "= SOURCE" or nothing. */
static int parse_source(struct rule *rule, const char *word, char **save)
{
	if (!word)
		return rule->verb == RULE_DEFAULT ? -EINVAL : 0;
	word = strcmp(word, "=") == 0 ? strtok_r(NULL, " \t", save) : NULL;
	if (!word || strtok_r(NULL, " \t", save))
		return -EINVAL;
	for (size_t i = 0; rule->verb != RULE_DEFAULT && i < ARRAY_SIZE(checks); i++) {
		if (rule->verb == checks[i].verb && strcmp(word, checks[i].name) == 0) {
			rule->check = checks[i].check;
			return 0;
		}
	}
	if (rule->verb != RULE_DEFAULT || (word[0] != '/' && word[0] != '@'))
		return -EINVAL;
	rule->source = strdup(word);
	return rule->source ? 0 : -ENOMEM;
}

/* `line` is a copy that may be cut up. */
static int parse_line(char *line, struct rule *rule)
{
	char *reason = strstr(line, " #"), *save = NULL, *word;
	int r;

	if (!reason || strspn(reason + 2, " \t") == strlen(reason + 2))
		return -EINVAL;
	*reason = '\0';
	reason += 2;
	reason += strspn(reason, " \t");
	word = strtok_r(line, " \t", &save);
	r = word ? parse_verb(word, &rule->verb) : -EINVAL;
	word = strtok_r(NULL, " \t", &save);
	if (r < 0 || !word)
		return -EINVAL;
	rule->pattern = strdup(word);
	rule->reason = strdup(reason);
	if (!rule->pattern || !rule->reason)
		return -ENOMEM;
	r = split_pattern(rule);
	if (r < 0)
		return r;
	return parse_source(rule, strtok_r(NULL, " \t", &save), &save);
}

/*
 * The states that a rule can be in at once: one, and from its first "**" on each of the
 * components, as the "**" may stand for any part of what the others match.
 */
static size_t states_of(const struct rule *r)
{
	unsigned int i = 0;

	while (i < r->n_parts && r->parts[i].shape != SHAPE_ANY_DEPTH)
		i++;
	return i < r->n_parts ? r->n_parts - i + 1 : 1;
}

static int add_line(struct rules *rules, const char *line, size_t len)
{
	AUTO_FREE char *copy = strndup(line, len);
	struct rule rule = {.n_parts = 0};
	struct rule *list;
	int r;

	if (!copy)
		return -ENOMEM;
	if (rules->n == RULE_MAX)
		return -E2BIG;
	/* A power of two: all places are taken. */
	if ((rules->n & (rules->n - 1)) == 0) {
		list = reallocarray(rules->list, rules->n ? 2 * rules->n : 1, sizeof(*list));
		if (!list)
			return -ENOMEM;
		rules->list = list;
	}
	r = parse_line(copy, &rule);
	if (r == 0 && rules->active + states_of(&rule) > RULE_ACTIVE_MAX)
		r = -E2BIG;
	if (r < 0) {
		rule_fini(&rule);
		return r;
	}
	rules->list[rules->n++] = rule;
	rules->active += states_of(&rule);
	return 0;
}

int rules_parse(struct rules *rules, const char *text, size_t len, unsigned int *line)
{
	const char *end = text + len;

	for (*line = 1; text < end; (*line)++) {
		const char *nl = memchr(text, '\n', (size_t)(end - text));
		size_t n = nl ? (size_t)(nl - text) : (size_t)(end - text);
		size_t blank = 0;
		int r = 0;

		while (blank < n && (text[blank] == ' ' || text[blank] == '\t'))
			blank++;
		if (blank < n && text[blank] != '#')
			r = memchr(text, '\0', n) ? -EINVAL : add_line(rules, text, n);
		if (r < 0)
			return r;
		text += n + (nl != NULL);
	}
	return 0;
}

/* rules_parse() has made sure that there is room: a rule is never twice in one state. */
static void add_state(struct rule_state *s, size_t rule, unsigned int part)
{
	for (unsigned int i = s->n; i > 0 && s->at[i - 1].rule == rule; i--)
		if (s->at[i - 1].part == part)
			return;
	s->at[s->n++] = (struct rule_at){(uint16_t)rule, (uint16_t)part};
}

static bool is_any_depth(const struct rule *r, unsigned int part)
{
	return part < r->n_parts && r->parts[part].shape == SHAPE_ANY_DEPTH;
}

/* Into the state: the pattern from `part` on, also with a "**" there that stands for nothing. */
static void add_closure(const struct rules *rules, struct rule_state *s, size_t rule,
			unsigned int part)
{
	const struct rule *r = &rules->list[rule];

	add_state(s, rule, part);
	while (is_any_depth(r, part) && part + 1 < r->n_parts)
		add_state(s, rule, ++part);
}

void rules_begin(const struct rules *rules, struct rule_state *out)
{
	out->n = 0;
	for (size_t i = 0; i < rules->n; i++)
		add_closure(rules, out, i, 0);
}

static int compare(const char *a, const char *b, size_t n, bool fold)
{
	return fold ? strncasecmp(a, b, n) : memcmp(a, b, n);
}

/* `fold`: small and capital letters are the same. */
static bool part_matches(const struct rule_part *part, const char *name, size_t len, bool fold)
{
	switch (part->shape) {
	case SHAPE_ANY:
	case SHAPE_ANY_DEPTH:
		return true;
	case SHAPE_NAME:
		return len == part->len && compare(part->key, name, len, fold) == 0;
	case SHAPE_BEGIN:
		return len >= part->len && compare(part->key, name, part->len, fold) == 0;
	case SHAPE_END:
		return len >= part->len &&
		       compare(part->key, name + len - part->len, part->len, fold) == 0;
	case SHAPE_WITHIN:
		return (fold ? strcasestr(name, part->key) : strstr(name, part->key)) != NULL;
	default:
		return fnmatch(part->text, name, fold ? FNM_CASEFOLD : 0) == 0;
	}
}

const struct rule *rules_enter(const struct rules *rules, const struct rule_state *state,
			       const char *name, struct rule_state *below)
{
	size_t found = rules->n, len = strlen(name);

	if (below)
		below->n = 0;
	for (unsigned int i = 0; i < state->n; i++) {
		size_t rule = state->at[i].rule;
		unsigned int part = state->at[i].part;
		const struct rule *r = &rules->list[rule];
		bool last = part + 1 == r->n_parts;
		/* A pattern that ends in "**" matches the directory in front of it, too. */
		bool whole = last || (part + 2 == r->n_parts && is_any_depth(r, part + 1));

		if (is_any_depth(r, part)) {
			/* The "**" before more takes this name in; a last one matches it. */
			if (below)
				add_closure(rules, below, rule, part);
			if (last && rule < found)
				found = rule;
			continue;
		}
		if (!part_matches(&r->parts[part], name, len, r->verb == RULE_DENY))
			continue;
		if (whole && rule < found)
			found = rule;
		if (!last && below)
			add_closure(rules, below, rule, part + 1);
	}
	return found < rules->n ? &rules->list[found] : NULL;
}
