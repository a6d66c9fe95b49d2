/* SPDX-License-Identifier: MIT */
/*
 * A `sandcastle start` without a machine, for tests of what speaks to sandboxes:
 * prints a name, and serves the control channel (docs/control.md) with commands
 * that run here. --name=fail, hang, die and silent do as they say;
 * there is no --root that it knows, and each port of --publish is in use.
 */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "common/control_protocol.h"
#include "common/port.h"
#include "library/client/rundir.h"

enum { MAX_COMMANDS = 64 };

static struct {
	int client;
	pid_t commands[MAX_COMMANDS];
	int n_commands;
} fake;

static void say(json_t *message)
{
	char *text = json_dumps(message, JSON_COMPACT);

	(void)!send(fake.client, text, strlen(text), MSG_NOSIGNAL);
	free(text);
	json_decref(message);
}

static void refuse(json_int_t id, const char *error, int number, const char *message)
{
	say(json_pack("{s:s, s:I, s:b, s:s, s:i, s:s}", "type", "reply", "id", id, "ok", 0, "error",
		      error, "errno", number, "message", message));
}

static void run(const json_t *request, json_int_t id, const int *fds)
{
	const json_t *list = json_object_get(request, "argv"), *env;
	char *argv[32] = {NULL};
	sigset_t none;
	pid_t pid;

	for (size_t i = 0; i < json_array_size(list) && i < 31; i++)
		argv[i] = strdup(json_string_value(json_array_get(list, i)));
	env = json_object_get(request, "env");
	if (strcmp(argv[0], "/nonexistent") == 0 || strcmp(argv[0], "/etc") == 0) {
		refuse(id, "exec-failed", argv[0][1] == 'n' ? ENOENT : EACCES, "run it: no");
		return;
	}
	pid = fork();
	if (pid == 0) {
		/* There is no terminal: what was asked for is told. */
		if (json_is_true(json_object_get(request, "tty"))) {
			char size[32];

			snprintf(size, sizeof(size), "%d by %d",
				 (int)json_integer_value(json_object_get(request, "rows")),
				 (int)json_integer_value(json_object_get(request, "columns")));
			setenv("TERMINAL", size, 1);
		}
		for (int i = 0; i < 3; i++) {
			(void)fcntl(fds[i], F_SETFL, 0);
			(void)dup2(fds[i], i);
		}
		for (size_t i = 0; i < json_array_size(env); i++)
			putenv(strdup(json_string_value(json_array_get(env, i))));
		/* Limits are told, too. */
		if (json_object_get(request, "limits"))
			setenv("LIMITS",
			       json_dumps(json_object_get(request, "limits"),
					  JSON_COMPACT | JSON_SORT_KEYS),
			       1);
		sigemptyset(&none);
		(void)sigprocmask(SIG_SETMASK, &none, NULL);
		(void)execvp(argv[0], argv);
		_exit(127);
	}
	fake.commands[fake.n_commands++] = pid;
	say(json_pack("{s:s, s:I, s:b, s:i, s:i}", "type", "reply", "id", id, "ok", 1, "command",
		      fake.n_commands, "pid", (int)pid));
	for (int i = 0; i < 32; i++)
		free(argv[i]);
}

static void logs(json_int_t id, size_t from)
{
	static const char log[] = "one\ntwo\n";
	const size_t end = sizeof(log) - 1;

	from = from < end ? from : end;
	say(json_pack("{s:s, s:I, s:b, s:I, s:I, s:s}", "type", "reply", "id", id, "ok", 1, "from",
		      (json_int_t)from, "next", (json_int_t)end, "text", log + from));
}

/* A window of 40 by 120 is all that is expected. */
static void resize(json_int_t number, const json_t *request)
{
	if (number > 0 && number <= fake.n_commands && fake.commands[number - 1] &&
	    json_integer_value(json_object_get(request, "rows")) == 40 &&
	    json_integer_value(json_object_get(request, "columns")) == 120)
		(void)kill(fake.commands[number - 1], SIGWINCH);
}

static const char *text_of(const json_t *request, const char *key)
{
	const char *text = json_string_value(json_object_get(request, key));

	return text ? text : "";
}

/* Takes what is at the path it is said to be at. */
static void share(const json_t *request, json_int_t id, int fd)
{
	struct stat is, should;

	if (fstat(fd, &is) < 0 || stat(text_of(request, "host"), &should) < 0 ||
	    is.st_ino != should.st_ino || !(fcntl(fd, F_GETFL) & O_PATH))
		refuse(id, "bad-request", 0, "another file came");
	else if (strcmp(text_of(request, "guest"), "/taken") == 0)
		refuse(id, "taken", 0, "it is taken");
	else
		say(json_pack("{s:s, s:I, s:b}", "type", "reply", "id", id, "ok", 1));
}

/* Takes a socket that listens, for the guest's port 80 only. */
static void publish(const json_t *request, json_int_t id, int fd)
{
	struct port at;

	if (port_of_socket(fd, &at) < 0)
		refuse(id, "bad-request", 0, "it does not listen");
	else if (json_integer_value(json_object_get(request, "guest")) != 80)
		refuse(id, "busy", 0, "there are too many");
	else
		say(json_pack("{s:s, s:I, s:b}", "type", "reply", "id", id, "ok", 1));
}

