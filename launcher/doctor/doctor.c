/* SPDX-License-Identifier: MIT */
#include "launcher/doctor/doctor.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdarg.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "common/mounts.h"
#include "common/units.h"
#include "image/kernel/kernel.h"
#include "vmm/config/config.h"
#include "vmm/confine/landlock.h"
#include "vmm/kvm/checks.h"
#include "vmm/net/libvirt.h"
#include "vmm/net/process.h"
#include "vmm/renderer.h"

/* A sandbox's own fds and those of a build that opens files by the hundred. */
enum { FILES_WANTED = 4096 };

static struct doctor_check *add(struct doctor_report *report, const char *name,
				enum doctor_status status, const char *detail_fmt, ...)
	PRINTF_LIKE(4, 5);

static struct doctor_check *add(struct doctor_report *report, const char *name,
				enum doctor_status status, const char *detail_fmt, ...)
{
	struct doctor_check *check = &report->checks[report->n++];
	va_list ap;

	*check = (struct doctor_check){.name = name, .status = status};
	va_start(ap, detail_fmt);
	vsnprintf(check->detail, sizeof(check->detail), detail_fmt, ap);
	va_end(ap);
	return check;
}

static void set_cure(struct doctor_check *check, const char *fmt, ...) PRINTF_LIKE(2, 3);

static void set_cure(struct doctor_check *check, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(check->cure, sizeof(check->cure), fmt, ap);
	va_end(ap);
}

static void check_cpu(struct doctor_report *report)
{
	const char *flag = kvm_cpu_flag(&kvm_host_places);

	if (flag) {
		add(report, "processor", DOCTOR_OK, "it has %s (%s)",
		    strcmp(flag, "vmx") == 0 ? "VT-x" : "AMD-V", flag);
		return;
	}
	set_cure(
		add(report, "processor", DOCTOR_WARN, "it shows no VT-x or AMD-V (vmx or svm)"),
		"switch virtualization on in the firmware or, if this is a virtual machine, nested "
		"virtualization in its host");
}

static void check_kvm(struct doctor_report *report)
{
	struct kvm_report kvm;
	AUTO_CLOSE int fd = -1;
	const int r = kvm_open_at(&kvm_host_places, &kvm, &fd);

	set_cure(add(report, "kvm", r == 0 ? DOCTOR_OK : DOCTOR_FAIL, "%s", kvm.cause), "%s",
		 kvm.cure);
}

static void check_kernel(struct doctor_report *report, const char *path)
{
	struct kernel_image kernel = {.elf_fd = -1};
	struct kernel_why why;

	if (kernel_image_find(path, &kernel, &why) < 0)
		add(report, "kernel", DOCTOR_FAIL, "%s", why.text);
	else
		add(report, "kernel", DOCTOR_OK, "%s with modules in %s", kernel.path,
		    kernel.modules);
	kernel_image_fini(&kernel);
}

static void check_memory(struct doctor_report *report)
{
	const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	const uint64_t total = (uint64_t)sysconf(_SC_PHYS_PAGES) * page;
	AUTO_CLOSE int fd = memfd_create("sandcastle-doctor", MFD_CLOEXEC);
	char text[32];

	format_size(total, text);
	if (fd < 0)
		set_cure(add(report, "memory", DOCTOR_FAIL, "memfd_create: %s", strerror(errno)),
			 "let this user make memory files: look at the seccomp profile of the "
			 "container");
	else if (total < 2 * CONFIG_MIN_MEMORY)
		set_cure(add(report, "memory", DOCTOR_WARN, "this host has %s in all", text),
			 "a sandbox needs 128 MiB at least: give it no more with --memory 128M");
	else
		add(report, "memory", DOCTOR_OK, "this host has %s", text);
}

/* Under strict accounting the whole ceiling counts as used from the start. */
static void check_overcommit(struct doctor_report *report)
{
	FILE *f = fopen("/proc/sys/vm/overcommit_memory", "re");
	int mode = f ? fgetc(f) : EOF;

	if (f)
		fclose(f);
	if (mode != '2') {
		add(report, "overcommit", DOCTOR_OK, "memory is given as it is used");
		return;
	}
	set_cure(add(report, "overcommit", DOCTOR_WARN,
		     "vm.overcommit_memory is 2, so all of a sandbox's --memory is set aside"),
		 "keep --memory small, or `sudo sysctl vm.overcommit_memory=0`");
}

static void check_cpus(struct doctor_report *report)
{
	cpu_set_t set;
	int n = sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;

	add(report, "cpus", DOCTOR_OK, "%d usable here", n);
}

static void check_files(struct doctor_report *report)
{
	struct rlimit files = {0, 0};

	getrlimit(RLIMIT_NOFILE, &files);
	if (files.rlim_max >= FILES_WANTED) {
		add(report, "open files", DOCTOR_OK, "up to %llu",
		    (unsigned long long)files.rlim_max);
		return;
	}
	set_cure(add(report, "open files", DOCTOR_WARN, "only %llu may be open at once",
		     (unsigned long long)files.rlim_max),
		 "raise the hard limit (ulimit -Hn) to %d, in /etc/security/limits.conf",
		 FILES_WANTED);
}

