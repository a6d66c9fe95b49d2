/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>

#include "launcher/open/entry.h"

static struct entry entry;

/* The words between bars, or the error. */
static const char *words_of(const char *exec, const char *file)
{
	static char text[4096], out[4096];
	int r, n;

	n = snprintf(text, sizeof(text),
		     "[Desktop Entry]\nType=Application\nName=A \"name\"\nIcon=pic\nExec=%s\n"
		     "[Desktop Action new]\nExec=other\n",
		     exec);
	r = entry_read((struct slice){text, (size_t)n}, "/usr/x.desktop", file, &entry);
	if (r < 0) {
		snprintf(out, sizeof(out), "%d", r);
		return out;
	}
	cr_assert_null(entry.argv[entry.n]);
	out[0] = '\0';
	for (size_t i = 0, at = 0; i < entry.n; i++)
		at += (size_t)snprintf(out + at, sizeof(out) - at, "%s|", entry.argv[i]);
	return out;
}

static void expect(const char *exec, const char *file, const char *words)
{
	const char *got = words_of(exec, file);

	cr_assert_str_eq(got, words, "%s: %s", exec, got);
}

Test(entry, field_codes)
{
	expect("evince %U", "/home/k/a b%.pdf", "evince|file:///home/k/a%20b%25.pdf|");
	expect("mupdf %f", "/home/k/a b.pdf", "mupdf|/home/k/a b.pdf|");
	expect("x %F --last", "/a", "x|/a|--last|");
	expect("x %u", NULL, "x|");
	expect("x %i %c %k", "/a", "x|--icon|pic|A \"name\"|/usr/x.desktop|");
	expect("x %d%%", "/a", "-22");
	expect("x %d %D %n %N %v %m", "/a", "x|");
	expect("x 100%%", "/a", "x|100%|");
	expect("x --file=%f", "/a b", "x|--file=/a b|");
	expect("x %q", "/a", "-22");
	expect("x %", "/a", "-22");
}

Test(entry, quoting)
{
	expect("\"/opt/a b/x\" -o \"a\\\\\"b\\\\$c\"", NULL, "/opt/a b/x|-o|a\"b$c|");
	/* Each back slash of a quoted one is written twice, since values have them as well. */
	expect("x \"a\\\\\\\\b\"", NULL, "x|a\\b|");
	expect("x \"%f\"", "/a", "x|%f|");
	expect("x a\\sb", NULL, "x|a|b|");
	expect("x \"\"", NULL, "x||");
	expect("x \"open", NULL, "-22");
	expect("x \"open\\\\", NULL, "-22");
	expect("  x   y  ", NULL, "x|y|");
	/* Nothing is a shell's. */
	expect("x $(id) `id` ;id", NULL, "x|$(id)|`id`|;id|");
}

Test(entry, a_file_name_is_one_word_whatever_it_is)
{
	expect("x %f", "/h/$(id); \"q\" %f", "x|/h/$(id); \"q\" %f|");
	expect("x %u", "/h/a\n\xc3\xa4", "x|file:///h/a%0A%C3%A4|");
	expect("x -%f-", "/h/--evil", "x|-/h/--evil-|");
}

Test(entry, what_is_no_application)
{
	static const char *const bad[] = {
		"",
		"[Desktop Entry]\nType=Link\nExec=x\n",
		"[Desktop Entry]\nType=Application\n",
		"[Desktop Entry]\nType=Application\nExec=\n",
		"[Desktop Entry]\nType=Application\nExec=%f\n",
		"[Desktop Entry]\nType=Application\nExec=x\nHidden=true\n",
		"Type=Application\nExec=x\n",
		"[Desktop Action a]\nType=Application\nExec=x\n",
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		cr_assert_eq(entry_read((struct slice){bad[i], strlen(bad[i])}, "/x", NULL, &entry),
			     -EINVAL, "%zu", i);
}

Test(entry, what_is_too_long)
{
	char exec[4096], *file = malloc(ENTRY_TEXT_MAX + 1);

	memset(exec, 'a', sizeof(exec) - 1);
	exec[3000] = '\0';
	cr_assert_str_eq(words_of(exec, NULL), "-22");
	for (size_t i = 0; i < 400; i += 2)
		memcpy(exec + i, "a ", 3);
	expect(exec, NULL, "-7");
	cr_assert_not_null(file);
	memset(file, 'a', ENTRY_TEXT_MAX);
	file[ENTRY_TEXT_MAX] = '\0';
	expect("x %f", file, "-7");
	expect("x %u", file, "-7");
	free(file);
}

Test(entry, terminal)
{
	static const char text[] = "[Desktop Entry]\nType=Application\nTerminal=true\nExec=vi %F\n";

	cr_assert_eq(entry_read((struct slice){text, sizeof(text) - 1}, "/x", "/a", &entry), 0);
	cr_assert(entry.terminal);
	expect("x", NULL, "x|");
	cr_assert_not(entry.terminal);
}
