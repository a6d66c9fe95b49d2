/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "common/clock.h"
#include "common/log.h"
#include "launcher/commands.h"
#include "launcher/control_call.h"
#include "launcher/options.h"
#include "library/client/rundir.h"

/* How long all of them together may take to answer. */
enum { LIST_LIMIT_MS = 5000 };

/* One sandbox. */
struct row {
	const char *name;
	struct client *client; /* NULL: nothing more is awaited of it */
	bool greeted;
	json_t *info; /* NULL: it did not answer, or has gone */
	bool gone;
};

struct list {
	struct call call;
	bool json, quiet;
	struct row *rows;
	size_t n_rows;
};

static const struct option_row options[] = {
	{"json", 0, NULL, option_flag, offsetof(struct list, json), 0,
	 "an array of objects, as docs/control.md has \"info\""},
	{"quiet", 'q', NULL, option_flag, offsetof(struct list, quiet), 0, "the names only"},
	{0},
};

static void settle(struct row *row, int error)
{
	/* A sandbox that ended meanwhile is not listed. */
	row->gone = error == -EPIPE || error == -ECONNREFUSED || error == -ENOENT;
	client_free(row->client);
	row->client = NULL;
}

static void ask(struct row *row, const char *top)
{
	AUTO_CLOSE int dir_fd = rundir_open(top, row->name);
	int64_t id;
	int r = dir_fd < 0 ? dir_fd : client_connect(dir_fd, &row->client);

	if (r == 0)
		r = client_send(row->client, json_pack("{s:s}", "op", "info"), NULL, 0, &id);
	if (r < 0)
		settle(row, r);
}

/* Its hello, or the answer. */
static void hear(struct row *row)
{
	json_t *m = NULL;
	int r;

	if (!row->greeted) {
		row->greeted = true;
		r = client_greet(row->client, 0);
		if (r < 0)
			settle(row, r);
		return;
	}
	r = client_receive(row->client, 0, &m);
	if (r < 0) {
		settle(row, r);
		return;
	}
	if (json_is_true(json_object_get(m, "ok"))) {
		row->info = json_incref(m);
		(void)json_object_del(row->info, "type");
		(void)json_object_del(row->info, "id");
		(void)json_object_del(row->info, "ok");
		settle(row, 0);
	}
	json_decref(m);
}

/* All at once, so that one that is stuck holds up none of the others. */
static int ask_all(struct list *l, const char *top)
{
	const int64_t end = (int64_t)now_ms() + LIST_LIMIT_MS;
	AUTO_FREE struct pollfd *fds = calloc(l->n_rows + 1, sizeof(*fds));
	int64_t left;

	if (!fds)
		return -ENOMEM;
	for (size_t i = 0; i < l->n_rows; i++)
		ask(&l->rows[i], top);
	while ((left = end - (int64_t)now_ms()) > 0) {
		size_t waiting = 0;

		for (size_t i = 0; i < l->n_rows; i++) {
			const struct row *row = &l->rows[i];

			fds[i] = (struct pollfd){
				.fd = row->client ? client_fd(row->client) : -1,
				.events = POLLIN,
			};
			waiting += row->client != NULL;
		}
		if (waiting == 0)
			break;
		if (poll(fds, l->n_rows, (int)left) < 0 && errno != EINTR)
			return -errno;
		for (size_t i = 0; i < l->n_rows; i++)
			if (fds[i].revents && l->rows[i].client)
				hear(&l->rows[i]);
	}
	return 0;
}

/* "182M", "2.0G": a column's worth. */
static void format_short(uint64_t bytes, char *out, size_t size)
{
	static const char units[] = "KMGT";
	size_t unit = 0;
	double n = (double)bytes / 1024;

	while (n >= 1024 && unit + 2 < sizeof(units)) {
		n /= 1024;
		unit++;
	}
	snprintf(out, size, n < 10 ? "%.1f%c" : "%.0f%c", n, units[unit]);
}

static void format_memory(const json_t *info, char *out, size_t size)
{
	char used[16], most[16];

	format_short((uint64_t)json_integer_value(json_object_get(info, "resident")), used,
		     sizeof(used));
	format_short((uint64_t)json_integer_value(json_object_get(info, "memory")), most,
		     sizeof(most));
	snprintf(out, size, "%s / %s", used, most);
}

