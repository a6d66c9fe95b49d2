/* SPDX-License-Identifier: MIT */
/* Which files and links of the host are in the image, and which must never be. */
#include <criterion/criterion.h>
#include <endian.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "tests/unit/image/base/base_tree.h"
#include "tests/unit/image/image_files.h"

TestSuite(host_file, .init = make_tree, .fini = remove_tree);

/* The places a real machine has them, the same as in the guest tests; the third word is what a package ships. */
static void plant_secrets(void)
{
	FILE *f = fopen(SC_SECRETS_FILE, "re");
	char text[512], path[256], owned[16], list[16384] = "", sums[16384] = "";
	unsigned int mode, n = 0;

	cr_assert_not_null(f);
	for (; fgets(text, sizeof(text), f); n++) {
		int words = sscanf(text, "%o %255s %15s", &mode, path, owned);

		cr_assert_geq(words, 2, "%s", text);
		tree_write_text(tree, path + 1, "SECRET-MARK\n");
		set_mode(path + 1, mode);
		if (words < 3)
			continue;
		sprintf(list + strlen(list), "%s\n", path);
		sprintf(sums + strlen(sums), "%s  %s\n", md5_of("as packaged"), path + 1);
		touch_file(path + 1, 2000000000);
	}
	fclose(f);
	cr_assert_geq(n, 270);
	own_files(list, sums);
	link_to("/home/jane/.ssh/id_rsa", "usr/bin/leak");
	link_to("../../home/jane", "usr/share/leak");
}

Test(host_file, no_secret_is_in_the_image)
{
	plant_secrets();
	open_image(BASE_CURRENT);
	expect_no_mark();
}

Test(host_file, a_packages_file_that_somebody_edited)
{
	char sums[512];

	own_files("/usr/share/app/same\n/usr/share/app/edited\n/usr/share/app/restored\n"
		  "/lib/unit.service\n/usr/share/app/unknown\n",
		  "");
	tree_write_text(tree, "usr/share/app/same", "packaged");
	tree_write_text(tree, "usr/share/app/edited", "SECRET-MARK");
	tree_write_text(tree, "usr/share/app/restored", "packaged");
	tree_write_text(tree, "usr/share/app/unknown", "SECRET-MARK");
	tree_write_text(tree, "usr/lib/unit.service", "SECRET-MARK");
	sprintf(sums, "%s  usr/share/app/same\n", md5_of("packaged"));
	sprintf(sums + strlen(sums), "%s  usr/share/app/edited\n", md5_of("packaged"));
	sprintf(sums + strlen(sums), "%s  usr/share/app/restored\n", md5_of("packaged"));
	sprintf(sums + strlen(sums), "%s  lib/unit.service\n", md5_of("packaged"));
	own_files("/usr/share/app/same\n/usr/share/app/edited\n/usr/share/app/restored\n"
		  "/lib/unit.service\n/usr/share/app/unknown\n",
		  sums);
	touch_file("usr/share/app/same", 1000);
	touch_file("usr/share/app/edited", 2000000000);
	touch_file("usr/share/app/restored", 2000000000);
	touch_file("usr/share/app/unknown", 2000000000);
	touch_file("usr/lib/unit.service", 2000000000);
	open_image(BASE_CURRENT);
	cr_expect_eq(find_entry("usr/share/app/same")->kind, INDEX_SHARED);
	cr_expect_eq(find_entry("usr/share/app/restored")->kind, INDEX_SHARED,
		     "its bytes are the same");
	cr_expect_eq(left_out("usr/share/app", "edited"), INDEX_LEFT_CHANGED);
	cr_expect_eq(left_out("usr/share/app", "unknown"), INDEX_LEFT_CHANGED);
	cr_expect_eq(left_out("usr/lib", "unit.service"), INDEX_LEFT_CHANGED,
		     "its package spells it by a link");
	/* A user's own rule vouches for it. */
	tree_write_text(tree, "cache/sandcastle/image.rules", "share /usr/share/app/** # mine\n");
	open_image(BASE_CURRENT);
	cr_expect_eq(find_entry("usr/share/app/edited")->kind, INDEX_SHARED);
}

