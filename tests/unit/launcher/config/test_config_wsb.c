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
		     0, "%s", f.error);
	cr_assert_eq(f.format, CONFIG_FORMAT_WSB);
	cr_assert_eq(f.n_entries, 7);
	cr_assert_str_eq(f.entries[0].what, "vGPU");
	cr_assert_not_null(strstr(f.entries[0].value, "not supported yet"));
	cr_assert_eq(f.entries[0].line, 3);
	cr_assert_eq(f.entries[1].row, setting_find("network"));
	cr_assert_str_eq(f.entries[1].value, "none");
	for (size_t i = 2; i < 4; i++)
		cr_assert_str_empty(f.entries[i].value, "%s", f.entries[i].value);
	cr_assert_eq(f.entries[4].kind, CONFIG_COMMAND);
	cr_assert_str_eq(f.entries[4].value, "a < b");
	cr_assert_str_eq(f.entries[5].value, "c");
	cr_assert_eq(f.entries[6].row, setting_find("memory"));
	cr_assert_str_eq(f.entries[6].value, "4096M");
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
		{IN("<Networkin>x</Networkin>"), 2, "did you mean <Networking>?"},
		{IN("<CPUs>4</CPUs>"), 2, "there are vGPU"},
		{IN("hello"), 2, "text in <Configuration>"},
		{IN("<Networking>maybe</Networking>"), 2, "Enable, Disable or Default"},
		{IN("<Networking/>\n<networking/>"), 3, "twice, first in line 2"},
		{IN("<Networking><b/></Networking>"), 2, "no element <b>"},
		{IN("<MemoryInMB>lots</MemoryInMB>"), 2, "a number of MiB"},
		{IN("<MemoryInMB>-5</MemoryInMB>"), 2, "a number of MiB"},
		{IN("<MemoryInMB/>"), 2, "a number of MiB"},
		{IN("<LogonCommand><Command/></LogonCommand>"), 2, "<Command> is empty"},
		{IN("<LogonCommand><Run/></LogonCommand>"), 2, "has Command"},
		{FOLDER(""), 2, "no HostFolder"},
		{FOLDER("<HostFolder/>"), 2, "takes a path"},
		{FOLDER("<HostFolder>a</HostFolder>\n<HostFolder>b</HostFolder>"), 3, "twice"},
		{FOLDER("<HostFolder>C:\\Users</HostFolder>"), 2, "a path of Windows"},
		{FOLDER("<HostFolder>c:/x</HostFolder>"), 2, "a path of Windows"},
		{FOLDER("<HostFolder>\\\\nas\\x</HostFolder>"), 2, "a path of Windows"},
		{FOLDER("<HostFolder>a\\b</HostFolder>"), 2, "parted by /"},
		{FOLDER("<HostFolder>%UserProfile%\\a</HostFolder>"), 2, "here write ~"},
		{FOLDER("<HostFolder>%USERNAME%</HostFolder>"), 2, "here write $USER"},
		{FOLDER("<HostFolder>x/%FOO%</HostFolder>"), 2, "$NAME"},
		{FOLDER("<HostFolder>a</HostFolder><ReadOnly>x</ReadOnly>"), 2, "true or false"},
		{FOLDER("<Write>true</Write>"), 2, "unknown element <Write>"},
		{IN("<Networking>&nope;</Networking>"), 2, "not well-formed"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		cr_assert_eq(parse(bad[i].text), -EINVAL, "%s", bad[i].text);
		cr_assert_eq(f.error_line, bad[i].line, "%s: %u", bad[i].text, f.error_line);
		cr_assert_not_null(strstr(f.error, bad[i].says), "%s: %s", bad[i].text, f.error);
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
		cr_assert_not_null(strstr(f.error, "DOCTYPE"), "%s", f.error);
		cr_assert_eq(f.error_line, 1);
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
	cr_assert_not_null(strstr(f.error, "not well-formed"), "%s", f.error);
}

Test(config_wsb, utf16_as_notepad_writes_it)
{
	static const char ascii[] = "<Configuration><MemoryInMB>512</MemoryInMB></Configuration>";
	char wide[2 * sizeof(ascii)] = "\xff\xfe";

	for (size_t i = 0; i + 1 < sizeof(ascii); i++) {
		wide[2 + 2 * i] = ascii[i];
		wide[3 + 2 * i] = '\0';
	}
	cr_assert_eq(config_parse_wsb(&f, wide, sizeof(wide)), 0, "%s", f.error);
	cr_assert_str_eq(f.entries[0].value, "512M");
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
	cr_assert_eq(parse(text), 0, "%s", f.error);
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
