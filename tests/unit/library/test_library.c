/* SPDX-License-Identifier: MIT */
/* libsandcastle against a sandbox that is none (tests/support/fake_sandbox.c). */
#include <criterion/criterion.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "include/sandcastle.h"

static char run_dir[] = "/tmp/sandcastle-test-XXXXXX";
static struct sandcastle_sandbox *sb;
static struct sandcastle_options options = SANDCASTLE_OPTIONS_INIT;
static char said[512], text[1 << 20];
static size_t text_len;

static void setup(void)
{
	cr_assert_not_null(mkdtemp(run_dir));
	options.program = FAKE_SANDBOX;
	options.runtime_dir = run_dir;
	cr_assert_eq(sandcastle_new(&sb), SANDCASTLE_OK);
}

static void teardown(void)
{
	sandcastle_free(sb);
	for (int i = 0; i < 100 && rmdir(run_dir) < 0; i++)
		usleep(10000);
}

TestSuite(library, .init = setup, .fini = teardown, .timeout = 20);

static const char *message(void)
{
	sandcastle_message(sb, said, sizeof(said));
	return said;
}

static void start(void)
{
	cr_assert_eq(sandcastle_start(sb, &options), SANDCASTLE_OK, "%s", message());
}

static void collect(void *data, int stream, const void *bytes, size_t len)
{
	(void)data;
	(void)stream;
	cr_assert_leq(text_len + len, sizeof(text) - 1);
	memcpy(text + text_len, bytes, len);
	text_len += len;
	text[text_len] = '\0';
}

static int exec_status(const char *const *argv, int stdout_kind, struct sandcastle_command **cmd)
{
	struct sandcastle_exec_options x = SANDCASTLE_EXEC_OPTIONS_INIT;

	x.argv = argv;
	x.stdio[1].kind = stdout_kind;
	x.output = collect;
	return sandcastle_exec(sb, &x, cmd);
}

#define EXEC(cmd, kind, ...) exec_status((const char *const[]){__VA_ARGS__, NULL}, kind, cmd)

Test(library, a_command)
{
	struct sandcastle_command *cmd = NULL;
	int code = -1;

	start();
	cr_assert_eq(sandcastle_wait_ready(sb, -1), SANDCASTLE_OK, "%s", message());
	cr_assert_str_eq(sandcastle_name(sb), "quiet-dune");
	cr_assert_eq(EXEC(&cmd, SANDCASTLE_STDIO_CALLBACK, "sh", "-c", "echo hello; exit 7"), 0);
	cr_assert_eq(sandcastle_command_wait(cmd, -1, &code), SANDCASTLE_OK, "%s", message());
	cr_assert_eq(code, 7);
	cr_assert_str_eq(text, "hello\n");
	cr_assert_str_empty(message());
}

Test(library, much_output_before_the_exit)
{
	struct sandcastle_command *cmd = NULL;
	int code = -1;

	start();
	cr_assert_eq(EXEC(&cmd, SANDCASTLE_STDIO_CALLBACK, "head", "-c", "500000", "/dev/zero"), 0);
	cr_assert_eq(sandcastle_command_wait(cmd, -1, &code), SANDCASTLE_OK);
	cr_assert_eq(code, 0);
	cr_assert_eq(text_len, 500000);
}

Test(library, pipes_both_ways)
{
	struct sandcastle_exec_options x = SANDCASTLE_EXEC_OPTIONS_INIT;
	struct sandcastle_command *cmd = NULL;
	int code = -1;

	start();
	x.argv = (const char *const[]){"cat", NULL};
	x.stdio[0].kind = x.stdio[1].kind = SANDCASTLE_STDIO_PIPE;
	cr_assert_eq(sandcastle_exec(sb, &x, &cmd), SANDCASTLE_OK, "%s", message());
	cr_assert_eq(sandcastle_command_pipe(cmd, 2), -1);
	cr_assert_eq(write(sandcastle_command_pipe(cmd, 0), "abc", 3), 3);
	sandcastle_command_close(cmd, 0);
	cr_assert_eq(read(sandcastle_command_pipe(cmd, 1), text, 10), 3);
	cr_assert_eq(sandcastle_command_wait(cmd, -1, &code), SANDCASTLE_OK);
	cr_assert_eq(code, 0);
	cr_assert_eq(read(sandcastle_command_pipe(cmd, 1), text, 10), 0);
}

Test(library, environment_is_what_was_asked_for)
{
	struct sandcastle_exec_options x = SANDCASTLE_EXEC_OPTIONS_INIT;
	struct sandcastle_command *cmd = NULL;
	int code = -1;

	setenv("SECRET", "of ours", 1);
	start();
	x.argv = (const char *const[]){"sh", "-c", "echo $SECRET$A; pwd", NULL};
	x.env = (const char *const[]){"A=1", NULL};
	x.stdio[1].kind = SANDCASTLE_STDIO_CALLBACK;
	x.output = collect;
	cr_assert_eq(sandcastle_exec(sb, &x, &cmd), SANDCASTLE_OK, "%s", message());
	cr_assert_eq(sandcastle_command_wait(cmd, -1, &code), SANDCASTLE_OK);
	cr_assert_str_eq(text, "1\n/\n");
}

Test(library, commands_that_cannot_run)
{
	struct sandcastle_command *cmd = NULL;

	start();
	cr_assert_eq(EXEC(&cmd, 0, "/nonexistent"), SANDCASTLE_E_NOT_FOUND);
	cr_assert_str_eq(message(), "run it: no");
	cr_assert_eq(EXEC(&cmd, 0, "/etc"), SANDCASTLE_E_EXEC);
	cr_assert_null(cmd);
}

