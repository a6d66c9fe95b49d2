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

TestSuite(config_wsb, .fini = teardown);

static int parse(const char *text)
{
	config_file_fini(&f);
	return config_parse_wsb(&f, text, strlen(text));
}

Test(config_wsb, all_of_it)
{
	cr_assert_eq(parse("<?xml version='1.0'?>\n"
			   "<configuration>\n"
			   "  <VGpu>Enable</VGpu>\n"
			   "  <NETWORKING> Disabled </NETWORKING>\n"
			   "  <AudioInput/><VideoInput>Default</VideoInput>\n"
			   "  <MappedFolders>\n"
			   "    <MappedFolder>\n"
			   "      <HostFolder>~/a &amp; b</HostFolder>\n"
			   "      <SandboxFolder>/x</SandboxFolder>\n"
			   "      <ReadOnly>True</ReadOnly>\n"
			   "    </MappedFolder>\n"
			   "    <!-- as documented: writable -->\n"
			   "    <MappedFolder><HostFolder>c%d</HostFolder></MappedFolder>\n"
			   "  </MappedFolders>\n"
			   "  <LogonCommand><Command>a &lt; "
			   "b</Command><Command>c</Command></LogonCommand>\n"
			   "  <MemoryInMB>4096</MemoryInMB>\n"
			   "</configuration>\n"),
		     0, "%s", problem());
	cr_assert_eq(f.format, CONFIG_FORMAT_WSB);
	cr_assert_eq(f.n_entries, 9, "and notes of what is on by default on Windows");
	cr_assert_str_eq(f.entries[0].what, "vGPU");
	cr_assert_eq(f.entries[0].row, setting_find("gpu"));
	cr_assert_str_eq(f.entries[0].value, "auto");
	cr_assert_eq(f.entries[0].line, 3);
	cr_assert_eq(f.entries[1].row, setting_find("network"));
	cr_assert_str_eq(f.entries[1].value, "none");
	cr_assert_str_empty(f.entries[2].value, "%s", f.entries[2].value);
	cr_assert_eq(f.entries[3].kind, CONFIG_NOTE);
	cr_assert_not_null(strstr(f.entries[3].value, "<AudioInput> is on by default on Windows"));
	cr_assert_str_empty(f.entries[4].value, "%s", f.entries[4].value);
	cr_assert_eq(f.entries[5].kind, CONFIG_COMMAND);
	cr_assert_str_eq(f.entries[5].value, "a < b");
	cr_assert_str_eq(f.entries[6].value, "c");
	cr_assert_eq(f.entries[7].row, setting_find("memory"));
	cr_assert_str_eq(f.entries[7].value, "4096M");
	cr_assert_eq(f.entries[8].kind, CONFIG_NOTE);
	cr_assert_not_null(strstr(f.entries[8].value, "<ClipboardRedirection>"));
	cr_assert_eq(f.n_shares, 2);
	cr_assert_str_eq(f.shares[0].host, "~/a & b");
	cr_assert_str_eq(f.shares[0].guest, "/x");
	cr_assert_not(f.shares[0].writable);
	cr_assert_eq(f.shares[0].line, 7);
	cr_assert_str_eq(f.shares[1].host, "c%d");
	cr_assert_null(f.shares[1].guest);
	cr_assert(f.shares[1].writable);
}

#define IN(text)     "<Configuration>\n" text "</Configuration>"
#define FOLDER(text) IN("<MappedFolders><MappedFolder>" text "</MappedFolder></MappedFolders>")

