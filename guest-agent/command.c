/* SPDX-License-Identifier: MIT */
#include "guest-agent/command.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "guest-agent/exec.h"
#include "guest-agent/files.h"
#include "guest-agent/stream.h"

enum {
	USERS_FILE_MAX = 4 * 1024 * 1024,
	DEFAULT_ENV_MAX = 8,
};

struct command {
	struct commands *owner;
	uint32_t id;
	pid_t pid; /* 0 once it was collected */
	int status; /* of wait4(), as is */
	struct rusage usage;
	bool tty;
	unsigned int n_open;
	int reads; /* the number of the watch for reads of stdin; 0: none */
	struct stream streams[3];
	int child_fds[3]; /* the command's ends, until it has been started; -1: none */
	int local_fds[3]; /* ours, until a stream has them; -1: none */
};

static void unwatch_reads(struct command *cmd)
{
	if (cmd->reads > 0)
		(void)inotify_rm_watch(cmd->owner->reads.fd, cmd->reads);
	cmd->reads = 0;
}

/* Which of them has read is found out faster than looked up. */
static void tell_reads(struct commands *c, bool all)
{
	c->untold = false;
	for (unsigned int i = 0; i < COMMANDS_MAX; i++) {
		if (!c->list[i] || c->list[i]->reads == 0)
			continue;
		stream_tell_read(&c->list[i]->streams[0], all);
		/* The host wants to know the rest at the end only. */
		if (c->list[i]->streams[0].ended)
			unwatch_reads(c->list[i]);
		else
			c->untold |= c->list[i]->streams[0].untold;
	}
}

static void reads_event(struct watch *w, uint32_t events)
{
	char buf[4096];

	(void)events;
	(void)!read(w->fd, buf, sizeof(buf));
	tell_reads(CONTAINER_OF(w, struct commands, reads), false);
}

bool commands_untold(const struct commands *c)
{
	return c->untold;
}

void commands_tell(struct commands *c)
{
	tell_reads(c, true);
}

void commands_init(struct commands *c, int epfd, struct link *link, const struct user *invoker)
{
	*c = (struct commands){.epfd = epfd, .link = link, .invoker = invoker};
	watch_init(&c->reads, epfd, inotify_init1(IN_NONBLOCK | IN_CLOEXEC), reads_event);
	if (c->reads.fd >= 0 && watch_set(&c->reads, EPOLLIN) < 0) {
		close(c->reads.fd);
		c->reads.fd = -1;
	}
}

/* To be told when the command reads of its stdin; `fd` is our end of the pipe. */
static int watch_reads(struct command *cmd, int fd)
{
	struct text path = {.len = 0};

	text_add(&path, "/proc/self/fd/");
	text_add_u32(&path, (uint32_t)fd);
	cmd->reads = inotify_add_watch(cmd->owner->reads.fd, path.buf, IN_ACCESS);
	return cmd->reads < 0 ? -errno : 0;
}

static void close_fds(int fds[3])
{
	for (unsigned int i = 0; i < 3; i++) {
		if (fds[i] >= 0)
			close(fds[i]);
		fds[i] = -1;
	}
}

static void command_free(struct command *cmd)
{
	if (!cmd)
		return;
	unwatch_reads(cmd);
	for (unsigned int i = 0; i < 3; i++)
		stream_close(&cmd->streams[i]);
	close_fds(cmd->child_fds);
	close_fds(cmd->local_fds);
	free(cmd);
}

void commands_fini(struct commands *c)
{
	for (unsigned int i = 0; i < COMMANDS_MAX; i++) {
		command_free(c->list[i]);
		c->list[i] = NULL;
	}
	watch_off(&c->reads);
	if (c->reads.fd >= 0)
		close(c->reads.fd);
	c->reads.fd = -1;
}

static struct command **find(struct commands *c, uint32_t id)
{
	for (unsigned int i = 0; i < COMMANDS_MAX; i++)
		if (c->list[i] && c->list[i]->id == id)
			return &c->list[i];
	return NULL;
}

static void send_message(struct commands *c, const struct wire_message *m)
{
	int r = link_send(c->link, m);

	if (r < 0 && c->error == 0)
		c->error = r;
}

