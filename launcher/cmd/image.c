/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "common/log.h"
#include "common/terminal.h"
#include "image/base/base.h"
#include "launcher/commands.h"
#include "launcher/options.h"

struct image_options {
	struct call call;
	const char *root;
	bool json, changed, left_out;
};

static int set_verbose(struct call *call, const char *value)
{
	(void)call;
	(void)value;
	log_set_level(LOG_LEVEL_INFO);
	return 0;
}

static const struct option_row options[] = {
	{"root", 0, "DIR", option_text, offsetof(struct image_options, root), 0,
	 "of the system in DIR (default: this host)"},
	{"changed", 0, NULL, option_flag, offsetof(struct image_options, changed), 0,
	 "info: list the files that were changed on the\n"
	 "host, and what the image has instead"},
	{"left-out", 0, NULL, option_flag, offsetof(struct image_options, left_out), 0,
	 "info: list what is not in the image, and why"},
	{"json", 0, NULL, option_flag, offsetof(struct image_options, json), 0, "print JSON"},
	{"verbose", 'v', NULL, set_verbose, 0, 0, "say what is done"},
	{0},
};

/* --- counting ------------------------------------------------------------------------------ */

struct counts {
	uint64_t dirs, links, shared, pristine, changed, left_out;
	uint64_t shared_bytes, pristine_bytes;
	uint64_t left[INDEX_HOW_END];
};

static bool is_changed(const struct index_entry *e)
{
	return e->how == INDEX_FROM_PACKAGE || e->how == INDEX_FROM_MASTER ||
	       e->how == INDEX_LEFT_CHANGED;
}

static void count(const struct index *ix, struct counts *c)
{
	*c = (struct counts){.dirs = 0};
	for (uint32_t i = 0; i < ix->n; i++) {
		const struct index_entry *e = &ix->entries[i];

		c->changed += is_changed(e);
		switch (e->kind) {
		case INDEX_DIR:
			c->dirs++;
			break;
		case INDEX_LINK:
			c->links++;
			break;
		case INDEX_SHARED:
			c->shared++;
			c->shared_bytes += e->size;
			break;
		case INDEX_PRISTINE:
			c->pristine++;
			c->pristine_bytes += e->size;
			break;
		default:
			c->left_out++;
			c->left[e->how]++;
			break;
		}
	}
}

static const char *const how_texts[INDEX_HOW_END] = {
	[INDEX_AS_FOUND] = "as the host has it",
	[INDEX_FROM_PACKAGE] = "changed on the host; the package's original instead",
	[INDEX_FROM_MASTER] = "changed on the host; the file it is made from instead",
	[INDEX_MADE] = "made for the image",
	[INDEX_LEFT_UNOWNED] = "no package owns it",
	[INDEX_LEFT_DENIED] = "a rule denies it",
	[INDEX_LEFT_UNREADABLE] = "not readable by everyone",
	[INDEX_LEFT_SPECIAL] = "neither file, directory nor link",
	[INDEX_LEFT_MOUNT] = "something is mounted there",
	[INDEX_LEFT_SECRET] = "it holds what looks like a key or a password",
	[INDEX_LEFT_CHANGED] = "changed on the host, and the original is not in apt's cache",
};

static const char *reason_of(const struct base_image *image, const struct index_entry *e)
{
	uint64_t rule = e->where;

	if (e->kind == INDEX_LEFT_OUT && e->how == INDEX_LEFT_DENIED && image->current &&
	    rule > 0 && rule <= image->rules.n)
		return image->rules.list[rule - 1].reason;
	return how_texts[e->how];
}

/* --- printing ------------------------------------------------------------------------------ */

static bool is_listed(const struct image_options *o, const struct index_entry *e)
{
	return (o->changed && is_changed(e)) || (o->left_out && e->kind == INDEX_LEFT_OUT);
}

/* One line a name, whatever it holds. */
static void print_line(char *path, const char *text)
{
	for (char *p = path; *p; p++)
		if (*p == '\n' || *p == '\t')
			*p = '?';
	terminal_clean(path, strlen(path));
	printf("/%s\t%s\n", path, text);
}