/* "  8080:80 0.0.0.0:8443:443", as --publish has them: a column of its own for those that have any. */
static void print_published(const json_t *published)
{
	for (size_t i = 0; i < json_array_size(published); i++) {
		const json_t *item = json_array_get(published, i);
		const char *address = json_text(item, "address");
		const bool six = strchr(address, ':') != NULL;

		fputs(i == 0 ? "  " : " ", stdout);
		if (strcmp(address, "127.0.0.1") != 0)
			printf("%s%s%s:", six ? "[" : "", address, six ? "]" : "");
		printf("%lld:%lld%s", (long long)json_integer_value(json_object_get(item, "port")),
		       (long long)json_integer_value(json_object_get(item, "guest")),
		       strcmp(json_text(item, "protocol"), "udp") == 0 ? "/udp" : "");
	}
	putchar('\n');
}

static void print_line(const struct row *row)
{
	const json_t *info = row->info;
	const json_int_t started = json_integer_value(json_object_get(info, "started_ms"));
	const json_int_t age = time(NULL) - started / 1000;
	char memory[40], up[32];

	if (!info) {
		printf("%-20s %8s %-9s\n", row->name, "-", "no answer");
		return;
	}
	format_memory(info, memory, sizeof(memory));
	if (age < 3600)
		snprintf(up, sizeof(up), "%lldm%02llds", (long long)age / 60, (long long)age % 60);
	else
		snprintf(up, sizeof(up), "%lldh%02lldm", (long long)age / 3600,
			 (long long)age / 60 % 60);
	printf("%-20s %8lld %-9s %8s %15s %9zu", row->name,
	       (long long)json_integer_value(json_object_get(info, "pid")),
	       json_text(info, "state"), up, memory,
	       json_array_size(json_object_get(info, "commands")));
	print_published(json_object_get(info, "published"));
}

static void print_json(const struct list *l)
{
	json_t *all = json_array();

	for (size_t i = 0; i < l->n_rows; i++) {
		const struct row *row = &l->rows[i];

		if (row->info)
			(void)json_array_append(all, row->info);
		else if (!row->gone)
			(void)json_array_append_new(all, json_pack("{s:s, s:s}", "name", row->name,
								   "state", "no-answer"));
	}
	(void)json_dumpf(all, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(all);
}

static void print(const struct list *l)
{
	if (!l->quiet)
		printf("%-20s %8s %-9s %8s %15s %9s  %s\n", "NAME", "PID", "STATE", "UP", "MEMORY",
		       "COMMANDS", "PUBLISHED");
	for (size_t i = 0; i < l->n_rows; i++) {
		if (l->quiet)
			puts(l->rows[i].name);
		else if (!l->rows[i].gone)
			print_line(&l->rows[i]);
	}
}

static int make_rows(struct list *l, char **names)
{
	while (names[l->n_rows])
		l->n_rows++;
	l->rows = calloc(l->n_rows + 1, sizeof(*l->rows));
	for (size_t i = 0; l->rows && i < l->n_rows; i++)
		l->rows[i].name = names[i];
	return l->rows ? 0 : -ENOMEM;
}

static int run(struct call *call)
{
	struct list *l = CONTAINER_OF(call, struct list, call);
	AUTO_FREE char *top = rundir_top();
	char **names = NULL;
	int r;

	if (control_names(&names) < 0)
		return EXIT_SANDCASTLE_FAILED;
	r = make_rows(l, names);
	if (r == 0 && (l->json || !l->quiet))
		r = ask_all(l, top);
	if (r < 0)
		log_error("cannot ask the sandboxes: %s", strerror(-r));
	else if (l->json)
		print_json(l);
	else
		print(l);
	for (size_t i = 0; l->rows && i < l->n_rows; i++) {
		client_free(l->rows[i].client);
		json_decref(l->rows[i].info);
	}
	free(l->rows);
	rundir_list_free(names);
	return r == 0 && fflush(stdout) == 0 ? 0 : EXIT_SANDCASTLE_FAILED;
}

const struct command cmd_list = {
	.name = "list",
	.brief = "the sandboxes that are running",
	.usage = "[OPTIONS]",
	.about = "Lists the sandboxes of this user that are running: MEMORY is what a\n"
		 "sandbox has of the host's, and the most it may have; PUBLISHED are its\n"
		 "ports on this host, [ADDR:]HOST:GUEST. One that does not answer within\n"
		 "5 seconds is shown as such.\n",
	.options = options,
	.size = sizeof(struct list),
	.run = run,
};