Test(config_wsb, mistakes_have_a_line_and_a_cure)
{
	static const struct {
		const char *text;
		unsigned int line;
		const char *says;
	} bad[] = {
		{"", 1, "not well-formed"},
		{"<Configuration>", 1, "not well-formed"},
		{"<Configuration>\n</configuration>", 2, "not well-formed"},
		{"\n<html/>", 2, "one element <Configuration>"},
		{IN("hello"), 2, "text in <Configuration>"},
		{IN("<Networking>maybe</Networking>"), 2, "Enable, Disable or Default"},
		{IN("<vGPU>maybe</vGPU>"), 2, "Enable, Disable or Default"},
		{IN("<Networking/>\n<networking/>"), 3, "twice, first in line 2"},
		{IN("<Networking><b/></Networking>"), 2, "no element <b>"},
		{IN("<MemoryInMB>lots</MemoryInMB>"), 2, "a number of MiB"},
		{IN("<MemoryInMB>-5</MemoryInMB>"), 2, "a number of MiB"},
		{IN("<MemoryInMB/>"), 2, "a number of MiB"},
		{IN("<LogonCommand><Command/></LogonCommand>"), 2, "<Command> is empty"},
		{FOLDER(""), 2, "no HostFolder"},
		{FOLDER("<HostFolder/>"), 2, "takes a path"},
		{FOLDER("<HostFolder>a</HostFolder>\n<HostFolder>b</HostFolder>"), 3, "twice"},
		{FOLDER("<HostFolder>C:\\Users</HostFolder>"), 2, "a path of Windows"},
		{FOLDER("<HostFolder>c:/x</HostFolder>"), 2, "a path of Windows"},
		{FOLDER("<HostFolder>\\\\nas\\x</HostFolder>"), 2, "a path of Windows"},
		{FOLDER("<HostFolder>\\a\\b</HostFolder>"), 2, "a path of Windows"},
		{FOLDER("<HostFolder>%UserProfile%\\a</HostFolder>"), 2, "here write ~"},
		{FOLDER("<HostFolder>%USERNAME%</HostFolder>"), 2, "here write $USER"},
		{FOLDER("<HostFolder>x/%FOO%</HostFolder>"), 2, "$NAME"},
		{FOLDER("<HostFolder>a</HostFolder><ReadOnly>x</ReadOnly>"), 2, "true or false"},
		{FOLDER("<Write>true</Write>"), 2, "no HostFolder"},
		{IN("<Networking>&nope;</Networking>"), 2, "not well-formed"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		cr_assert_eq(parse(bad[i].text), -EINVAL, "%s", bad[i].text);
		cr_assert_eq(f.problems[0].line, bad[i].line, "%s: %u", bad[i].text,
			     f.problems[0].line);
		cr_assert_not_null(strstr(problem(), bad[i].says), "%s: %s", bad[i].text,
				   problem());
	}
}

Test(config_wsb, nothing_is_declared_or_fetched)
{
	static const char *const bad[] = {
		"<!DOCTYPE a><Configuration/>",
		"<!DOCTYPE a SYSTEM 'file:///etc/passwd'><Configuration/>",
		"<!DOCTYPE a [<!ENTITY x SYSTEM "
		"'file:///etc/passwd'>]><Configuration>&x;</Configuration>",
		"<!DOCTYPE a [<!ENTITY a 'aaaa'><!ENTITY b "
		"'&a;&a;'>]><Configuration>&b;</Configuration>",
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		cr_assert_eq(parse(bad[i]), -EINVAL);
		cr_assert_not_null(strstr(problem(), "DOCTYPE"), "%s", problem());
		cr_assert_eq(f.problems[0].line, 1);
		cr_assert_eq(f.n_entries, 0);
	}
}

Test(config_wsb, depth_has_a_limit)
{
	static char text[40000];
	size_t n = 0;

	for (int i = 0; i < 5000; i++)
		n += (size_t)sprintf(text + n, "<a>");
	cr_assert_eq(parse(text), -EINVAL);
	cr_assert_not_null(strstr(problem(), "not well-formed"), "%s", problem());
}

Test(config_wsb, utf16_as_notepad_writes_it)
{
	static const char ascii[] = "<Configuration><MemoryInMB>512</MemoryInMB></Configuration>";
	char wide[2 * sizeof(ascii)] = "\xff\xfe";

	for (size_t i = 0; i + 1 < sizeof(ascii); i++) {
		wide[2 + 2 * i] = ascii[i];
		wide[3 + 2 * i] = '\0';
	}
	cr_assert_eq(config_parse_wsb(&f, wide, sizeof(wide)), 0, "%s", problem());
	cr_assert_str_eq(f.entries[1].value, "2048M");
}

/* How often `text` is said by an entry of this kind. */
static unsigned int times_said(enum config_kind kind, const char *text)
{
	unsigned int n = 0;

	for (size_t i = 0; i < f.n_entries; i++)
		n += f.entries[i].kind == kind && strstr(f.entries[i].value, text);
	return n;
}

Test(config_wsb, unknown_elements_are_said_and_passed_over)
{
	cr_assert_eq(parse("<Configuration>\n"
			   "<Metadata><Author>a</Author><Name>b</Name></Metadata>\n"
			   "<Metadata/><Networkin>Disable</Networkin>\n"
			   "<MappedFolders><Metadata/><MappedFolder><HostFolder>a</HostFolder>"
			   "<Write>1</Write></MappedFolder></MappedFolders>\n"
			   "<LogonCommand><Run/><Command>c</Command></LogonCommand>\n"
			   "</Configuration>"),
		     0, "%s", problem());
	cr_assert_eq(times_said(CONFIG_UNSUPPORTED, "unknown element <Metadata> is passed over"),
		     3);
	cr_assert_eq(times_said(CONFIG_UNSUPPORTED,
				"<Networkin> is passed over, did you mean <Networking>?"),
		     1);
	cr_assert_eq(times_said(CONFIG_UNSUPPORTED, "<Write>"), 1);
	cr_assert_eq(times_said(CONFIG_UNSUPPORTED, "<Run>"), 1);
	cr_assert_eq(times_said(CONFIG_COMMAND, "c"), 1);
	cr_assert_eq(f.n_shares, 1);
	cr_assert_str_eq(f.shares[0].host, "a");
}

Test(config_wsb, all_mistakes_at_once)
{
	static const unsigned int lines[] = {2, 3, 5, 6, 8};

	cr_assert_eq(parse("<Configuration>\n"
			   "<MemoryInMB>lots</MemoryInMB>\n"
			   "<Networking>maybe</Networking>\n"
			   "<MappedFolders><MappedFolder>\n"
			   "<HostFolder>C:\\a</HostFolder>\n"
			   "<SandboxFolder>%TEMP%</SandboxFolder></MappedFolder>\n"
			   "<MappedFolder><HostFolder>good</HostFolder></MappedFolder>\n"
			   "<MappedFolder><HostFolder>D:\\b</HostFolder></MappedFolder>\n"
			   "</MappedFolders></Configuration>"),
		     -EINVAL);
	cr_assert_eq(f.n_problems, ARRAY_SIZE(lines));
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
		cr_assert_eq(f.problems[i].line, lines[i], "%s", f.problems[i].text);
	cr_assert_eq(f.n_shares, 3);
	cr_assert(f.shares[0].bad && !f.shares[1].bad && f.shares[2].bad);
}

Test(config_wsb, mistakes_have_a_limit)
{
	static char text[CONFIG_FILE_MAX_BYTES];
	size_t n = (size_t)sprintf(text, "<Configuration>");

	for (int i = 0; i < 1000; i++)
		n += (size_t)sprintf(text + n, "<MemoryInMB>x</MemoryInMB>\n");
	sprintf(text + n, "</Configuration>");
	cr_assert_eq(parse(text), -EINVAL);
	cr_assert_eq(f.n_problems, CONFIG_FILE_MAX_PROBLEMS);
}

Test(config_wsb, little_memory_is_raised_as_on_windows)
{
	static const char *const rows[][2] = {
		{"0", "2048M"},	   {"8", "2048M"},     {"2047", "2048M"},
		{"2048", "2048M"}, {"08192", "8192M"},
	};
	char text[128];

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const bool raised = strtoul(rows[i][0], NULL, 10) < 2048;

		snprintf(text, sizeof(text), IN("<MemoryInMB>%s</MemoryInMB>"), rows[i][0]);
		cr_assert_eq(parse(text), 0, "%s", problem());
		cr_assert_eq(f.entries[raised].row, setting_find("memory"));
		cr_assert_str_eq(f.entries[raised].value, rows[i][1]);
		cr_assert_eq(times_said(CONFIG_UNSUPPORTED, "is raised to 2048"), raised);
	}
}

