/* SPDX-License-Identifier: MIT */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/text.h"
#include "library/library_priv.h"

/* A list of strings of our own, for a program's arguments or environment. */
struct words {
	char **list;
	size_t n;
	bool failed; /* out of memory */
};

static void add(struct words *w, const char *fmt, ...) PRINTF_LIKE(2, 3);

static void add(struct words *w, const char *fmt, ...)
{
	char **list = w->failed ? NULL : reallocarray(w->list, w->n + 2, sizeof(*list));
	va_list ap;
	int r;

	if (!list) {
		w->failed = true;
		return;
	}
	w->list = list;
	va_start(ap, fmt);
	r = vasprintf(&list[w->n], fmt, ap);
	va_end(ap);
	if (r < 0)
		list[w->n] = NULL;
	else
		w->n++;
	w->failed = r < 0;
	list[w->n] = NULL;
}

static void words_fini(struct words *w)
{
	for (size_t i = 0; i < w->n; i++)
		free(w->list[i]);
	free(w->list);
}

/* In --map a colon parts, a $ begins a variable and a backslash takes that away. */
static char *quote(const char *path)
{
	char *out = malloc(2 * strlen(path) + 1), *to = out;

	for (; out && *path; path++) {
		if (strchr(":$\\", *path))
			*to++ = '\\';
		*to++ = *path;
	}
	if (out)
		*to = '\0';
	return out;
}

static int add_map(struct sandcastle_sandbox *sb, struct words *args,
		   const struct sandcastle_map *map)
{
	static const char *const modes[] = {"ro", "rw", "discard"};
	const char *guest = map->guest ? map->guest : map->host;
	AUTO_FREE char *from = NULL, *to = NULL;

	from = quote(map->host);
	to = quote(guest);
	if (!from || !to)
		return lib_fail(sb, SANDCASTLE_E_MEMORY, "out of memory");
	add(args, "--map=%s:%s:%s", from, to, modes[map->mode]);
	return SANDCASTLE_OK;
}

static int compose(struct sandcastle_sandbox *sb, const struct sandcastle_options *o,
		   struct words *args)
{
	add(args, "sandcastle");
	add(args, "start");
	if (!o->outlive)
		add(args, "--tie-to-parent");
	if (o->name)
		add(args, "--name=%s", o->name);
	if (o->cpus)
		add(args, "--cpus=%u", o->cpus);
	if (o->memory)
		add(args, "--memory=%llu", (unsigned long long)o->memory);
	if (o->display_width || o->display_height)
		add(args, "--display=%ux%u", o->display_width, o->display_height);
	if (o->kernel)
		add(args, "--kernel=%s", o->kernel);
	if (o->user)
		add(args, "--user=%s", o->user);
	if (o->workdir)
		add(args, "--workdir=%s", o->workdir);
	if (o->network)
		add(args, "--network=%s", o->network);
	for (const char *const *port = o->publish; port && *port; port++)
		add(args, "--publish=%s", *port);
	if (o->root)
		add(args, "--root=%s", o->root);
	if (o->battery)
		add(args, "--battery=%s", o->battery);
	if (o->timeout_ms)
		add(args, "--timeout=%ums", o->timeout_ms);
	if (o->debug_console)
		add(args, "--debug-console");
	/* Every user of this host can read a command line, and nobody the input of a process. */
	if (o->env)
		add(args, "--env-file=/dev/stdin");
	for (size_t i = 0; i < o->n_maps; i++) {
		int r = add_map(sb, args, &o->maps[i]);

		if (r < 0)
			return r;
	}
	return args->failed ? lib_fail(sb, SANDCASTLE_E_MEMORY, "out of memory") : SANDCASTLE_OK;
}

/*
 * The environment of the command: what it needs, and none of ours. `top` is where
 * it will then make the sandbox's folder (library/client/rundir.h).
 */
static int compose_env(struct sandcastle_sandbox *sb, const struct sandcastle_options *o,
		       struct words *env)
{
	char buf[4096], run[64];
	struct passwd pw, *found = NULL;
	struct stat st;
	int r;

	add(env, "PATH=/usr/bin:/bin");
	if (getpwuid_r(getuid(), &pw, buf, sizeof(buf), &found) == 0 && found)
		add(env, "HOME=%s", pw.pw_dir);
	snprintf(run, sizeof(run), "/run/user/%u", getuid());
	/* Forget what an earlier attempt has left. */
	free(sb->top);
	if (o->runtime_dir) {
		add(env, "XDG_RUNTIME_DIR=%s", o->runtime_dir);
		r = asprintf(&sb->top, "%s/sandcastle", o->runtime_dir);
	} else if (stat(run, &st) == 0 && st.st_uid == getuid()) {
		r = asprintf(&sb->top, "%s/sandcastle", run);
	} else {
		r = asprintf(&sb->top, "/tmp/sandcastle-%u", getuid());
	}
	if (r < 0)
		sb->top = NULL;
	return r < 0 || env->failed ? lib_fail(sb, SANDCASTLE_E_MEMORY, "out of memory")
				    : SANDCASTLE_OK;
}

