/* SPDX-License-Identifier: MIT */
#include "launcher/doctor/policy.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vmm/confine/policy_table.h"

static json_t *threads_of(const struct policy_row *row)
{
	json_t *list = json_array();

	for (unsigned int role = 0; row->roles != 0 && role < POLICY_ROLES; role++)
		if (policy_row_is_for(row, (enum policy_role)role))
			(void)json_array_append_new(
				list, json_string(policy_role_name((enum policy_role)role)));
	return list;
}

json_t *doctor_policy_table(void)
{
	json_t *table = json_array();

	for (size_t i = 0; i < policy_n_rows; i++)
		(void)json_array_append_new(table, json_pack("{s:s, s:o, s:s, s:s}", "call",
							     policy_rows[i].call, "threads",
							     threads_of(&policy_rows[i]), "rule",
							     policy_rows[i].rule_text, "reason",
							     policy_rows[i].reason));
	return table;
}

/* The value behind `key` in a status file, up to the line's end; "" if it is not there. */
static void value_of(const char *status, const char *key, char *out, size_t size)
{
	const char *at = strstr(status, key);
	size_t len = 0;

	if (at) {
		at += strlen(key);
		at += strspn(at, "\t ");
		len = min_size(strcspn(at, "\n"), size - 1);
		memcpy(out, at, len);
	}
	out[len] = '\0';
}

static json_t *thread_of(const char *status)
{
	char name[32], mode[16], filters[16], privileges[16], capabilities[32];

	value_of(status, "Name:", name, sizeof(name));
	value_of(status, "\nSeccomp:", mode, sizeof(mode));
	value_of(status, "\nSeccomp_filters:", filters, sizeof(filters));
	value_of(status, "\nNoNewPrivs:", privileges, sizeof(privileges));
	value_of(status, "\nCapEff:", capabilities, sizeof(capabilities));
	return json_pack("{s:s, s:i, s:i, s:b, s:s}", "name", name, "seccomp", atoi(mode),
			 "filters", atoi(filters), "no_new_privileges", privileges[0] == '1',
			 "capabilities", capabilities);
}

/* A thread that ends meanwhile is passed over. */
static void add_thread(json_t *list, int dir, const char *tid)
{
	char path[NAME_MAX + 16], status[4096];
	AUTO_CLOSE int fd = -1;
	ssize_t n;

	snprintf(path, sizeof(path), "%s/status", tid);
	fd = openat(dir, path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, status, sizeof(status) - 1);
	if (n <= 0)
		return;
	status[n] = '\0';
	(void)json_array_append_new(list, thread_of(status));
}

int doctor_policy_threads(const char *root, pid_t pid, json_t **out)
{
	const struct dirent *entry;
	char path[512];
	DIR *dir;

	snprintf(path, sizeof(path), "%s/proc/%d/task", root, (int)pid);
	dir = opendir(path);
	if (!dir)
		return -errno;
	*out = json_array();
	while ((entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			add_thread(*out, dirfd(dir), entry->d_name);
	closedir(dir);
	return 0;
}

static void print_threads(const json_t *threads, FILE *out)
{
	fprintf(out, "%-16s %-8s %-8s %-16s %s\n", "THREAD", "SECCOMP", "FILTERS", "CAPABILITIES",
		"NO NEW PRIVILEGES");
	for (size_t i = 0; i < json_array_size(threads); i++) {
		const json_t *t = json_array_get(threads, i);

		fprintf(out, "%-16s %-8d %-8d %-16s %s\n",
			json_string_value(json_object_get(t, "name")),
			(int)json_integer_value(json_object_get(t, "seccomp")),
			(int)json_integer_value(json_object_get(t, "filters")),
			json_string_value(json_object_get(t, "capabilities")),
			json_is_true(json_object_get(t, "no_new_privileges")) ? "yes" : "no");
	}
	fputc('\n', out);
}

static void print_row(const json_t *row, FILE *out)
{
	const json_t *threads = json_object_get(row, "threads");
	const char *rule = json_string_value(json_object_get(row, "rule"));

	fprintf(out, "%s%s%s%s: %s\n   ", json_string_value(json_object_get(row, "call")),
		rule[0] ? " (" : "", rule, rule[0] ? ")" : "",
		json_string_value(json_object_get(row, "reason")));
	for (size_t i = 0; i < json_array_size(threads); i++)
		fprintf(out, " %s", json_string_value(json_array_get(threads, i)));
	fputs(json_array_size(threads) > 0 ? "\n" : " ends the process\n", out);
}

void doctor_policy_print(const json_t *table, const json_t *threads, FILE *out)
{
	if (threads)
		print_threads(threads, out);
	for (size_t i = 0; i < json_array_size(table); i++)
		print_row(json_array_get(table, i), out);
}