/* The directory itself or, before the first start, where it would be made. */
static void check_cache(struct doctor_report *report)
{
	AUTO_FREE char *dir = kernel_cache_dir();
	char path[PATH_MAX];
	char *slash;

	if (!dir) {
		set_cure(add(report, "cache", DOCTOR_WARN,
			     "neither XDG_CACHE_HOME nor HOME is set, so each start unpacks the "
			     "kernel again"),
			 "set one of them");
		return;
	}
	snprintf(path, sizeof(path), "%s", dir);
	while (access(path, F_OK) < 0 && errno == ENOENT && (slash = strrchr(path, '/')) != path)
		*slash = '\0';
	if (access(path, W_OK | X_OK) == 0) {
		add(report, "cache", DOCTOR_OK, "%s", dir);
		return;
	}
	set_cure(add(report, "cache", DOCTOR_WARN,
		     "%s cannot be written, so each start unpacks the kernel again", path),
		 "make it writable or set XDG_CACHE_HOME");
}

/* What a sandbox with a display gets: it is tried as a start tries it. */
static void check_gpu(struct doctor_report *report)
{
	char says[192];

	if (renderer_try(says, sizeof(says)))
		add(report, "GPU", DOCTOR_OK, "guests with a display draw on it: %s", says);
	else
		add(report, "GPU", DOCTOR_OK, "guests with a display draw in software: %s", says);
}

static void check_network(struct doctor_report *report)
{
	if (net_process_possible())
		add(report, "network", DOCTOR_OK, "libslirp is installed");
	else
		set_cure(add(report, "network", DOCTOR_WARN,
			     "libslirp is not installed, which --network internet and user need"),
			 "on Debian `sudo apt-get install libslirp0`");
}

/* Echo requests are sent by sockets of ICMP, which the kernel allows to a range of groups. */
static void check_ping(struct doctor_report *report)
{
	FILE *f = fopen("/proc/sys/net/ipv4/ping_group_range", "re");
	unsigned long first = 1, last = 0;

	if (f && fscanf(f, "%lu %lu", &first, &last) != 2)
		last = 0;
	if (f)
		fclose(f);
	if (first <= getegid() && getegid() <= last)
		add(report, "ping", DOCTOR_OK, "sandboxes with a network can");
	else
		set_cure(add(report, "ping", DOCTOR_WARN,
			     "sandboxes with a network cannot: this user may not"),
			 "`sudo sysctl net.ipv4.ping_group_range='0 2147483647'`");
}

/* Only of interest where there is libvirt. */
static void check_bridges(struct doctor_report *report)
{
	const char *helper = bridge_helper_path();
	struct stat st;

	if (!libvirt_is_installed())
		return;
	if (!helper)
		set_cure(add(report, "bridges", DOCTOR_WARN,
			     "qemu-bridge-helper is not installed, which --network libvirt:NAME "
			     "needs"),
			 "on Debian `sudo apt-get install qemu-system-common`");
	else if (stat(helper, &st) < 0 || !(st.st_mode & S_ISUID) ||
		 access("/etc/qemu/bridge.conf", F_OK) < 0)
		set_cure(add(report, "bridges", DOCTOR_WARN,
			     "root has not allowed %s, which --network libvirt:NAME needs", helper),
			 "`sudo chmod u+s %s; sudo mkdir -p /etc/qemu; echo allow virbr0 | sudo "
			 "tee -a /etc/qemu/bridge.conf`",
			 helper);
	else
		add(report, "bridges", DOCTOR_OK, "those of /etc/qemu/bridge.conf, by %s", helper);
}

/* What a sandbox's process gives up before its guest runs (docs/confinement.md). */
static void check_confinement(struct doctor_report *report)
{
	const int mounts = mounts_probe(), abi = landlock_abi();

	if (mounts == 0)
		add(report, "confinement", DOCTOR_OK, "sandboxes get mounts of their own");
	else if (abi > 0)
		set_cure(add(report, "confinement", DOCTOR_WARN,
			     "users may make no namespaces here (%s): Landlock holds sandboxes to "
			     "what "
			     "they are started with, and nothing can be shared with them later",
			     strerror(-mounts)),
			 "Ubuntu: install the package, which brings an AppArmor profile; Debian: "
			 "`sudo "
			 "sysctl kernel.unprivileged_userns_clone=1`");
	else
		set_cure(add(report, "confinement", DOCTOR_FAIL,
			     "users may make no namespaces here (%s), and the kernel has no "
			     "Landlock",
			     strerror(-mounts)),
			 "let users make namespaces, or start with --confine=weak");
}

void doctor_collect(struct doctor_report *report, const char *kernel)
{
	report->n = 0;
	check_cpu(report);
	check_kvm(report);
	check_kernel(report, kernel);
	check_memory(report);
	check_overcommit(report);
	check_cpus(report);
	check_files(report);
	check_cache(report);
	check_confinement(report);
	check_gpu(report);
	check_network(report);
	check_ping(report);
	check_bridges(report);
}

bool doctor_is_well(const struct doctor_report *report)
{
	for (size_t i = 0; i < report->n; i++)
		if (report->checks[i].status == DOCTOR_FAIL)
			return false;
	return true;
}
