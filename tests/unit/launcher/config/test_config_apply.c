/* SPDX-License-Identifier: MIT */
/* Files through `run --config` and `sandcastle config`. */
#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "launcher/commands.h"
#include "launcher/config/config_apply.h"
#include "launcher/config/config_print.h"

static char top[] = "/tmp/sandcastle-test-XXXXXX";
static char name[] = "ada", home[] = "/home/ada", shell[] = "/bin/bash";
static struct run_host host = {
	.cwd = "/usr",
	.user = {name, home, shell, 1000, 1000},
	.cpus = 16,
	.memory = 32ull << 30,
};
static struct sandbox_config cfg;
static char src[64], out[64], path[64];

static void setup(void)
{
	cr_redirect_stderr();
	cr_assert_not_null(mkdtemp(top));
	sprintf(src, "%s/src", top);
	sprintf(out, "%s/out", top);
	mkdir(src, 0755);
	mkdir(out, 0755);
	unsetenv("LANG");
}

static void teardown(void)
{
	sandbox_config_fini(&cfg);
	unlink(path);
	rmdir(src);
	rmdir(out);
	rmdir(top);
}

TestSuite(config_apply, .init = setup, .fini = teardown);

static void write_file(const char *file, const char *text)
{
	FILE *f;

	unlink(path);
	sprintf(path, "%s/%s", top, file);
	f = fopen(path, "w");
	cr_assert_not_null(f);
	fputs(text, f);
	fclose(f);
}

/* `run OPTION... --config FILE [WORD...]`, or start, with a file of that text. */
static int run(const char *command, const char *file, const char *text, const char *const *words)
{
	char copy[16][64], *argv[17] = {NULL};
	int argc = 0;

	write_file(file, text);
	sprintf(copy[argc++], "%s", command);
	for (; *words; words++)
		sprintf(copy[argc++], "%s", strcmp(*words, "FILE") == 0 ? path : *words);
	for (int i = 0; i < argc; i++)
		argv[i] = copy[i];
	sandbox_config_fini(&cfg);
	return run_options_parse(
		&(struct call){.command = strcmp(command, "run") == 0 ? &cmd_run : &cmd_start,
			       .argc = argc,
			       .argv = argv},
		&host, &cfg);
}

#define RUN(file, text, ...)   run("run", file, text, (const char *const[]){__VA_ARGS__, NULL})
#define START(file, text, ...) run("start", file, text, (const char *const[]){__VA_ARGS__, NULL})

static const char *said(void)
{
	static char text[4096];
	size_t n = fread(text, 1, sizeof(text) - 1, cr_get_redirected_stderr());

	text[n] = '\0';
	return text;
}

static const char whole[] = "[sandbox]\n"
			    "name = box\n"
			    "memory = 1G\n"
			    "cpus = 2\n"
			    "user = root\n"
			    "env = A=1\n"
			    "workdir = /work\n"
			    "timeout = 10s\n"
			    "root = out\n"
			    "kernel = src\n"
			    "battery = none\n"
			    "[map src]\n"
			    "host = src\n"
			    "guest = /work\n"
			    "write = true\n"
			    "[command]\n"
			    "run = make test\n";

Test(config_apply, a_file_says_it_all)
{
	cr_assert_eq(RUN("a.sandbox", whole, "--config", "FILE"), 0, "%s", said());
	cr_assert_str_eq(cfg.name, "box");
	cr_assert_eq(cfg.memory, 1ull << 30);
	cr_assert_eq(cfg.cpus, 2);
	cr_assert_str_eq(cfg.run_as, "root");
	cr_assert_str_eq(cfg.env[0], "A=1");
	cr_assert_str_eq(cfg.workdir, "/work");
	cr_assert_eq(cfg.timeout_ms, 10000);
	cr_assert_str_eq(strrchr(cfg.root, '/'), "/out");
	cr_assert_str_eq(strrchr(cfg.kernel, '/'), "/src", "a neighbour of the file");
	cr_assert_str_eq(cfg.battery, "none");
	cr_assert_eq(cfg.n_maps, 1, "the current directory is not mapped as well");
	cr_assert_str_eq(cfg.maps[0].host, src);
	cr_assert_str_eq(cfg.maps[0].guest, "/work");
	cr_assert(cfg.maps[0].writable);
	cr_assert_str_eq(cfg.argv[0], "sh");
	cr_assert_str_eq(cfg.argv[1], "-c");
	cr_assert_str_eq(cfg.argv[2], "make test");
	cr_assert_null(cfg.argv[3]);
}

Test(config_apply, the_command_line_wins)
{
	char map[80];

	sprintf(map, "%s:/work", out);
	cr_assert_eq(RUN("a.sandbox", whole, "--name=other", "--cpus", "3", "--config", "FILE",
			 "-eA=2", "--map", map, "-w/tmp", "-uada", "true", "--config"),
		     0, "%s", said());
	cr_assert_str_eq(cfg.name, "other");
	cr_assert_eq(cfg.cpus, 3, "wherever it stands");
	cr_assert_eq(cfg.memory, 1ull << 30);
	cr_assert_str_eq(cfg.env[0], "A=2");
	cr_assert_str_eq(cfg.workdir, "/tmp");
	cr_assert_str_eq(cfg.run_as, "ada");
	cr_assert_eq(cfg.n_maps, 1);
	cr_assert_str_eq(cfg.maps[0].host, out);
	cr_assert_not(cfg.maps[0].writable);
	cr_assert_str_eq(cfg.argv[0], "true");
	cr_assert_str_eq(cfg.argv[1], "--config", "the command's own");
}