/* npm has updated itself, and put another program beside it. */
Test(host_file, a_tree_that_its_own_tool_changed)
{
	char sums[512];

	tree_write_text(tree, "usr/lib/node_modules/npm/cli.js", "of today");
	tree_write_text(tree, "usr/lib/node_modules/npm/same.js", "packaged");
	tree_write_text(tree, "usr/lib/node_modules/npm/new/index.js", "of today");
	tree_write_text(tree, "usr/lib/node_modules/npm/.npmrc", "token=SECRET-MARK");
	tree_write_text(tree, "usr/lib/node_modules/npm/new/npm.conf", "password = SECRET-MARK\n");
	tree_write_text(tree, "usr/lib/node_modules/x/cli.js", "of mine");
	link_to("../lib/node_modules/x/cli.js", "usr/bin/x");
	sprintf(sums, "%s  usr/lib/node_modules/npm/cli.js\n", md5_of("packaged"));
	sprintf(sums + strlen(sums), "%s  usr/lib/node_modules/npm/same.js\n", md5_of("packaged"));
	own_files("/usr/lib/node_modules/npm/cli.js\n/usr/lib/node_modules/npm/same.js\n"
		  "/usr/lib/node_modules/npm/gone.js\n",
		  sums);
	touch_file("usr/lib/node_modules/npm/cli.js", 2000000000);
	touch_file("usr/lib/node_modules/npm/same.js", 1000);
	open_image(BASE_CURRENT);
	expect_no_mark();
	cr_expect_eq(find_entry("usr/lib/node_modules/npm/cli.js")->kind, INDEX_SHARED);
	cr_expect_eq(find_entry("usr/lib/node_modules/npm/same.js")->kind, INDEX_SHARED);
	cr_expect_eq(find_entry("usr/lib/node_modules/npm/new/index.js")->kind, INDEX_SHARED);
	cr_expect_eq(find_entry("usr/lib/node_modules/x/cli.js")->kind, INDEX_SHARED);
	cr_expect_eq(find_entry("usr/bin/x")->kind, INDEX_LINK);
	cr_expect_eq(left_out("usr/lib/node_modules/npm", ".npmrc"), INDEX_LEFT_DENIED);
	cr_expect_eq(left_out("usr/lib/node_modules/npm/new", "npm.conf"), INDEX_LEFT_SECRET);
}

/* A file that Python compiled of `source` as it is now, or of what was there `late` seconds before. */
static void compile_python(const char *source, const char *path, uint32_t flags, uint32_t late,
			   const char *text)
{
	char full[4096], out[128];
	uint32_t head[4] = {0xa0d0da7, flags};
	struct stat st;

	in_tree(source, full);
	cr_assert_eq(stat(full, &st), 0);
	head[2] = htole32((uint32_t)st.st_mtim.tv_sec - late);
	head[3] = htole32((uint32_t)st.st_size);
	memcpy(out, head, sizeof(head));
	memcpy(out + sizeof(head), text, strlen(text));
	tree_write(tree, path, out, sizeof(head) + strlen(text));
}

/* A source that was edited and put back leaves its constants in what was compiled meanwhile. */
Test(host_file, compiled_python_is_made_of_its_source)
{
#define APP "usr/lib/python3/dist-packages/app/"
	own_files("/" APP "a.py\n/" APP "b.py\n/" APP "c.py\n", "");
	tree_write_text(tree, APP "a.py", "x");
	tree_write_text(tree, APP "b.py", "x");
	tree_write_text(tree, APP "c.py", "x");
	compile_python(APP "a.py", APP "__pycache__/a.cpython-311.pyc", 0, 0, "x");
	compile_python(APP "b.py", APP "__pycache__/b.cpython-311.pyc", 0, 1, "SECRET-MARK");
	/* By a hash of the source, which may be that of another. */
	compile_python(APP "c.py", APP "__pycache__/c.cpython-311.pyc", htole32(1), 0,
		       "SECRET-MARK");
	open_image(BASE_CURRENT);
	expect_no_mark();
	cr_expect_not_null(find_entry(APP "__pycache__/a.cpython-311.pyc"));
	cr_expect_eq(left_out(APP "__pycache__", "b.cpython-311.pyc"), INDEX_LEFT_UNOWNED);
#undef APP
}

