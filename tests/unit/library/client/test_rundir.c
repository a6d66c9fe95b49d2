/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "library/client/client.h"
#include "library/client/rundir.h"

static char base[] = "/tmp/sandcastle-rundir.XXXXXX";
static char top[64];

static void setup(void)
{
	cr_assert_not_null(mkdtemp(base));
	snprintf(top, sizeof(top), "%s/sandcastle", base);
}

static void teardown(void)
{
	cr_assert_eq(rmdir(base), 0, "something is left in it");
}

TestSuite(rundir, .init = setup, .fini = teardown);

static bool exists(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s", top, name);
	return access(path, F_OK) == 0;
}

/* A sandbox that was killed: its folder, its lock gone with it. */
static void leave_stale(const char *name)
{
	pid_t child = fork();
	int status;

	if (child == 0) {
		struct rundir rd;

		_exit(rundir_create(top, name, &rd) == 0 ? 0 : 1);
	}
	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	cr_assert(exists(name));
}

Test(rundir, comes_and_goes_and_takes_the_top_along)
{
	struct rundir a, b;
	struct stat st;
	char **names;

	cr_assert_eq(rundir_list(top, &names), 0);
	cr_assert_null(names[0]);
	rundir_list_free(names);
	cr_assert_eq(rundir_create(top, "b", &b), 0);
	cr_assert_eq(rundir_create(top, "a", &a), 0);
	cr_assert_eq(stat(top, &st), 0);
	cr_assert_eq(st.st_mode & 07777, 0700);
	cr_assert(exists("a/control"));
	cr_assert_eq(rundir_list(top, &names), 0);
	cr_assert_str_eq(names[0], "a");
	cr_assert_str_eq(names[1], "b");
	cr_assert_null(names[2]);
	rundir_list_free(names);
	rundir_remove(&a);
	cr_assert_not(exists("a"));
	cr_assert_eq(rundir_open(top, "a"), -ENOENT);
	rundir_remove(&b);
	cr_assert_not(exists(""));
	/* Again is fine. */
	rundir_remove(&b);
	cr_assert_eq(rundir_open(top, "a"), -ENOENT);
}

Test(rundir, a_name_is_taken_while_its_sandbox_lives)
{
	struct rundir a, b;

	cr_assert_eq(rundir_create(top, "a", &a), 0);
	cr_assert_eq(rundir_create(top, "a", &b), -EEXIST);
	cr_assert(exists("a/control"));
	rundir_remove(&a);
	leave_stale("a");
	cr_assert_eq(rundir_create(top, "a", &a), 0);
	rundir_remove(&a);
}

Test(rundir, what_a_killed_one_left_is_removed)
{
	char **names;
	int fd;

	leave_stale("a");
	leave_stale("b");
	fd = rundir_open(top, "a");
	cr_assert_eq(fd, -ENOENT);
	cr_assert_not(exists("a"));
	cr_assert(exists("b"));
	cr_assert_eq(rundir_list(top, &names), 0);
	cr_assert_null(names[0]);
	rundir_list_free(names);
	cr_assert_not(exists(""));
}

Test(rundir, another_place_is_not_trusted)
{
	struct rundir a;
	char **names;

	cr_assert_eq(mkdir(top, 0755), 0);
	cr_assert_eq(rundir_create(top, "a", &a), -EPERM);
	cr_assert_eq(rundir_list(top, &names), -EPERM);
	cr_assert_eq(rundir_open(top, "a"), -EPERM);
	cr_assert_eq(rmdir(top), 0);
	cr_assert_eq(symlink(base, top), 0);
	cr_assert_lt(rundir_create(top, "a", &a), 0);
	cr_assert_eq(unlink(top), 0);
}

Test(rundir, names_stay_inside)
{
	struct rundir a;

	cr_assert_eq(rundir_create(top, "a", &a), 0);
	cr_assert_eq(rundir_open(top, ".."), -ENOENT);
	cr_assert_eq(rundir_open(top, "../x"), -ENOENT);
	cr_assert_eq(rundir_open(top, ""), -ENOENT);
	rundir_remove(&a);
}

