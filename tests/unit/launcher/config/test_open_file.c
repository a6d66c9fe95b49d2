/* SPDX-License-Identifier: MIT */
/* From a command line of `open` to what runs, with a system of our own in a scratch directory. */
#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "launcher/commands.h"
#include "launcher/config/open_file.h"
#include "launcher/config/run_options.h"

static char top[] = "/tmp/sandcastle-test-XXXXXX";
static char name[] = "ada", home[] = "/home/ada", shell[] = "/bin/bash";
static struct run_host host = {
	.cwd = top,
	.user = {name, home, shell, 1000, 1000},
	.cpus = 4,
	.memory = 8ull << 30,
	.tty = true,
};
static struct sandbox_config cfg;

static void put(const char *path, const char *text)
{
	char copy[256];
	FILE *f;

	snprintf(copy, sizeof(copy), "%s", path);
	for (char *p = strchr(copy, '/'); p; p = strchr(p + 1, '/')) {
		*p = '\0';
		(void)mkdir(copy, 0755);
		*p = '/';
	}
	f = fopen(path, "w");
	cr_assert_not_null(f, "%s", path);
	cr_assert_geq(fputs(text, f), 0);
	fclose(f);
}

static void enter(void)
{
	char dir[64];

	cr_assert_not_null(mkdtemp(top));
	cr_assert_eq(chdir(top), 0);
	snprintf(dir, sizeof(dir), "%s/usr/share", top);
	setenv("XDG_DATA_DIRS", dir, 1);
	setenv("XDG_CONFIG_DIRS", "/nowhere", 1);
	setenv("XDG_CONFIG_HOME", "/nowhere", 1);
	setenv("XDG_DATA_HOME", "/nowhere", 1);
	put("usr/share/mime/globs2", "50:application/pdf:*.pdf\n50:video/mp4:*.mp4\n");
	put("usr/share/applications/mimeinfo.cache",
	    "[MIME Cache]\napplication/pdf=view.desktop\n");
	put("usr/share/applications/view.desktop",
	    "[Desktop Entry]\nType=Application\nExec=view -- %f\n");
	put("usr/bin/view", "");
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static void leave(void)
{
	sandbox_config_fini(&cfg);
	cr_assert_eq(chdir("/"), 0);
	cr_assert_eq(nftw(top, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

TestSuite(open_file, .init = enter, .fini = leave);

/* `open --root SCRATCH FILE`, or without a file. */
static int open_it(const char *file)
{
	char words[4][64] = {"open", "--root"}, *argv[5];
	const int argc = file ? 4 : 3;

	snprintf(words[2], sizeof(words[2]), "%s", top);
	snprintf(words[3], sizeof(words[3]), "%s", file ? file : "");
	for (int i = 0; i < argc; i++)
		argv[i] = words[i];
	argv[argc] = NULL;
	return run_options_parse(&(struct call){.command = &cmd_open, .argc = argc, .argv = argv},
				 &host, &cfg);
}

Test(open_file, names_of_files_that_describe_a_sandbox)
{
	cr_assert(open_is_config("a.sandbox"));
	cr_assert(open_is_config("/b/A.WSB"));
	cr_assert_not(open_is_config("a.pdf"));
	cr_assert_not(open_is_config("sandbox"));
	cr_assert_not(open_is_config("a.sandbox.pdf"));
}

Test(open_file, the_file_alone_and_its_application)
{
	put("d/a $HOME:b.pdf", "never read");
	cr_assert_eq(open_it("d/a $HOME:b.pdf"), 0);
	cr_assert_eq(cfg.n_maps, 1);
	cr_assert_str_eq(cfg.maps[0].guest, "/home/ada/a $HOME:b.pdf");
	cr_assert(cfg.maps[0].is_file);
	cr_assert_not(cfg.maps[0].writable);
	cr_assert_str_eq(cfg.argv[0], "view");
	cr_assert_str_eq(cfg.argv[2], "/home/ada/a $HOME:b.pdf");
	cr_assert_null(cfg.argv[3]);
	cr_assert(cfg.window);
	cr_assert(cfg.session_app);
	cr_assert(cfg.display.enabled);
	cr_assert_eq(cfg.network_mode, NETWORK_NONE);
	cr_assert_not(cfg.tty);
	cr_assert_null(cfg.workdir);
}

Test(open_file, without_an_application_the_folder)
{
	cr_redirect_stderr();
	put("a.mp4", "");
	cr_assert_eq(open_it("a.mp4"), -ENOENT, "there is nothing that shows it");
	sandbox_config_fini(&cfg);
	put("usr/bin/foot", "");
	cr_assert_eq(open_it("a.mp4"), 0);
	cr_assert_str_eq(cfg.argv[0], "foot");
	cr_assert_null(cfg.argv[1]);
	cr_assert_eq(cfg.n_maps, 1);
}

Test(open_file, what_is_no_file)
{
	cr_redirect_stderr();
	cr_assert_eq(open_it("nothing.pdf"), -ENOENT);
	sandbox_config_fini(&cfg);
	cr_assert_eq(open_it("usr"), -ENOTSUP);
}

Test(open_file, a_file_that_describes_a_sandbox)
{
	put("usr/bin/pcmanfm", "");
	put("a.sandbox",
	    "[sandbox]\nmemory = 1G\n[command]\nrun = echo one\n[command]\nrun = two\n");
	cr_assert_eq(open_it("a.sandbox"), 0);
	cr_assert_eq(cfg.memory, 1ull << 30);
	cr_assert_str_eq(cfg.argv[0], "sh");
	cr_assert_str_eq(cfg.argv[4], "echo one\ntwo\n");
	cr_assert_str_eq(cfg.argv[5], "pcmanfm");
	cr_assert_null(cfg.commands);
	cr_assert_eq(cfg.n_maps, 0);
	sandbox_config_fini(&cfg);
	put("b.sandbox", "[sandbox]\nsession = app\n[command]\nrun = view\n");
	cr_assert_eq(open_it("b.sandbox"), 0);
	cr_assert_str_eq(cfg.argv[0], "sh");
	cr_assert_str_eq(cfg.argv[2], "view");
	cr_assert_null(cfg.argv[3]);
}

Test(open_file, nothing_to_open)
{
	put("usr/bin/pcmanfm", "");
	cr_assert_eq(open_it(NULL), 0);
	cr_assert_str_eq(cfg.argv[0], "pcmanfm");
	cr_assert_str_eq(cfg.argv[2], home);
	cr_assert_eq(cfg.n_maps, 0);
}