Test(library, signals_and_limits)
{
	struct sandcastle_command *cmd = NULL;
	int code = -1;

	start();
	cr_assert_eq(EXEC(&cmd, 0, "sleep", "100"), 0);
	cr_assert_eq(sandcastle_command_wait(cmd, 10, &code), SANDCASTLE_E_TIMEOUT);
	cr_assert_eq(sandcastle_command_wait(cmd, 0, &code), SANDCASTLE_E_TIMEOUT);
	cr_assert_eq(sandcastle_command_signal(cmd, 65), SANDCASTLE_E_INVALID);
	cr_assert_eq(sandcastle_command_signal(cmd, SIGTERM), SANDCASTLE_OK);
	cr_assert_eq(sandcastle_command_wait(cmd, -1, &code), SANDCASTLE_OK);
	cr_assert_eq(code, 128 + SIGTERM);
	cr_assert_eq(sandcastle_command_signal(cmd, SIGTERM), SANDCASTLE_OK, "it is over");
}

Test(library, events_on_a_descriptor)
{
	struct sandcastle_command *cmd[2] = {NULL};
	struct sandcastle_event ev = SANDCASTLE_EVENT_INIT;
	struct pollfd p = {.fd = sandcastle_fd(sb), .events = POLLIN};

	cr_assert_eq(poll(&p, 1, 0), 0);
	start();
	cr_assert_eq(sandcastle_next_event(sb, -1, &ev), SANDCASTLE_OK);
	cr_assert_eq(ev.type, SANDCASTLE_EVENT_READY);
	cr_assert_eq(sandcastle_next_event(sb, 0, &ev), SANDCASTLE_E_TIMEOUT);
	cr_assert_eq(EXEC(&cmd[0], 0, "sh", "-c", "exit 3"), 0);
	cr_assert_eq(EXEC(&cmd[1], 0, "sleep", "100"), 0);
	cr_assert_eq(poll(&p, 1, -1), 1);
	cr_assert_eq(sandcastle_next_event(sb, -1, &ev), SANDCASTLE_OK);
	cr_assert_eq(ev.type, SANDCASTLE_EVENT_EXITED);
	cr_assert_eq(ev.command, cmd[0]);
	cr_assert_eq(ev.code, 3);
	sandcastle_command_free(cmd[0]);
	cr_assert_eq(poll(&p, 1, 0), 0, "nothing is left");
	cr_assert_eq(sandcastle_stop(sb, 0), SANDCASTLE_OK, "%s", message());
	cr_assert_eq(sandcastle_wait(sb, -1), SANDCASTLE_OK);
	cr_assert_eq(poll(&p, 1, 0), 1, "an event that another call took in");
	cr_assert_eq(sandcastle_next_event(sb, -1, &ev), SANDCASTLE_OK);
	cr_assert_eq(ev.type, SANDCASTLE_EVENT_ENDED);
	cr_assert_eq(ev.reason, SANDCASTLE_REASON_STOPPED);
	cr_assert_eq(sandcastle_next_event(sb, -1, &ev), SANDCASTLE_E_ENDED);
	cr_assert_eq(sandcastle_stop(sb, 0), SANDCASTLE_OK, "it has ended");
	cr_assert_eq(EXEC(&cmd[0], 0, "true"), SANDCASTLE_E_ENDED);
}

Test(library, a_start_that_fails_says_why)
{
	struct sandcastle_event ev = SANDCASTLE_EVENT_INIT;

	options.name = "fail";
	start();
	/* Whether that is so decides this machine. */
	cr_assert_eq(sandcastle_wait_ready(sb, -1), sandcastle_probe() == SANDCASTLE_OK
							    ? SANDCASTLE_E_START
							    : SANDCASTLE_E_NO_KVM);
	cr_assert_str_eq(message(), "there is no /dev/kvm here");
	cr_assert_null(sandcastle_name(sb));
	cr_assert_eq(sandcastle_next_event(sb, -1, &ev), SANDCASTLE_OK);
	cr_assert_eq(ev.type, SANDCASTLE_EVENT_ENDED);
	cr_assert_eq(ev.reason, SANDCASTLE_REASON_FAILED);
	cr_assert_eq(sandcastle_start(sb, &options), SANDCASTLE_E_INVALID, "once");
}

Test(library, freed_while_it_starts)
{
	options.name = "hang";
	start();
	cr_assert_eq(sandcastle_wait_ready(sb, 10), SANDCASTLE_E_TIMEOUT);
}

Test(library, a_sandbox_that_dies)
{
	struct sandcastle_command *cmd = NULL;

	options.name = "die";
	start();
	cr_assert_eq(sandcastle_wait(sb, -1), SANDCASTLE_OK);
	cr_assert_eq(EXEC(&cmd, 0, "true"), SANDCASTLE_E_ENDED);
	cr_assert_str_eq(message(), "the sandbox has ended: the sandbox's process was killed");
}

Test(library, commands_end_with_the_sandbox)
{
	struct sandcastle_command *cmd = NULL;
	int code;

	start();
	cr_assert_eq(EXEC(&cmd, SANDCASTLE_STDIO_CALLBACK, "sleep", "100"), 0);
	cr_assert_eq(sandcastle_stop(sb, 0), SANDCASTLE_OK);
	cr_assert_eq(sandcastle_command_wait(cmd, -1, &code), SANDCASTLE_E_ENDED);
}

Test(library, figures)
{
	struct sandcastle_stats stats = {.size = sizeof(stats)};

	start();
	cr_assert_eq(sandcastle_stats(sb, &stats), SANDCASTLE_E_INVALID, "not ready");
	cr_assert_eq(sandcastle_wait_ready(sb, -1), SANDCASTLE_OK);
	cr_assert_eq(sandcastle_stats(sb, &stats), SANDCASTLE_OK, "%s", message());
	cr_assert_eq(stats.private_bytes, 2000);
	cr_assert_gt(stats.pid, 1);
	stats = (struct sandcastle_stats){.size = offsetof(struct sandcastle_stats, cpu_ms)};
	cr_assert_eq(sandcastle_stats(sb, &stats), SANDCASTLE_OK);
	cr_assert_eq(stats.uptime_ms, 5);
	cr_assert_eq(stats.cpu_ms, 0, "an older program has no room for it");
}

