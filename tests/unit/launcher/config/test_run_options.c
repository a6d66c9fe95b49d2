/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "launcher/commands.h"
#include "launcher/config/run_options.h"

static char cwd[] = "/tmp/sandcastle-test-XXXXXX";
static char name[] = "ada", home[] = "/home/ada", shell[] = "/bin/bash";
static struct run_host host = {
	.cwd = cwd,
	.user = {name, home, shell, 1000, 1000},
	.cpus = 16,
	.memory = 32ull << 30,
};
static struct sandbox_config cfg;

static void setup(void)
{
	cr_assert_not_null(mkdtemp(cwd));
	for (const char *const *v = (const char *const[]){"LANG", "LANGUAGE", "LC_ALL", "LC_TIME",
							  "TZ", "TERM", "COLORTERM", NULL};
	     *v; v++)
		unsetenv(*v);
}

static void teardown(void)
{
	sandbox_config_fini(&cfg);
	rmdir(cwd);
}

TestSuite(run_options, .init = setup, .fini = teardown);

static int parse(const char *const *words)
{
	char copy[16][64], *argv[17] = {NULL};
	int argc = 0;

	for (; words[argc]; argc++) {
		snprintf(copy[argc], sizeof(copy[argc]), "%s", words[argc]);
		argv[argc] = copy[argc];
	}
	sandbox_config_fini(&cfg);
	return run_options_parse(&(struct call){.command = &cmd_run, .argc = argc, .argv = argv},
				 &host, &cfg);
}

#define PARSE(...) parse((const char *const[]){"run", __VA_ARGS__, NULL})

Test(run_options, a_session_has_a_display)
{
	cr_assert_eq(PARSE("xterm"), 0);
	cr_assert_not(cfg.session_app);
	cr_assert_not(cfg.display.enabled);
	cr_assert_eq(PARSE("--session", "app", "xterm"), 0);
	cr_assert(cfg.session_app);
	cr_assert(cfg.display.enabled);
	cr_assert_not(cfg.window);
	cr_assert_eq(PARSE("--display", "640x400", "--window", "xterm"), 0);
	cr_assert(cfg.session_app);
	cr_assert(cfg.window);
	cr_assert_eq(cfg.display.width, 640);
	cr_assert_eq(PARSE("--session", "none", "xterm"), 0);
	cr_assert_not(cfg.session_app);
}

Test(run_options, a_session_that_is_none, .init = cr_redirect_stderr)
{
	cr_assert_eq(PARSE("--session", "kiosk", "xterm"), -EINVAL);
}

Test(run_options, defaults)
{
	cr_assert_eq(PARSE("make", "--size", "-j2"), 0);
	cr_assert_eq(cfg.cpus, 4);
	cr_assert_eq(cfg.memory, 8ull << 30);
	cr_assert_str_eq(cfg.argv[0], "make");
	cr_assert_str_eq(cfg.argv[1], "--size");
	cr_assert_str_eq(cfg.argv[2], "-j2");
	cr_assert_null(cfg.argv[3]);
	cr_assert_eq(cfg.n_maps, 1);
	cr_assert_str_eq(cfg.maps[0].host, cwd);
	cr_assert_str_eq(cfg.maps[0].guest, cwd);
	cr_assert_not(cfg.maps[0].writable);
	cr_assert_str_eq(cfg.workdir, cwd);
	cr_assert_str_eq(cfg.user.name, "ada");
	cr_assert_eq(cfg.user.uid, 1000);
	cr_assert_null(cfg.run_as);
	cr_assert_null(cfg.root);
	cr_assert_null(cfg.kernel);
	cr_assert_null(cfg.battery, "the host's");
	cr_assert_eq(cfg.timeout_ms, 0);
	cr_assert_not_null(strchr(cfg.name, '-'));
}

Test(run_options, a_small_host)
{
	host.cpus = 2;
	host.memory = 3ull << 30;
	cr_assert_eq(PARSE("true"), 0);
	cr_assert_eq(cfg.cpus, 2);
	cr_assert_eq(cfg.memory, 3ull << 29);
	host.memory = 100 << 20;
	cr_assert_eq(PARSE("true"), 0);
	cr_assert_eq(cfg.memory, CONFIG_MIN_MEMORY);
	cr_assert_eq(cfg.memory % (2 << 20), 0);
}

Test(run_options, all_given)
{
	cr_assert_eq(PARSE("--cpus=2", "-m", "1000000001", "--timeout=1m30s", "--name=box",
			   "-u1001", "-w/srv", "--root=/r", "--kernel=/k", "--battery=none",
			   "--debug-console", "--no-dax", "-n", "--", "-x"),
		     0);
	cr_assert_eq(cfg.cpus, 2);
	cr_assert_eq(cfg.memory, 477ull * (2 << 20), "rounded up to 2 MiB");
	cr_assert_eq(cfg.timeout_ms, 90000);
	cr_assert_str_eq(cfg.name, "box");
	cr_assert_str_eq(cfg.run_as, "1001");
	cr_assert_str_eq(cfg.workdir, "/srv");
	cr_assert_str_eq(cfg.root, "/r");
	cr_assert_str_eq(cfg.kernel, "/k");
	cr_assert_str_eq(cfg.battery, "none");
	cr_assert(cfg.debug_console && cfg.no_dax && cfg.no_stdin);
	cr_assert_str_eq(cfg.argv[0], "-x");
}

