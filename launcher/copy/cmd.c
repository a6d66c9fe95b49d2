/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "common/log.h"
#include "launcher/commands.h"
#include "launcher/control_call.h"
#include "launcher/copy/guest_run.h"
#include "launcher/copy/tar_create.h"
#include "launcher/copy/tar_extract.h"
#include "launcher/options.h"

/* What libarchive may take for what a guest sends. */
#define MEMORY_MAX (1ull << 30)

struct cp {
	struct call call;
	struct tar_lib lib;
	struct copy_tally tally;
	struct client *client;
};

/* The path behind NAME:, NULL if the argument is a path of this host. */
static const char *guest_path(const char *arg)
{
	const size_t n = strcspn(arg, ":/");

	return n > 0 && arg[n] == ':' ? arg + n + 1 : NULL;
}

/*
 * A path as the folder it is in and its name there. The name is "." where the path
 * ends in "." or is the root: the content is meant. Both malloc'ed.
 */
struct place {
	char *dir, *name;
};

static void place_fini(struct place *p)
{
	free(p->dir);
	free(p->name);
}

static int place_of(const char *path, struct place *out)
{
	size_t len = strlen(path), from;

	while (len > 1 && path[len - 1] == '/')
		len--;
	for (from = len; from > 0 && path[from - 1] != '/';)
		from--;
	if (len - from == 0 || (len - from == 1 && path[from] == '.') ||
	    (len - from == 2 && path[from] == '.' && path[from + 1] == '.')) {
		out->dir = strndup(path, len);
		out->name = strdup(".");
	} else {
		out->dir = from == 0 ? strdup(".") : strndup(path, from);
		out->name = strndup(path + from, len - from);
	}
	if (out->dir && out->name)
		return 0;
	log_error("out of memory");
	return -ENOMEM;
}

/* Runs a program in the sandbox to its end. */
static int run_in_guest(struct cp *cp, const char *const *argv, int *code)
{
	static const int none[2] = {-1, -1};
	struct guest_run run = {.said_fd = -1};
	int r = guest_run_start(cp->client, argv, none, &run);

	if (r == 0)
		r = guest_run_wait(&run, code);
	guest_run_fini(&run);
	return r;
}

/* How tar in the sandbox ended: 0, or -EIO after a line with what it said. */
static int end_tar(struct guest_run *run)
{
	char said[200];
	int code = 0, r = guest_run_wait(run, &code);

	if (r < 0 || code == 0)
		return r;
	guest_run_said(run, said, sizeof(said));
	if (code == EXIT_NOT_FOUND)
		log_error("the sandbox has no tar, which copying needs; install it there");
	else
		log_error("tar in the sandbox failed: %s", said[0] ? said : "it does not say why");
	return -EIO;
}

/* A pipe of which the sandbox gets the end `guests`. */
static int make_pipe(int ends[2], int guests)
{
	if (pipe2(ends, O_CLOEXEC) < 0 || fcntl(ends[guests], F_SETFL, O_NONBLOCK) < 0) {
		log_error("cannot make a pipe: %s", strerror(errno));
		return -EMFILE;
	}
	return 0;
}

/* ---- into the sandbox ---- */

static int send_all(struct cp *cp, int fd, char **sources, int n, const char *as)
{
	struct tar_create *t = NULL;
	int r = tar_create_new(&cp->lib, fd, &cp->tally, &t);

	for (int i = 0; r == 0 && i < n; i++) {
		struct place src = {NULL, NULL};

		r = place_of(sources[i], &src);
		if (r == 0)
			r = tar_create_add(t, sources[i], as ? as : src.name);
		place_fini(&src);
	}
	if (r == 0)
		r = tar_create_finish(t);
	tar_create_free(t);
	return r;
}