Test(library, a_terminal)
{
	struct sandcastle_exec_options x = SANDCASTLE_EXEC_OPTIONS_INIT;
	struct sandcastle_command *cmd = NULL;
	int code = -1;

	start();
	x.argv = (const char *const[]){"sh", "-c",
				       "trap 'echo changed; exit 4' WINCH; echo $TERMINAL; "
				       "while :; do sleep 0.05; done",
				       NULL};
	x.stdio[1].kind = SANDCASTLE_STDIO_CALLBACK;
	x.output = collect;
	x.tty = 1;
	x.rows = 24;
	x.columns = 80;
	cr_assert_eq(sandcastle_exec(sb, &x, &cmd), SANDCASTLE_OK, "%s", message());
	while (!strstr(text, "24 by 80\n"))
		cr_assert_eq(sandcastle_command_wait(cmd, 10, &code), SANDCASTLE_E_TIMEOUT);
	cr_assert_eq(sandcastle_command_winsize(cmd, 40, 120), SANDCASTLE_OK, "%s", message());
	cr_assert_eq(sandcastle_command_wait(cmd, -1, &code), SANDCASTLE_OK);
	cr_assert_eq(code, 4);
	cr_assert_not_null(strstr(text, "changed\n"));
	cr_assert_eq(sandcastle_command_winsize(cmd, 40, 120), SANDCASTLE_OK, "it is over");
}

Test(library, a_screenshot)
{
	char path[64];
	struct stat st;

	start();
	cr_assert_eq(sandcastle_wait_ready(sb, -1), SANDCASTLE_OK);
	snprintf(path, sizeof(path), "%s/picture.png", run_dir);
	cr_assert_eq(sandcastle_screenshot(sb, 1, path), SANDCASTLE_OK, "%s", message());
	cr_assert_eq(stat(path, &st), 0);
	cr_assert_gt(st.st_size, 50);
	cr_assert_eq(unlink(path), 0);
	cr_assert_eq(sandcastle_screenshot(sb, 2, path), SANDCASTLE_E_REFUSED);
	cr_assert_str_eq(message(), "nothing there");
	cr_assert_eq(sandcastle_screenshot(sb, 5, path), SANDCASTLE_E_INVALID);
	cr_assert_eq(sandcastle_screenshot(sb, 1, NULL), SANDCASTLE_E_INVALID);
	cr_assert_eq(sandcastle_screenshot(sb, 1, "/nonexistent/picture.png"), SANDCASTLE_E_SYSTEM);
	cr_assert(strstr(message(), "/nonexistent/picture.png: No such file"));
	cr_assert_neq(stat(path, &st), 0);
}

/* The fake refuses with what it was sent. */
Test(library, keys_and_clicks)
{
	start();
	cr_assert_eq(sandcastle_wait_ready(sb, -1), SANDCASTLE_OK);
	cr_assert_eq(sandcastle_send_key(sb, "enter"), SANDCASTLE_OK, "%s", message());
	cr_assert_eq(sandcastle_send_key(sb, "alt+x"), SANDCASTLE_E_REFUSED);
	cr_assert_str_eq(message(), "[{\"key\":226,\"down\":true},{\"key\":27,\"down\":true},"
				    "{\"key\":27,\"down\":false},{\"key\":226,\"down\":false}]");
	cr_assert_eq(sandcastle_send_key(sb, "alt+what"), SANDCASTLE_E_INVALID);
	cr_assert_str_eq(message(), "'what' is no key");
	cr_assert_eq(sandcastle_send_click(sb, 2, 30, 40, SANDCASTLE_BUTTON_RIGHT),
		     SANDCASTLE_E_REFUSED);
	cr_assert_str_eq(message(), "[{\"monitor\":2,\"x\":30,\"y\":40},"
				    "{\"button\":2,\"down\":true},{\"button\":2,\"down\":false}]");
	cr_assert_eq(sandcastle_send_click(sb, 1, 0, 0, 3), SANDCASTLE_E_INVALID);
	cr_assert_eq(sandcastle_send_click(sb, 1, 0, 0, -1), SANDCASTLE_E_INVALID);
	cr_assert_eq(sandcastle_send_wheel(sb, -2), SANDCASTLE_E_REFUSED);
	cr_assert_str_eq(message(), "[{\"wheel\":-240}]");
	cr_assert_eq(sandcastle_send_wheel(sb, 101), SANDCASTLE_E_INVALID);
}

Test(library, text_in_as_many_requests_as_it_takes)
{
	char lines[2001];

	memset(lines, '\n', sizeof(lines) - 1);
	lines[sizeof(lines) - 1] = '\0';
	start();
	cr_assert_eq(sandcastle_wait_ready(sb, -1), SANDCASTLE_OK);
	cr_assert_eq(sandcastle_send_text(sb, lines), SANDCASTLE_OK, "%s", message());
	cr_assert_eq(sandcastle_send_text(sb, ""), SANDCASTLE_OK);
	cr_assert_eq(sandcastle_send_text(sb, "ab\xc3\xa9"), SANDCASTLE_E_INVALID);
	cr_assert_str_eq(message(), "byte 3 of the text has no key on a US keyboard");
}

Test(library, logs_a_piece_at_a_time)
{
	uint64_t position = 0;
	char buf[6];

	cr_assert_eq(sandcastle_logs(sb, &position, buf, sizeof(buf)), SANDCASTLE_E_INVALID);
	start();
	cr_assert_eq(sandcastle_wait_ready(sb, -1), SANDCASTLE_OK);
	cr_assert_eq(sandcastle_logs(sb, &position, buf, 1), SANDCASTLE_E_INVALID);
	cr_assert_eq(sandcastle_logs(sb, &position, buf, sizeof(buf)), SANDCASTLE_OK);
	cr_assert_str_eq(buf, "one\nt");
	cr_assert_eq(position, 5);
	cr_assert_eq(sandcastle_logs(sb, &position, buf, sizeof(buf)), SANDCASTLE_OK);
	cr_assert_str_eq(buf, "wo\n");
	cr_assert_eq(sandcastle_logs(sb, &position, buf, sizeof(buf)), SANDCASTLE_OK);
	cr_assert_str_empty(buf);
	cr_assert_eq(position, 8);
}

