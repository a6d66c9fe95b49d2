/* SPDX-License-Identifier: MIT */
#include <pwd.h>
#include <sched.h>
#include <sys/sysinfo.h>

#include "balloon/pressure.h"
#include "launcher/config/run_options.h"

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

void run_host_describe(struct run_host *host, const char *cwd)
{
	*host = (struct run_host){
		.cwd = cwd,
		.cpus = usable_cpus(),
		.memory = host_memory(),
		.tty = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO),
	};
	describe_user(&host->user);
}
