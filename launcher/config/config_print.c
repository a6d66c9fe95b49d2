/* SPDX-License-Identifier: MIT */
#include "launcher/config/config_print.h"

#include <errno.h>
#include <jansson.h>
#include <string.h>

#include "common/units.h"

static const struct config_entry *next_entry(const struct config_file *f, enum config_key key,
					     const struct config_entry *after)
{
	const struct config_entry *e = after ? after + 1 : f->entries;

	for (; e && e < f->entries + f->n_entries; e++)
		if (e->key == key && *e->value)
			return e;
	return NULL;
}

/* The first of several lines of one kind has its title. */
static const char *title(const char *word, size_t i)
{
	return i == 0 ? word : "";
}

void config_print(const struct config_file *f, const struct sandbox_config *cfg, bool named,
		  FILE *out)
{
	const struct config_entry *e = NULL;
	char memory[32];
	size_t n = 0;

	format_size(cfg->memory, memory);
	fprintf(out, "%-10s%s\n", "name", named ? cfg->name : "two words, by chance");
	fprintf(out, "%-10sat most %s, taken as it is used\n", "memory", memory);
	fprintf(out, "%-10s%u\n", "cpus", cfg->cpus);
	fprintf(out, "%-10s%s\n", "user", cfg->run_as ? cfg->run_as : cfg->user.name);
	if (cfg->workdir)
		fprintf(out, "%-10s%s\n", "workdir", cfg->workdir);
	if (cfg->timeout_ms)
		fprintf(out, "%-10s%llu.%03llu s\n", "timeout",
			(unsigned long long)cfg->timeout_ms / 1000,
			(unsigned long long)cfg->timeout_ms % 1000);
	if (cfg->root)
		fprintf(out, "%-10s%s\n", "root", cfg->root);
	if (cfg->kernel)
		fprintf(out, "%-10s%s\n", "kernel", cfg->kernel);
	if (cfg->battery)
		fprintf(out, "%-10s%s\n", "battery", cfg->battery);
	fprintf(out, "%-10snone\n", "network");
	for (size_t i = 0; i < cfg->n_maps; i++)
		fprintf(out, "%-10s%s at %s, %s\n", title("maps", i), cfg->maps[i].host,
			cfg->maps[i].guest, cfg->maps[i].writable ? "writable" : "read-only");
	for (char **v = cfg->env; v && *v; v++)
		fprintf(out, "%-10s%s\n", title("env", n++), *v);
	n = 0;
	while ((e = next_entry(f, CONFIG_KEY_COMMAND, e)))
		fprintf(out, "%-10s%s\n", title("run", n++), e->value);
	if (n == 0)
		fprintf(out, "%-10snothing; a command has to be given\n", "run");
	while ((e = next_entry(f, CONFIG_KEY_UNSUPPORTED, e)))
		fprintf(out, "\nline %u: %s\n", e->line, e->value);
}

static json_t *maps_json(const struct sandbox_config *cfg)
{
	json_t *list = json_array();

	for (size_t i = 0; i < cfg->n_maps; i++) {
		const struct config_map *map = &cfg->maps[i];

		(void)json_array_append_new(list,
					    json_pack("{s:s, s:s, s:b}", "host", map->host, "guest",
						      map->guest, "write", map->writable));
	}
	return list;
}

static json_t *strings_json(char **strings)
{
	json_t *list = json_array();

	for (; strings && *strings; strings++)
		(void)json_array_append_new(list, json_string(*strings));
	return list;
}

static json_t *entries_json(const struct config_file *f, enum config_key key)
{
	json_t *list = json_array();
	const struct config_entry *e = NULL;

	while ((e = next_entry(f, key, e)))
		(void)json_array_append_new(
			list,
			key == CONFIG_KEY_UNSUPPORTED
				? json_pack("{s:i, s:s}", "line", (int)e->line, "message", e->value)
				: json_string(e->value));
	return list;
}

int config_print_json(const struct config_file *f, const struct sandbox_config *cfg, bool named,
		      FILE *out)
{
	json_t *root = json_pack(
		"{s:s, s:s, s:s?, s:I, s:i, s:s, s:s?, s:I, s:s?, s:s?, s:s?, s:s, s:o, s:o, s:o, "
		"s:o}",
		"file", f->path, "format", f->format == CONFIG_FORMAT_WSB ? "wsb" : "sandbox",
		"name", named ? cfg->name : NULL, "memory", (json_int_t)cfg->memory, "cpus",
		(int)cfg->cpus, "user", cfg->run_as ? cfg->run_as : cfg->user.name, "workdir",
		cfg->workdir, "timeout_ms", (json_int_t)cfg->timeout_ms, "root", cfg->root,
		"kernel", cfg->kernel, "battery", cfg->battery, "network", "none", "maps",
		maps_json(cfg), "env", strings_json(cfg->env), "run",
		entries_json(f, CONFIG_KEY_COMMAND), "unsupported",
		entries_json(f, CONFIG_KEY_UNSUPPORTED));
	int r;

	if (!root)
		return -ENOMEM;
	r = json_dumpf(root, out, JSON_INDENT(2)) < 0 || fputc('\n', out) == EOF ||
			    fflush(out) == EOF
		    ? -EIO
		    : 0;
	json_decref(root);
	return r;
}