Test(library, pressure_is_told_to_who_wants_to_know)
{
	struct sandcastle_event ev = SANDCASTLE_EVENT_INIT;

	options.pressure_events = 1;
	start();
	cr_assert_eq(sandcastle_next_event(sb, -1, &ev), SANDCASTLE_OK);
	cr_assert_eq(ev.type, SANDCASTLE_EVENT_READY);
	cr_assert_eq(sandcastle_next_event(sb, -1, &ev), SANDCASTLE_OK);
	cr_assert_eq(ev.type, SANDCASTLE_EVENT_PRESSURE);
	cr_assert_eq(ev.code, SANDCASTLE_PRESSURE_SQUEEZING);
	cr_assert_eq(sandcastle_next_event(sb, 0, &ev), SANDCASTLE_E_TIMEOUT);
	cr_assert_eq(sandcastle_stop(sb, 0), SANDCASTLE_OK);
	cr_assert_eq(sandcastle_next_event(sb, -1, &ev), SANDCASTLE_OK);
	cr_assert_eq(ev.type, SANDCASTLE_EVENT_ENDED);
}

Test(library, the_system_below_a_directory)
{
	options.root = "trees/none";
	cr_assert_eq(sandcastle_start(sb, &options), SANDCASTLE_E_INVALID);
	cr_assert_str_eq(message(), "root has to be an absolute path");
	options.root = "/trees/none";
	start();
	cr_assert_eq(sandcastle_wait_ready(sb, -1), SANDCASTLE_E_START);
	cr_assert_not_null(strstr(message(), "cannot open /trees/none"), "%s", message());
}

Test(library, ports_from_the_start)
{
	options.publish = (const char *const[]){"8080:80", NULL};
	start();
	cr_assert_eq(sandcastle_wait_ready(sb, -1), SANDCASTLE_E_START);
	cr_assert_not_null(strstr(message(), "8080:80 is in use"), "%s", message());
}

Test(library, a_program_that_knows_no_root)
{
	cr_assert_eq(offsetof(struct sandcastle_options, root), 104);
	options.size = 104;
	options.root = "/trees/none";
	start();
	cr_assert_eq(sandcastle_wait_ready(sb, -1), SANDCASTLE_OK, "%s", message());
}

/* The structs as the first version of the header had them. */
Test(library, a_program_of_the_first_version)
{
	struct sandcastle_exec_options x = SANDCASTLE_EXEC_OPTIONS_INIT;
	struct sandcastle_command *cmd = NULL;
	struct sandcastle_event ev = SANDCASTLE_EVENT_INIT;
	int code = -1;

	cr_assert_eq(offsetof(struct sandcastle_options, pressure_events), 96);
	cr_assert_eq(offsetof(struct sandcastle_exec_options, tty), 80);
	options.size = 96;
	options.pressure_events = 1;
	start();
	x.size = 80;
	x.tty = 1;
	x.argv = (const char *const[]){"sh", "-c", "echo none$TERMINAL", NULL};
	x.stdio[1].kind = SANDCASTLE_STDIO_CALLBACK;
	x.output = collect;
	cr_assert_eq(sandcastle_exec(sb, &x, &cmd), SANDCASTLE_OK, "%s", message());
	cr_assert_eq(sandcastle_command_wait(cmd, -1, &code), SANDCASTLE_OK);
	cr_assert_str_eq(text, "none\n", "what lies behind its struct was not looked at");
	cr_assert_eq(sandcastle_next_event(sb, 0, &ev), SANDCASTLE_OK);
	cr_assert_eq(ev.type, SANDCASTLE_EVENT_READY);
	cr_assert_eq(sandcastle_next_event(sb, 0, &ev), SANDCASTLE_OK);
	cr_assert_eq(ev.type, SANDCASTLE_EVENT_EXITED);
	cr_assert_eq(sandcastle_next_event(sb, 0, &ev), SANDCASTLE_E_TIMEOUT,
		     "no event that it does not know");
}

Test(library, options_of_other_versions)
{
	struct {
		struct sandcastle_options known;
		uint64_t later;
	} newer = {.known = SANDCASTLE_OPTIONS_INIT};

	options.size = 0;
	cr_assert_eq(sandcastle_start(sb, &options), SANDCASTLE_E_INVALID);
	cr_assert_eq(sandcastle_start(sb, NULL), SANDCASTLE_E_INVALID);
	newer.known = options;
	newer.known.size = sizeof(newer);
	newer.later = 1;
	cr_assert_eq(sandcastle_start(sb, &newer.known), SANDCASTLE_E_INVALID);
	cr_assert_not_null(strstr(message(), "does not know"));
	newer.later = 0;
	cr_assert_eq(sandcastle_start(sb, &newer.known), SANDCASTLE_OK, "%s", message());
	cr_assert_eq(sandcastle_wait_ready(sb, -1), SANDCASTLE_OK);
}

Test(library, an_older_program)
{
	options.size = offsetof(struct sandcastle_options, name);
	options.name = "fail";
	start();
	cr_assert_eq(sandcastle_wait_ready(sb, -1), SANDCASTLE_OK, "its name was not looked at");
}