Test(config_apply, several_commands_in_order)
{
	cr_assert_eq(RUN("a.sandbox", "[command]\nrun = a 'b'\nrun = c\n", "--config", "FILE"), 0);
	cr_assert_str_eq(cfg.argv[0], "sh");
	cr_assert_str_eq(cfg.argv[1], "-c");
	cr_assert_str_eq(cfg.argv[3], "sh");
	cr_assert_str_eq(cfg.argv[4], "a 'b'");
	cr_assert_str_eq(cfg.argv[5], "c");
	cr_assert_null(cfg.argv[6]);
	cr_assert_null(cfg.commands);
	cr_assert_eq(RUN("a.sandbox", "[sandbox]\ncpus = 1\n", "--config", "FILE"), -EINVAL,
		     "nothing to run");
}

Test(config_apply, a_started_sandbox_keeps_the_commands_apart)
{
	cr_assert_eq(START("a.sandbox", "[command]\nrun = a 'b'\nrun = c\n", "--config", "FILE"),
		     0);
	cr_assert_null(cfg.argv);
	cr_assert_str_eq(cfg.commands[0], "a 'b'");
	cr_assert_str_eq(cfg.commands[1], "c");
	cr_assert_null(cfg.commands[2]);
	cr_assert_eq(START("a.sandbox", "[sandbox]\ncpus = 1\n", "--config", "FILE"), 0);
	cr_assert_null(cfg.commands);
	cr_assert_eq(START("b.wsb",
			   "<Configuration><LogonCommand><Command>cmd</Command></LogonCommand></"
			   "Configuration>",
			   "--config", "FILE"),
		     -EINVAL);
}

Test(config_apply, a_windows_sandbox_file)
{
	char guest[80];

	cr_assert_eq(
		RUN("b.WSB",
		    "<Configuration><MappedFolders><MappedFolder><HostFolder>./src/</HostFolder>"
		    "</MappedFolder></MappedFolders><vGPU>Disable</vGPU><AudioInput>Enable</"
		    "AudioInput>\n<LogonCommand><Command>"
		    "cmd /c dir</Command></LogonCommand></Configuration>",
		    "--config", "FILE", "ls"),
		0, "%s", said());
	sprintf(guest, "%s/Desktop/src", home);
	cr_assert_str_eq(cfg.maps[0].host, src);
	cr_assert_str_eq(cfg.maps[0].guest, guest);
	cr_assert(cfg.maps[0].writable);
	cr_assert_eq(cfg.gpu_choice, GPU_NOT);
	cr_assert_not_null(strstr(said(), "b.WSB:1: <AudioInput>Enable is not supported yet"));
}