/* Two pixels on monitor 1. */
static void screenshot(const json_t *request, json_int_t id)
{
	static const char pixels[8] = "\x01\x02\x03\0\x04\x05\x06";
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} space = {.align = {.cmsg_len = CMSG_LEN(sizeof(int)),
			     .cmsg_level = SOL_SOCKET,
			     .cmsg_type = SCM_RIGHTS}};
	char text[256];
	struct iovec iov = {text, 0};
	struct msghdr mh = {.msg_iov = &iov,
			    .msg_iovlen = 1,
			    .msg_control = space.bytes,
			    .msg_controllen = sizeof(space.bytes)};
	int fd;

	if (json_integer_value(json_object_get(request, "monitor")) != 1) {
		refuse(id, "no-picture", 0, "nothing there");
		return;
	}
	fd = memfd_create("picture", MFD_CLOEXEC);
	(void)!write(fd, pixels, sizeof(pixels));
	memcpy(CMSG_DATA(&space.align), &fd, sizeof(fd));
	iov.iov_len = (size_t)snprintf(text, sizeof(text),
				       "{\"type\":\"reply\",\"id\":%lld,\"ok\":true,\"width\":2,"
				       "\"height\":1,\"stride\":8}",
				       (long long)id);
	(void)!sendmsg(fake.client, &mh, MSG_NOSIGNAL);
	close(fd);
}

/* What begins with Enter is fine; else the refusal tells what came. */
static void input(const json_t *request, json_int_t id)
{
	const json_t *events = json_object_get(request, "events");
	char *text = json_dumps(events, JSON_COMPACT);

	if (json_array_size(events) > 1024)
		refuse(id, "bad-request", 0, "too many");
	else if (json_integer_value(json_object_get(json_array_get(events, 0), "key")) == 0x28)
		say(json_pack("{s:s, s:I, s:b}", "type", "reply", "id", id, "ok", 1));
	else
		refuse(id, "failed", 0, text);
	free(text);
}

/* "unshare" or "unpublish" of the one that there is. */
static bool takes_back(const char *op, const json_t *request)
{
	if (strcmp(op, "unshare") == 0)
		return strcmp(text_of(request, "guest"), "/shown") == 0;
	return strcmp(op, "unpublish") == 0 &&
	       strcmp(text_of(request, "address"), "127.0.0.1") == 0 &&
	       json_integer_value(json_object_get(request, "port")) ==
		       (strcmp(text_of(request, "protocol"), "udp") == 0 ? 5353 : 8080);
}

static void handle(const json_t *request, const int *fds)
{
	const char *op = json_string_value(json_object_get(request, "op"));
	const json_int_t id = json_integer_value(json_object_get(request, "id"));
	const json_int_t number = json_integer_value(json_object_get(request, "command"));

	if (strcmp(op, "exec") == 0) {
		run(request, id, fds);
	} else if (strcmp(op, "signal") == 0 && number > 0 && number <= fake.n_commands &&
		   fake.commands[number - 1]) {
		(void)kill(fake.commands[number - 1],
			   (int)json_integer_value(json_object_get(request, "signal")));
		say(json_pack("{s:s, s:I, s:b}", "type", "reply", "id", id, "ok", 1));
	} else if (strcmp(op, "stats") == 0) {
		say(json_pack("{s:s, s:I, s:b, s:i, s:i, s:i, s:{s:i, s:i}}", "type", "reply", "id",
			      id, "ok", 1, "uptime_ms", 5, "cpu_ms", 4, "commands", fake.n_commands,
			      "memory", "resident", 3000, "private", 2000));
	} else if (strcmp(op, "winsize") == 0) {
		resize(number, request);
		say(json_pack("{s:s, s:I, s:b}", "type", "reply", "id", id, "ok", 1));
	} else if (strcmp(op, "logs") == 0) {
		logs(id, (size_t)json_integer_value(json_object_get(request, "from")));
	} else if (strcmp(op, "screenshot") == 0) {
		screenshot(request, id);
	} else if (strcmp(op, "input") == 0) {
		input(request, id);
	} else if (strcmp(op, "watch") == 0) {
		say(json_pack("{s:s, s:I, s:b, s:s, s:s}", "type", "reply", "id", id, "ok", 1,
			      "state", "running", "pressure", "squeezing"));
	} else if (strcmp(op, "share") == 0) {
		share(request, id, fds[0]);
	} else if (strcmp(op, "publish") == 0) {
		publish(request, id, fds[0]);
	} else if (takes_back(op, request)) {
		say(json_pack("{s:s, s:I, s:b}", "type", "reply", "id", id, "ok", 1));
	} else if (strcmp(op, "stop") == 0) {
		say(json_pack("{s:s, s:I, s:b}", "type", "reply", "id", id, "ok", 1));
		say(json_pack("{s:s, s:s, s:s, s:s}", "type", "event", "event", "ended", "reason",
			      "stopped", "message", ""));
		for (int i = 0; i < fake.n_commands; i++)
			if (fake.commands[i])
				(void)kill(fake.commands[i], SIGKILL);
		fake.client = -1;
	} else {
		refuse(id, "no-such-command", 0, "no such command");
	}
}