/* The command that was installed, or built, with this library. */
static bool find_program(char path[PATH_MAX])
{
	static const char *const places[] = {"/sandcastle", "/../bin/sandcastle",
					     "/../../bin/sandcastle"};
	Dl_info info;

	if (!dladdr(&places, &info) || !info.dli_fname)
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		const char *slash = strrchr(info.dli_fname, '/');
		char place[PATH_MAX];

		/* The command is started in /: a library that was loaded by a relative path is elsewhere. */
		if (slash &&
		    snprintf(place, PATH_MAX, "%.*s%s", (int)(slash - info.dli_fname),
			     info.dli_fname, places[i]) < PATH_MAX &&
		    access(place, X_OK) == 0 && realpath(place, path))
			return true;
	}
	return false;
}

/* Makes a pipe: our end, which does not block, in src, the child's in *theirs. */
static int make_pipe(struct source *src, int *theirs)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	(void)fcntl(ends[0], F_SETFL, O_NONBLOCK);
	src->fd = ends[0];
	/* Below 3, where the program has closed its own, it would be lost to the child's. */
	*theirs = fcntl(ends[1], F_DUPFD_CLOEXEC, 3);
	close(ends[1]);
	return *theirs < 0 ? -errno : 0;
}

/* What the command reads on its stdin: the variables, each with its NUL. -1 with errno. */
static int open_variables(const char *const *list)
{
	struct buffer all = {.data = NULL};
	int r = 0, fd;

	for (const char *const *e = list; e && *e && r == 0; e++)
		r = buffer_add(&all, *e, strlen(*e) + 1);
	errno = ENOMEM;
	fd = r < 0 ? -1 : lib_memory_file(all.data, all.len);
	free(all.data);
	return fd;
}

static int spawn(struct sandcastle_sandbox *sb, const char *program, char **args, char **env,
		 const int stdio[3])
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	sigset_t set;
	pid_t pid;
	int r;

	(void)posix_spawn_file_actions_init(&actions);
	(void)posix_spawnattr_init(&attr);
	(void)sigemptyset(&set);
	(void)posix_spawnattr_setsigmask(&attr, &set);
	(void)sigfillset(&set);
	(void)posix_spawnattr_setsigdefault(&attr, &set);
	(void)posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	r = 0;
	for (int i = 0; i < 3 && r == 0; i++)
		r = posix_spawn_file_actions_adddup2(&actions, stdio[i], i);
	/* Start it in /, so that the current directory is not mapped by itself. */
	if (r == 0)
		r = posix_spawn_file_actions_addchdir_np(&actions, "/");
	if (r == 0)
		r = posix_spawn(&pid, program, &actions, &attr, args, env);
	/* Where it has been reaped already, as by who ignores SIGCHLD, its pipes tell of its end. */
	if (r == 0)
		sb->starter.fd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (r == 0 && sb->starter.fd >= 0)
		r = -lib_watch(sb, &sb->starter);
	(void)posix_spawn_file_actions_destroy(&actions);
	(void)posix_spawnattr_destroy(&attr);
	return -r;
}

static int spawn_with_pipes(struct sandcastle_sandbox *sb, const char *program, char **args,
			    char **env, const char *const *variables)
{
	AUTO_CLOSE int in = open_variables(variables), out = -1, err = -1;
	int r = in < 0 ? -errno : make_pipe(&sb->name_from, &out);

	if (r == 0)
		r = make_pipe(&sb->said_from, &err);
	if (r == 0)
		r = lib_watch(sb, &sb->name_from);
	if (r == 0)
		r = lib_watch(sb, &sb->said_from);
	if (r == 0)
		r = spawn(sb, program, args, env, (const int[]){in, out, err});
	if (r == 0)
		return SANDCASTLE_OK;
	lib_unwatch(sb, &sb->name_from);
	lib_unwatch(sb, &sb->said_from);
	return lib_fail(sb, SANDCASTLE_E_SYSTEM, "cannot start %s: %s", program, strerror(-r));
}

int lib_spawn(struct sandcastle_sandbox *sb, const struct sandcastle_options *options)
{
	struct words args = {0}, env = {0};
	char beside[PATH_MAX];
	const char *program = options->program;
	int r = SANDCASTLE_OK;

	sb->outlive = options->outlive != 0;
	if (!program) {
		program = beside;
		if (!find_program(beside))
			r = lib_fail(sb, SANDCASTLE_E_START,
				     "there is no sandcastle command beside the library; say where "
				     "it is");
	}
	if (r == SANDCASTLE_OK)
		r = compose(sb, options, &args);
	if (r == SANDCASTLE_OK)
		r = compose_env(sb, options, &env);
	if (r == SANDCASTLE_OK)
		r = spawn_with_pipes(sb, program, args.list, env.list, options->env);
	words_fini(&args);
	words_fini(&env);
	return r;
}