Test(rundir, where_it_is)
{
	char *path;

	cr_assert_eq(setenv("XDG_RUNTIME_DIR", base, 1), 0);
	path = rundir_top();
	cr_assert_str_eq(path, top);
	free(path);
	/* A relative one is to be ignored, says its specification. */
	cr_assert_eq(setenv("XDG_RUNTIME_DIR", "x", 1), 0);
	path = rundir_top();
	cr_assert_eq(path[0], '/');
	free(path);
}

/* ---- the client, against a sandbox of a few lines ---- */

static const char hello[] = "{\"type\":\"hello\",\"protocol\":1,\"name\":\"a\",\"pid\":7}";

/* Answers one connection with these packets, NULL-terminated, once it has asked something. */
static pid_t serve(const struct rundir *rd, const char *first, const char *const *then)
{
	pid_t child = fork();

	if (child == 0) {
		char buf[4096];
		int fd;

		(void)fcntl(rd->listen_fd, F_SETFL, 0);
		fd = accept(rd->listen_fd, NULL, NULL);
		(void)!send(fd, first, strlen(first), 0);
		if (then && recv(fd, buf, sizeof(buf), 0) > 0)
			for (; *then; then++)
				(void)!send(fd, *then, strlen(*then), 0);
		_exit(0);
	}
	return child;
}

static int connect_to(const struct rundir *rd, struct client **c)
{
	int dir_fd = rundir_open(top, rd->name), r;

	cr_assert_geq(dir_fd, 0);
	r = client_new(dir_fd, c);
	close(dir_fd);
	return r;
}

Test(rundir, a_call_keeps_the_events_that_come_before_its_reply)
{
	static const char *const answers[] = {
		"{\"type\":\"event\",\"event\":\"ready\"}",
		"{\"type\":\"reply\",\"id\":1,\"ok\":true,\"state\":\"running\"}",
		"{\"type\":\"event\",\"event\":\"stopping\"}",
		NULL,
	};
	struct client *c;
	struct rundir rd;
	json_t *m;

	cr_assert_eq(rundir_create(top, "a", &rd), 0);
	(void)serve(&rd, hello, answers);
	cr_assert_eq(connect_to(&rd, &c), 0);
	cr_assert_str_eq(client_name(c), "a");
	cr_assert_eq(client_pid(c), 7);
	cr_assert_eq(client_call(c, json_pack("{s:s}", "op", "watch"), NULL, 0, &m), 0);
	cr_assert_str_eq(json_string_value(json_object_get(m, "state")), "running");
	json_decref(m);
	cr_assert_eq(client_receive(c, 1000, &m), 0);
	cr_assert_str_eq(json_string_value(json_object_get(m, "event")), "ready");
	json_decref(m);
	cr_assert_eq(client_receive(c, 1000, &m), 0);
	cr_assert_str_eq(json_string_value(json_object_get(m, "event")), "stopping");
	json_decref(m);
	cr_assert_eq(client_receive(c, 1000, &m), -EPIPE);
	client_free(c);
	rundir_remove(&rd);
}

Test(rundir, who_is_no_sandbox_is_told_apart)
{
	static const struct {
		const char *hello;
		int r;
	} cases[] = {
		{"{\"type\":\"hello\",\"protocol\":2,\"name\":\"a\",\"pid\":7}", -EPROTONOSUPPORT},
		{"{\"type\":\"hello\",\"protocol\":1}", -EPROTO},
		{"{\"type\":\"event\",\"protocol\":1,\"name\":\"a\"}", -EPROTO},
		{"[]", -EPROTO},
		{"x", -EPROTO},
	};
	struct client *c;
	struct rundir rd;

	cr_assert_eq(rundir_create(top, "a", &rd), 0);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		(void)serve(&rd, cases[i].hello, NULL);
		cr_assert_eq(connect_to(&rd, &c), cases[i].r);
	}
	rundir_remove(&rd);
}

Test(rundir, bytes_survive_json)
{
	static const char *const texts[] = {"", "plain", "gr\xc3\xbcn", "\xff\xfe/x", "\xc3"};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		json_t *value = control_bytes_new(texts[i]);
		char *back = NULL;

		cr_assert_eq(control_bytes_get(value, &back), 0);
		cr_assert_str_eq(back, texts[i]);
		free(back);
		json_decref(value);
	}
}
