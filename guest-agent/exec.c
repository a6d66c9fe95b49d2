/* SPDX-License-Identifier: MIT */
#include "guest-agent/exec.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "guest-agent/desktop.h"
#include "guest-agent/files.h"

/* Where the child was when it failed. */
enum exec_step { STEP_STDIO, STEP_LIMITS, STEP_USER, STEP_CWD, STEP_RUN };

struct exec_failure {
	int err;
	enum exec_step step;
};

static int child_stdio(const struct exec_plan *plan)
{
	int fds[3];

	if (setsid() < 0)
		return -errno;
	if (plan->tty && ioctl(plan->stdio[0], TIOCSCTTY, 0) < 0)
		return -errno;
	/* First out of the way: one of them may be 0, 1 or 2 itself. */
	for (int i = 0; i < 3; i++) {
		fds[i] = fcntl(plan->stdio[i], F_DUPFD_CLOEXEC, 3);
		if (fds[i] < 0)
			return -errno;
	}
	for (int i = 0; i < 3; i++)
		if (dup2(fds[i], i) < 0)
			return -errno;
	return 0;
}

/* What the child of a pid 1 inherits and a program does not expect. */
static void child_defaults(void)
{
	/* Hard and soft as systemd gives them: select() breaks above 1024. */
	static const struct rlimit files = {.rlim_cur = 1024, .rlim_max = 1048576};
	sigset_t none;
	int fd;

	signal(SIGPIPE, SIG_DFL); /* the only one the agent ignores; handlers end with exec */
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	umask(022);
	setrlimit(RLIMIT_NOFILE, &files);
	fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	if (fd >= 0) {
		(void)!write_all(fd, "0", 1);
		close(fd);
	}
}

static int child_limits(const struct exec_plan *plan)
{
	static const __rlimit_resource_t resources[] = {
		[SC_LIMIT_MEMORY] = RLIMIT_AS,	     [SC_LIMIT_FILE_SIZE] = RLIMIT_FSIZE,
		[SC_LIMIT_CPU_SECONDS] = RLIMIT_CPU, [SC_LIMIT_PROCESSES] = RLIMIT_NPROC,
		[SC_LIMIT_FILES] = RLIMIT_NOFILE,
	};

	for (unsigned int i = 0; i < SC_LIMITS; i++) {
		struct rlimit limit = {.rlim_cur = plan->limits[i], .rlim_max = plan->limits[i]};

		if (plan->limits[i] == 0)
			continue;
		/* SIGXCPU says why it ends, which SIGKILL of the hard limit would not. */
		if (i == SC_LIMIT_CPU_SECONDS && limit.rlim_max < RLIM_INFINITY - 1)
			limit.rlim_max++;
		if (setrlimit(resources[i], &limit) < 0)
			return -errno;
	}
	return 0;
}

static int child_user(const struct exec_plan *plan)
{
	const struct user *u = plan->user;

	/* Only a test runs this as someone who cannot be anybody else. */
	if (geteuid() != 0)
		return 0;
	if (setgroups(plan->n_groups, plan->groups) < 0 || setresgid(u->gid, u->gid, u->gid) < 0 ||
	    setresuid(u->uid, u->uid, u->uid) < 0)
		return -errno;
	return 0;
}

static int child_cwd(const struct exec_plan *plan)
{
	if (chdir(plan->cwd) == 0)
		return 0;
	if (plan->cwd_may_fail && chdir("/") == 0)
		return 0;
	return -errno;
}

static int try_exec(const struct exec_plan *plan, const char *path)
{
	/* execve() leaves what they point to alone; its prototype cannot say so. */
	union {
		const char *const *from;
		char *const *to;
	} argv = {.from = plan->argv}, env = {.from = plan->env};

	execve(path, argv.to, env.to);
	return -errno;
}

static const char *env_get(const char *const *env, const char *name)
{
	size_t n = strlen(name);

	for (; *env; env++)
		if (strncmp(*env, name, n) == 0 && (*env)[n] == '=')
			return *env + n + 1;
	return NULL;
}

static int may_exec(const struct exec_plan *plan, const char *path)
{
	(void)plan;
	return access(path, X_OK) == 0 ? 0 : -errno;
}

/*
 * As execvp(), but with the PATH of the command's environment, and without
 * running a file of unknown format through a shell: attempt() is made with one path after the
 * other, until it succeeds.
 */