static void receive(void)
{
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(4 * sizeof(int))];
	} control;
	static char text[CONTROL_FILE_MAX];
	struct iovec iov = {text, sizeof(text)};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control.buf,
			     .msg_controllen = sizeof(control.buf)};
	ssize_t n = recvmsg(fake.client, &msg, MSG_CMSG_CLOEXEC);
	struct cmsghdr *head = CMSG_FIRSTHDR(&msg);
	int fds[4] = {-1, -1, -1, -1}, *own = fds;
	json_t *request;

	if (n <= 0) {
		fake.client = -1;
		return;
	}
	if (head)
		memcpy(fds, CMSG_DATA(head), head->cmsg_len - CMSG_LEN(0));
	if (n == sizeof(CONTROL_FILE_PACKET) - 1 &&
	    memcmp(text, CONTROL_FILE_PACKET, (size_t)n) == 0)
		n = pread(*own++, text, sizeof(text), 0);
	request = json_loadb(text, (size_t)n, 0, NULL);
	handle(request, own);
	json_decref(request);
	for (int i = 0; i < 4; i++)
		if (fds[i] >= 0)
			close(fds[i]);
}

static void reap(int fd)
{
	struct signalfd_siginfo info;
	int status;
	pid_t pid;

	(void)!read(fd, &info, sizeof(info));
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		for (int i = 0; i < fake.n_commands; i++) {
			if (fake.commands[i] != pid)
				continue;
			fake.commands[i] = 0;
			say(json_pack("{s:s, s:s, s:i, s:i, s:i, s:i, s:i}", "type", "event",
				      "event", "exited", "command", i + 1,
				      WIFEXITED(status) ? "code" : "signal",
				      WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status),
				      "user_us", 2000, "system_us", 30, "memory", 4096));
		}
}

static void serve(int listen_fd, const char *name)
{
	sigset_t set;
	int child_fd;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	(void)sigprocmask(SIG_BLOCK, &set, NULL);
	child_fd = signalfd(-1, &set, SFD_CLOEXEC);
	(void)fcntl(listen_fd, F_SETFL, 0);
	fake.client = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC);
	while (strcmp(name, "silent") == 0)
		pause();
	say(json_pack("{s:s, s:i, s:s, s:s, s:i}", "type", "hello", "protocol", 1, "version", "0",
		      "name", name, "pid", (int)getpid()));
	if (strcmp(name, "die") == 0)
		return;
	while (fake.client >= 0) {
		struct pollfd p[2] = {{.fd = fake.client, .events = POLLIN},
				      {.fd = child_fd, .events = POLLIN}};

		(void)poll(p, 2, -1);
		if (p[1].revents)
			reap(child_fd);
		if (p[0].revents)
			receive();
	}
}

/* Its commands inherit what comes by standard input. */
static void take_variables(void)
{
	static char all[4096];
	const ssize_t n = read(0, all, sizeof(all) - 1);

	for (char *at = all; at < all + n; at += strlen(at) + 1)
		putenv(at);
}

int main(int argc, char **argv)
{
	const char *name = "quiet-dune";
	struct rundir rd;
	int made[2];
	char ok = 0;
	AUTO_FREE char *top = rundir_top();

	for (int i = 1; i < argc; i++)
		if (strncmp(argv[i], "--name=", 7) == 0)
			name = argv[i] + 7;
		else if (strcmp(argv[i], "--env-file=/dev/stdin") == 0)
			take_variables();
	for (int i = 1; i < argc; i++)
		if (strncmp(argv[i], "--root=", 7) == 0) {
			fprintf(stderr, "sandcastle: cannot open %s\n", argv[i] + 7);
			return 125;
		}
	for (int i = 1; i < argc; i++)
		if (strncmp(argv[i], "--publish=", 10) == 0) {
			fprintf(stderr, "sandcastle: --publish: %s is in use\n", argv[i] + 10);
			return 125;
		}
	if (strcmp(name, "fail") == 0) {
		fprintf(stderr,
			"sandcastle: warning: first\nsandcastle: there is no /dev/kvm here\n");
		return 125;
	}
	if (strcmp(name, "hang") == 0)
		pause();
	/* Who listens is who serves: the process that a client takes for the sandbox's. */
	if (pipe(made) < 0)
		return 125;
	if (fork() == 0) {
		const char is = top && rundir_create(top, name, &rd) == 0;

		(void)prctl(PR_SET_DUMPABLE, 0);
		(void)!write(made[1], &is, 1);
		if (!is)
			_exit(125);
		fclose(stdout);
		fclose(stderr);
		serve(rd.listen_fd, name);
		rundir_remove(&rd);
		_exit(0);
	}
	if (read(made[0], &ok, 1) != 1 || !ok)
		return 125;
	puts(name);
	fflush(stdout);
	/* What a test program of its own leaves allocated is nobody's concern. */
	_exit(0);
}