Test(config_apply, its_mistakes_have_a_line)
{
	static const struct {
		const char *file, *text, *says;
	} bad[] = {
		{"a.sandbox", "[sandbox]\n\nmemory = lots\n", ":3: memory 'lots' is not a size"},
		{"a.sandbox", "[sandbox]\ncpus = 0\n", ":2: cpus '0': give a number"},
		{"a.sandbox", "[sandbox]\nname = a_b\n", ":2: name 'a_b'"},
		{"a.sandbox", "[sandbox]\nenv = 1=2\n", ":2: env '1=2'"},
		{"a.sandbox", "[sandbox]\nworkdir = ../x/..\n", ":2: workdir"},
		{"a.sandbox", "[sandbox]\ntimeout = soon\n", ":2: timeout 'soon'"},
		{"a.sandbox", "[sandbox]\nkernel = $NOT_SET\n", ":2: $NOT_SET is not set"},
		{"a.sandbox", "\n[map a]\nhost = nonesuch\n", ":2: cannot map "},
		{"a.sandbox", "[map a]\nhost = src\nguest = /proc\n", ":1: cannot map to /proc"},
		{"a.sandbox", "[map a]\nhost = src\nguest = x/../y\n", ":1: cannot map to"},
		{"b.wsb", "<Configuration>\n<MemoryInMB>99999999</MemoryInMB></Configuration>",
		 ":2: MemoryInMB 99999999M is more than this host has"},
		{"b.wsb",
		 "<Configuration><LogonCommand>\n<Command>cmd</Command></LogonCommand></"
		 "Configuration>",
		 ":2: 'cmd' is a command of Windows"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		cr_assert_lt(RUN(bad[i].file, bad[i].text, "--config", "FILE"), 0, "%s",
			     bad[i].text);
		cr_assert_not_null(strstr(said(), bad[i].says), "%s", bad[i].says);
		unlink(path);
	}
}

Test(config_apply, all_mistakes_are_said_at_once)
{
	static const char *const says[] = {
		"b.wsb:2: <HostFolder>: 'C:\\a' is a path of Windows",
		"b.wsb:4: MemoryInMB 99999999M is more than",
		"b.wsb:3: cannot map ",
		"b.wsb:5: 'cmd' is a command of Windows",
		"b.wsb:6: 'x.exe' is a command of Windows",
	};
	const char *at;

	cr_assert_lt(RUN("b.wsb",
			 "<Configuration><MappedFolders><MappedFolder>\n"
			 "<HostFolder>C:\\a</HostFolder></MappedFolder>\n"
			 "<MappedFolder><HostFolder>nonesuch</HostFolder></MappedFolder>"
			 "</MappedFolders>\n"
			 "<MemoryInMB>99999999</MemoryInMB><LogonCommand>\n"
			 "<Command>cmd</Command>\n"
			 "<Command>x.exe</Command></LogonCommand></Configuration>",
			 "--config", "FILE"),
		     0);
	at = said();
	for (size_t i = 0; i < ARRAY_SIZE(says); i++)
		cr_assert_not_null(strstr(at, says[i]), "%s in %s", says[i], at);
	unlink(path);
	cr_assert_lt(RUN("a.sandbox",
			 "[sandbox]\ncpus = 0\nmemroy = 1\n[nonsense]\na = b\nc = d\n[map x\n"
			 "host = y\n[map z]\nwrite = maybe\n",
			 "--config", "FILE"),
		     0);
	at = said();
	cr_assert_not_null(strstr(at, ":3: unknown key 'memroy', did you mean memory?"), "%s", at);
	cr_assert_not_null(strstr(at, ":4: unknown section [nonsense]"), "%s", at);
	cr_assert_not_null(strstr(at, ":7: the ] of the section's name is missing"), "%s", at);
	cr_assert_not_null(strstr(at, ":10: write = maybe"), "%s", at);
	cr_assert_not_null(strstr(at, ":2: cpus '0'"), "%s", at);
	cr_assert_null(strstr(at, "no host"), "%s", at);
}

Test(config_apply, after_it_lines_are_about_nothing)
{
	cr_assert_lt(RUN("a.sandbox", whole, "--config", "FILE", "--cpus=x"), 0);
	cr_assert_eq(strncmp(said(), "sandcastle: --cpus 'x'", 22), 0);
}

Test(config_apply, files_that_are_none)
{
	static char big[CONFIG_FILE_MAX_BYTES + 2];
	struct config_file f;

	cr_assert_eq(config_file_read("/nonexistent/a", &f), -ENOENT);
	config_file_fini(&f);
	cr_assert_eq(config_file_read(top, &f), -EISDIR);
	config_file_fini(&f);
	memset(big, '\n', sizeof(big) - 1);
	write_file("a.sandbox", big);
	cr_assert_eq(config_file_read(path, &f), -EFBIG);
	config_file_fini(&f);
	cr_assert_not_null(strstr(said(), "at most 65536 bytes"));
	big[sizeof(big) - 2] = '\0';
	write_file("a.sandbox", big);
	cr_assert_eq(config_file_read(path, &f), 0);
	config_file_fini(&f);
	write_file("noname", "\n <Configuration/>");
	cr_assert_eq(config_file_read(path, &f), 0);
	cr_assert_eq(f.format, CONFIG_FORMAT_WSB);
	config_file_fini(&f);
	write_file("noname", "[sandbox]\ncpus = 1\n");
	cr_assert_eq(config_file_read(path, &f), 0);
	cr_assert_eq(f.format, CONFIG_FORMAT_SANDBOX);
	config_file_fini(&f);
}

Test(config_apply, as_json)
{
	struct config_file f;
	char *text = NULL;
	size_t len = 0;
	FILE *to = open_memstream(&text, &len);
	json_t *root;

	write_file("a.sandbox", "[sandbox]\nmemory = 1G\npriority = high\n[map s]\nhost = src\n"
				"[command]\nrun = a\nrun = b\n");
	cr_assert_eq(config_file_read(path, &f), 0);
	sandbox_config_init(&cfg);
	{
		struct settings s;

		cr_assert_eq(settings_init(&s, &host, &cfg), 0);
		cr_assert_eq(config_apply(&s, &f, CONFIG_APPLY_QUIETLY), 0);
	}
	cr_assert_eq(config_print_json(&f, &cfg, to), 0);
	fclose(to);
	config_file_fini(&f);
	root = json_loads(text, 0, NULL);
	cr_assert_not_null(root);
	cr_assert(json_is_null(json_object_get(root, "name")));
	cr_assert_eq(json_integer_value(json_object_get(root, "memory")), 1 << 30);
	cr_assert_str_eq(json_string_value(json_object_get(
				 json_array_get(json_object_get(root, "maps"), 0), "guest")),
			 src);
	cr_assert_eq(json_array_size(json_object_get(root, "run")), 2);
	cr_assert_eq(json_integer_value(json_object_get(
			     json_array_get(json_object_get(root, "unsupported"), 0), "line")),
		     3);
	json_decref(root);
	free(text);
	cr_assert_str_empty(said());
}