/* `as`: what the one source is called there; NULL: as here. */
static int unpack_in_guest(struct cp *cp, char **sources, int n, const char *dir, const char *as)
{
	const char *const argv[] = {
		"tar",	       "--extract", "--file=-", "--no-same-owner", "--preserve-permissions",
		"--directory", dir,	    NULL};
	struct guest_run run = {.said_fd = -1};
	int ends[2], fds[2], r = make_pipe(ends, 0), sent = 0;

	if (r < 0)
		return r;
	fds[0] = ends[0];
	fds[1] = -1;
	r = guest_run_start(cp->client, argv, fds, &run);
	close(ends[0]);
	if (r == 0)
		sent = send_all(cp, ends[1], sources, n, as);
	close(ends[1]);
	if (r == 0)
		r = end_tar(&run);
	/* tar says better why it does not read on. */
	if (r == 0 && sent < 0) {
		log_error("the sandbox did not take all of it: %s", strerror(-sent));
		r = sent;
	}
	guest_run_fini(&run);
	return r;
}

static int check_sources(char **sources, int n)
{
	struct stat st;

	for (int i = 0; i < n; i++)
		if (lstat(sources[i], &st) < 0) {
			log_error("cannot copy %s: %s", sources[i], strerror(errno));
			return -ENOENT;
		}
	return 0;
}

static int copy_in(struct cp *cp, char **sources, int n, const char *path)
{
	const char *const is_folder[] = {"test", "-d", path, NULL};
	struct place dst = {NULL, NULL};
	int code = 1, r = check_sources(sources, n);

	if (r == 0)
		r = run_in_guest(cp, is_folder, &code);
	if (r == 0 && code == 0)
		return unpack_in_guest(cp, sources, n, path, NULL);
	if (r == 0)
		r = place_of(path, &dst);
	if (r == 0 && (n > 1 || strcmp(dst.name, ".") == 0 || path[strlen(path) - 1] == '/')) {
		log_error("%s is no folder in the sandbox; make it first", path);
		r = -ENOTDIR;
	}
	if (r == 0)
		r = unpack_in_guest(cp, sources, n, dst.dir, dst.name);
	place_fini(&dst);
	return r;
}

/* ---- out of the sandbox ---- */

/* `as`: what it is called in the folder top, whose path is `to`; NULL: as there. */
static int fetch(struct cp *cp, const char *path, int top, const char *to, const char *as)
{
	struct place src = {NULL, NULL};
	struct tar_extract x = {.top = top, .to = to, .tally = &cp->tally};
	struct guest_run run = {.said_fd = -1};
	int ends[2] = {-1, -1}, fds[2] = {-1, -1}, r = place_of(path, &src), got = 0;

	if (r == 0)
		r = make_pipe(ends, 1);
	if (r == 0) {
		/* GNU's format has names as they are; hard links come as files. */
		const char *const argv[] = {
			"tar",	       "--create", "--file=-", "--format=gnu", "--hard-dereference",
			"--directory", src.dir,	   "--",       src.name,       NULL};

		fds[1] = ends[1];
		r = guest_run_start(cp->client, argv, fds, &run);
	}
	if (ends[1] >= 0)
		close(ends[1]);
	if (r == 0) {
		x.from = src.name;
		x.as = as ? as : src.name;
		got = tar_extract(&cp->lib, &x, ends[0]);
	}
	if (ends[0] >= 0)
		close(ends[0]);
	if (r == 0 && (got == 0 || got == -ENODATA))
		r = end_tar(&run);
	if (r == 0 && got == -ENODATA)
		log_error("the sandbox sent nothing for %s", path);
	if (r == 0)
		r = got;
	guest_run_fini(&run);
	place_fini(&src);
	return r;
}

