/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "launcher/config/config_file.h"
#include "launcher/config/settings.h"

static struct config_file f;

static void teardown(void)
{
	config_file_fini(&f);
}

/* The first thing that is wrong. */
static const char *problem(void)
{
	return f.n_problems > 0 ? f.problems[0].text : "";
}

TestSuite(config_ini, .fini = teardown);

static int parse(const char *text)
{
	config_file_fini(&f);
	return config_parse_ini(&f, text, strlen(text));
}

static const struct config_entry *entry(const char *what)
{
	for (size_t i = 0; i < f.n_entries; i++)
		if (strcmp(f.entries[i].what, what) == 0)
			return &f.entries[i];
	return NULL;
}

Test(config_ini, all_of_it)
{
	cr_assert_eq(parse("# first\n"
			   "[sandbox]\n"
			   "name = box ; and why\n"
			   "\tmemory=2G\r\n"
			   "env = A=b:c = d\n"
			   "env = E=\n"
			   "priority = normal\n"
			   "gpu = off\n"
			   "\n"
			   "[map one]\n"
			   "host = ../a b\n"
			   "[map two]\n"
			   "write : on\n"
			   "guest = /x\n"
			   "host = ~/y\n"
			   "[command]\n"
			   "run = true;false\n"
			   "run = echo 'a  b'"),
		     0, "%s", problem());
	cr_assert_eq(f.format, CONFIG_FORMAT_SANDBOX);
	cr_assert_eq(f.n_entries, 8);
	cr_assert_str_eq(entry("name")->value, "box");
	cr_assert_eq(entry("name")->line, 3);
	cr_assert_str_eq(entry("memory")->value, "2G");
	cr_assert_eq(entry("memory")->row, setting_find("memory"));
	cr_assert_str_eq(f.entries[2].value, "A=b:c = d");
	cr_assert_str_eq(f.entries[3].value, "E=");
	cr_assert_str_empty(entry("priority")->value, "it is what a sandbox has");
	cr_assert_eq(entry("gpu")->row, setting_find("gpu"));
	cr_assert_str_eq(entry("gpu")->value, "off");
	cr_assert_eq(f.n_shares, 2);
	cr_assert_str_eq(f.shares[0].name, "one");
	cr_assert_str_eq(f.shares[0].host, "../a b");
	cr_assert_null(f.shares[0].guest);
	cr_assert_not(f.shares[0].writable);
	cr_assert_eq(f.shares[0].line, 10);
	cr_assert_str_eq(f.shares[1].guest, "/x");
	cr_assert(f.shares[1].writable);
	cr_assert_str_eq(f.entries[6].value, "true;false");
	cr_assert_str_eq(f.entries[7].value, "echo 'a  b'");
	cr_assert_eq(f.entries[7].line, 18);
}

Test(config_ini, nothing_is_fine)
{
	cr_assert_eq(parse(""), 0);
	cr_assert_eq(parse("\n\n; only\n# comments"), 0);
	cr_assert_eq(parse("\xef\xbb\xbf[sandbox]\ncpus = 1\n"), 0, "a byte order mark");
	cr_assert_eq(f.n_entries, 1);
}