Test(library, what_is_not_allowed)
{
	struct sandcastle_map map = {.host = "relative"};
	struct sandcastle_command *cmd = NULL;

	cr_assert_eq(EXEC(&cmd, 0, "true"), SANDCASTLE_E_INVALID);
	cr_assert_eq(sandcastle_wait(sb, -1), SANDCASTLE_E_INVALID);
	options.maps = &map;
	options.n_maps = 1;
	cr_assert_eq(sandcastle_start(sb, &options), SANDCASTLE_E_INVALID);
	options.n_maps = 0;
	options.env = (const char *const[]){"HOME", NULL};
	cr_assert_eq(sandcastle_start(sb, &options), SANDCASTLE_E_INVALID);
	options.env = NULL;
	options.program = "/nonexistent";
	cr_assert_eq(sandcastle_start(sb, &options), SANDCASTLE_E_SYSTEM);
	cr_assert_not_null(strstr(message(), "/nonexistent"));
	options.program = FAKE_SANDBOX;
	start();
	cr_assert_eq(EXEC(&cmd, 17, "true"), SANDCASTLE_E_INVALID);
	cr_assert_eq(exec_status((const char *const[]){NULL}, 0, &cmd), SANDCASTLE_E_INVALID);
	cr_assert_eq(sandcastle_exec(sb, NULL, &cmd), SANDCASTLE_E_INVALID);
}

static void *run_some(void *arg)
{
	for (int i = 0; i < 5; i++) {
		struct sandcastle_command *cmd = NULL;
		const int want = *(const int *)arg;
		char script[32];
		int code = -1;

		snprintf(script, sizeof(script), "exit %d", want);
		if (EXEC(&cmd, 0, "sh", "-c", script) != SANDCASTLE_OK ||
		    sandcastle_command_wait(cmd, -1, &code) != SANDCASTLE_OK || code != want)
			return arg;
	}
	return NULL;
}

Test(library, shares)
{
	struct sandcastle_map map = {.host = "/proc/self/exe", .guest = "/shown"};

	cr_assert_eq(sandcastle_share(sb, &map), SANDCASTLE_E_INVALID, "%s", message());
	start();
	/* A link leads to a file; where that is goes along with its descriptor. */
	cr_assert_eq(sandcastle_share(sb, &map), SANDCASTLE_OK, "%s", message());
	cr_assert_eq(sandcastle_unshare(sb, "/shown"), SANDCASTLE_OK, "%s", message());
	cr_assert_eq(sandcastle_unshare(sb, "/other"), SANDCASTLE_E_REFUSED);
	map = (struct sandcastle_map){.host = "/usr"};
	cr_assert_eq(sandcastle_share(sb, &map), SANDCASTLE_OK, "%s", message());
	map.guest = "/taken";
	cr_assert_eq(sandcastle_share(sb, &map), SANDCASTLE_E_REFUSED);
	cr_assert_str_eq(message(), "it is taken");
	map.host = "/nonexistent";
	cr_assert_eq(sandcastle_share(sb, &map), SANDCASTLE_E_SYSTEM);
	cr_assert_str_eq(message(), "cannot share /nonexistent: No such file or directory");
	map.host = "/dev/null";
	cr_assert_eq(sandcastle_share(sb, &map), SANDCASTLE_E_INVALID);
	map.host = "usr";
	cr_assert_eq(sandcastle_share(sb, &map), SANDCASTLE_E_INVALID);
	cr_assert_eq(sandcastle_share(sb, NULL), SANDCASTLE_E_INVALID);
	cr_assert_eq(sandcastle_unshare(sb, "shown"), SANDCASTLE_E_INVALID);
	cr_assert_eq(sandcastle_unshare(sb, NULL), SANDCASTLE_E_INVALID);
}

Test(library, ports)
{
	uint16_t port = 0, same;

	cr_assert_eq(sandcastle_publish(sb, NULL, &port, 80), SANDCASTLE_E_INVALID);
	start();
	cr_assert_eq(sandcastle_publish(sb, NULL, &port, 80), SANDCASTLE_OK, "%s", message());
	cr_assert_gt(port, 0);
	same = 0;
	cr_assert_eq(sandcastle_publish(sb, "127.0.0.1", &same, 81), SANDCASTLE_E_REFUSED);
	cr_assert_str_eq(message(), "there are too many");
	cr_assert_eq(same, 0);
	cr_assert_eq(sandcastle_publish(sb, "192.0.2.1", &same, 80), SANDCASTLE_E_SYSTEM);
	cr_assert_not_null(strstr(message(), "192.0.2.1"));
	cr_assert_eq(sandcastle_publish(sb, "localhost", &same, 80), SANDCASTLE_E_INVALID);
	cr_assert_eq(sandcastle_publish(sb, NULL, &same, 0), SANDCASTLE_E_INVALID);
	cr_assert_eq(sandcastle_publish(sb, NULL, NULL, 80), SANDCASTLE_E_INVALID);
	cr_assert_eq(sandcastle_unpublish(sb, NULL, 8080), SANDCASTLE_OK, "%s", message());
	cr_assert_eq(sandcastle_unpublish(sb, "::1", 8080), SANDCASTLE_E_REFUSED);
	cr_assert_eq(sandcastle_unpublish(sb, "::g", 8080), SANDCASTLE_E_INVALID);
	same = 0;
	cr_assert_eq(sandcastle_publish_udp(sb, NULL, &same, 80), SANDCASTLE_OK, "%s", message());
	cr_assert_gt(same, 0);
	cr_assert_eq(sandcastle_unpublish_udp(sb, NULL, 8080), SANDCASTLE_E_REFUSED);
	cr_assert_eq(sandcastle_unpublish_udp(sb, NULL, 5353), SANDCASTLE_OK, "%s", message());
}

Test(library, several_threads_on_one_handle)
{
	int codes[4] = {1, 2, 3, 4};
	pthread_t threads[4];
	void *failed;

	start();
	for (int i = 0; i < 4; i++)
		cr_assert_eq(pthread_create(&threads[i], NULL, run_some, &codes[i]), 0);
	for (int i = 0; i < 4; i++) {
		pthread_join(threads[i], &failed);
		cr_assert_null(failed);
	}
}