Test(config_wsb, relative_paths_of_windows_mean_the_same)
{
	static const char *const rows[][2] = {
		{".\\", "./"},
		{".\\a\\b c", "./a/b c"},
		{"..\\x", "../x"},
		{"a\\b", "a/b"},
	};
	char text[256];

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		snprintf(text, sizeof(text), FOLDER("<HostFolder>%s</HostFolder>"), rows[i][0]);
		cr_assert_eq(parse(text), 0, "%s", problem());
		cr_assert_str_eq(f.shares[0].host, rows[i][1]);
	}
}

Test(config_wsb, what_windows_has_by_default_is_said)
{
	cr_assert_eq(parse(IN("<AudioInput>Default</AudioInput><ClipboardRedirection>Disable"
			      "</ClipboardRedirection><VideoInput>Enable</VideoInput>")),
		     0, "%s", problem());
	cr_assert_eq(times_said(CONFIG_NOTE, "<AudioInput> is on by default on Windows"), 1);
	cr_assert_eq(times_said(CONFIG_NOTE, "is on by default on Windows"), 1);
	cr_assert_eq(times_said(CONFIG_NOTE, "--network user"), 1);
	cr_assert_eq(times_said(CONFIG_UNSUPPORTED, "<VideoInput>Enable"), 1);
	cr_assert_eq(parse(IN("<Networking>Disable</Networking>")), 0);
	cr_assert_eq(times_said(CONFIG_NOTE, "--network user"), 0);
}