static int copy_out(struct cp *cp, char **sources, int n, const char *path)
{
	struct place dst = {NULL, NULL};
	AUTO_CLOSE int top = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	const char *as = NULL, *to = path;
	int r = 0;

	if (top < 0) {
		r = place_of(path, &dst);
		if (r == 0 &&
		    (n > 1 || strcmp(dst.name, ".") == 0 || path[strlen(path) - 1] == '/')) {
			log_error("%s is no folder; make it first", path);
			r = -ENOTDIR;
		}
		if (r == 0) {
			as = dst.name;
			to = dst.dir;
			top = open(dst.dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
			if (top < 0) {
				r = -errno;
				log_error("cannot copy to %s: %s", path, strerror(-r));
			}
		}
	}
	for (int i = 0; r == 0 && i < n; i++)
		r = fetch(cp, guest_path(sources[i]), top, to, as);
	place_fini(&dst);
	return r;
}

/* The name of the sandbox in all arguments from `first` on; NULL after a line if they differ. */
static char *sandbox_of(char **args, int n)
{
	const size_t len = strcspn(args[0], ":/");

	for (int i = 0; i < n; i++)
		if (!guest_path(args[i]) || strncmp(args[i], args[0], len + 1) != 0 ||
		    !guest_path(args[i])[0]) {
			log_error("%s: all that is copied has to be on one side, as NAME:PATH or "
				  "as PATH",
				  args[i]);
			return NULL;
		}
	return strndup(args[0], len);
}

static int copy(struct cp *cp, char **args, int n)
{
	const char *to = guest_path(args[n - 1]);
	const struct rlimit memory = {MEMORY_MAX, MEMORY_MAX};
	AUTO_FREE char *name = NULL;
	int r;

	for (int i = 0; to && i < n - 1; i++)
		if (guest_path(args[i])) {
			log_error("%s and %s are both in a sandbox; copy through this host",
				  args[i], args[n - 1]);
			return -EINVAL;
		}
	name = to ? sandbox_of(args + n - 1, 1) : sandbox_of(args, n - 1);
	if (!name)
		return -EINVAL;
	r = tar_lib_open(&cp->lib);
	if (r < 0) {
		log_error("libarchive, which copying needs, is not there; install libarchive13");
		return r;
	}
	(void)signal(SIGPIPE, SIG_IGN);
	copy_tally_init(&cp->tally, isatty(STDERR_FILENO));
	r = control_open(name, &cp->client);
	if (r == 0 && !to)
		(void)setrlimit(RLIMIT_AS, &memory);
	if (r == 0)
		r = to ? copy_in(cp, args, n - 1, to) : copy_out(cp, args, n - 1, args[n - 1]);
	if (copy_tally_end(&cp->tally) < 0 && r == 0)
		r = -EIO;
	client_free(cp->client);
	return r;
}

static int run(struct call *call)
{
	struct cp *cp = CONTAINER_OF(call, struct cp, call);

	return copy(cp, call->argv, call->argc) < 0 ? EXIT_SANDCASTLE_FAILED : 0;
}

const struct command cmd_cp = {
	.name = "cp",
	.brief = "copy files into one of them or out of it",
	.usage = "[OPTIONS] SRC... NAME:DST\n[OPTIONS] NAME:SRC... DST",
	.about = "Copies files and folders into the running sandbox NAME, or out of it. Where DST\n"
		 "is a folder they are put into it, else the one SRC gets that name. Of a folder\n"
		 "written SRC/. the content alone is copied.\n"
		 "\n"
		 "  sandcastle cp ./src quiet-dune:/tmp\n"
		 "  sandcastle cp quiet-dune:/tmp/src/report.pdf .\n"
		 "\n"
		 "Modes, times and symbolic links are kept; what arrives belongs to the user who\n"
		 "copies, or to the one that commands in the sandbox run as. Whatever a sandbox\n"
		 "sends, nothing is written outside of DST, and neither devices nor set-id bits\n"
		 "come along; what is left out is said. A path of this host with a colon in it is\n"
		 "written ./a:b; one of the sandbox that does not begin with / starts where its\n"
		 "commands do.\n",
	.after = "Exit code: 0 all was copied; 125 it was not, and a line says why.\n",
	.min = 2,
	.max = COMMAND_ANY,
	.wants = "needs what to copy and where to; write `sandcastle cp SRC NAME:DST` or "
		 "`sandcastle cp NAME:SRC DST`",
	.size = sizeof(struct cp),
	.run = run,
};
