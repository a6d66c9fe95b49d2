/* SPDX-License-Identifier: MIT */
#include "vmm/kvm/checks.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/kvm.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "common/log.h"

const struct kvm_places kvm_host_places = {
	.device = "/dev/kvm",
	.cpuinfo = "/proc/cpuinfo",
	.modules = "/sys/module",
};

/* What the machine is built on: all of it is in Linux 5.4 on any x86-64 with VT-x or AMD-V. */
static const struct {
	int number;
	const char *name;
} required[] = {
	{KVM_CAP_USER_MEMORY, "KVM_CAP_USER_MEMORY"},
	{KVM_CAP_IRQCHIP, "KVM_CAP_IRQCHIP"},
	{KVM_CAP_IRQ_ROUTING, "KVM_CAP_IRQ_ROUTING"},
	{KVM_CAP_IRQFD, "KVM_CAP_IRQFD"},
	{KVM_CAP_IOEVENTFD, "KVM_CAP_IOEVENTFD"},
	{KVM_CAP_SIGNAL_MSI, "KVM_CAP_SIGNAL_MSI"},
	{KVM_CAP_READONLY_MEM, "KVM_CAP_READONLY_MEM"},
	{KVM_CAP_EXT_CPUID, "KVM_CAP_EXT_CPUID"},
	{KVM_CAP_IMMEDIATE_EXIT, "KVM_CAP_IMMEDIATE_EXIT"},
};

const char *kvm_cpu_flag(const struct kvm_places *places)
{
	FILE *f = fopen(places->cpuinfo, "re");
	const char *found = NULL;
	char *line = NULL;
	size_t cap = 0;

	if (!f)
		return NULL;
	while (!found && getline(&line, &cap, f) > 0) {
		if (strncmp(line, "flags", 5) != 0)
			continue;
		for (char *save, *w = strtok_r(line, " \t\n", &save); w;
		     w = strtok_r(NULL, " \t\n", &save)) {
			if (strcmp(w, "vmx") == 0)
				found = "vmx";
			else if (strcmp(w, "svm") == 0)
				found = "svm";
		}
		break;
	}
	free(line);
	fclose(f);
	return found;
}

static bool module_loaded(const struct kvm_places *places, const char *name)
{
	char path[PATH_MAX];

	return snprintf(path, sizeof(path), "%s/%s", places->modules, name) < PATH_MAX &&
	       access(path, F_OK) == 0;
}

static int report(struct kvm_report *out, enum kvm_state state, const char *cause,
		  const char *cure_fmt, ...) PRINTF_LIKE(4, 5);

/* Fills *out in and returns the errno that stands for the state. */
static int report(struct kvm_report *out, enum kvm_state state, const char *cause,
		  const char *cure_fmt, ...)
{
	va_list ap;

	out->state = state;
	snprintf(out->cause, sizeof(out->cause), "%s", cause);
	va_start(ap, cure_fmt);
	vsnprintf(out->cure, sizeof(out->cure), cure_fmt, ap);
	va_end(ap);
	return state == KVM_STATE_NO_PERMISSION ? -EACCES : -ENODEV;
}

static int report_missing(const struct kvm_places *places, struct kvm_report *out)
{
	const char *flag = kvm_cpu_flag(places);
	char cause[sizeof(out->cause)];

	if (flag) {
		snprintf(cause, sizeof(cause), "there is no %s", places->device);
		return report(out, KVM_STATE_MISSING, cause,
			      "load its driver (sudo modprobe kvm_%s) or, in a container, pass the "
			      "device in",
			      strcmp(flag, "vmx") == 0 ? "intel" : "amd");
	}
	snprintf(cause, sizeof(cause), "there is no %s and the processor shows no VT-x or AMD-V",
		 places->device);
	return report(out, KVM_STATE_MISSING, cause,
		      "switch virtualization on in the firmware or, if this is a virtual machine, "
		      "nested virtualization in its host");
}

static int report_permission(const struct kvm_places *places, struct kvm_report *out)
{
	const struct group *group = NULL;
	char cause[sizeof(out->cause)];
	struct stat st;

	if (stat(places->device, &st) == 0 && (st.st_mode & 0060) == 0060)
		group = getgrgid(st.st_gid);
	snprintf(cause, sizeof(cause), "you may not open %s", places->device);
	if (group && group->gr_gid != 0)
		return report(out, KVM_STATE_NO_PERMISSION, cause,
			      "join its group with `sudo usermod -aG %s $USER`, then log in again",
			      group->gr_name);
	return report(
		out, KVM_STATE_NO_PERMISSION, cause,
		"no group has access to it: give yourself that with `sudo setfacl -m u:$USER:rw "
		"%s` (until the next boot), or put its udev rule right",
		places->device);
}

static int check_answers(int fd, const struct kvm_places *places, struct kvm_report *out)
{
	char cause[sizeof(out->cause)];

	if (ioctl(fd, KVM_GET_API_VERSION, 0) != KVM_API_VERSION) {
		snprintf(cause, sizeof(cause), "%s does not speak version %d of KVM's interface",
			 places->device, KVM_API_VERSION);
		return report(out, KVM_STATE_UNUSABLE, cause,
			      "it should be the device of the kvm driver: look at it with `ls -l "
			      "%s`",
			      places->device);
	}
	for (size_t i = 0; i < ARRAY_SIZE(required); i++) {
		if (ioctl(fd, KVM_CHECK_EXTENSION, required[i].number) > 0)
			continue;
		snprintf(cause, sizeof(cause), "the KVM of this kernel has no %s",
			 required[i].name);
		return report(out, KVM_STATE_TOO_OLD, cause, "use Linux 5.4 or later on the host");
	}
	(void)report(out, KVM_STATE_OK, "KVM with all that a sandbox needs", "%s", "");
	return 0;
}

int kvm_open_at(const struct kvm_places *places, struct kvm_report *why, int *out)
{
	const bool vendor_driver =
		module_loaded(places, "kvm_intel") || module_loaded(places, "kvm_amd");
	AUTO_CLOSE int fd = open(places->device, O_RDWR | O_CLOEXEC);
	const int err = fd < 0 ? errno : 0;
	const bool not_allowed = err == EACCES || err == EPERM;
	char cause[sizeof(why->cause)];
	int r;

	/* Look for hardware before permission: without it, permission would not help. */
	if ((fd >= 0 || not_allowed) && !vendor_driver && !kvm_cpu_flag(places)) {
		snprintf(cause, sizeof(cause), "%s has no hardware behind it%s", places->device,
			 module_loaded(places, "kvm_pvm") ? " (it is kvm_pvm, in software)" : "");
		return report(
			why, KVM_STATE_NO_HARDWARE, cause,
			"use a host whose processor shows VT-x or AMD-V (a virtual machine needs "
			"nested virtualization), or the emulated one: ./dev lab in the source "
			"tree");
	}
	if (not_allowed)
		return report_permission(places, why);
	if (err == ENOENT || err == ENXIO || err == ENODEV)
		return report_missing(places, why);
	if (fd < 0) {
		snprintf(cause, sizeof(cause), "cannot open %s: %s", places->device, strerror(err));
		return report(why, KVM_STATE_UNUSABLE, cause, "see `sudo dmesg | grep -i kvm`");
	}
	r = check_answers(fd, places, why);
	if (r == 0)
		*out = steal_fd(&fd);
	return r;
}

int kvm_open(int *fd)
{
	struct kvm_report why;
	int r = kvm_open_at(&kvm_host_places, &why, fd);

	if (r < 0)
		log_error("%s; %s", why.cause, why.cure);
	return r;
}