Test(library, several_sandboxes)
{
	struct sandcastle_sandbox *other;

	start();
	cr_assert_eq(sandcastle_new(&other), SANDCASTLE_OK);
	options.name = "other";
	cr_assert_eq(sandcastle_start(other, &options), SANDCASTLE_OK);
	cr_assert_eq(sandcastle_wait_ready(other, -1), SANDCASTLE_OK);
	cr_assert_eq(sandcastle_wait_ready(sb, -1), SANDCASTLE_OK);
	cr_assert_str_eq(sandcastle_name(other), "other");
	sandcastle_free(other);
	sandcastle_free(NULL);
	sandcastle_command_free(NULL);
	cr_assert_str_eq(sandcastle_version(), SANDCASTLE_VERSION);
}

/* --- what an embedder found --- */

static struct sandcastle_command *loud;
static int asked[3];

static void ask_from_output(void *data, int stream, const void *bytes, size_t len)
{
	struct sandcastle_stats stats = {.size = sizeof(stats)};

	(void)data;
	(void)stream;
	(void)bytes;
	(void)len;
	if (!loud || asked[0])
		return;
	asked[0] = 1;
	asked[1] = sandcastle_stats(sb, &stats);
	asked[2] = sandcastle_command_wait(loud, -1, NULL);
	(void)sandcastle_command_signal(loud, SIGKILL);
}

Test(library, output_may_ask)
{
	struct sandcastle_exec_options x = SANDCASTLE_EXEC_OPTIONS_INIT;
	struct sandcastle_usage used = SANDCASTLE_USAGE_INIT;
	int code = -1;

	start();
	x.argv = (const char *const[]){"yes", NULL};
	x.stdio[1].kind = SANDCASTLE_STDIO_CALLBACK;
	x.output = ask_from_output;
	cr_assert_eq(sandcastle_exec(sb, &x, &loud), SANDCASTLE_OK, "%s", message());
	cr_assert_eq(sandcastle_command_wait(loud, -1, &code), SANDCASTLE_OK, "%s", message());
	cr_assert_eq(code, 128 + SIGKILL);
	cr_assert_eq(sandcastle_command_end_signal(loud), SIGKILL);
	cr_assert_eq(sandcastle_command_usage(loud, &used), SANDCASTLE_OK);
	cr_expect_eq(used.user_us, 2000);
	cr_expect_eq(used.system_us, 30);
	cr_expect_eq(used.memory, 4096);
	used.size--;
	cr_expect_eq(sandcastle_command_usage(loud, &used), SANDCASTLE_E_INVALID);
	cr_assert_eq(asked[1], SANDCASTLE_OK);
	cr_assert_eq(asked[2], SANDCASTLE_E_INVALID, "it would wait for itself");
}

static volatile sig_atomic_t alarms;

static void count_alarm(int signal)
{
	(void)signal;
	alarms = alarms + 1;
}

Test(library, signals_all_the_time)
{
	const struct itimerval often = {{0, 1000}, {0, 1000}}, never = {{0, 0}, {0, 0}};
	struct sandcastle_command *cmd = NULL;
	int code = -1;

	(void)signal(SIGALRM, count_alarm);
	(void)setitimer(ITIMER_REAL, &often, NULL);
	start();
	cr_assert_eq(sandcastle_wait_ready(sb, -1), SANDCASTLE_OK, "%s", message());
	while (alarms < 20)
		cr_assert_eq(sandcastle_next_event(
				     sb, 1, &(struct sandcastle_event)SANDCASTLE_EVENT_INIT) |
				     SANDCASTLE_E_TIMEOUT,
			     SANDCASTLE_E_TIMEOUT);
	cr_assert_eq(EXEC(&cmd, 0, "sh", "-c", "exit 4"), SANDCASTLE_OK, "%s", message());
	cr_assert_eq(sandcastle_command_wait(cmd, -1, &code), SANDCASTLE_OK);
	(void)setitimer(ITIMER_REAL, &never, NULL);
	cr_assert_eq(code, 4);
}

/* A sandbox that is stopped keeps nobody; what it begins after all is nobody's, and is killed. */
Test(library, calls_have_a_time_limit)
{
	struct sandcastle_exec_options x = SANDCASTLE_EXEC_OPTIONS_INIT;
	struct sandcastle_stats stats = {.size = sizeof(stats)};
	struct sandcastle_event ev = SANDCASTLE_EVENT_INIT;
	struct sandcastle_command *cmd = NULL;
	struct pollfd p = {.events = POLLIN};
	int ends[2];

	options.call_timeout_ms = 200;
	start();
	cr_assert_eq(sandcastle_wait_ready(sb, -1), SANDCASTLE_OK);
	cr_assert_eq(sandcastle_stats(sb, &stats), SANDCASTLE_OK, "%s", message());
	cr_assert_eq(kill((pid_t)stats.pid, SIGSTOP), 0);
	cr_assert_eq(sandcastle_stats(sb, &stats), SANDCASTLE_E_TIMEOUT);
	cr_assert_not_null(strstr(message(), "200 ms"));
	cr_assert_eq(pipe(ends), 0);
	x.argv = (const char *const[]){"sleep", "100", NULL};
	x.stdio[1] = (struct sandcastle_stdio){SANDCASTLE_STDIO_FD, ends[1]};
	cr_assert_eq(sandcastle_exec(sb, &x, &cmd), SANDCASTLE_E_TIMEOUT);
	cr_assert_null(cmd);
	close(ends[1]);
	cr_assert_eq(kill((pid_t)stats.pid, SIGCONT), 0);
	for (p.fd = ends[0]; poll(&p, 1, 0) == 0;)
		(void)sandcastle_next_event(sb, 10, &ev);
	cr_assert_eq(read(ends[0], text, 1), 0);
	cr_assert_eq(sandcastle_stats(sb, &stats), SANDCASTLE_OK, "%s", message());
}

