/* SPDX-License-Identifier: MIT */
#include "vmm/confine/confine.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "common/log.h"
#include "vmm/confine/landlock.h"
#include "common/mounts.h"

/* prctl(2) of Linux 6.3, which an older <linux/prctl.h> does not have. */
enum { SET_MDWE = 65, MDWE_REFUSE_EXEC_GAIN = 1 };

struct confine {
	const struct confine_setup *setup;
	struct landlock_place *places; /* what is held */
	size_t n;
};

/* ---- what is held ---- */

/* Regular descriptors of files show no more than their file; by an O_PATH one it is opened. */
static bool leads_somewhere(int fd)
{
	const int flags = fcntl(fd, F_GETFL);
	struct stat st;

	return flags >= 0 && fstat(fd, &st) == 0 &&
	       (S_ISDIR(st.st_mode) || ((flags & O_PATH) && S_ISREG(st.st_mode)));
}

static bool is_writable(const struct confine *c, int fd)
{
	for (size_t i = 0; i < c->setup->n_writable; i++)
		if (c->setup->writable[i] == fd)
			return true;
	return false;
}

static int add_place(struct confine *c, int fd)
{
	struct landlock_place *grown = reallocarray(c->places, c->n + 1, sizeof(*grown));

	if (!grown)
		return -ENOMEM;
	c->places = grown;
	grown[c->n++] = (struct landlock_place){.fd = fd, .writable = is_writable(c, fd)};
	return 0;
}

static int find_places(struct confine *c)
{
	DIR *dir = opendir("/proc/self/fd");
	const struct dirent *e;
	int r = 0;

	if (!dir)
		return -errno;
	while (r == 0 && (e = readdir(dir)) != NULL) {
		char *end;
		const long fd = strtol(e->d_name, &end, 10);

		if (*end == '\0' && fd != dirfd(dir) && leads_somewhere((int)fd))
			r = add_place(c, (int)fd);
	}
	closedir(dir);
	return r;
}

/* ---- the layers, in order ---- */

static PRINTF_LIKE(3, 4) int failed(struct confinement *out, int error, const char *fmt, ...)
{
	const size_t size = sizeof(out->why);
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(out->why, size, fmt, ap);
	va_end(ap);
	if (n >= 0 && (size_t)n < size)
		snprintf(out->why + n, size - (size_t)n, ": %s", strerror(-error));
	return error;
}

/* The folder as messages have it. */
static void name_of(int fd, char *buf, size_t size)
{
	char link[32];
	ssize_t n;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	n = readlink(link, buf, size - 1);
	buf[n < 0 ? 0 : n] = '\0';
}

static int replace_places(const struct confine *c, struct confinement *out)
{
	for (size_t i = 0; i < c->n; i++) {
		const int fd = c->places[i].fd;
		const int guard = fd == c->setup->locked ? c->setup->guard : -1;
		int r = mount_replace(fd, c->places[i].writable, guard);

		if (r < 0) {
			char name[80];

			name_of(fd, name, sizeof(name));
			return failed(out, r, "%s cannot be detached", name);
		}
	}
	return 0;
}

/* Namespaces, mounts, root: everything is as before, or reached by more descriptors, on failure. */
static int move_out(const struct confine *c, struct confinement *out)
{
	AUTO_CLOSE int nothing = -1;
	int r = mounts_enter();

	if (r < 0)
		return failed(out, r, "the host lets users make no namespaces");
	/* Where AppArmor has a say, the namespaces can be made and nothing be done in them. */
	nothing = mount_nothing();
	if (nothing < 0)
		return failed(out, nothing, "the host lets users mount nothing in namespaces");
	r = replace_places(c, out);
	if (r < 0)
		return r;
	r = mount_as_root(nothing);
	if (r < 0)
		return failed(out, r, "the root cannot be left");
	out->mounts = true;
	/* What it is connected to stays. */
	out->network = unshare(CLONE_NEWNET) == 0;
	return 0;
}

static int drop_capabilities(void)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct none[2] = {0}, left[2];

	/* Whoever may not do this has none that it could get back. */
	for (unsigned long cap = 0; prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) == 0; cap++)
		;
	(void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	if (syscall(SYS_capset, &head, none) < 0 || syscall(SYS_capget, &head, left) < 0)
		return -errno;
	for (size_t i = 0; i < ARRAY_SIZE(left); i++)
		if (left[i].effective || left[i].permitted || left[i].inheritable)
			return -EPERM;
	return 0;
}

static int give_up_privileges(void)
{
	const struct rlimit none = {0};
	int r = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ? -errno : drop_capabilities();

	if (r < 0)
		return r;
	/* A core_pattern that is a pipe does not ask the limit. */
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 || setrlimit(RLIMIT_CORE, &none) < 0 ||
	    setrlimit(RLIMIT_MEMLOCK, &none) < 0)
		return -errno;
	/* No page becomes a program's, where the kernel can see to that. */
	(void)prctl(SET_MDWE, MDWE_REFUSE_EXEC_GAIN, 0, 0, 0);
	return 0;
}

static int apply_landlock(const struct confine *c, struct confinement *out)
{
	const int abi = landlock_abi();
	int r = out->mounts ? landlock_never() : landlock_only(c->places, c->n);

	if (r == 0)
		out->landlock = abi;
	return r == -ENOTSUP && out->mounts ? 0 : r;
}

static int refuse(const struct confinement *out, int error)
{
	log_error("the sandbox's process cannot be confined (%s; Landlock: %s): see "
		  "docs/confinement.md, or go without with --confine=weak",
		  out->why, strerror(-error));
	return -EOPNOTSUPP;
}

int confine(const struct confine_setup *setup, struct confinement *out)
{
	struct confine c = {.setup = setup};
	int r = find_places(&c);

	*out = (struct confinement){.mounts = false};
	if (r == 0)
		(void)!move_out(&c, out);
	if (r == 0)
		r = give_up_privileges();
	if (r < 0) {
		log_error("the sandbox's process cannot give up its privileges: %s", strerror(-r));
	} else {
		r = apply_landlock(&c, out);
		if (r < 0 && setup->weak)
			r = 0;
		else if (r < 0)
			r = refuse(out, r);
	}
	free(c.places);
	return r;
}

const char *confinement_text(const struct confinement *c)
{
	if (c->mounts)
		return c->landlock ? "mounts of its own, and Landlock" : "mounts of its own";
	return c->landlock ? "Landlock" : "nothing";
}
