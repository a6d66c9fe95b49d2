/* SPDX-License-Identifier: MIT */
/* A home and a system in a scratch directory. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "launcher/open/applications.h"

static char top[] = "/tmp/sandcastle-test-XXXXXX";
static char config[64], data[128], share[64];
static struct app_places places;
static struct entry entry;

/* Makes the folders of `path`, and the file. */
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

static void put_app(const char *name, const char *exec)
{
	char path[128], text[256];

	snprintf(path, sizeof(path), "usr/share/applications/%s.desktop", name);
	snprintf(text, sizeof(text), "[Desktop Entry]\nType=Application\nExec=%s %%f\n", exec);
	put(path, text);
	snprintf(path, sizeof(path), "usr/bin/%s", exec);
	put(path, "");
}

static void enter(void)
{
	cr_assert_not_null(mkdtemp(top));
	cr_assert_eq(chdir(top), 0);
	snprintf(config, sizeof(config), "%s/config", top);
	snprintf(share, sizeof(share), "%s/usr/share", top);
	snprintf(data, sizeof(data), "relative:%s/nowhere::%s", top, share);
	places = (struct app_places){
		.config_home = config,
		.config_dirs = "/nowhere",
		.data_home = "/nowhere",
		.data_dirs = data,
		.desktops = "Castle:GNOME",
		.root = top,
	};
	put("usr/share/mime/globs2", "50:application/pdf:*.pdf\n50:text/x-csrc:*.c\n");
	put("usr/share/mime/subclasses", "application/x-sub application/pdf\n");
	put_app("viewer", "viewer");
	put_app("other", "other");
	put("usr/share/applications/mimeinfo.cache",
	    "[MIME Cache]\napplication/pdf=viewer.desktop;\ntext/plain=other.desktop\n");
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
	cr_assert_eq(chdir("/"), 0);
	cr_assert_eq(nftw(top, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

TestSuite(applications, .init = enter, .fini = leave);

static const char *app_of(const char *type)
{
	return app_for_type(&places, type, "/home/k/a.pdf", &entry) == 0 ? entry.argv[0] : "none";
}

Test(applications, the_type_by_name)
{
	char type[MIME_TYPE_MAX];

	app_type(&places, "a.pdf", type);
	cr_assert_str_eq(type, "application/pdf");
	app_type(&places, "a.unknown", type);
	cr_assert_str_eq(type, "");
}

Test(applications, without_a_choice_the_one_that_says_it_can)
{
	cr_assert_str_eq(app_of("application/pdf"), "viewer");
	cr_assert_str_eq(entry.argv[1], "/home/k/a.pdf");
	cr_assert_str_eq(app_of("application/x-sub"), "viewer", "what it is a kind of");
	cr_assert_str_eq(app_of("text/x-csrc"), "other", "all text is plain text");
	cr_assert_str_eq(app_of("video/mp4"), "none");
	cr_assert_str_eq(app_of(""), "none");
}

Test(applications, the_users_choice_comes_first)
{
	put("config/mimeapps.list", "[Default Applications]\napplication/pdf=other.desktop\n");
	cr_assert_str_eq(app_of("application/pdf"), "other");
	/* That of the desktop before it, in the order of the desktop's names. */
	put("config/gnome-mimeapps.list",
	    "[Default Applications]\napplication/pdf=viewer.desktop\n");
	cr_assert_str_eq(app_of("application/pdf"), "viewer");
	put("config/castle-mimeapps.list",
	    "[Default Applications]\napplication/pdf=other.desktop\n");
	cr_assert_str_eq(app_of("application/pdf"), "other");
}

Test(applications, what_the_sandbox_has_not_is_passed_over)
{
	put("config/mimeapps.list",
	    "[Default Applications]\n"
	    "application/pdf=flatpak.desktop;broken.desktop;gone.desktop\n");
	put("usr/share/applications/broken.desktop", "[Desktop Entry]\n");
	put("usr/share/applications/gone.desktop",
	    "[Desktop Entry]\nType=Application\nExec=not-installed %f\n");
	cr_assert_str_eq(app_of("application/pdf"), "viewer");
}

Test(applications, removed_is_removed)
{
	put("config/mimeapps.list", "[Removed Associations]\napplication/pdf=viewer.desktop\n");
	cr_assert_str_eq(app_of("application/pdf"), "none");
}

Test(applications, a_dash_may_be_a_folder)
{
	put("usr/share/applications/kde4/pdf.desktop",
	    "[Desktop Entry]\nType=Application\nExec=other %k\n");
	put("config/mimeapps.list", "[Default Applications]\napplication/pdf=kde4-pdf.desktop\n");
	cr_assert_str_eq(app_of("application/pdf"), "other");
	cr_assert_str_eq(entry.argv[1], "/usr/share/applications/kde4/pdf.desktop");
}

Test(applications, one_for_a_terminal_gets_one)
{
	put("usr/share/applications/viewer.desktop",
	    "[Desktop Entry]\nType=Application\nTerminal=true\nExec=viewer %f\n");
	cr_assert_str_eq(app_of("application/pdf"), "none", "there is no terminal");
	put("usr/bin/xterm", "");
	cr_assert_str_eq(app_of("application/pdf"), "xterm");
	cr_assert_str_eq(entry.argv[1], "-e");
	cr_assert_str_eq(entry.argv[2], "viewer");
	cr_assert_str_eq(entry.argv[3], "/home/k/a.pdf");
	put("usr/bin/sway", "");
	cr_assert_str_eq(app_of("application/pdf"), "none", "xterm cannot be shown there");
	put("usr/bin/foot", "");
	cr_assert_str_eq(app_of("application/pdf"), "foot");
	cr_assert_str_eq(entry.argv[1], "viewer");
}

Test(applications, a_folder)
{
	cr_assert_eq(app_for_folder(&places, "/home/k", &entry), -ENOENT);
	put("usr/bin/foot", "");
	cr_assert_eq(app_for_folder(&places, "/home/k", &entry), 0);
	cr_assert_str_eq(entry.argv[0], "foot");
	cr_assert_null(entry.argv[1]);
	put("usr/bin/pcmanfm", "");
	cr_assert_eq(app_for_folder(&places, "/home/k", &entry), 0);
	cr_assert_str_eq(entry.argv[0], "pcmanfm");
	cr_assert_str_eq(entry.argv[2], "/home/k");
}

Test(applications, packages_that_open_a_type)
{
	cr_assert_str_eq(app_package("application/pdf"), "evince");
	cr_assert_str_eq(app_package("application/vnd.oasis.opendocument.spreadsheet-template"),
			 "libreoffice-calc");
	cr_assert_str_eq(app_package("text/x-csrc"), "mousepad");
	cr_assert_null(app_package("application/x-unheard-of"));
	cr_assert_null(app_package(""));
}

Test(applications, places_of_the_environment)
{
	struct app_places p;
	char *block = NULL;

	setenv("XDG_CONFIG_HOME", "relative", 1);
	unsetenv("XDG_DATA_HOME");
	unsetenv("XDG_CONFIG_DIRS");
	setenv("XDG_DATA_DIRS", "/a:/b", 1);
	unsetenv("XDG_CURRENT_DESKTOP");
	cr_assert_eq(app_places_init(&p, "/home/k", NULL, &block), 0);
	cr_assert_str_eq(p.config_home, "/home/k/.config", "one that is relative is none");
	cr_assert_str_eq(p.data_home, "/home/k/.local/share");
	cr_assert_str_eq(p.config_dirs, "/etc/xdg");
	cr_assert_str_eq(p.data_dirs, "/a:/b");
	cr_assert_str_eq(p.desktops, "");
	cr_assert_str_eq(p.root, "");
	free(block);
}
