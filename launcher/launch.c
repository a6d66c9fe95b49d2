/* SPDX-License-Identifier: MIT */
#include "launcher/launch.h"

#include <errno.h>
#include <linux/close_range.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "common/log.h"
#include "launcher/agent_blob.h"
#include "launcher/commands.h"
#include "launcher/config/name.h"
#include "launcher/config/run_options.h"
#include "launcher/config/timeline_file.h"
#include "launcher/left_out.h"
#include "library/client/rundir.h"
#include "vmm/config/timeline.h"
#include "vmm/kvm/checks.h"
#include "vmm/net/addresses.h"
#include "vmm/sandbox.h"

/* A generated name may be taken: there are a thousand of them. */
enum { NAME_TRIES = 64 };

/* For the main thread, four with loops and vCPUs, which seldom allocate. */
enum { HEAPS = 8 };

void launch_prepare(void)
{
	struct rlimit files;

	/* A file somebody forgot to close is none of the sandbox's. */
	(void)close_range(STDERR_FILENO + 1, ~0u, 0);
	/* `sandcastle run ... | head`: the broken pipe is told to the guest's command instead. */
	signal(SIGPIPE, SIG_IGN);
	/* A guest that writes past RLIMIT_FSIZE gets EFBIG; it must not be able to end us. */
	signal(SIGXFSZ, SIG_IGN);
	/* The file server holds an fd for each file the guest has open. */
	if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
		files.rlim_cur = files.rlim_max;
		if (setrlimit(RLIMIT_NOFILE, &files) < 0)
			log_info("cannot raise the limit of open files: %s", strerror(errno));
	}
}

int launch_parse(const struct call *call, struct sandbox_config *cfg)
{
	AUTO_FREE char *cwd = getcwd(NULL, 0);
	struct run_host host;

	run_host_describe(&host, cwd);
	return run_options_parse(call, &host, cfg);
}

/* sandbox_run() asks again; here it is asked before a kernel is unpacked for nothing. */
static int check_kvm(void)
{
	AUTO_CLOSE int fd = -1;

	return kvm_open(&fd);
}

static int rename_generated(struct sandbox_config *cfg)
{
	char *name = name_generate();

	if (!name)
		return -ENOMEM;
	free(cfg->name);
	cfg->name = name;
	return 0;
}

/*
 * The folder clients find it by. `run` does its work without one as well, where
 * the host has no place for it; `start` would start something nobody can reach.
 */
static int make_rundir(struct sandbox_config *cfg, struct rundir *rd)
{
	AUTO_FREE char *top = rundir_top();
	int r = top ? rundir_create(top, cfg->name, rd) : -ENOMEM;

	for (unsigned int i = 0; r == -EEXIST && cfg->name_is_generated && i < NAME_TRIES; i++) {
		r = rename_generated(cfg);
		if (r == 0)
			r = rundir_create(top, cfg->name, rd);
	}
	if (r == -EEXIST) {
		log_error("a sandbox named '%s' is running; choose another --name, or stop it with "
			  "`sandcastle stop %s`",
			  cfg->name, cfg->name);
		return r;
	}
	if (r < 0 && cfg->argv) {
		log_info("cannot make a folder in %s: %s; no other command will find this sandbox",
			 top ? top : "memory", strerror(-r));
		return 0;
	}
	if (r < 0)
		log_error("cannot make a folder in %s: %s; set XDG_RUNTIME_DIR to a directory that "
			  "is yours alone",
			  top ? top : "memory", strerror(-r));
	return r;
}

/* Opens the sockets of --publish; before anything takes long, as one may be in use. Logs. */
static int listen_at_ports(struct sandbox_config *cfg)
{
	char why[PORT_WHY_MAX], name[PORT_NAME_MAX], line[2 * PORT_NAME_MAX];
	size_t n = 0;

	while (cfg->publish && cfg->publish[n])
		n++;
	cfg->ports = calloc(n + 1, sizeof(*cfg->ports));
	if (!cfg->ports)
		return -ENOMEM;
	for (; cfg->n_ports < n; cfg->n_ports++) {
		struct config_port *p = &cfg->ports[cfg->n_ports];
		struct port at;
		int r = port_parse(cfg->publish[cfg->n_ports], true, &p->port);

		if (r == 0)
			r = port_listen(&p->port, &p->fd, why);
		if (r < 0) {
			log_error("--publish: %s", why);
			return r;
		}
		/* Which one the kernel chose is not to be guessed. */
		if (p->port.host == 0 && port_of_socket(p->fd, &at) == 0) {
			port_name(&at, name);
			log_write(line, (size_t)snprintf(line, sizeof(line),
							 "sandcastle: %s is port %u%s\n", name,
							 p->port.guest, at.udp ? "/udp" : ""));
		}
	}
	return 0;
}