Test(run_options, impossible_values)
{
	static const char *const bad[] = {
		"--cpus=0",	   "--cpus=65",		"--cpus=x",
		"--memory=1M",	   "--memory=127M",	"--memory=33G",
		"--memory=99999T", "--memory=",		"--memory=16E",
		"--timeout=0s",	   "--timeout=5",	"--name=",
		"--name=a_b",	   "--name=-a",		"--env=",
		"--env==x",	   "--env=1A=x",	"--env=A B=x",
		"--user=",	   "--kernel=",		"--root=",
		"--workdir=",	   "--workdir=/a/../b", "--workdir=$NOT_SET",
		"--map=",	   "--map=/nonesuch",	"--network=nat",
		"--json",	   "--battery=",
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		cr_assert_lt(PARSE(bad[i], "true"), 0, "%s", bad[i]);
}

Test(run_options, no_command)
{
	cr_assert_eq(PARSE("--"), -EINVAL);
	cr_assert_eq(PARSE("--cpus=1"), -EINVAL);
	cr_assert_eq(PARSE(""), -EINVAL);
}

static const char *env_of(const char *key)
{
	for (char **e = cfg.env; e && *e; e++)
		if (strncmp(*e, key, strlen(key)) == 0 && (*e)[strlen(key)] == '=')
			return *e + strlen(key) + 1;
	return NULL;
}

Test(run_options, environment)
{
	setenv("HERE", "v=1", 1);
	unsetenv("NOT_HERE");
	setenv("LANG", "de_DE.UTF-8", 1);
	setenv("TERM", "xterm", 1);
	setenv("LC_TIME", "C", 1);
	setenv("TZ", "XYZ-5", 1);
	cr_assert_eq(PARSE("-eA=1", "-eB=", "-eA=2", "-eHERE", "-eNOT_HERE", "env"), 0);
	cr_assert_str_eq(env_of("A"), "2", "the last one counts");
	cr_assert_str_eq(env_of("B"), "");
	cr_assert_str_eq(env_of("HERE"), "v=1");
	cr_assert_null(env_of("NOT_HERE"));
	cr_assert_str_eq(env_of("LANG"), "de_DE.UTF-8");
	cr_assert_null(env_of("TERM"), "no terminal");
	host.tty = true;
	cr_assert_eq(PARSE("-eLANG=C", "env"), 0);
	cr_assert_str_eq(env_of("LANG"), "C");
	cr_assert_str_eq(env_of("TERM"), "xterm");
	cr_assert_str_eq(env_of("LC_TIME"), "C");
	cr_assert_str_eq(env_of("TZ"), "XYZ-5");
	/* Without standard input there is no terminal. */
	cr_assert_eq(PARSE("-n", "env"), 0);
	cr_assert_not(cfg.tty);
}

static void write_file(const char *path, const char *bytes, size_t len)
{
	FILE *f = fopen(path, "w");

	cr_assert_not_null(f);
	cr_assert_eq(fwrite(bytes, 1, len, f), len);
	cr_assert_eq(fclose(f), 0);
}

Test(run_options, environment_of_a_file)
{
	static const char binary[] = "A=one\ntwo\0#B=\0C=3";

	setenv("HERE", "v=1", 1);
	write_file("vars", "# of ours\nA=1 2\n\nB=\nHERE\nA=3", 28);
	cr_assert_eq(PARSE("--env-file=vars", "-eB=4", "env"), 0);
	cr_assert_str_eq(env_of("A"), "3");
	cr_assert_str_eq(env_of("B"), "4");
	cr_assert_str_eq(env_of("HERE"), "v=1");
	write_file("vars", binary, sizeof(binary));
	cr_assert_lt(PARSE("--env-file=vars", "env"), 0, "#B is no name");
	write_file("vars", binary, 10);
	cr_assert_eq(PARSE("--env-file=vars", "env"), 0);
	cr_assert_str_eq(env_of("A"), "one\ntwo");
	write_file("vars", "", 0);
	cr_assert_eq(PARSE("--env-file=vars", "env"), 0);
	cr_assert_lt(PARSE("--env-file=nonesuch", "env"), 0);
	cr_assert_lt(PARSE("--env-file=/", "env"), 0);
	cr_assert_eq(unlink("vars"), 0);
}

Test(run_options, home_is_not_shared_unasked)
{
	host.user.home = cwd;
	cr_assert_eq(PARSE("true"), 0);
	cr_assert_eq(cfg.n_maps, 0);
	cr_assert_null(cfg.workdir, "starts in the guest's home");
	cr_assert_eq(PARSE("--map=~", "true"), 0);
	cr_assert_eq(cfg.n_maps, 1);
	/* Nor is what holds it. */
	host.cwd = "/tmp";
	cr_assert_eq(PARSE("true"), 0);
	cr_assert_eq(cfg.n_maps, 0);
}

static void make_tree(const char *top)
{
	char path[160];

	sprintf(path, "%s/.git", top);
	cr_assert_eq(mkdir(path, 0755), 0);
	sprintf(path, "%s/.git/HEAD", top);
	close(creat(path, 0644));
}

static void remove_tree(const char *top)
{
	char path[160];

	sprintf(path, "%s/.git/HEAD", top);
	unlink(path);
	sprintf(path, "%s/.git", top);
	rmdir(path);
}

Test(run_options, a_work_tree_is_shown_as_a_whole)
{
	char sub[128], map[160];

	host.user.uid = getuid();
	sprintf(sub, "%s/sub", cwd);
	cr_assert_eq(mkdir(sub, 0755), 0);
	make_tree(cwd);
	host.cwd = sub;
	cr_assert_eq(PARSE("true"), 0);
	cr_assert_eq(cfg.n_maps, 1);
	cr_assert_str_eq(cfg.maps[0].guest, cwd);
	cr_assert_not(cfg.maps[0].writable);
	cr_assert_str_eq(cfg.workdir, sub);
	cr_assert_eq(PARSE("--map-only", "true"), 0);
	cr_assert_eq(cfg.n_maps, 1);
	cr_assert_str_eq(cfg.maps[0].guest, sub);
	/* Who says what is shown is asked for nothing more. */
	sprintf(map, "--map=%s:rw", sub);
	cr_assert_eq(PARSE(map, "true"), 0);
	cr_assert_eq(cfg.n_maps, 1);
	/* Something else in the tree's place goes before the tree. */
	sprintf(map, "--map=/usr:%s/other", cwd);
	cr_assert_eq(PARSE(map, "true"), 0);
	cr_assert_eq(cfg.n_maps, 2);
	cr_assert_str_eq(cfg.maps[1].guest, sub);
	/* A home full of dotfiles is none. */
	host.user.home = cwd;
	cr_assert_eq(PARSE("true"), 0);
	cr_assert_eq(cfg.n_maps, 1);
	cr_assert_str_eq(cfg.maps[0].guest, sub);
	remove_tree(cwd);
	rmdir(sub);
}

Test(run_options, a_folder_in_the_home_is)
{
	char inner[64];

	host.user.home = cwd;
	sprintf(inner, "%s/project", cwd);
	mkdir(inner, 0755);
	host.cwd = inner;
	cr_assert_eq(PARSE("true"), 0);
	cr_assert_eq(cfg.n_maps, 1);
	cr_assert_str_eq(cfg.maps[0].guest, inner);
	rmdir(inner);
}

Test(run_options, system_directories_are_there_already)
{
	static const char *const dirs[] = {"/", "/usr", "/usr/share/doc", "/etc", "/var", "/tmp"};

	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
		host.cwd = dirs[i];
		cr_assert_eq(PARSE("true"), 0);
		cr_assert_eq(cfg.n_maps, 0, "%s", dirs[i]);
		cr_assert_str_eq(cfg.workdir, dirs[i]);
	}
	host.cwd = "/proc/self";
	cr_assert_eq(PARSE("true"), 0);
	cr_assert_eq(cfg.n_maps, 0);
	cr_assert_null(cfg.workdir);
	host.cwd = NULL;
	cr_assert_eq(PARSE("true"), 0);
	cr_assert_null(cfg.workdir);
}