/* Reports the end once the process was collected and every stream is closed. */
static void finish_if_over(struct command *cmd)
{
	struct commands *c = cmd->owner;
	struct command **slot = find(c, cmd->id);
	struct wire_message m;

	if (!slot || cmd->pid != 0 || cmd->n_open > 0)
		return;
	wire_begin(&m, SC_MSG_EXITED, cmd->id);
	if (WIFSIGNALED(cmd->status))
		wire_put_u32(&m, SC_FIELD_SIGNAL, (uint32_t)WTERMSIG(cmd->status));
	else
		wire_put_u32(&m, SC_FIELD_CODE, (uint32_t)WEXITSTATUS(cmd->status));
	wire_put_usage(&m, &cmd->usage);
	send_message(c, &m);
	*slot = NULL;
	c->running--;
	command_free(cmd);
}

/* `s` is number `index` of its command's streams. */
static void stream_over(struct stream *s, size_t index)
{
	struct command *cmd = CONTAINER_OF(s - index, struct command, streams);

	cmd->n_open--;
	finish_if_over(cmd);
}

static void stdin_over(struct stream *s)
{
	stream_over(s, 0);
}

static void stdout_over(struct stream *s)
{
	stream_over(s, 1);
}

static void stderr_over(struct stream *s)
{
	stream_over(s, 2);
}

/* Joins our ends of the pipes, or of the pty, with connections to the host. */
static int open_streams(struct command *cmd)
{
	static const stream_fn over[] = {stdin_over, stdout_over, stderr_over};
	static const enum stream_kind kinds[] = {STREAM_IN, STREAM_OUT, STREAM_OUT};
	const unsigned int n = cmd->tty ? 1 : 3;
	int fds[3];
	int r = link_open_streams(cmd->owner->link, cmd->id, n, fds);

	if (r < 0)
		return r;
	for (unsigned int i = 0; i < n; i++) {
		/* After a failure no stream takes the remaining fds over, so close them here. */
		if (r < 0) {
			close(fds[i]);
			continue;
		}
		r = stream_start(&cmd->streams[i], cmd->owner->epfd,
				 cmd->tty ? STREAM_TTY : kinds[i], fds[i],
				 steal_fd(&cmd->local_fds[i]), over[i]);
		if (r == 0)
			cmd->n_open++;
	}
	return r;
}

/* Owned by the user, who may want to open /dev/stdout or the tty by its name. */
static int open_pipes(struct command *cmd, const struct user *u)
{
	for (unsigned int i = 0; i < 3; i++) {
		int ends[2], child = i == 0 ? 0 : 1;

		if (pipe2(ends, O_CLOEXEC) < 0)
			return -errno;
		cmd->child_fds[i] = ends[child];
		cmd->local_fds[i] = ends[1 - child];
		if (geteuid() == 0 && fchown(ends[child], u->uid, u->gid) < 0)
			return -errno;
	}
	return watch_reads(cmd, cmd->local_fds[0]);
}

static void set_winsize(int fd, const struct winsize_request *w)
{
	struct winsize ws = {.ws_row = w->rows, .ws_col = w->columns};

	(void)ioctl(fd, TIOCSWINSZ, &ws);
}

static int open_pty(struct command *cmd, const struct user *u, const struct winsize_request *w)
{
	AUTO_CLOSE int master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
	int unlock = 0, slave;

	if (master < 0 || ioctl(master, TIOCSPTLCK, &unlock) < 0)
		return -errno;
	slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (slave < 0)
		return -errno;
	cmd->child_fds[0] = slave;
	if (geteuid() == 0 && fchown(slave, u->uid, (gid_t)-1) < 0)
		return -errno;
	set_winsize(slave, w);
	cmd->local_fds[0] = steal_fd(&master);
	return 0;
}

/* The account to run as, and its groups. */
struct account {
	struct user user;
	uint32_t groups[USER_GROUPS_MAX];
	size_t n_groups;
};

static int find_user(const char *who, const char *passwd, size_t len, struct user *out)
{
	uint32_t uid;

	if (passwd_find_name(passwd, len, who, out) == 0)
		return 0;
	if (uid_parse(who, &uid) < 0)
		return -ENOENT;
	if (passwd_find_uid(passwd, len, uid, out) == 0)
		return 0;
	/* A bare number: a group of the same number, so that it shares nothing with root. */
	*out = (struct user){.uid = uid, .gid = uid, .home = "/", .shell = "/bin/sh"};
	memcpy(out->name, who, strlen(who) + 1);
	return 0;
}

