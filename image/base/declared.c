/* SPDX-License-Identifier: MIT */
#include "image/base/declared.h"

#include "image/base/declared_priv.h"

enum { FILE_LIMIT = 1 << 20 };

struct reader {
	struct package_reader base;
	int (*parse)(struct declared *d, const char *text, size_t len);
	struct declared *d;
};

static int parse_file(struct package_reader *base, const char *text, size_t len)
{
	struct reader *r = CONTAINER_OF(base, struct reader, base);

	return r->parse(r->d, text, len);
}

static int read_os(const struct packages *p, struct declared *d)
{
	struct buffer text = {NULL, 0, 0};
	int r = packages_slurp(p->root, "etc/os-release", FILE_LIMIT, &text);

	if (r < 0)
		r = packages_slurp(p->root, "usr/lib/os-release", FILE_LIMIT, &text);
	/* Without one the specifiers that need it are not known. */
	r = r < 0 ? 0 : declared_parse_os(d, text.data, text.len);
	free(text.data);
	return r;
}

int declared_read(const struct packages *p, struct declared *d)
{
	struct reader reader = {{parse_file}, declared_parse_sysusers, d};
	int r = read_os(p, d);

	if (r == 0)
		r = packages_read_dir(p, "usr/lib/sysusers.d", ".conf", &reader.base);
	reader.parse = declared_parse_tmpfiles;
	if (r == 0)
		r = packages_read_dir(p, "usr/lib/tmpfiles.d", ".conf", &reader.base);
	return r < 0 ? r : declared_finish(d);
}

void declared_fini(struct declared *d)
{
	declared_fini_sysusers(d);
	declared_fini_tmpfiles(d);
	for (size_t i = 0; i < DECLARED_OS_FIELDS; i++)
		free(d->os[i]);
	*d = (struct declared){.n_paths = 0};
}