Test(config_ini, mistakes_have_a_line_and_a_cure)
{
	static const struct {
		const char *text;
		unsigned int line;
		const char *says;
	} bad[] = {
		{"[sandbox]\nmemry = 1G\n", 2, "did you mean memory?"},
		{"[sandbox]\nfrobnicate = 1\n", 2, "[sandbox] has env, workdir"},
		{"[sandbox]\nMemory = 1G\n", 2, "did you mean memory?"},
		{"[sandbox]\ncpus = 1\n\ncpus = 2\n", 4, "twice, first in line 2"},
		{"[sandbox]\nnetwork = none\nnetwork = user\n", 3, "twice"},
		{"[sandbox]\ncpus =\n", 2, "no value"},
		{"[sandbox]\ncpus\n", 2, "neither [section] nor key = value"},
		{"\ncpus = 1\n", 2, "begin with [sandbox]"},
		{"[sandbxo]\ncpus = 1\n", 1, "unknown section [sandbxo]"},
		{"[sandbox\ncpus = 1\n", 1, "] of the section's name is missing"},
		{"[sandbox ;]\ncpus = 1\n", 1, "] of the section's name is missing"},
		{"[sandbox] cpus = 1\n", 1, "only a comment"},
		{"[map a]\n\n[command]\nrun = x\n", 1, "a map needs a host"},
		{"[command]\nrun = x\n[map a]\n", 3, "a map needs a host"},
		{"[map a]\nguest = /x\n", 1, "[map a] has no host"},
		{"[map a]\nhost = x\nhost = y\n", 3, "host is given twice"},
		{"[map a]\nhost =\n", 2, "takes a path"},
		{"[map a]\nhost = x\nwrite = maybe\n", 3, "true or false"},
		{"[map a]\nhost = x\ndiscard = maybe\n", 3, "true or false"},
		{"[map a]\nhost = x\nwrite = true\ndiscard = true\n", 4, "kept or thrown away"},
		{"[map a]\nhots = x\n", 2, "a map has host, guest"},
		{"[map]\nhost = x\n", 1, "a map needs a name"},
		{"[map a]\nhost = x\n[map a]\nhost = y\n", 3, "twice, first in line 1"},
		{"[command]\nexec = x\n", 2, "[command] has run"},
		{"[command]\nrun =\n", 2, "takes a command"},
		{"[command]\nrun = a ; b\n", 2, "begin a comment"},
		{"[sandbox]\nname = a\001b\n", 2, "no text"},
		{"[sandbox]\r\rname = a\n", 1, "only a comment"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		cr_assert_eq(parse(bad[i].text), -EINVAL, "%s", bad[i].text);
		cr_assert_eq(f.problems[0].line, bad[i].line, "%s: %u", bad[i].text,
			     f.problems[0].line);
		cr_assert_not_null(strstr(problem(), bad[i].says), "%s: %s", bad[i].text,
				   problem());
	}
}

/* `root` was missing in it once. */
Test(config_ini, the_hint_has_all_keys)
{
	cr_assert_eq(parse("[sandbox]\nfrobnicate = 1\n"), -EINVAL);
	for (const struct option_row *row = settings_rows; row->name; row++)
		if (row->flags & SETTING_FILE)
			cr_assert_not_null(strstr(problem(), row->name), "%s", row->name);
	cr_assert_lt(strlen(problem()), CONFIG_FILE_MAX_LINE - 1, "it is not cut short");
}

Test(config_ini, a_nul_is_no_text)
{
	static const char text[] = "[sandbox]\nname = a\0b\n";

	cr_assert_eq(config_parse_ini(&f, text, sizeof(text) - 1), -EINVAL);
	cr_assert_eq(f.problems[0].line, 2);
}

Test(config_ini, long_lines_are_refused_not_cut)
{
	char text[600];

	for (size_t n = 150; n < 250; n++) {
		int len = snprintf(text, sizeof(text), "[sandbox]\nname = %0*d\n", (int)n, 7);
		int r;

		config_file_fini(&f);
		r = config_parse_ini(&f, text, (size_t)len);
		if (r == 0)
			cr_assert_eq(strlen(f.entries[0].value), n);
		else
			cr_assert_not_null(strstr(problem(), "at most 199"), "%s", problem());
		cr_assert_eq(r == 0, n <= 192);
	}
}

Test(config_ini, long_section_names_are_refused_not_cut)
{
	char text[200];

	snprintf(text, sizeof(text), "[map %045d]\nhost = x\n", 7);
	cr_assert_eq(parse(text), 0, "%s", problem());
	cr_assert_eq(strlen(f.shares[0].name), 45);
	snprintf(text, sizeof(text), "[map %046d]\nhost = x\n", 7);
	cr_assert_eq(parse(text), -EINVAL);
	cr_assert_not_null(strstr(problem(), "at most 49"));
}

Test(config_ini, there_is_a_most_of_everything)
{
	static char text[CONFIG_FILE_MAX_BYTES];
	size_t len = 0;

	len += (size_t)sprintf(text, "[command]\n");
	for (size_t i = 0; i <= CONFIG_FILE_MAX_ENTRIES; i++)
		len += (size_t)sprintf(text + len, "run = x\n");
	cr_assert_eq(parse(text), -EINVAL);
	cr_assert_eq(f.problems[0].line, CONFIG_FILE_MAX_ENTRIES + 2);
	for (size_t i = len = 0; i <= CONFIG_MAX_MAPS; i++)
		len += (size_t)sprintf(text + len, "[map %zu]\nhost = x\n", i);
	cr_assert_eq(parse(text), -EINVAL);
	cr_assert_not_null(strstr(problem(), "maps"), "%s", problem());
}

Test(config_ini, words_for_yes_and_no)
{
	cr_assert_eq(config_bool("true"), 1);
	cr_assert_eq(config_bool("Enabled"), 1);
	cr_assert_eq(config_bool("ON"), 1);
	cr_assert_eq(config_bool("no"), 0);
	cr_assert_eq(config_bool("Disable"), 0);
	cr_assert_eq(config_bool("0"), 0);
	cr_assert_eq(config_bool(""), -EINVAL);
	cr_assert_eq(config_bool("default"), -EINVAL);
	cr_assert_eq(config_bool("truee"), -EINVAL);
}