Test(host_file, compiled_python_is_there_if_its_source_is)
{
	own_files("/usr/lib/python3/dist-packages/a/here.py\n/usr/lib/python3/dist-packages/a/"
		  "link.py\n"
		  "/usr/lib/python3/dist-packages/a/edited.py\n/usr/lib/python3/dist-packages/a/"
		  "gone.py\n",
		  "");
	tree_write_text(tree, "etc/settings.py", "SECRET-MARK");
	tree_write_text(tree, "usr/lib/python3/dist-packages/a/here.py", "x");
	tree_write_text(tree, "usr/lib/python3/dist-packages/a/edited.py", "SECRET-MARK");
	touch_file("usr/lib/python3/dist-packages/a/edited.py", 2000000000);
	link_to("/etc/settings.py", "usr/lib/python3/dist-packages/a/link.py");
	compile_python("usr/lib/python3/dist-packages/a/here.py",
		       "usr/lib/python3/dist-packages/a/__pycache__/here.cpython-311.pyc", 0, 0,
		       "x");
	compile_python("usr/lib/python3/dist-packages/a/here.py",
		       "usr/lib/python3/dist-packages/a/__pycache__/here.cpython-311.opt-1.pyc", 0,
		       0, "x");
	tree_write_text(tree, "usr/lib/python3/dist-packages/a/__pycache__/link.cpython-311.pyc",
			"SECRET-MARK");
	tree_write_text(tree, "usr/lib/python3/dist-packages/a/__pycache__/edited.cpython-311.pyc",
			"SECRET-MARK");
	tree_write_text(tree, "usr/lib/python3/dist-packages/a/__pycache__/gone.cpython-311.pyc",
			"SECRET-MARK");
	tree_write_text(tree, "usr/lib/python3/dist-packages/a/__pycache__/other", "SECRET-MARK");
	open_image(BASE_CURRENT);
	expect_no_mark();
	cr_expect_not_null(
		find_entry("usr/lib/python3/dist-packages/a/__pycache__/here.cpython-311.pyc"));
	cr_expect_not_null(find_entry(
		"usr/lib/python3/dist-packages/a/__pycache__/here.cpython-311.opt-1.pyc"));
}

Test(host_file, what_is_copied_holds_no_secret)
{
	tree_write_text(
		tree, "etc/apt/sources.list",
		"# SECRET-MARK\n"
		"deb [arch=amd64 signed-by=/k.gpg] https://user:SECRET-MARK@host/x y main\n"
		"deb https://host/0123456789abcdef0123456789SECRET/x y main\nSECRET-MARK\n");
	tree_write_text(
		tree, "etc/apt/sources.list.d/a.sources",
		"Types: deb\nURIs: https://SECRET-MARK@host/x\nSuites: y\nX-Note: SECRET-MARK\n");
	tree_write_text(tree, "etc/ssl/certs/ca-certificates.crt",
			"-----BEGIN PRIVATE KEY-----\nSECRET-MARK\n");
	tree_write_text(tree, "etc/ssl/certs/haproxy.pem", "SECRET-MARK");
	tree_write_text(tree, "etc/default/locale", "LANG=C\nDB_PASSWORD=SECRET-MARK\n");
	tree_write_text(tree, "etc/shells", "/bin/sh\n");
	tree_write_text(tree, "etc/pam.d/common-auth",
			"# comment\nauth\t[success=1 default=ignore]\tpam_unix.so nullok\n"
			"auth requisite pam_deny.so\n");
	tree_write_text(tree, "etc/pam.d/common-account",
			"account required pam_mysql.so passwd=SECRET-MARK\n");
	tree_write_text(tree, "usr/share/pam-configs/unix",
			"Auth:\n\t[success=end default=ignore]\tpam_unix.so  nullok\n");
	own_files("/usr/share/pam-configs/unix\n/etc/apt/sources.list.d/a\n/etc/default/a\n/etc/"
		  "pam.d/a\n"
		  "/etc/ssl/certs/a\n",
		  "");
	open_image(BASE_CURRENT);
	expect_no_mark();
	expect_bytes("etc/apt/sources.list",
		     "deb [arch=amd64 signed-by=/k.gpg] https://host/x y main\n");
	expect_bytes("etc/apt/sources.list.d/a.sources",
		     "Types: deb\nURIs: https://host/x\nSuites: y\n");
	expect_bytes("etc/shells", "/bin/sh\n");
	expect_bytes("etc/pam.d/common-auth",
		     "auth\t[success=1 default=ignore]\tpam_unix.so nullok\n"
		     "auth requisite pam_deny.so\n");
	expect_bytes("etc/pam.d/common-account", "account required pam_unix.so\n");
	cr_expect_eq(left_out("etc/ssl/certs", "ca-certificates.crt"), INDEX_LEFT_SECRET);
	cr_expect_eq(left_out("etc/default", "locale"), INDEX_LEFT_SECRET);
	cr_expect_eq(left_out("etc/ssl/certs", "haproxy.pem"), INDEX_LEFT_UNOWNED);
}

