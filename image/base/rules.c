/* SPDX-License-Identifier: MIT */
#include "image/base/rules.h"

#include <errno.h>
#include <fnmatch.h>
#include <string.h>

static const char *const verbs[] = {
	[RULE_DENY] = "deny", [RULE_SHARE] = "share", [RULE_LINKS] = "links",
	[RULE_COPY] = "copy", [RULE_EMPTY] = "empty", [RULE_DEFAULT] = "default",
};

static void rule_fini(struct rule *rule)
{
	for (unsigned int i = 0; i < rule->n_parts; i++)
		free(rule->parts[i]);
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

static int split_pattern(struct rule *rule)
{
	const char *p = rule->pattern;

	if (*p != '/' || p[1] == '\0')
		return -EINVAL;
	while (*p) {
		size_t n = strcspn(++p, "/");

		if (n == 0 || rule->n_parts == RULE_DEPTH || (n == 1 && p[0] == '.') ||
		    (n == 2 && p[0] == '.' && p[1] == '.'))
			return -EINVAL;
		rule->parts[rule->n_parts] = strndup(p, n);
		if (!rule->parts[rule->n_parts])
			return -ENOMEM;
		rule->n_parts++;
		p += n;
	}
	return rule->verb == RULE_DEFAULT && strpbrk(rule->pattern, "*?[") ? -EINVAL : 0;
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
	word = strtok_r(NULL, " \t", &save);
	if ((word != NULL) != (rule->verb == RULE_DEFAULT))
		return -EINVAL;
	if (!word)
		return 0;
	word = strcmp(word, "=") == 0 ? strtok_r(NULL, " \t", &save) : NULL;
	if (!word || (word[0] != '/' && word[0] != '@') || strtok_r(NULL, " \t", &save))
		return -EINVAL;
	rule->source = strdup(word);
	return rule->source ? 0 : -ENOMEM;
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
	list = reallocarray(rules->list, rules->n + 1, sizeof(*list));
	if (!list)
		return -ENOMEM;
	rules->list = list;
	r = parse_line(copy, &rule);
	if (r < 0) {
		rule_fini(&rule);
		return r;
	}
	rules->list[rules->n++] = rule;
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

static void add_state(struct rule_state *s, size_t rule, unsigned int part)
{
	if (s->n < RULE_ACTIVE_MAX)
		s->at[s->n++] = (struct rule_at){(uint16_t)rule, (uint16_t)part};
}

static bool is_any_depth(const struct rule *r, unsigned int part)
{
	return part < r->n_parts && strcmp(r->parts[part], "**") == 0;
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

static bool part_matches(const char *part, const char *name)
{
	if (!strpbrk(part, "*?["))
		return strcmp(part, name) == 0;
	return fnmatch(part, name, 0) == 0;
}

const struct rule *rules_enter(const struct rules *rules, const struct rule_state *state,
			       const char *name, struct rule_state *below)
{
	size_t found = rules->n;

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
		if (!part_matches(r->parts[part], name))
			continue;
		if (whole && rule < found)
			found = rule;
		if (!last && below)
			add_closure(rules, below, rule, part + 1);
	}
	return found < rules->n ? &rules->list[found] : NULL;
}