Test(library, a_sandbox_that_never_greets)
{
	struct sandcastle_event ev = SANDCASTLE_EVENT_INIT;

	options.name = "silent";
	options.call_timeout_ms = 100;
	start();
	cr_assert_eq(sandcastle_wait_ready(sb, 300), SANDCASTLE_E_TIMEOUT);
	cr_assert_eq(sandcastle_next_event(sb, 0, &ev), SANDCASTLE_E_TIMEOUT);
	cr_assert_eq(EXEC(&loud, 0, "true"), SANDCASTLE_E_TIMEOUT);
	cr_assert_null(sandcastle_name(sb));
	/* It leaves its folder when it is killed. */
	sandcastle_free(sb);
	sb = NULL;
	snprintf(text, sizeof(text), "cd %s/sandcastle && flock -w 10 silent true && rm -r silent",
		 run_dir);
	cr_assert_eq(system(text), 0);
}

Test(library, a_forked_child_frees_its_copy)
{
	struct sandcastle_command *cmd = NULL;
	struct sandcastle_event ev = SANDCASTLE_EVENT_INIT;
	int code = -1, status = -1;
	pid_t child;

	start();
	cr_assert_eq(sandcastle_wait_ready(sb, -1), SANDCASTLE_OK);
	child = fork();
	if (child == 0) {
		sandcastle_free(sb);
		_exit(0);
	}
	cr_assert_eq(waitpid(child, &status, 0), child);
	cr_assert_eq(status, 0);
	cr_assert_eq(EXEC(&cmd, 0, "sh", "-c", "exit 6"), SANDCASTLE_OK, "%s", message());
	cr_assert_eq(sandcastle_command_wait(cmd, -1, &code), SANDCASTLE_OK);
	cr_assert_eq(code, 6);
	cr_assert_eq(sandcastle_stop(sb, 0), SANDCASTLE_OK);
	for (int i = 0; i < 3; i++)
		cr_assert_eq(sandcastle_next_event(sb, -1, &ev), SANDCASTLE_OK);
	cr_assert_eq(ev.type, SANDCASTLE_EVENT_ENDED);
}

static void *wake_soon(void *arg)
{
	(void)arg;
	usleep(50000);
	sandcastle_wake(sb);
	return NULL;
}

Test(library, a_wait_is_woken)
{
	struct sandcastle_command *cmd = NULL;
	struct sandcastle_event ev = SANDCASTLE_EVENT_INIT;
	pthread_t thread;
	int code = -1;

	start();
	cr_assert_eq(EXEC(&cmd, 0, "sleep", "100"), SANDCASTLE_OK);
	cr_assert_eq(pthread_create(&thread, NULL, wake_soon, NULL), 0);
	cr_assert_eq(sandcastle_command_wait(cmd, -1, &code), SANDCASTLE_E_INTERRUPTED);
	(void)pthread_join(thread, NULL);
	sandcastle_wake(sb);
	cr_assert_eq(sandcastle_next_event(sb, -1, &ev), SANDCASTLE_OK,
		     "what happened comes first");
	cr_assert_eq(sandcastle_next_event(sb, -1, &ev), SANDCASTLE_E_INTERRUPTED);
	cr_assert_eq(sandcastle_next_event(sb, 0, &ev), SANDCASTLE_E_TIMEOUT, "once");
	cr_assert_str_empty(message());
}

Test(library, bytes_for_stdin)
{
	struct sandcastle_exec_options x = SANDCASTLE_EXEC_OPTIONS_INIT;
	struct sandcastle_event ev = SANDCASTLE_EVENT_INIT;
	struct sandcastle_command *cmd = NULL;

	start();
	x.argv = (const char *const[]){"sh", "-c", "cat; kill -9 $$", NULL};
	x.stdio[0].kind = SANDCASTLE_STDIO_BYTES;
	x.stdio[1].kind = SANDCASTLE_STDIO_CALLBACK;
	x.output = collect;
	x.data = &x;
	cr_assert_eq(sandcastle_exec(sb, &x, &cmd), SANDCASTLE_OK);
	cr_assert_eq(sandcastle_command_data(cmd), &x);
	cr_assert_eq(sandcastle_command_wait(cmd, -1, NULL), SANDCASTLE_OK);
	cr_assert_str_empty(text);
	sandcastle_command_free(cmd);
	x.input = "three\nlines\nof it";
	x.input_len = 17;
	cr_assert_eq(sandcastle_exec(sb, &x, &cmd), SANDCASTLE_OK);
	cr_assert_eq(sandcastle_command_wait(cmd, -1, NULL), SANDCASTLE_OK);
	cr_assert_str_eq(text, "three\nlines\nof it");
	while (ev.type != SANDCASTLE_EVENT_EXITED)
		cr_assert_eq(sandcastle_next_event(sb, 0, &ev), SANDCASTLE_OK);
	cr_assert_eq(ev.code, 137);
	cr_assert_eq(ev.signal, SIGKILL);
	cr_assert_eq(ev.data, &x);
	x.stdio[1].kind = SANDCASTLE_STDIO_BYTES;
	cr_assert_eq(sandcastle_exec(sb, &x, &cmd), SANDCASTLE_E_INVALID);
}

Test(library, limits)
{
	struct sandcastle_exec_options x = SANDCASTLE_EXEC_OPTIONS_INIT;
	struct sandcastle_command *cmd = NULL;

	start();
	x.argv = (const char *const[]){"sh", "-c", "echo $LIMITS", NULL};
	x.stdio[1].kind = SANDCASTLE_STDIO_CALLBACK;
	x.output = collect;
	x.limit_memory = 1ull << 40;
	x.limit_file_size = 3;
	x.limit_cpu_s = 4;
	x.limit_processes = 5;
	x.limit_files = UINT32_MAX;
	cr_assert_eq(sandcastle_exec(sb, &x, &cmd), SANDCASTLE_OK, "%s", message());
	cr_assert_eq(sandcastle_command_wait(cmd, -1, NULL), SANDCASTLE_OK);
	cr_assert_str_eq(text, "{\"cpu-s\":4,\"file-size\":3,\"files\":4294967295,"
			       "\"memory\":1099511627776,\"processes\":5}\n");
	x.limit_memory = UINT64_MAX;
	cr_assert_eq(sandcastle_exec(sb, &x, &cmd), SANDCASTLE_E_INVALID);
	x.limit_memory = 0;
	x.reserved = 1;
	cr_assert_eq(sandcastle_exec(sb, &x, &cmd), SANDCASTLE_E_INVALID);
}

