/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <stdio.h>

#include "launcher/open/mimeapps.h"

static const char list[] = "[Added Associations]\n"
			   "application/pdf=okular.desktop;evince.desktop;\n"
			   "[Default Applications]\n"
			   "application/pdf=evince.desktop\n"
			   "text/plain=../../evil.desktop;/abs.desktop;.desktop;a b.desktop;"
			   ".hidden.desktop;good.desktop;vim;good.desktop\n"
			   "[Removed Associations]\n"
			   "application/pdf=gimp.desktop;\n"
			   "[MIME Cache]\n"
			   "application/pdf=gimp.desktop;mupdf.desktop;\n";

static struct apps found;

static void read_part(enum mimeapps_part part, const char *type, const struct apps * not )
{
	mimeapps_read((struct slice){list, sizeof(list) - 1}, part, type, not, &found);
}

Test(mimeapps, each_part_in_its_order_and_each_id_once)
{
	struct apps removed = {.n = 0};

	read_part(MIMEAPPS_DEFAULT, "application/pdf", NULL);
	read_part(MIMEAPPS_ADDED, "application/pdf", NULL);
	mimeapps_read((struct slice){list, sizeof(list) - 1}, MIMEAPPS_REMOVED, "application/pdf",
		      NULL, &removed);
	read_part(MIMEAPPS_CACHE, "application/pdf", &removed);
	cr_assert_eq(found.n, 3);
	cr_assert_str_eq(found.ids[0], "evince.desktop");
	cr_assert_str_eq(found.ids[1], "okular.desktop");
	cr_assert_str_eq(found.ids[2], "mupdf.desktop");
	found.n = 0;
	read_part(MIMEAPPS_DEFAULT, "application/pd", NULL);
	cr_assert_eq(found.n, 0);
}

Test(mimeapps, what_is_no_id_of_ours_is_left_out)
{
	read_part(MIMEAPPS_DEFAULT, "text/plain", NULL);
	cr_assert_eq(found.n, 1);
	cr_assert_str_eq(found.ids[0], "good.desktop");
}

Test(mimeapps, there_are_not_more_than_fit)
{
	char text[8192] = "[Default Applications]\na/b=";
	size_t n = strlen(text);

	for (unsigned int i = 0; i < 4 * APPS_MAX; i++)
		n += (size_t)snprintf(text + n, sizeof(text) - n, "a%u.desktop;", i);
	mimeapps_read((struct slice){text, n}, MIMEAPPS_DEFAULT, "a/b", NULL, &found);
	cr_assert_eq(found.n, APPS_MAX);
	/* An id longer than one can be. */
	n = (size_t)snprintf(text, sizeof(text), "[Default Applications]\na/b=%0*d.desktop",
			     APP_ID_MAX, 0);
	found.n = 0;
	mimeapps_read((struct slice){text, n}, MIMEAPPS_DEFAULT, "a/b", NULL, &found);
	cr_assert_eq(found.n, 0);
}
