/* SPDX-License-Identifier: MIT */
#include "launcher/config/config_print.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <string.h>

#include "common/units.h"
#include "launcher/config/settings.h"

static const struct config_entry *next_entry(const struct config_file *f, enum config_kind kind,
					     const struct config_entry *after)
{
	const struct config_entry *e = after ? after + 1 : f->entries;

	for (; e && e < f->entries + f->n_entries; e++)
		if (e->kind == kind && *e->value)
			return e;
	return NULL;
}

/* The first of several lines of one kind has its title. */
static const char *title(const char *word, size_t i)
{
	return i == 0 ? word : "";
}

static json_t *strings_json(char **strings)
{
	json_t *list = json_array();

	for (; strings && *strings; strings++)
		(void)json_array_append_new(list, json_string_nocheck(*strings));
	return list;
}

static json_t *display_json(const struct config_display *d)
{
	return d->enabled ? json_sprintf("%" PRIu32 "x%" PRIu32, d->width, d->height)
			  : json_string("none");
}

/* What a setting is; null where nothing is said. */
static json_t *value_of(const struct option_row *row, const struct sandbox_config *cfg)
{
	const void *at = (const char *)cfg + row->at;
	const char *text;

	if (row->flags & SETTING_LIST)
		return strings_json(*(char **const *)at);
	if (row->flags & (SETTING_BYTES | SETTING_MS))
		return json_integer((json_int_t) * (const uint64_t *)at);
	if (row->flags & SETTING_COUNT)
		return json_integer(*(const unsigned int *)at);
	if (row->flags & SETTING_DISPLAY)
		return display_json(at);
	text = *(char *const *)at;
	if (row->at == offsetof(struct sandbox_config, name) && cfg->name_is_generated)
		text = NULL;
	if (row->at == offsetof(struct sandbox_config, run_as) && !text)
		text = cfg->user.name;
	return text ? json_string_nocheck(text) : json_null();
}

static void print_number(const struct option_row *row, uint64_t n, FILE *out)
{
	char size[32];

	format_size(n, size);
	if (row->flags & SETTING_BYTES)
		fprintf(out, "%-10sat most %s, taken as it is used\n", row->name, size);
	else if (row->flags & SETTING_COUNT)
		fprintf(out, "%-10s%" PRIu64 "\n", row->name, n);
	else if (n > 0)
		fprintf(out, "%-10s%" PRIu64 ".%03" PRIu64 " s\n", row->name, n / 1000, n % 1000);
}

static void print_value(const struct option_row *row, const json_t *value, FILE *out)
{
	if (json_is_null(value) && row->at == offsetof(struct sandbox_config, name))
		fprintf(out, "%-10stwo words, by chance\n", row->name);
	else if (json_is_string(value))
		fprintf(out, "%-10s%s\n", row->name, json_string_value(value));
	else if (json_is_integer(value))
		print_number(row, (uint64_t)json_integer_value(value), out);
	for (size_t i = 0; i < json_array_size(value); i++)
		fprintf(out, "%-10s%s\n", title(row->name, i),
			json_string_value(json_array_get(value, i)));
}

/* A setting that a file can have; those without a setter are what every sandbox has. */
static bool is_shown(const struct option_row *row)
{
	return row->flags & SETTING_FILE && row->set;
}

/* Those that are lists, or the others. */
static void print_settings(const struct sandbox_config *cfg, bool lists, FILE *out)
{
	for (const struct option_row *row = settings_rows; row->name; row++)
		if (is_shown(row) && lists == !!(row->flags & SETTING_LIST)) {
			json_t *value = value_of(row, cfg);

			print_value(row, value, out);
			json_decref(value);
		}
}

static const char *access_of(const struct config_map *map)
{
	if (map->writable)
		return "writable";
	return map->discard ? "writable, changes are thrown away" : "read-only";
}

void config_print(const struct config_file *f, const struct sandbox_config *cfg, FILE *out)
{
	const struct config_entry *e = NULL;
	size_t n = 0;

	print_settings(cfg, false, out);
	for (size_t i = 0; i < cfg->n_maps; i++)
		fprintf(out, "%-10s%s at %s, %s\n", title("maps", i), cfg->maps[i].host,
			cfg->maps[i].guest, access_of(&cfg->maps[i]));
	print_settings(cfg, true, out);
	while ((e = next_entry(f, CONFIG_COMMAND, e)))
		fprintf(out, "%-10s%s\n", title("run", n++), e->value);
	if (n == 0)
		fprintf(out, "%-10snothing; a command has to be given\n", "run");
	while ((e = next_entry(f, CONFIG_UNSUPPORTED, e)))
		fprintf(out, "\nline %u: %s\n", e->line, e->value);
	while ((e = next_entry(f, CONFIG_NOTE, e)))
		fprintf(out, "\nnote: %s\n", e->value);
}

static json_t *maps_json(const struct sandbox_config *cfg)
{
	json_t *list = json_array();

	for (size_t i = 0; i < cfg->n_maps; i++) {
		const struct config_map *map = &cfg->maps[i];

		(void)json_array_append_new(list,
					    json_pack("{s:s, s:s, s:b, s:b}", "host", map->host,
						      "guest", map->guest, "write", map->writable,
						      "discard", map->discard));
	}
	return list;
}

static json_t *entries_json(const struct config_file *f, enum config_kind kind)
{
	json_t *list = json_array();
	const struct config_entry *e = NULL;

	while ((e = next_entry(f, kind, e)))
		(void)json_array_append_new(
			list, kind != CONFIG_COMMAND ? json_pack("{s:i, s:s}", "line", (int)e->line,
								 "message", e->value)
						     : json_string(e->value));
	return list;
}

int config_print_json(const struct config_file *f, const struct sandbox_config *cfg, FILE *out)
{
	json_t *root = json_pack("{s:s, s:s, s:o, s:o, s:o, s:o}", "file", f->path, "format",
				 f->format == CONFIG_FORMAT_WSB ? "wsb" : "sandbox", "maps",
				 maps_json(cfg), "run", entries_json(f, CONFIG_COMMAND),
				 "unsupported", entries_json(f, CONFIG_UNSUPPORTED), "notes",
				 entries_json(f, CONFIG_NOTE));
	char key[CONFIG_FILE_NAME_MAX];
	int r = root ? 0 : -ENOMEM;

	for (const struct option_row *row = settings_rows; r == 0 && row->name; row++) {
		snprintf(key, sizeof(key), "%s%s", row->name, row->flags & SETTING_MS ? "_ms" : "");
		if (is_shown(row) && json_object_set_new(root, key, value_of(row, cfg)) < 0)
			r = -ENOMEM;
	}
	if (r == 0 && (json_dumpf(root, out, JSON_INDENT(2)) < 0 || fputc('\n', out) == EOF ||
		       fflush(out) == EOF))
		r = -EIO;
	json_decref(root);
	return r;
}