Test(library, variables_are_nobodys_to_read)
{
	struct sandcastle_stats stats = {.size = sizeof(stats)};
	struct sandcastle_command *cmd = NULL;
	char script[128];

	options.env = (const char *const[]){"TOKEN=hunter2", "TWO=a\nb", NULL};
	start();
	cr_assert_eq(sandcastle_wait_ready(sb, -1), SANDCASTLE_OK, "%s", message());
	cr_assert_eq(sandcastle_stats(sb, &stats), SANDCASTLE_OK);
	snprintf(script, sizeof(script), "echo \"$TOKEN $TWO\"; grep -c hunter2 /proc/%u/cmdline",
		 stats.pid);
	cr_assert_eq(EXEC(&cmd, SANDCASTLE_STDIO_CALLBACK, "sh", "-c", script), SANDCASTLE_OK);
	cr_assert_eq(sandcastle_command_wait(cmd, -1, NULL), SANDCASTLE_OK);
	cr_assert_str_eq(text, "hunter2 a\nb\n0\n");
}

/* More than a packet of the control channel holds. */
Test(library, many_bytes_of_arguments)
{
	static char argument[100001];
	struct sandcastle_command *cmd = NULL;
	int code = -1;

	memset(argument, 'a', sizeof(argument) - 1);
	start();
	cr_assert_eq(EXEC(&cmd, SANDCASTLE_STDIO_CALLBACK, "sh", "-c", "printf %s%s%s $0 $1 $2",
			  argument, argument, argument),
		     SANDCASTLE_OK, "%s", message());
	cr_assert_eq(sandcastle_command_wait(cmd, -1, &code), SANDCASTLE_OK);
	cr_assert_eq(text_len, 300000);
}

Test(library, what_is_missing)
{
	struct sandcastle_exec_options x = SANDCASTLE_EXEC_OPTIONS_INIT;
	struct sandcastle_event ev = SANDCASTLE_EVENT_INIT;
	char buf[8];

	cr_assert_eq(sandcastle_next_event(sb, -1, &ev), SANDCASTLE_E_INVALID, "not started");
	ev.size = 0;
	start();
	cr_assert_eq(sandcastle_next_event(sb, -1, &ev), SANDCASTLE_E_INVALID);
	cr_assert_eq(sandcastle_next_event(sb, -1, NULL), SANDCASTLE_E_INVALID);
	cr_assert_eq(sandcastle_stats(sb, NULL), SANDCASTLE_E_INVALID);
	cr_assert_eq(sandcastle_logs(sb, NULL, buf, sizeof(buf)), SANDCASTLE_E_INVALID);
	cr_assert_eq(sandcastle_logs(sb, &(uint64_t){0}, NULL, 8), SANDCASTLE_E_INVALID);
	cr_assert_eq(sandcastle_exec(sb, &x, NULL), SANDCASTLE_E_INVALID);
	cr_assert_eq(sandcastle_share(sb, NULL), SANDCASTLE_E_INVALID);
	cr_assert_gt(sandcastle_message(sb, NULL, 9), 0);
	cr_assert_eq(sandcastle_new(NULL), SANDCASTLE_E_INVALID);
	cr_assert_eq(sandcastle_start(NULL, &options), SANDCASTLE_E_INVALID);
	cr_assert_eq(sandcastle_wait_ready(NULL, 0), SANDCASTLE_E_INVALID);
	cr_assert_eq(sandcastle_wait(NULL, 0), SANDCASTLE_E_INVALID);
	cr_assert_eq(sandcastle_stop(NULL, 0), SANDCASTLE_E_INVALID);
	cr_assert_eq(sandcastle_exec(NULL, &x, &loud), SANDCASTLE_E_INVALID);
	cr_assert_eq(sandcastle_stats(NULL, &(struct sandcastle_stats){.size = 8}),
		     SANDCASTLE_E_INVALID);
	cr_assert_eq(sandcastle_command_wait(NULL, 0, NULL), SANDCASTLE_E_INVALID);
	cr_assert_eq(sandcastle_command_signal(NULL, 9), SANDCASTLE_E_INVALID);
	cr_assert_eq(sandcastle_command_pipe(NULL, 0), -1);
	cr_assert_eq(sandcastle_fd(NULL), -1);
}

/* Refused at once, in words of this library. */
static void expect_invalid(const char *what)
{
	cr_assert_eq(sandcastle_start(sb, &options), SANDCASTLE_E_INVALID, "%s", what);
	cr_assert(strstr(message(), what) && !strstr(message(), "--"), "%s: %s", what, message());
	options = (struct sandcastle_options)SANDCASTLE_OPTIONS_INIT;
	options.program = FAKE_SANDBOX;
	options.runtime_dir = run_dir;
}

Test(library, options_that_cannot_be)
{
	struct sandcastle_map map = {.host = "/", .mode = 3};

	options.name = "a/b";
	expect_invalid("name");
	options.memory = 1;
	expect_invalid("128 MiB");
	options.cpus = 65;
	expect_invalid("cpus");
	options.user = "";
	expect_invalid("user");
	options.program = "sandcastle";
	expect_invalid("program");
	options.root = "trees/one";
	expect_invalid("root");
	options.n_maps = 1;
	expect_invalid("maps");
	options.maps = &map;
	options.n_maps = 1;
	expect_invalid("mode");
	map = (struct sandcastle_map){.host = "/", .reserved = {0, 0, 1}};
	options.maps = &map;
	options.n_maps = 1;
	expect_invalid("mode");
	options.env = (const char *const[]){"A", NULL};
	expect_invalid("NAME=VALUE");
	map.reserved[2] = 0;
	map.mode = SANDCASTLE_MAP_DISCARD;
	cr_assert_eq(sandcastle_share(sb, &map), SANDCASTLE_E_INVALID);
}
