/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "tests/unit/vmm/control/control_peers.h"
#include "vmm/config/config.h"

TestSuite(share, .init = peers_setup, .fini = peers_teardown);

/* Asks for a new share of /tmp, or of what fd is, there. */
static void ask_share(int fd, const char *guest_path, bool write)
{
	char text[256];
	int tmp = open("/tmp", O_PATH | O_CLOEXEC);

	snprintf(text, sizeof(text),
		 "{\"type\":\"request\",\"id\":1,\"op\":\"share\",\"host\":\"/"
		 "tmp\",\"guest\":\"%s\","
		 "\"write\":%s}",
		 guest_path, write ? "true" : "false");
	send_with(fd, text, &tmp, 1);
	close(tmp);
}

static void ask_unshare(int fd, const char *guest_path)
{
	char text[256];

	snprintf(text, sizeof(text),
		 "{\"type\":\"request\",\"id\":2,\"op\":\"unshare\",\"guest\":\"%s\"}", guest_path);
	ask(fd, text);
}

/* The reply that came is a refusal of that kind. */
static void expect_refusal(int fd, const char *error)
{
	json_t *m = receive(fd);

	cr_assert_not_null(m);
	cr_assert(json_is_false(json_object_get(m, "ok")));
	cr_assert_str_eq(json_string_value(json_object_get(m, "error")), error);
	json_decref(m);
}

static void expect_ok(int fd)
{
	json_t *m = receive(fd);

	cr_assert_not_null(m);
	cr_assert(json_is_true(json_object_get(m, "ok")), "%s",
		  json_string_value(json_object_get(m, "message")));
	json_decref(m);
}

/* "guest" of the shares that "info" tells of, in their order. */
static void expect_shares(const char *const *paths)
{
	json_t *m, *list;
	size_t n = 0;

	ask(client, "{\"type\":\"request\",\"id\":3,\"op\":\"info\"}");
	m = receive(client);
	list = json_object_get(m, "shares");
	for (; paths[n]; n++)
		cr_assert_str_eq(
			json_string_value(json_object_get(json_array_get(list, n), "guest")),
			paths[n]);
	cr_assert_eq(json_array_size(list), n);
	json_decref(m);
}

static bool is_exported(const char *export_name)
{
	const struct fs_export_config export = {.name = export_name,
						.fd = open("/tmp", O_PATH | O_CLOEXEC)};

	if (fs_server_add_export(server, &export) == -EEXIST)
		return true;
	cr_assert_eq(fs_server_remove_export(server, export_name), 0);
	return false;
}

static void agent_fails(uint32_t id, uint32_t error, const char *text)
{
	uint8_t buf[128];
	const uint32_t len = (uint32_t)strlen(text);
	const uint32_t words[] = {htole32(20 + len),
				  htole32(SC_MSG_MAP_FAILED),
				  htole32(id),
				  htole32(SC_FIELD_ERRNO),
				  htole32(4),
				  htole32(error),
				  htole32(SC_FIELD_TEXT),
				  htole32(len)};

	memcpy(buf, words, sizeof(words));
	memcpy(buf + sizeof(words), text, len);
	(void)fake_sock_write(&fv, &socks[AGENT], buf, (uint32_t)sizeof(words) + len);
	settle();
}

