/* SPDX-License-Identifier: MIT */
#include "launcher/open/globs.h"

#include <ctype.h>
#include <fnmatch.h>

enum { GLOB_MAX = 128, WEIGHT_MAX = 100 };

bool mime_type_is_good(struct slice type)
{
	size_t slashes = 0;

	for (size_t i = 0; i < type.len; i++) {
		if (type.p[i] == '/')
			slashes++;
		else if (!isalnum((unsigned char)type.p[i]) && !memchr("+-._", type.p[i], 4))
			return false;
	}
	return slashes == 1 && type.len < MIME_TYPE_MAX && isalnum((unsigned char)*type.p) &&
	       type.p[type.len - 1] != '/';
}

/* Cuts a field that ends with a colon, or the line, off *line. */
static struct slice field(struct slice *line)
{
	const char *end = memchr(line->p, ':', line->len);
	const struct slice f = {line->p, end ? (size_t)(end - line->p) : line->len};

	slice_skip(line, f.len + (end != NULL));
	return f;
}

static bool read_weight(struct slice digits, unsigned int *out)
{
	unsigned int weight = 0;

	for (size_t i = 0; i < digits.len; i++) {
		if (!isdigit((unsigned char)digits.p[i]) || weight > WEIGHT_MAX)
			return false;
		weight = 10 * weight + (unsigned int)(digits.p[i] - '0');
	}
	*out = weight;
	return digits.len > 0 && weight <= WEIGHT_MAX;
}

/* Most globs are "*.ext": what else may stand in one makes a matcher look for long. */
static bool glob_fits(struct slice glob, const char *name, bool fold)
{
	char pattern[GLOB_MAX];
	size_t stars = 0;

	if (glob.len == 0 || glob.len >= sizeof(pattern) || memchr(glob.p, '\0', glob.len))
		return false;
	for (size_t i = 0; i < glob.len; i++)
		stars += glob.p[i] == '*';
	if (stars > 2)
		return false;
	memcpy(pattern, glob.p, glob.len);
	pattern[glob.len] = '\0';
	return fnmatch(pattern, name, fold ? FNM_CASEFOLD : 0) == 0;
}

static bool flags_have(struct slice flags, const char *flag)
{
	const size_t len = strlen(flag);

	for (size_t i = 0; i + len <= flags.len; i++)
		if (memcmp(flags.p + i, flag, len) == 0)
			return true;
	return false;
}

void globs_find(struct slice text, const char *name, struct globs_match *best)
{
	struct slice line;

	/* "50:application/pdf:*.pdf", and flags, of which cs is one, behind another colon. */
	while (slice_line(&text, &line)) {
		const struct slice digits = field(&line), type = field(&line), glob = field(&line);
		unsigned int weight;

		if (!read_weight(digits, &weight) || !mime_type_is_good(type) ||
		    (best->type[0] && (weight < best->weight ||
				       (weight == best->weight && glob.len <= best->length))) ||
		    !glob_fits(glob, name, !flags_have(line, "cs")))
			continue;
		memcpy(best->type, type.p, type.len);
		best->type[type.len] = '\0';
		best->weight = weight;
		best->length = glob.len;
	}
}

bool globs_parent(struct slice text, const char *type, char parent[MIME_TYPE_MAX])
{
	struct slice line, child;

	while (slice_line(&text, &line)) {
		if (!slice_word(&line, &child) || !slice_is(child, type))
			continue;
		slice_skip_blanks(&line);
		if (!mime_type_is_good(line))
			continue;
		memcpy(parent, line.p, line.len);
		parent[line.len] = '\0';
		return true;
	}
	return false;
}