struct launched {
	struct rundir rd;
	const char *name;
	launch_ready_fn ready;
	void *owner;
};

static void sandbox_ready(void *owner)
{
	struct launched *l = owner;

	if (l->ready)
		l->ready(l->name, l->owner);
}

static void sandbox_gone(void *owner)
{
	struct launched *l = owner;

	rundir_remove(&l->rd);
}

static const struct sandbox_ops ops = {.ready = sandbox_ready, .gone = sandbox_gone};

/*
 * Structures with a buffer of 64 KiB inside, of which little is used, get a mapping of their
 * own: it takes memory as it is touched, and gives it back when freed. On the heap calloc()
 * would clear them whole, and freeing the first large mapping would send all later ones there.
 */
static void keep_large_buffers_off_the_heap(void)
{
	(void)mallopt(M_MMAP_THRESHOLD, 64 << 10);
}

/* Else the C library counts the host's CPUs when threads are many, a call that they have given up. */
static void set_number_of_heaps(void)
{
	(void)mallopt(M_ARENA_MAX, HEAPS);
}

int launch(struct sandbox_config *cfg, int tie_fd, struct timeline *tl, launch_ready_fn ready,
	   void *owner)
{
	const struct agent_image agent = {.data = sc_agent, .len = sc_agent_len, .id = sc_agent_id};
	struct kernel_image kernel = {.elf_fd = -1};
	struct base_image base = {.root = -1};
	struct launched l = {
		.rd = {.top_fd = -1, .dir_fd = -1, .listen_fd = -1},
		.ready = ready,
		.owner = owner,
	};
	int code = EXIT_SANDCASTLE_FAILED;
	FILE *record = NULL;

	keep_large_buffers_off_the_heap();
	set_number_of_heaps();
	tl->detailed = cfg->timeline != NULL;
	timeline_mark(tl, TIMELINE_SET_UP, "options");
	if (cfg->timeline && timeline_file_open(cfg->timeline, &record) < 0)
		return code;
	if (check_kvm() == 0 && listen_at_ports(cfg) == 0 && net_configure(cfg) == 0 &&
	    make_rundir(cfg, &l.rd) == 0 && kernel_image_open(cfg->kernel, &kernel) == 0 &&
	    base_image_open(cfg->root, BASE_CURRENT, &base) == 0) {
		const struct sandbox_setup setup = {
			.config = cfg,
			.base = &base,
			.kernel = &kernel,
			.agent = &agent,
			.listen_fd = l.rd.listen_fd,
			.run_fd = l.rd.dir_fd,
			.runs_fd = l.rd.top_fd,
			.tie_fd = tie_fd,
			.timeline = tl,
			.ops = &ops,
			.owner = &l,
		};

		timeline_mark(tl, TIMELINE_SET_UP, "kernel file, base image");
		l.name = cfg->name;
		log_info("%s: kernel %s, %u processors, %llu MiB", cfg->name, kernel.release,
			 cfg->cpus, (unsigned long long)(cfg->memory >> 20));
		/*
		 * From here on only the file server makes files, with modes the guest chose
		 * and its own umask already applied to; the cache was written before.
		 */
		umask(0);
		left_out_warn(&base, cfg);
		/* A quarter of a MiB that only `sandcastle image` asks, for the reason of a path. */
		rules_fini(&base.rules);
		code = sandbox_run(&setup);
	}
	base_image_fini(&base);
	kernel_image_fini(&kernel);
	rundir_remove(&l.rd);
	timeline_log(tl);
	/* The command's exit code counts for more than a record of its start. */
	if (record && timeline_file_write(cfg->timeline, record, tl) < 0 && code == 0)
		code = EXIT_SANDCASTLE_FAILED;
	return code;
}

int launch_tie(const struct sandbox_config *cfg, int *fd)
{
	const pid_t parent = getppid();

	*fd = -1;
	if (!cfg->tie_to_parent)
		return 0;
	*fd = (int)syscall(SYS_pidfd_open, parent, 0);
	if (*fd < 0) {
		log_error("cannot watch the parent process: %s; leave out --tie-to-parent",
			  strerror(errno));
		return -errno;
	}
	/* It may have ended before it was watched. */
	if (getppid() != parent) {
		log_error("the parent process has ended already");
		close(*fd);
		*fd = -1;
		return -ESRCH;
	}
	return 0;
}