static int find_account(const struct commands *c, const char *who, struct account *out,
			struct text *why)
{
	AUTO_FREE char *passwd = NULL;
	AUTO_FREE char *group = NULL;
	size_t len = 0;
	int r = 0;

	if (!who) {
		out->user = *c->invoker;
	} else {
		/* Without the file every name is unknown, and every number still good. */
		(void)!file_read(AT_FDCWD, "/etc/passwd", USERS_FILE_MAX, &passwd, &len);
		r = find_user(who, passwd, len, &out->user);
	}
	if (r < 0)
		return exec_not_the_program(text_fail(why, r, "find the user", who));
	len = 0;
	(void)!file_read(AT_FDCWD, "/etc/group", USERS_FILE_MAX, &group, &len);
	out->n_groups = group_list(group, len, out->user.name, out->user.gid, out->groups,
				   ARRAY_SIZE(out->groups));
	return 0;
}

/* The default environment and the block its strings live in. */
struct environment {
	char text[2 * USER_PATH_MAX + 4 * USER_NAME_MAX];
	size_t len;
	const char *list[DEFAULT_ENV_MAX];
	size_t n;
};

static void env_add(struct environment *e, const char *name, const char *value)
{
	size_t n = strlen(name), v = strlen(value);

	if (e->n == DEFAULT_ENV_MAX || n + v + 2 > sizeof(e->text) - e->len)
		return;
	e->list[e->n++] = e->text + e->len;
	memcpy(e->text + e->len, name, n);
	e->text[e->len + n] = '=';
	memcpy(e->text + e->len + n + 1, value, v + 1);
	e->len += n + v + 2;
}

static void env_defaults(struct environment *e, const struct user *u)
{
	struct text runtime = {.len = 0};

	text_add(&runtime, "/run/user/");
	text_add_u32(&runtime, u->uid);
	e->len = 0;
	e->n = 0;
	env_add(e, "PATH",
		u->uid == 0 ? "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
			    : "/usr/local/bin:/usr/bin:/bin:/usr/local/games:/usr/games");
	env_add(e, "HOME", u->home);
	env_add(e, "USER", u->name);
	env_add(e, "LOGNAME", u->name);
	env_add(e, "SHELL", u->shell[0] ? u->shell : "/bin/sh");
	/* File names and messages of any language are whole; the host's own choice overrides it. */
	env_add(e, "LANG", "C.UTF-8");
	env_add(e, "XDG_RUNTIME_DIR", runtime.buf);
	if (geteuid() == 0 && mkdir(runtime.buf, 0700) == 0)
		(void)!chown(runtime.buf, u->uid, u->gid);
}

static bool env_has(const struct exec_request *req, const char *entry)
{
	size_t n = strcspn(entry, "=") + 1;

	for (size_t i = 0; i < req->n_env; i++)
		if (strncmp(req->env[i], entry, n) == 0)
			return true;
	return false;
}

/* The request's entries after those defaults it does not set; malloc'ed. */
static const char **env_join(const struct environment *e, const struct exec_request *req)
{
	const char **all = calloc(e->n + req->n_env + 1, sizeof(*all));
	size_t n = 0;

	if (!all)
		return NULL;
	for (size_t i = 0; i < e->n; i++)
		if (!env_has(req, e->list[i]))
			all[n++] = e->list[i];
	for (size_t i = 0; i < req->n_env; i++)
		all[n++] = req->env[i];
	return all;
}

/*
 * The program is on its way while the connections for its streams are made: both
 * are waited for, one at the file server and one at the session.
 */
static int spawn(struct command *cmd, const struct account *who, const struct exec_request *req,
		 struct text *why)
{
	struct environment defaults;
	struct exec_plan plan = {
		.user = &who->user,
		.groups = who->groups,
		.n_groups = who->n_groups,
		.argv = req->argv,
		.cwd = req->cwd ? req->cwd : who->user.home,
		.cwd_may_fail = !req->cwd,
		.tty = req->tty,
		.session = req->session,
	};
	struct exec_child child;
	const char **env;
	int r;

