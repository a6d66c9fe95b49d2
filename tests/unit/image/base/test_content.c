/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <string.h>

#include "image/base/content.h"

#define BODY "b3BlbnNzaC1rZXktdjEAAAAABG5vbmU"

Test(content, keys_and_tokens)
{
	static const char *const keys[] = {
		"-----BEGIN PRIVATE KEY-----\nMARK\n",
		"x\n-----BEGIN RSA PRIVATE KEY-----\r\nProc-Type: 4,ENCRYPTED\n",
		("  -----BEGIN EC PRIVATE KEY-----\n  " BODY "\n"),
		("-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n"
		 "-----BEGIN OPENSSH PRIVATE KEY-----\n" BODY),
		("{\"private_key\": \"-----BEGIN PRIVATE KEY-----\\n" BODY "\\n\"}"),
		("-----BEGIN PGP PRIVATE KEY BLOCK-----\n\n" BODY),
		"---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----\nComment: x\n",
		"PuTTY-User-Key-File-3: ssh-ed25519\n",
		"# created: x\nAGE-SECRET-KEY-1QQPQZ3QYQSZQGPQYQSZQGPQYQSZQGPQYQSZQGPQ\n",
		"$ANSIBLE_VAULT;1.1;AES256\n",
		"TOKEN ghp_0123456789abcdefghijABCDEFGHIJ012345\n",
		"x=glpat-0123456789abcdefghij\n",
		"aws AKIAIOSFODNN7EXAMPLE \n",
		"//registry/:_authToken=npm_0123456789abcdefghijABCDEFGHIJ012345\n",
		"h eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJlc2lnbmF0dXJl\n",
		"admin:$apr1$abcdefgh$0123456789abcdefghijkl\n",
		"root:$y$j9T$0123456789abcdefghijkl$0123:1\n",
		"userPassword: {SSHA}0123456789abcdefghijklmnop\n",
	};

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		cr_expect(content_has_key(keys[i], strlen(keys[i])), "%s", keys[i]);
		cr_expect(content_is_secret(keys[i], strlen(keys[i])), "%s", keys[i]);
	}
}

Test(content, a_secret_key_of_openpgp_in_binary)
{
	char key[64] = {(char)0x95, 0x01, 0x10, 0x04};
	char public[64] = {(char)0x99, 0x01, 0x10, 0x04};

	cr_expect(content_has_key(key, sizeof(key)));
	cr_expect_not(content_has_key(public, sizeof(public)));
	cr_expect_not(content_has_key(key, 3));
}

Test(content, what_speaks_of_keys_is_none)
{
	static const char *const texts[] = {
		"",
		"-",
		"BEGIN ",
		"if line == '-----BEGIN PRIVATE KEY-----':\n\treturn\n",
		"\"-----BEGIN RSA PRIVATE KEY-----\" in data\n",
		"-----BEGIN PUBLIC KEY-----\n" BODY "\n",
		"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n" BODY "\n",
		"-----BEGIN CERTIFICATE-----\n" BODY "\n",
		"ghp_ is what GitHub's tokens begin with",
		"an AKIA is 20 characters long",
		"price: $1$ or $5$\n",
		"xghp_0123456789abcdefghijABCDEFGHIJ012345",
		"eyJ.eyJ.x",
	};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		cr_expect_not(content_has_key(texts[i], strlen(texts[i])), "%s", texts[i]);
}

Test(content, passwords_in_configuration)
{
	static const char *const texts[] = {
		"http_proxy=http://user:word@proxy:3128\n",
		"url https://0123456789abcdef0123456789@host/\n",
		"postgres://app:pw@db/x",
		"DB_PASSWORD=hunter2\n",
		"password = hunter2\n",
		"password: hunter2\n",
		"  \"client_secret\": \"abcdef\"\n",
		"session optional pam_mysql.so user=x passwd=hunter2 db=y\n",
		"export API_TOKEN='abcdef'\n",
		"//registry/:_authToken=abcdef\n",
		"[client]\npassword=abc\n",
		"bindpw=abcdef\n",
		"PresharedKey = abcdef=\n",
		"machine host login me password hunter2\n",
		"wpa_passphrase=abcdefgh\n",
		"rootpw = {x}\nPASS=abc\n",
		"<server><id>x</id><password>hunter2</password></server>\n",
		"  <api-token>abcdef</api-token>\n",
	};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		cr_expect(content_is_secret(texts[i], strlen(texts[i])), "%s", texts[i]);
}

Test(content, configuration_without_any)
{
	static const char *const texts[] = {
		"LANG=de_DE.UTF-8\n",
		"/bin/sh\n/bin/bash\n",
		"password\t[success=1 default=ignore]\tpam_unix.so obscure yescrypt\n",
		"url ssh://git@host/x\n",
		"url https://host/a@b\n",
		"password=\n",
		"password=$PASSWORD\n",
		"token: %s\npassword: <none>\n",
		"<password></password>\n<password>${env.PASSWORD}</password>\n",
		"a password> is no element\n",
		"XKBLAYOUT=\"us\"\nXKBOPTIONS=\"\"\n",
		"a passphrase is asked for: see there\n",
		"://",
		"=",
		":",
	};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		cr_expect_not(content_is_secret(texts[i], strlen(texts[i])), "%s", texts[i]);
}