/* Lists each entry that was asked for, in order of the index. */
static int list(const struct image_options *o, const struct base_image *image, json_t *array)
{
	for (uint32_t i = 0; i < image->index->n; i++) {
		const struct index_entry *e = &image->index->entries[i];
		char path[4096];
		uint32_t top;

		if (!is_listed(o, e) || index_path(image->index, i, path, sizeof(path), &top) < 0)
			continue;
		if (!array)
			print_line(path, reason_of(image, e));
		else if (json_array_append_new(array, json_pack("{s:s+, s:s}", "path", "/", path,
								"reason", reason_of(image, e))) < 0)
			/* A name that is not UTF-8. */
			continue;
	}
	return ferror(stdout) ? -EIO : 0;
}

static int print_json(json_t *json)
{
	int r = json ? json_dumpf(json, stdout, JSON_INDENT(2)) : -1;

	json_decref(json);
	if (r < 0 || putchar('\n') < 0) {
		log_error("cannot write the report");
		return EXIT_SANDCASTLE_FAILED;
	}
	return 0;
}

static int info_json(const struct image_options *o, const struct base_image *image,
		     const struct counts *c)
{
	json_t *json =
		json_pack("{s:s?, s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "file",
			  image->path, "current", (int)image->current, "built",
			  (json_int_t)image->index->head->built, "size",
			  (json_int_t)image->index->len, "directories", (json_int_t)c->dirs,
			  "links", (json_int_t)c->links, "shared_files", (json_int_t)c->shared,
			  "shared_bytes", (json_int_t)c->shared_bytes, "pristine_files",
			  (json_int_t)c->pristine, "pristine_bytes", (json_int_t)c->pristine_bytes,
			  "changed", (json_int_t)c->changed, "left_out", (json_int_t)c->left_out);

	if (json && (o->changed || o->left_out)) {
		json_t *array = json_array();

		(void)list(o, image, array);
		(void)json_object_set_new(json, "files", array);
	}
	return print_json(json);
}

static void info_text(const struct base_image *image, const struct counts *c)
{
	char when[64];
	time_t built = (time_t)image->index->head->built;
	struct tm tm;

	strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S", localtime_r(&built, &tm));
	printf("index        %s\n", image->path ? image->path : "(in memory)");
	printf("made         %s%s\n", when,
	       image->current ? "" : "; packages or rules changed since, the next run updates it");
	printf("size         %.1f MB\n", (double)image->index->len / 1e6);
	printf("directories  %" PRIu64 "\n", c->dirs);
	printf("links        %" PRIu64 "\n", c->links);
	printf("shared       %" PRIu64 " files, %.1f MB of this host's own\n", c->shared,
	       (double)c->shared_bytes / 1e6);
	printf("pristine     %" PRIu64 " files, %.1f MB\n", c->pristine,
	       (double)c->pristine_bytes / 1e6);
	printf("changed      %" PRIu64 " files (--changed lists them)\n", c->changed);
	printf("left out     %" PRIu64 " names (--left-out lists them)\n", c->left_out);
	for (size_t i = 0; i < INDEX_HOW_END; i++)
		if (c->left[i])
			printf("             %8" PRIu64 "  %s\n", c->left[i], how_texts[i]);
}

static int image_info(const struct image_options *o)
{
	struct base_image image;
	struct counts c;
	int code = 0, r = base_image_open(o->root, BASE_EXISTING, &image);

	if (r == -ENOENT)
		log_error("there is no base image yet; `sandcastle image build` makes it");
	if (r < 0)
		return EXIT_SANDCASTLE_FAILED;
	count(image.index, &c);
	if (o->json)
		code = info_json(o, &image, &c);
	else if (o->changed || o->left_out)
		code = list(o, &image, NULL) < 0 ? EXIT_SANDCASTLE_FAILED : 0;
	else
		info_text(&image, &c);
	base_image_fini(&image);
	return code;
}

