/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <string.h>

#include "image/base/filter.h"

static void expect_apt(const char *text, const char *wanted)
{
	struct buffer b = {NULL, 0, 0};

	cr_assert_eq(buffer_add(&b, text, strlen(text)), 0);
	cr_assert_eq(filter_apt(&b), 0);
	cr_expect(b.len == strlen(wanted) && (b.len == 0 || memcmp(b.data, wanted, b.len) == 0),
		  "%s is: %.*s", text, (int)b.len, b.data);
	free(b.data);
}

Test(filter, apts_sources)
{
	expect_apt("deb http://deb.debian.org/debian bookworm main\n",
		   "deb http://deb.debian.org/debian bookworm main\n");
	expect_apt("deb-src [signed-by=/usr/share/keyrings/docker-archive-keyring.gpg trusted=yes] "
		   "https://a:b@h:81/x y-z/u main",
		   "deb-src [signed-by=/usr/share/keyrings/docker-archive-keyring.gpg trusted=yes] "
		   "https://h:81/x y-z/u main\n");
	expect_apt("deb tor+https://t0ken@h/x ./\n", "deb tor+https://h/x ./\n");
	expect_apt("deb https://u:p%40@q@h/x y\n", "deb https://h/x y\n");
	expect_apt("deb https://u:p/w@h/x y\n", "");
	expect_apt("deb https://h/x?token=abc y\n", "");
	expect_apt("deb https://h/priv/0123456789abcdef0123/x y\n", "");
	expect_apt("deb https://h/3f2504e0-4f89-11d3-9a0c-0305e82c3301/x y\n", "");
	expect_apt("deb [ ] https://h/x y\ndeb [ https://h/x y\ndeb\nMARK\n# MARK\n", "deb\n");
	expect_apt("deb https://h/x y # MARK: https://u:p@h\n", "");
	expect_apt("Types: deb deb-src\nURIs: https://u:p@h/x https://g/\nSuites: y\n"
		   "X-Password: MARK\n MARK\nSigned-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n"
		   " Comment: MARK-9\n .\n mQINBFXx0123456789abcdef/+=\n"
		   " -----END PGP PUBLIC KEY BLOCK-----\n\nTypes: deb\n",
		   "Types: deb deb-src\nURIs: https://h/x https://g/\nSuites: y\nSigned-By:\n "
		   "-----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n mQINBFXx0123456789abcdef/+=\n "
		   "-----END PGP PUBLIC KEY BLOCK-----\n\nTypes: deb\n");
	expect_apt("", "");
	expect_apt("\n\n", "\n\n");
}

static const char profiles[] = "Name: Unix\nAuth:\n\t[success=end default=ignore]\tpam_unix.so "
			       "nullok try_first_pass\nSession:\n\toptional\tpam_systemd.so\n";

static bool is_pam(const char *text, const char *wanted)
{
	struct buffer b = {NULL, 0, 0};
	bool ok;

	cr_assert_eq(buffer_add(&b, text, strlen(text)), 0);
	ok = filter_pam(&b, profiles, strlen(profiles));
	if (ok && b.len > 0)
		cr_expect(b.len == strlen(wanted) && memcmp(b.data, wanted, b.len) == 0,
			  "%s is: %.*s", text, (int)b.len, (const char *)b.data);
	else if (ok)
		cr_expect_str_empty(wanted, "%s", text);
	free(b.data);
	return ok;
}

Test(filter, pam_files_that_are_made_of_profiles)
{
	cr_expect(
		is_pam("# MARK\nauth [success=1 default=ignore] pam_unix.so  nullok "
		       "try_first_pass # MARK\n\nauth requisite pam_deny.so\n",
		       "auth [success=1 default=ignore] pam_unix.so  nullok try_first_pass \nauth "
		       "requisite pam_deny.so\n"));
	cr_expect(is_pam("session optional pam_systemd.so", "session optional pam_systemd.so"));
	cr_expect(is_pam("", ""));
	cr_expect_not(is_pam("auth required pam_unix.so nullok try_first_pass passwd=x\n", ""));
	cr_expect_not(is_pam("auth required pam_mysql.so\n", ""));
	cr_expect_not(is_pam("auth\n", ""));
	cr_expect_not(is_pam("auth [success=1\n", ""));
	cr_expect_not(is_pam("auth required\n", ""));
	cr_expect_not(is_pam("@include other\n", ""));
	cr_expect_not(is_pam("SECRET-MARK /etc/pam.d/common-auth\n", ""));
}