Test(run_options, a_map_takes_the_place_of_the_default)
{
	cr_assert_eq(PARSE("--map=.:rw", "true"), 0);
	cr_assert_eq(cfg.n_maps, 1);
	cr_assert(cfg.maps[0].writable);
	cr_assert_str_eq(cfg.workdir, cwd);
	/* Also where it shows a parent of the current directory. */
	cr_assert_eq(PARSE("--map=..:rw", "true"), 0);
	cr_assert_eq(cfg.n_maps, 1);
}

Test(run_options, a_map_inside_the_default)
{
	char inner[64];

	sprintf(inner, "%s/out", cwd);
	mkdir(inner, 0755);
	cr_assert_eq(PARSE("--map=out:rw", "true"), 0);
	cr_assert_eq(cfg.n_maps, 2);
	cr_assert(cfg.maps[1].writable);
	cr_assert_eq(PARSE("--map=/usr:out", "true"), -EEXIST);
	rmdir(inner);
}

Test(run_options, help)
{
	char text[8192];
	size_t n;

	cr_redirect_stdout();
	cr_assert_eq(PARSE("--help"), 1);
	fflush(stdout);
	n = fread(text, 1, sizeof(text) - 1, cr_get_redirected_stdout());
	text[n] = '\0';
	cr_assert_eq(strncmp(text, "Usage: sandcastle run", 21), 0);
	for (const char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
		cr_assert_leq(strlen(line), 80, "%s", line);
}