Test(host_file, links_are_there_where_a_rule_speaks_of_links)
{
	tree_write_text(tree, "etc/systemd/system/multi-user.target.wants/mine.service",
			"SECRET-MARK");
	link_to("/usr/lib/systemd/system/a.service",
		"etc/systemd/system/multi-user.target.wants/a.service");
	own_files("/etc/systemd/system\n", "");
	open_image(BASE_CURRENT);
	expect_no_mark();
	cr_assert_not_null(find_entry("etc/systemd/system/multi-user.target.wants/a.service"));
	cr_expect_eq(left_out("etc/systemd/system/multi-user.target.wants", "mine.service"),
		     INDEX_LEFT_UNOWNED);
}

Test(host_file, programs_of_opt_and_nothing_else)
{
	tree_write_text(tree, "opt/app/conf/x.conf", "SECRET-MARK");
	set_mode("opt/app/conf/x.conf", 0755);
	tree_write_text(tree, "opt/app/lib/part.so", "part");
	tree_write_text(tree, "opt/app/lib/PassWords.txt", "SECRET-MARK");
	tree_write_text(tree, "opt/app/lib/notes.txt",
			"SECRET-MARK\n-----BEGIN OPENSSH PRIVATE KEY-----\nb3\n");
	tree_write_text(tree, "opt/app/lib/mod.py", "x = '-----BEGIN PRIVATE KEY-----'\n");
	compile_python("opt/app/lib/mod.py", "opt/app/lib/__pycache__/mod.cpython-311.pyc", 0, 0,
		       "x");
	tree_write_text(tree, "opt/app/lib/__pycache__/settings.cpython-311.pyc", "SECRET-MARK");
	tree_write_text(tree, "usr/local/sbin/backup.sh", "#!/bin/sh\nSECRET-MARK");
	set_mode("usr/local/sbin/backup.sh", 0755);
	open_image(BASE_CURRENT);
	expect_no_mark();
	cr_expect_not_null(find_entry("opt/app/lib/part.so"));
	cr_expect_not_null(find_entry("opt/app/lib/mod.py"), "it speaks of keys only");
	cr_expect_not_null(find_entry("opt/app/lib/__pycache__/mod.cpython-311.pyc"));
	cr_expect_eq(left_out("opt/app/lib", "notes.txt"), INDEX_LEFT_SECRET);
	cr_expect_eq(left_out("opt/app/lib", "PassWords.txt"), INDEX_LEFT_DENIED);
}

/* A company's own package may bring a key: what everyone may read of it is in its archive as well. */
Test(host_file, a_package_that_brings_keys)
{
	static const char key[] = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0B\n";
	char sums[128];

	sprintf(sums, "%s  etc/app/client.conf\n", md5_of(key));
	own_files("/etc/app\n/etc/app/client.conf\n", sums);
	tree_write_text(tree, "etc/app/client.conf", key);
	open_image(BASE_CURRENT);
	cr_expect_eq(left_out("etc/app", "client.conf"), INDEX_LEFT_SECRET);
}

