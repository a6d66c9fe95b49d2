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

Test(rules, small_and_capital_letters_of_what_is_denied)
{
	struct rules rules;

	parse(&rules, "deny /opt/**/*password* # a\ndeny /opt/**/id_* # b\ndeny /opt/**/*.KEY # c\n"
		      "deny /opt/**/Exact # d\ndeny /opt/**/a?c # e\nshare /opt/**/Lib # f\n");
	cr_expect_str_eq(match(&rules, "/opt/x/MyPassWords.txt"), "/opt/**/*password*");
	cr_expect_str_eq(match(&rules, "/opt/ID_x"), "/opt/**/id_*");
	cr_expect_str_eq(match(&rules, "/opt/x.key"), "/opt/**/*.KEY");
	cr_expect_str_eq(match(&rules, "/opt/eXACT"), "/opt/**/Exact");
	cr_expect_str_eq(match(&rules, "/opt/ABC"), "/opt/**/a?c");
	cr_expect_str_eq(match(&rules, "/opt/lib"), "", "only what is denied");
	cr_expect_str_eq(match(&rules, "/opt/Lib"), "/opt/**/Lib");
	rules_fini(&rules);
}

Test(rules, checks_are_of_their_verbs)
{
	static const char *const bad[] = {"share /a = @apt # x\n", "copy /a = @python # x\n",
					  "share /a = /b # x\n", "copy /a = @nothing # x\n",
					  "deny /a = @apt # x\n"};
	struct rules rules;

	parse(&rules, "share /a/** = @program # x\ncopy /b = @pam # y\nshare /c # z\n");
	cr_expect(rules.list[0].check == RULE_PROGRAM && rules.list[1].check == RULE_PAM &&
		  rules.list[2].check == RULE_ANY_FILE);
	rules_fini(&rules);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		unsigned int line;

		rules = (struct rules){.n = 0};
		cr_expect_eq(rules_parse(&rules, bad[i], strlen(bad[i]), &line), -EINVAL, "%s",
			     bad[i]);
		rules_fini(&rules);
	}
}

/* The states of all rules have room, however deep the pattern and the path are. */
Test(rules, too_many_are_an_error_with_its_line)
{
	static const char deep[] = "deny /**/a/**/a/**/a/**/a/**/a/**/a/**/a/**/a # x\n";
	struct rules rules = {.n = 0};
	unsigned int line = 0, i = 0;
	int r = 0;

	for (; r == 0 && i < RULE_MAX; i++)
		r = rules_parse(&rules, deep, strlen(deep), &line);
	cr_assert_eq(r, -E2BIG);
	cr_expect_eq(line, 1);
	cr_expect_leq(rules.active, RULE_ACTIVE_MAX);
	cr_expect_str_eq(match(&rules, "/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a"),
			 "/**/a/**/a/**/a/**/a/**/a/**/a/**/a/**/a");
	rules_fini(&rules);
}
