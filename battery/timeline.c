/* SPDX-License-Identifier: MIT */
#include "battery/timeline.h"

#include <errno.h>
#include <string.h>

#include "common/text.h"

#define DELAY_MAX_MS (24ull * 3600 * 1000)

static int bad(struct timeline *t, const char *problem)
{
	t->problem = problem;
	return -EINVAL;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

static void skip_blanks(struct slice *rest)
{
	while (rest->len > 0 && is_blank(rest->p[0])) {
		rest->p++;
		rest->len--;
	}
}

/* Up to the next blank or `stop`; empty at the end of the line. */
static struct slice take_word(struct slice *rest, char stop)
{
	struct slice word = {rest->p, 0};

	while (word.len < rest->len && !is_blank(word.p[word.len]) && word.p[word.len] != stop)
		word.len++;
	rest->p += word.len;
	rest->len -= word.len;
	return word;
}

/* The line that starts at `pos`, less its comment; *next is where the following starts. */
static struct slice line_at(const struct timeline *t, size_t *next)
{
	struct slice line = {t->text + t->pos, 0};
	size_t whole = strcspn(line.p, "\n");
	bool quoted = false;

	*next = t->pos + whole + (line.p[whole] == '\n');
	for (; line.len < whole && (quoted || line.p[line.len] != '#'); line.len++)
		if (line.p[line.len] == '"')
			quoted = !quoted;
	return line;
}

static int parse_delay(struct timeline *t, struct slice word, uint64_t *ms)
{
	static const struct {
		const char *name;
		uint64_t ms;
	} units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}};
	struct slice unit = word;
	uint64_t n = 0;

	while (unit.len > 0 && unit.p[0] >= '0' && unit.p[0] <= '9') {
		n = n * 10 + (uint64_t)(unit.p[0] - '0');
		if (n > DELAY_MAX_MS)
			return bad(t, "a delay is at most a day");
		unit.p++;
		unit.len--;
	}
	for (size_t i = 0; unit.p != word.p && i < ARRAY_SIZE(units); i++)
		if (slice_is(unit, units[i].name)) {
			*ms = min_u64(n * units[i].ms, DELAY_MAX_MS);
			return 0;
		}
	return bad(t, "a delay is a number and ms, s or m: +500ms");
}

static struct supply *find(struct supply_set *set, struct slice name)
{
	for (size_t i = 0; i < set->n; i++)
		if (slice_is(name, set->supplies[i].name))
			return &set->supplies[i];
	return NULL;
}

static struct supply *add(struct supply_set *set, struct slice name)
{
	struct supply *s = &set->supplies[set->n++];
	const char *type = name.len >= 3 && memcmp(name.p, "BAT", 3) == 0 ? "Battery" : "Mains";

	memset(s, 0, sizeof(*s));
	memcpy(s->name, name.p, name.len);
	memcpy(s->attrs[SUPPLY_TYPE], type, strlen(type) + 1);
	return s;
}

static int take_value(struct timeline *t, struct slice *rest, struct slice *value)
{
	if (rest->len == 0 || rest->p[0] != '"') {
		*value = take_word(rest, '\0');
		return 0;
	}
	rest->p++;
	rest->len--;
	value->p = rest->p;
	for (value->len = 0; value->len < rest->len && rest->p[value->len] != '"'; value->len++)
		;
	if (value->len == rest->len)
		return bad(t, "a quote is not closed");
	rest->p += value->len + 1;
	rest->len -= value->len + 1;
	return 0;
}

static int apply_attr(struct timeline *t, struct supply *s, struct slice *rest)
{
	struct slice name = take_word(rest, '='), value;
	enum supply_attr attr = supply_attr_find(name.p, name.len);
	int r;

	if (rest->len == 0 || rest->p[0] != '=')
		return bad(t, "expected ATTRIBUTE=VALUE or 'removed'");
	if (attr == SUPPLY_N_ATTRS)
		return bad(t, "no such attribute is passed on to a guest");
	rest->p++;
	rest->len--;
	r = take_value(t, rest, &value);
	if (r < 0)
		return r;
	if (value.len >= SUPPLY_VALUE_MAX)
		return bad(t, "a value is too long");
	memcpy(s->attrs[attr], value.p, value.len);
	s->attrs[attr][value.len] = '\0';
	return 0;
}

static void remove_supply(struct supply_set *set, struct slice name)
{
	struct supply *s = find(set, name);

	if (!s)
		return;
	set->n--;
	memmove(s, s + 1, (size_t)(&set->supplies[set->n] - s) * sizeof(*s));
}

/* What is left of a line after its delay. */
static int apply_line(struct timeline *t, struct supply_set *set, struct slice rest)
{
	struct slice name = take_word(&rest, '\0'), peek;
	struct supply *s;
	int r = 0;

	if (name.len == 0)
		return bad(t, "a delay needs a change");
	if (name.len >= SUPPLY_NAME_MAX || memchr(name.p, '=', name.len))
		return bad(t, "a line starts with a supply's name");
	skip_blanks(&rest);
	peek = rest;
	if (slice_is(take_word(&peek, '\0'), "removed")) {
		skip_blanks(&peek);
		if (peek.len > 0)
			return bad(t, "nothing can follow 'removed'");
		remove_supply(set, name);
		return 0;
	}
	s = find(set, name);
	if (!s && set->n == SUPPLY_MAX)
		return bad(t, "too many supplies");
	if (!s)
		s = add(set, name);
	for (; r == 0 && rest.len > 0; skip_blanks(&rest))
		r = apply_attr(t, s, &rest);
	return r;
}

int timeline_next(struct timeline *t, struct supply_set *set, uint64_t *wait_ms)
{
	while (t->text[t->pos] != '\0') {
		size_t next;
		struct slice rest = line_at(t, &next);
		uint64_t ms = 0;
		int r = 0;

		skip_blanks(&rest);
		if (rest.len > 0 && rest.p[0] == '+') {
			rest.p++;
			rest.len--;
			r = parse_delay(t, take_word(&rest, '\0'), &ms);
			skip_blanks(&rest);
			if (r == 0 && rest.len == 0)
				r = bad(t, "a delay needs a change");
		}
		if (r == 0 && ms > 0 && !t->waited) {
			t->waited = true;
			*wait_ms = ms;
			return 1;
		}
		t->line++;
		t->waited = false;
		t->pos = next;
		if (r == 0 && rest.len > 0)
			r = apply_line(t, set, rest);
		if (r < 0)
			return r;
	}
	return 0;
}