	for (unsigned int i = 0; i < 3; i++)
		plan.stdio[i] = cmd->child_fds[req->tty ? 0 : i];
	memcpy(plan.limits, req->limits, sizeof(plan.limits));
	env_defaults(&defaults, &who->user);
	env = env_join(&defaults, req);
	if (!env)
		return text_fail(why, -ENOMEM, "run", req->argv[0]);
	plan.env = env;
	r = exec_begin(&plan, &child, why);
	if (r == 0) {
		r = open_streams(cmd);
		if (r < 0) {
			exec_abandon(&child);
			(void)text_fail(why, r, "set up its input and output", NULL);
		} else {
			r = exec_await(&plan, &child, why);
		}
	}
	if (r == 0)
		cmd->pid = child.pid;
	free(env);
	return r;
}

static int command_start(struct command *cmd, const struct exec_request *req, struct text *why)
{
	struct account *who = malloc(sizeof(*who));
	int r;

	if (!who)
		return text_fail(why, -ENOMEM, "run", req->argv[0]);
	r = find_account(cmd->owner, req->user, who, why);
	if (r == 0) {
		r = req->tty ? open_pty(cmd, &who->user, &req->winsize)
			     : open_pipes(cmd, &who->user);
		if (r < 0)
			(void)text_fail(why, r, "set up its input and output", NULL);
	}
	if (r == 0)
		r = spawn(cmd, who, req, why);
	free(who);
	close_fds(cmd->child_fds);
	return r;
}

static void send_exec_failed(struct commands *c, uint32_t id, int err, const struct text *why)
{
	struct wire_message m;

	wire_begin(&m, SC_MSG_EXEC_FAILED, id);
	wire_put_u32(&m, SC_FIELD_ERRNO, (uint32_t)-err);
	wire_put_str(&m, SC_FIELD_TEXT, why->buf);
	send_message(c, &m);
}

int commands_exec(struct commands *c, uint32_t id, const struct exec_request *req)
{
	struct text why = {.len = 0};
	struct command *cmd;
	struct wire_message m;
	unsigned int slot = 0;
	int r;

	if (find(c, id))
		return -EEXIST;
	while (slot < COMMANDS_MAX && c->list[slot])
		slot++;
	cmd = slot < COMMANDS_MAX ? calloc(1, sizeof(*cmd)) : NULL;
	if (!cmd) {
		r = text_fail(&why, slot < COMMANDS_MAX ? -ENOMEM : -EAGAIN, "run", req->argv[0]);
		send_exec_failed(c, id, r, &why);
		return 0;
	}
	cmd->owner = c;
	cmd->id = id;
	cmd->tty = req->tty;
	for (unsigned int i = 0; i < 3; i++)
		cmd->child_fds[i] = cmd->local_fds[i] = -1;
	r = command_start(cmd, req, &why);
	if (r < 0) {
		command_free(cmd);
		send_exec_failed(c, id, r, &why);
		return 0;
	}
	c->list[slot] = cmd;
	c->running++;
	wire_begin(&m, SC_MSG_STARTED, id);
	wire_put_u32(&m, SC_FIELD_PID, (uint32_t)cmd->pid);
	send_message(c, &m);
	return 0;
}

bool commands_running(const struct commands *c)
{
	return c->running > 0;
}

void commands_signal(struct commands *c, uint32_t id, int sig)
{
	struct command **cmd = find(c, id);

	/* The process is not reaped yet, so its pid cannot belong to another one. */
	if (cmd && (*cmd)->pid > 0)
		(void)kill(-(*cmd)->pid, sig);
}

void commands_winsize(struct commands *c, uint32_t id, const struct winsize_request *w)
{
	struct command **cmd = find(c, id);

	if (cmd && (*cmd)->tty && (*cmd)->streams[0].open)
		set_winsize((*cmd)->streams[0].local.fd, w);
}

static void command_ended(struct command *cmd, int status, const struct rusage *usage)
{
	cmd->pid = 0;
	cmd->status = status;
	cmd->usage = *usage;
	/* The last stream to end frees the command: an extra count holds it until here. */
	cmd->n_open++;
	for (unsigned int i = 0; i < 3; i++)
		stream_drain(&cmd->streams[i]);
	cmd->n_open--;
	finish_if_over(cmd);
}

void commands_reap(struct commands *c)
{
	struct rusage usage;
	int status;
	pid_t pid;

	while ((pid = wait4(-1, &status, WNOHANG, &usage)) > 0)
		for (unsigned int i = 0; i < COMMANDS_MAX; i++)
			if (c->list[i] && c->list[i]->pid == pid) {
				command_ended(c->list[i], status, &usage);
				break;
			}
}