static unsigned int count_fds(void)
{
	unsigned int n = 0;

	for (int fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

Test(share, a_share_comes_and_goes)
{
	static const char *const one[] = {"/src", NULL}, *const two[] = {"/src", "/srv/tmp", NULL};
	unsigned int fds = count_fds();
	char fields[256];
	uint32_t id;

	start_agent();
	ask_share(client, "//srv/./tmp/", false);
	cr_assert_eq(agent_hears(&id, fields, sizeof(fields)), SC_MSG_MAP);
	cr_assert_eq(id, 1);
	cr_assert_not_null(strstr(fields, "/srv/tmp"));
	expect_silence(client);
	cr_assert(is_exported("map1"));
	expect_shares(one);
	ask_unshare(client, "/srv/tmp");
	expect_refusal(client, "busy");
	agent_says(SC_MSG_MAP_DONE, 1, 0, 0);
	expect(client, "{\"id\":1,\"ok\":true,\"type\":\"reply\"}");
	expect_shares(two);
	/* Read-only: it is taken back before the guest is asked. */
	ask_unshare(client, "/srv/tmp/");
	cr_assert_eq(agent_hears(&id, NULL, 0), SC_MSG_UNMAP);
	cr_assert_eq(id, 2);
	cr_assert_not(is_exported("map1"));
	agent_says(SC_MSG_MAP_DONE, 2, 0, 0);
	expect(client, "{\"id\":2,\"ok\":true,\"type\":\"reply\"}");
	expect_shares(one);
	cr_assert_eq(count_fds(), fds);
}

Test(share, a_writable_share_goes_when_the_guest_has_written_back)
{
	start_agent();
	ask_share(client, "/srv/tmp", true);
	cr_assert_eq(agent_hears(NULL, NULL, 0), SC_MSG_MAP);
	agent_says(SC_MSG_MAP_DONE, 1, 0, 0);
	expect_ok(client);
	cr_assert(shares_writable(all_shares));
	ask_unshare(client, "/srv/tmp");
	cr_assert_eq(agent_hears(NULL, NULL, 0), SC_MSG_UNMAP);
	cr_assert(is_exported("map1"));
	agent_fails(2, EIO, "cannot write back");
	expect(client,
	       "{\"id\":2,\"ok\":true,\"type\":\"reply\",\"warning\":\"cannot write back\"}");
	cr_assert_not(is_exported("map1"));
	cr_assert_not(shares_writable(all_shares));
}

static void setup_impatient(void)
{
	detach_limit_ms = 1;
	peers_setup();
}

TestSuite(impatient_share, .init = setup_impatient, .fini = peers_teardown);

Test(impatient_share, a_guest_that_does_not_answer_keeps_no_share)
{
	static const struct timespec pause = {.tv_nsec = 20 * 1000 * 1000};

	start_agent();
	ask_share(client, "/srv/tmp", true);
	agent_says(SC_MSG_MAP_DONE, 1, 0, 0);
	expect_ok(client);
	ask_unshare(client, "/srv/tmp");
	nanosleep(&pause, NULL);
	settle();
	expect_ok(client);
	cr_assert_not(is_exported("map1"));
	/* Nor does what it says too late harm anybody; a word nobody asked for does. */
	agent_says(SC_MSG_MAP_DONE, 2, 0, 0);
	ask_share(client, "/srv/tmp", false);
	agent_says(SC_MSG_MAP_DONE, 3, 0, 0);
	expect_ok(client);
	cr_assert_eq(session_state(session), SESSION_READY);
	agent_says(SC_MSG_MAP_DONE, 4, 0, 0);
	cr_assert_eq(session_state(session), SESSION_ENDED);
	ask_share(client, "/srv/other", false);
	expect_refusal(client, "busy");
}

Test(share, a_share_that_the_guest_cannot_mount)
{
	static const char *const one[] = {"/src", NULL};
	unsigned int fds = count_fds();

	start_agent();
	ask_share(client, "/srv/tmp", false);
	agent_fails(1, ENOTDIR, "cannot mount the share");
	expect(client,
	       "{\"errno\":20,\"error\":\"failed\",\"id\":1,\"message\":\"cannot mount the share\","
	       "\"ok\":false,\"type\":\"reply\"}");
	expect_shares(one);
	cr_assert_not(is_exported("map1"));
	cr_assert_eq(count_fds(), fds);
}

Test(share, shares_that_are_refused)
{
	static const struct {
		const char *guest, *error;
	} places[] = {
		{"srv", "bad-request"},	 {"/srv/../etc", "bad-request"},
		{"/", "taken"},		 {"/proc/self", "taken"},
		{"/usr", "taken"},	 {"/src", "taken"},
		{"/src/below", "taken"}, {"", "bad-request"},
	};
	static const char *const wrong[] = {
		"\"host\":\"/tmp\"",
		"\"guest\":\"/srv\"",
		"\"host\":\"tmp\",\"guest\":\"/srv\"",
		"\"host\":\"/tmp\",\"guest\":\"/srv\",\"write\":1",
		"\"host\":1,\"guest\":\"/srv\"",
	};
	int tmp = open("/tmp", O_PATH | O_CLOEXEC), dir = open("/tmp", O_RDONLY | O_CLOEXEC);
	int link = open("/proc/self/exe", O_PATH | O_NOFOLLOW | O_CLOEXEC);
	int two[2] = {tmp, tmp};
	static char text[8192], longer[300];
	unsigned int fds = count_fds();

	ask_share(client, "/srv", false);
	expect_refusal(client, "busy");
	start_agent();
	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		ask_share(client, places[i].guest, true);
		expect_refusal(client, places[i].error);
	}
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		snprintf(text, sizeof(text), "{\"type\":\"request\",\"id\":1,\"op\":\"share\",%s}",
			 wrong[i]);
		send_with(client, text, &tmp, 1);
		expect_refusal(client, "bad-request");
	}
	memset(longer, 'n', 256);
	snprintf(text, sizeof(text),
		 "{\"type\":\"request\",\"id\":1,\"op\":\"share\",\"host\":\"/tmp\",\"guest\":\"/"
		 "%s\"}",
		 longer);
	send_with(client, text, &tmp, 1);
	expect_refusal(client, "bad-request");
	snprintf(text, sizeof(text), "{\"type\":\"request\",\"id\":1,\"op\":\"share\",%s}",
		 "\"host\":\"/tmp\",\"guest\":\"/srv\"");
	send_with(client, text, NULL, 0);
	expect_refusal(client, "bad-request");
	send_with(client, text, two, 2);
	expect_refusal(client, "bad-request");
	send_with(client, text, &dir, 1);
	expect_refusal(client, "bad-request");
	send_with(client, text, &link, 1);
	expect_refusal(client, "bad-request");
	ask_unshare(client, "/srv");
	expect_refusal(client, "no-such-share");
	ask_unshare(client, "srv");
	expect_refusal(client, "bad-request");
	cr_assert_eq(socks[AGENT].total, agent_read);
	cr_assert_eq(count_fds(), fds);
	control_stopping(control);
	ask_share(client, "/srv", false);
	expect_refusal(client, "stopping");
	close(tmp);
	close(dir);
	close(link);
}

