/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "image/base/rules.h"

static void parse(struct rules *rules, const char *text)
{
	unsigned int line = 0;

	*rules = (struct rules){.n = 0};
	cr_assert_eq(rules_parse(rules, text, strlen(text), &line), 0, "line %u", line);
}

/* The pattern of the rule that decides about a path, or "". */
static const char *match(const struct rules *rules, const char *path)
{
	static struct rule_state state, below;
	const struct rule *rule = NULL;
	char name[256];

	rules_begin(rules, &state);
	while (*path) {
		size_t n = strcspn(++path, "/");

		memcpy(name, path, n);
		name[n] = '\0';
		rule = rules_enter(rules, &state, name, &below);
		state = below;
		path += n;
	}
	return rule ? rule->pattern : "";
}

Test(rules, patterns)
{
	struct rules rules;

	parse(&rules, "# comment\n\n"
		      "deny /etc/ssl/private  # a\n"
		      "deny /etc/**/*.key # b\n"
		      "copy /etc/alternatives/** # c\n"
		      "share /opt/** # d\n"
		      "share /usr/lib/*/cache # e\n"
		      "default /etc/passwd = @passwd # f\n"
		      "default /etc/motd = /usr/share/motd # g\n"
		      "links /usr/** # h\n");
	cr_assert_eq(rules.n, 8);
	cr_expect_str_eq(match(&rules, "/etc/ssl/private"), "/etc/ssl/private");
	cr_expect_str_eq(match(&rules, "/etc/ssl"), "");
	cr_expect_str_eq(match(&rules, "/etc/x.key"), "/etc/**/*.key");
	cr_expect_str_eq(match(&rules, "/etc/a/b/x.key"), "/etc/**/*.key");
	cr_expect_str_eq(match(&rules, "/etc/alternatives/x.key"), "/etc/**/*.key", "the first");
	cr_expect_str_eq(match(&rules, "/etc/alternatives"), "/etc/alternatives/**");
	cr_expect_str_eq(match(&rules, "/etc/alternatives/a/b"), "/etc/alternatives/**");
	cr_expect_str_eq(match(&rules, "/opt"), "/opt/**");
	cr_expect_str_eq(match(&rules, "/opt/a"), "/opt/**");
	cr_expect_str_eq(match(&rules, "/optional"), "");
	cr_expect_str_eq(match(&rules, "/usr/lib/x/cache"), "/usr/lib/*/cache");
	cr_expect_str_eq(match(&rules, "/usr/lib/x/y/cache"), "/usr/**");
	cr_expect_str_eq(match(&rules, "/etc/passwd"), "/etc/passwd");
	cr_expect_str_eq(rules.list[5].source, "@passwd");
	cr_expect_str_eq(rules.list[6].source, "/usr/share/motd");
	cr_expect_str_eq(rules.list[6].reason, "g");
	rules_fini(&rules);
}

Test(rules, what_is_no_rule)
{
	static const char *const bad[] = {
		"deny /etc/x\n",
		"deny # no pattern\n",
		"forbid /etc/x # what?\n",
		"deny etc/x # relative\n",
		"deny / # the root\n",
		"deny /a/../b # dots\n",
		"deny //a # empty\n",
		"deny /a # \n",
		"deny /a = /b # no source\n",
		"default /a # a source\n",
		"default /a = b # what?\n",
		"default /a /b # no =\n",
		"default /a* = /b # which?\n",
		"deny /a /b # two\n",
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct rules rules = {.n = 0};
		char text[128];
		unsigned int line = 0;

		snprintf(text, sizeof(text), "# first\n%s", bad[i]);
		cr_expect_eq(rules_parse(&rules, text, strlen(text), &line), -EINVAL, "%s", bad[i]);
		cr_expect_eq(line, 2);
		rules_fini(&rules);
	}
}

Test(rules, the_built_in_ones)
{
	struct rules rules = {.n = 0};
	unsigned int line = 0;

	cr_assert_eq(rules_parse(&rules, rules_builtin, (size_t)(rules_builtin_end - rules_builtin),
				 &line),
		     0, "line %u", line);
	cr_expect_str_eq(match(&rules, "/etc/ssl/private"), "/etc/ssl/private");
	cr_expect_str_eq(match(&rules, "/etc/passwd"), "/etc/passwd");
	cr_expect_str_eq(match(&rules, "/usr/local/etc"), "/usr/local/etc");
	cr_expect_str_eq(match(&rules, "/opt/app/.env"), "/opt/**/.*");
	cr_expect_str_eq(match(&rules, "/opt/app/run"), "/opt/**");
	cr_expect_str_eq(match(&rules, "/home"), "/home");
	rules_fini(&rules);
}