static int search(const struct exec_plan *plan,
		  int (*attempt)(const struct exec_plan *plan, const char *path))
{
	const char *name = plan->argv[0];
	const char *dir = env_get(plan->env, "PATH");
	size_t name_len = strlen(name);
	char path[PATH_MAX];
	int r, result = -ENOENT;

	if (strchr(name, '/'))
		return attempt(plan, name);
	if (name_len > NAME_MAX)
		return -ENAMETOOLONG;
	while (dir) {
		size_t n = strcspn(dir, ":");

		/* An empty entry is the current directory, by POSIX. */
		if (n + name_len + 2 <= sizeof(path)) {
			memcpy(path, dir, n);
			path[n] = '/';
			memcpy(path + n + (n > 0), name, name_len + 1);
			r = attempt(plan, path);
			if (r == -EACCES)
				result = r;
			else if (r != -ENOENT && r != -ENOTDIR)
				return r;
		}
		dir = dir[n] ? dir + n + 1 : NULL;
	}
	return result;
}

int exec_find(const struct exec_plan *plan)
{
	return search(plan, may_exec);
}

int exec_become(const struct exec_plan *plan)
{
	int r = child_user(plan);

	if (r == 0)
		r = child_cwd(plan);
	return r == 0 ? search(plan, try_exec) : r;
}

/*
 * Not the program itself, but the process that makes a session for it and waits for its end. Nobody
 * waits for the session: the program is looked for now, so that a wrong name is told as ever.
 */
static void child_session(const struct exec_plan *plan, struct exec_failure *f, int status_fd)
{
	f->step = STEP_CWD;
	f->err = child_cwd(plan);
	if (f->err < 0)
		return;
	f->step = STEP_RUN;
	f->err = exec_find(plan);
	if (f->err < 0)
		return;
	close(status_fd);
	/* A copy of another command's pipe would hide an end of file. */
	(void)close_range(STDERR_FILENO + 1, ~0U, 0);
	_exit(desktop_run(plan));
}

static _Noreturn void child(const struct exec_plan *plan, int status_fd)
{
	struct exec_failure f = {.step = STEP_STDIO};

	f.err = child_stdio(plan);
	if (f.err == 0) {
		child_defaults();
		if (plan->session)
			child_session(plan, &f, status_fd);
	}
	if (f.err == 0) {
		f.step = STEP_LIMITS;
		f.err = child_limits(plan);
	}
	if (f.err == 0) {
		f.step = STEP_USER;
		f.err = child_user(plan);
	}
	if (f.err == 0) {
		f.step = STEP_CWD;
		f.err = child_cwd(plan);
	}
	if (f.err == 0) {
		f.step = STEP_RUN;
		f.err = search(plan, try_exec);
	}
	(void)!write_all(status_fd, &f, sizeof(f));
	_exit(127);
}

int exec_not_the_program(int err)
{
	return err == -ENOENT ? -EINVAL : err;
}

static int explain(const struct exec_plan *plan, const struct exec_failure *f, struct text *why)
{
	switch (f->step) {
	case STEP_STDIO:
		return text_fail(why, f->err, "set up its input and output", NULL);
	case STEP_LIMITS:
		return text_fail(why, f->err, "set its limits", NULL);
	case STEP_USER:
		return text_fail(why, f->err, "become the user", plan->user->name);
	case STEP_CWD:
		return exec_not_the_program(
			text_fail(why, f->err, "enter the directory", plan->cwd));
	default:
		return text_fail(why, f->err, "run", plan->argv[0]);
	}
}

int exec_begin(const struct exec_plan *plan, struct exec_child *out, struct text *why)
{
	int status[2], err;
	pid_t pid;

	if (pipe2(status, O_CLOEXEC) < 0)
		return text_fail(why, -errno, "make a pipe", NULL);
	pid = fork();
	if (pid == 0)
		child(plan, status[1]);
	err = -errno;
	close(status[1]);
	if (pid < 0) {
		close(status[0]);
		return text_fail(why, err, "make a process", NULL);
	}
	*out = (struct exec_child){.pid = pid, .status_fd = status[0]};
	return 0;
}

int exec_await(const struct exec_plan *plan, struct exec_child *child, struct text *why)
{
	struct exec_failure f;
	ssize_t n;

	/*
	 * Waits for the exec, which closes the pipe. It reads from the host's file
	 * server, which never waits for the agent, so this ends.
	 */
	do
		n = read(child->status_fd, &f, sizeof(f));
	while (n < 0 && errno == EINTR);
	close(child->status_fd);
	if (n == 0)
		return 0;
	(void)waitpid(child->pid, NULL, 0);
	if (n != (ssize_t)sizeof(f))
		return text_fail(why, -EIO, "learn whether it runs", NULL);
	return explain(plan, &f, why);
}

void exec_abandon(struct exec_child *child)
{
	close(child->status_fd);
	(void)kill(child->pid, SIGKILL);
	(void)waitpid(child->pid, NULL, 0);
}