Test(host_file, configuration_beside_programs)
{
	tree_write_text(tree, "opt/app/lib/app.ini", "[db]\npassword = SECRET-MARK\n");
	tree_write_text(tree, "opt/app/share/APP.CONF", "token=SECRET-MARK\n");
	tree_write_text(tree, "opt/app/lib/plain.ini", "[db]\nhost = localhost\n");
	tree_write_text(tree, "opt/app/lib/de.json", "{\"password\": \"Passwort\"}\n");
	/* pam-auth-update keeps what an administrator's own profile says. */
	tree_write_text(tree, "var/lib/pam/auth", "pam_mysql.so user=a passwd=SECRET-MARK\n");
	tree_write_text(tree, "var/lib/pam/account", "pam_unix.so\n");
	own_files("/var/lib/pam\n", "");
	open_image(BASE_CURRENT);
	expect_no_mark();
	cr_expect_eq(left_out("opt/app/lib", "app.ini"), INDEX_LEFT_SECRET);
	cr_expect_eq(left_out("opt/app/share", "APP.CONF"), INDEX_LEFT_SECRET);
	cr_expect_eq(left_out("var/lib/pam", "auth"), INDEX_LEFT_SECRET);
	cr_expect_not_null(find_entry("opt/app/lib/plain.ini"));
	cr_expect_not_null(find_entry("opt/app/lib/de.json"));
	expect_bytes("var/lib/pam/account", "pam_unix.so\n");
}

/* Where times of change mean something, setting the others back hides nothing. */
Test(host_file, an_edit_whose_time_was_set_back)
{
	static const struct timespec tick = {.tv_nsec = 50 * 1000 * 1000};
	char status[8192], path[64], list[96], sums[128];
	size_t n;

	n = (size_t)sprintf(status, "Package: tool\nStatus: install ok installed\n"
				    "Architecture: amd64\nVersion: 1\n\n");
	for (int i = 0; i < 40; i++) {
		sprintf(path, "usr/share/many/%d", i);
		tree_write_text(tree, path, "packaged");
		touch_file(path, 1000);
		n += (size_t)sprintf(status + n,
				     "Package: p%d\nStatus: install ok installed\n"
				     "Architecture: all\nVersion: 1\n\n",
				     i);
	}
	tree_write_text(tree, "var/lib/dpkg/status", status);
	cr_assert_eq(nanosleep(&tick, NULL), 0);
	for (int i = 0; i < 40; i++) {
		sprintf(path, "var/lib/dpkg/info/p%d.list", i);
		sprintf(list, "/usr/share/many\n/usr/share/many/%d\n", i);
		tree_write_text(tree, path, list);
		/* Old packages have no checksums. */
		if (i >= 30)
			continue;
		sprintf(path, "var/lib/dpkg/info/p%d.md5sums", i);
		sprintf(sums, "%s  usr/share/many/%d\n", md5_of("packaged"), i);
		tree_write_text(tree, path, sums);
	}
	/* More than what file systems round times by, where there is nothing to compare. */
	cr_assert_eq(nanosleep(&(struct timespec){.tv_sec = 2, .tv_nsec = 100000000}, NULL), 0);
	tree_write_text(tree, "usr/share/many/7", "SECRET-MARK");
	touch_file("usr/share/many/7", 1000);
	tree_write_text(tree, "usr/share/many/37", "SECRET-MARK");
	touch_file("usr/share/many/37", 1000);
	open_image(BASE_CURRENT);
	expect_no_mark();
	cr_expect_eq(left_out("usr/share/many", "7"), INDEX_LEFT_CHANGED);
	cr_expect_eq(find_entry("usr/share/many/8")->kind, INDEX_SHARED);
	cr_expect_eq(left_out("usr/share/many", "37"), INDEX_LEFT_CHANGED);
	cr_expect_eq(find_entry("usr/share/many/38")->kind, INDEX_SHARED);
}