Test(share, a_share_below_another_goes_first)
{
	start_agent();
	ask_share(client, "/mnt/a/b", false);
	agent_says(SC_MSG_MAP_DONE, 1, 0, 0);
	expect_ok(client);
	/* It would hide that one. */
	ask_share(client, "/mnt/a", false);
	expect_refusal(client, "taken");
	ask_unshare(client, "/src");
	agent_says(SC_MSG_MAP_DONE, 2, 0, 0);
	expect_ok(client);
	/* /tmp/x within /tmp at the same place, as maps of `run` may be. */
	ask_share(client, "/src", false);
	agent_says(SC_MSG_MAP_DONE, 3, 0, 0);
	expect_ok(client);
	{
		const int tmp = open("/tmp", O_PATH | O_CLOEXEC);

		send_with(client,
			  "{\"type\":\"request\",\"id\":1,\"op\":\"share\",\"host\":\"/tmp/x\","
			  "\"guest\":\"/src/x\",\"write\":true}",
			  &tmp, 1);
		close(tmp);
	}
	agent_says(SC_MSG_MAP_DONE, 4, 0, 0);
	expect_ok(client);
	ask_unshare(client, "/src");
	expect_refusal(client, "busy");
}

Test(share, a_client_that_leaves_its_share_behind)
{
	static const char *const two[] = {"/src", "/srv/tmp", NULL};
	int other = new_client();

	start_agent();
	ask_share(other, "/srv/tmp", false);
	close(other);
	settle();
	agent_says(SC_MSG_MAP_DONE, 1, 0, 0);
	expect_shares(two);
	/* One whose answer never comes is no one's when all ends. */
	ask_share(client, "/srv/other", false);
}

Test(share, shares_come_and_go_a_thousand_times)
{
	unsigned int fds;

	start_agent();
	fds = count_fds();
	for (uint32_t i = 0; i < 1000; i++) {
		ask_share(client, "/srv/tmp", i % 2);
		agent_says(SC_MSG_MAP_DONE, 2 * i + 1, 0, 0);
		expect_ok(client);
		ask_unshare(client, "/srv/tmp");
		agent_says(SC_MSG_MAP_DONE, 2 * i + 2, 0, 0);
		expect_ok(client);
	}
	cr_assert_eq(count_fds(), fds);
	/* No more at once than there may be of them at the start. */
	for (uint32_t i = 1; i < CONFIG_MAX_MAPS; i++) {
		char path[32];

		snprintf(path, sizeof(path), "/srv/%u", i);
		ask_share(client, path, false);
		agent_says(SC_MSG_MAP_DONE, 2000 + i, 0, 0);
		expect_ok(client);
	}
	ask_share(client, "/srv/more", false);
	expect_refusal(client, "busy");
}

/* The file server's thread hangs until the test runs its loop. */
static void setup_hanging(void)
{
	server_limit_ms = 1;
	cr_assert_eq(loop_new(&files_loop), 0);
	peers_setup();
}

static void teardown_hanging(void)
{
	peers_teardown();
	loop_free(files_loop);
}

TestSuite(hanging_share, .init = setup_hanging, .fini = teardown_hanging);

static void stop_files(struct loop_task *task)
{
	(void)task;
	loop_stop(files_loop);
}

/* The host's file system answers: what waits for the thread is done. */
static void server_is_back(void)
{
	struct loop_task stop = {.fn = stop_files};

	loop_post(files_loop, &stop);
	cr_assert_eq(loop_run(files_loop), 0);
	settle();
}

static void let_limit_pass(void)
{
	static const struct timespec pause = {.tv_nsec = 20 * 1000 * 1000};

	nanosleep(&pause, NULL);
	settle();
}

Test(hanging_share, a_share_is_refused_and_does_not_come_later)
{
	start_agent();
	ask_share(client, "/srv/tmp", false);
	let_limit_pass();
	expect_refusal(client, "failed");
	server_is_back();
	server_is_back();
	cr_assert_not(is_exported("map1"));
	expect_shares((const char *const[]){"/src", NULL});
}

Test(hanging_share, a_removal_is_answered_and_done_later)
{
	start_agent();
	ask_unshare(client, "/src");
	let_limit_pass();
	expect_refusal(client, "failed");
	cr_assert(is_exported("map0"));
	/* It is not asked for twice. */
	ask_unshare(client, "/src");
	expect_refusal(client, "busy");
	server_is_back();
	cr_assert_not(is_exported("map0"));
	agent_says(SC_MSG_MAP_DONE, 1, 0, 0);
	expect_shares((const char *const[]){NULL});
}
