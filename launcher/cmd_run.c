/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <linux/close_range.h>
#include <pwd.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>

#include "balloon/pressure.h"
#include "launcher/agent_blob.h"
#include "launcher/commands.h"
#include "launcher/run_options.h"
#include "launcher/timeline_file.h"
#include "vmm/kvm_check.h"
#include "vmm/log.h"
#include "vmm/sandbox.h"
#include "vmm/timeline.h"

/* What this process was started with and must not pass through to a guest, or be ended by. */
static void prepare_process(void)
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

static unsigned int usable_cpus(void)
{
	cpu_set_t set;

	return sched_getaffinity(0, sizeof(set), &set) == 0 ? (unsigned int)CPU_COUNT(&set) : 1;
}

/* What a guest could have of it: of a container's limit if there is one. */
static uint64_t host_memory(void)
{
	struct sysinfo info;

	if (sysinfo(&info) < 0)
		return 0;
	return min_u64((uint64_t)info.totalram * info.mem_unit, pressure_ram_limit(""));
}

/* The invoking user; one without an entry in the user database gets a plain name. */
static void describe_user(struct config_user *user)
{
	static char name[] = "user", home[] = "/home/user", shell[] = "/bin/sh";
	const struct passwd *pw = getpwuid(getuid());

	*user = (struct config_user){name, home, shell, getuid(), getgid()};
	if (!pw)
		return;
	user->name = pw->pw_name;
	if (pw->pw_dir[0] == '/')
		user->home = pw->pw_dir;
	if (pw->pw_shell[0] == '/')
		user->shell = pw->pw_shell;
}

/* sandbox_run() asks again; here it is asked before a kernel is unpacked for nothing. */
static int check_kvm(void)
{
	AUTO_CLOSE int fd = -1;

	return kvm_open(&fd);
}

static int run(const struct sandbox_config *cfg, struct timeline *tl)
{
	struct kernel_image kernel = {.elf_fd = -1};
	int code = EXIT_SANDCASTLE_FAILED;

	if (check_kvm() < 0 || kernel_image_open(cfg->kernel, &kernel) < 0)
		return code;
	timeline_mark(tl, TIMELINE_SET_UP, "kernel file");
	log_info("%s: kernel %s, %u processors, %llu MiB", cfg->name, kernel.release, cfg->cpus,
		 (unsigned long long)(cfg->memory >> 20));
	/*
	 * From here on only the file server makes files, with modes the guest chose
	 * and its own umask already applied to; the cache was written before.
	 */
	umask(0);
	code = sandbox_run(cfg, &kernel, sc_agent, sc_agent_len, tl);
	kernel_image_fini(&kernel);
	return code;
}

/* The run, and the record of it if one is wanted. */
static int run_timed(const struct sandbox_config *cfg, struct timeline *tl)
{
	FILE *file = NULL;
	int code;

	tl->detailed = cfg->timeline != NULL;
	timeline_mark(tl, TIMELINE_SET_UP, "options");
	if (cfg->timeline && timeline_file_open(cfg->timeline, &file) < 0)
		return EXIT_SANDCASTLE_FAILED;
	code = run(cfg, tl);
	timeline_log(tl);
	/* The command's exit code counts for more than a record of its start. */
	if (file && timeline_file_write(cfg->timeline, file, tl) < 0 && code == 0)
		code = EXIT_SANDCASTLE_FAILED;
	return code;
}

int cmd_run(int argc, char **argv)
{
	struct timeline tl;
	char *cwd;
	struct run_host host = {
		.cpus = usable_cpus(),
		.memory = host_memory(),
		.tty = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO),
	};
	struct sandbox_config cfg;
	int r, code = EXIT_SANDCASTLE_FAILED;

	timeline_init(&tl);
	cwd = getcwd(NULL, 0);
	host.cwd = cwd;
	prepare_process();
	describe_user(&host.user);
	r = run_options_parse(argc, argv, &host, &cfg);
	if (r == 0)
		code = run_timed(&cfg, &tl);
	else if (r > 0)
		code = 0;
	sandbox_config_fini(&cfg);
	free(cwd);
	return code;
}