Test(config_wsb, commands_of_windows)
{
	static const char *const windows[] = {
		"cmd /c dir",	      "CMD.EXE",  "C:\\setup.exe", "\"C:\\a b\\x\" /s",
		"powershell -File x", "explorer", "%TEMP%\\x",	   "setup.bat",
	};
	static const char *const linux[] = {
		"make test", "./cmd", "echo 100%", "printf %d:%d 1 2", "sh -c 'cmd'", "commander",
	};

	for (size_t i = 0; i < ARRAY_SIZE(windows); i++)
		cr_assert(config_is_windows_command(windows[i]), "%s", windows[i]);
	for (size_t i = 0; i < ARRAY_SIZE(linux); i++)
		cr_assert_not(config_is_windows_command(linux[i]), "%s", linux[i]);
}

/* What a file with `networking` in it says of the network. */
static const char *network_of(const char *networking)
{
	char text[256];

	snprintf(text, sizeof(text), "<Configuration>%s</Configuration>", networking);
	cr_assert_eq(parse(text), 0, "%s", problem());
	for (size_t i = 0; i < f.n_entries; i++)
		if (f.entries[i].row == setting_find("network"))
			return f.entries[i].value;
	return "not said";
}

Test(config_wsb, the_network_is_on_unless_it_is_off)
{
	static const char *const rows[][2] = {
		{"", "internet"},
		{"<Networking/>", "internet"},
		{"<Networking>Default</Networking>", "internet"},
		{"<Networking>Enable</Networking>", "internet"},
		{"<Networking>true</Networking>", "internet"},
		{"<Networking>Disable</Networking>", "none"},
		{"<networking>off</networking>", "none"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		cr_expect_str_eq(network_of(rows[i][0]), rows[i][1], "%s", rows[i][0]);
		config_file_fini(&f);
		config_file_init(&f);
	}
}