static int image_build_command(const struct image_options *o)
{
	struct base_image image;
	struct counts c;
	int code = 0;

	if (base_image_open(o->root, BASE_ANEW, &image) < 0)
		return EXIT_SANDCASTLE_FAILED;
	count(image.index, &c);
	if (o->json)
		code = info_json(o, &image, &c);
	else
		printf("%s: %" PRIu64 " files shared, %" PRIu64 " pristine, %.1f MB\n",
		       image.path ? image.path : "in memory", c.shared, c.pristine,
		       (double)image.index->len / 1e6);
	base_image_fini(&image);
	return code;
}

/* --- verify -------------------------------------------------------------------------------- */

/* True if the shared file is as the index says. Opened as nobody's: only its status is asked. */
static bool file_is_there(const struct base_image *image, uint32_t i, char *path, size_t size)
{
	const struct index_entry *e = &image->index->entries[i];
	struct stat st;
	uint32_t top;

	if (index_path(image->index, i, path, size, &top) < 0)
		return false;
	return fstatat(image->root, path, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
	       index_same_file(image->index, e, st.st_ino, (uint64_t)st.st_size,
			       (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec);
}

static int image_verify(const struct image_options *o)
{
	json_t *array = o->json ? json_array() : NULL;
	struct base_image image;
	uint64_t bad = 0;
	bool sound;
	int r = base_image_open(o->root, BASE_EXISTING, &image);

	if (r < 0) {
		json_decref(array);
		if (r == -ENOENT)
			log_error(
				"there is no sound base image; `sandcastle image build` makes it");
		return r == -ENOENT ? 1 : EXIT_SANDCASTLE_FAILED;
	}
	sound = index_check_names(image.index) == 0;
	for (uint32_t i = 0; sound && i < image.index->n; i++) {
		char path[4096];

		if (image.index->entries[i].kind != INDEX_SHARED ||
		    file_is_there(&image, i, path, sizeof(path)))
			continue;
		bad++;
		if (array)
			(void)json_array_append_new(array, json_pack("s+", "/", path));
		else
			print_line(path, "not as it was when the index was made");
	}
	if (array)
		(void)print_json(json_pack("{s:b, s:b, s:o}", "sound", (int)sound, "current",
					   (int)image.current, "changed_files", array));
	else
		printf("the index is %s and %s; %" PRIu64 " files changed since\n",
		       sound ? "sound" : "damaged", image.current ? "current" : "out of date", bad);
	base_image_fini(&image);
	return sound && bad == 0 ? 0 : 1;
}

static int image_clean(const struct image_options *o)
{
	int r = base_image_clean(o->root);

	return r < 0 && r != -ENOENT ? EXIT_SANDCASTLE_FAILED : 0;
}

static const struct {
	const char *name;
	int (*run)(const struct image_options *o);
} verbs[] = {
	{"build", image_build_command},
	{"info", image_info},
	{"verify", image_verify},
	{"clean", image_clean},
};

static int run(struct call *call)
{
	const struct image_options *o = CONTAINER_OF(call, struct image_options, call);

	for (size_t i = 0; call->argc == 1 && i < ARRAY_SIZE(verbs); i++)
		if (strcmp(call->argv[0], verbs[i].name) == 0)
			return verbs[i].run(o);
	log_error("write `sandcastle image build`, info, verify or clean; see `sandcastle image "
		  "--help`");
	return EXIT_SANDCASTLE_FAILED;
}

const struct command cmd_image = {
	.name = "image",
	.brief = "the base image sandboxes start from: build, info, verify, clean",
	.usage = "build|info|verify|clean [OPTIONS]",
	.about = "The base image: an index of this host's own files that sandboxes start from.\n"
		 "`sandcastle run` makes it by itself and keeps it up to date.\n"
		 "\n"
		 "  build     make it anew\n"
		 "  info      what is in it, and what was left out\n"
		 "  verify    check the index and the files it stands for\n"
		 "  clean     remove it\n",
	.after = "Exit code: 0; 1 `verify` found something; 125 it could not be done.\n",
	.options = options,
	.max = COMMAND_ANY,
	.flags = COMMAND_OPTIONS_ANYWHERE,
	.size = sizeof(struct image_options),
	.run = run,
};
