/* SPDX-License-Identifier: MIT */
#include "image/kernel/kernel.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>

#include "common/log.h"
#include "image/kernel/bzimage.h"
#include "image/kernel/cache.h"
#include "image/kernel/kernel_priv.h"

enum { MAX_CANDIDATES = 64 };

static int fail(struct kernel_why *why, int err, const char *fmt, ...) PRINTF_LIKE(3, 4);

static int fail(struct kernel_why *why, int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why->text, sizeof(why->text), fmt, ap);
	va_end(ap);
	return err;
}

static int cannot_read(const char *path, int err, struct kernel_why *why)
{
	if (err == -EACCES || err == -EPERM)
		return fail(why, err,
			    "the kernel %s is not readable for you; make it so with `sudo chmod "
			    "a+r %s`, or give a copy with --kernel FILE",
			    path, path);
	return fail(why, err, "cannot read the kernel %s: %s; give another with --kernel FILE",
		    path, strerror(-err));
}

/* A kernel file, open and recognised. */
struct candidate {
	int fd;
	bool compressed;
	struct bzimage bz; /* release in both cases, the rest if compressed */
};

static int recognise(int fd, const char *path, struct candidate *c, struct kernel_why *why)
{
	AUTO_FREE uint8_t *head = malloc(BZIMAGE_HEAD);
	struct stat st;
	ssize_t n;
	int r;

	if (!head)
		return fail(why, -ENOMEM, "out of memory");
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return fail(why, -ENOEXEC,
			    "%s is not a file, so it is not a kernel; give a bzImage or an ELF "
			    "vmlinux with --kernel FILE",
			    path);
	n = pread(fd, head, BZIMAGE_HEAD, 0);
	if (n < 0)
		return cannot_read(path, -errno, why);

	r = bzimage_parse(head, (size_t)n, (uint64_t)st.st_size, &c->bz);
	c->compressed = r == 0;
	if (r == -ENOEXEC && vmlinux_check(fd) == 0)
		r = vmlinux_release(fd, c->bz.release);
	if (r == -EBADMSG)
		return fail(why, r,
			    "the kernel %s is damaged; install its package again or give another "
			    "with --kernel FILE",
			    path);
	if (r == -ENOTSUP)
		return fail(why, r,
			    "the kernel %s is not a 64-bit one of Linux 3.8 or later; give another "
			    "with --kernel FILE",
			    path);
	if (r < 0)
		return fail(why, r,
			    "%s is not a Linux kernel for x86-64 (a bzImage or an ELF vmlinux); "
			    "give another with --kernel FILE",
			    path);
	c->fd = fd;
	return 0;
}

static bool has_modules(const char *dir)
{
	char path[PATH_MAX];

	return snprintf(path, sizeof(path), "%s/modules.dep", dir) < PATH_MAX &&
	       access(path, R_OK) == 0;
}

/* For a kernel the user named: what an unpacked kernel package has beside it. */
static bool modules_beside(const char *path, const char *release, char *out)
{
	const char *slash = strrchr(path, '/');
	const int dir_len = slash ? (int)(slash - path) : 1;
	const char *dir = slash ? path : ".";

	return (snprintf(out, PATH_MAX, "%.*s/../lib/modules/%s", dir_len, dir, release) <
			PATH_MAX &&
		has_modules(out)) ||
	       (snprintf(out, PATH_MAX, "%.*s", dir_len, dir) < PATH_MAX && has_modules(out));
}

static int find_modules(const struct kernel_places *places, const char *path, bool named,
			const char *release, char *out, struct kernel_why *why)
{
	if (named && modules_beside(path, release, out))
		return 0;
	if (snprintf(out, PATH_MAX, "%s/%s", places->modules, release) >= PATH_MAX)
		return fail(why, -ENAMETOOLONG, "the path of the modules of %s is too long", path);
	if (has_modules(out))
		return 0;
	if (access(out, F_OK) == 0)
		return fail(why, -ENOENT,
			    "the kernel %s has modules in %s, but no readable modules.dep there; "
			    "write it with `sudo depmod %s`",
			    path, out, release);
	return fail(why, -ENOENT,
		    "the kernel %s has no modules: there is no %s; install the package they come "
		    "in (Debian: sudo apt install linux-image-%s) or give another kernel with "
		    "--kernel FILE",
		    path, out, release);
}

static int unpack(const struct kernel_places *places, const char *path, struct candidate *c,
		  int *out, struct kernel_why *why)
{
	int r;

	if (!c->compressed) {
		*out = steal_fd(&c->fd);
		return 0;
	}
	r = kernel_cache_open(places->cache, c->fd, &c->bz, path, out);
	if (r == -EBADMSG || r == -EFBIG)
		return fail(why, r,
			    "the kernel %s cannot be unpacked: it is damaged, or compressed in a "
			    "way not known here; install its package again or give another with "
			    "--kernel FILE",
			    path);
	if (r == -ELIBACC)
		return fail(
			why, r,
			"the kernel %s cannot be unpacked without libarchive; install it "
			"(Debian: sudo apt install libarchive13) or give an unpacked kernel with "
			"--kernel FILE",
			path);
	if (r < 0)
		return fail(why, r, "cannot unpack the kernel %s: %s", path, strerror(-r));
	return 0;
}

static int try_path(const struct kernel_places *places, const char *path, bool named, bool want_elf,
		    struct kernel_image *out, struct kernel_why *why)
{
	/* Nonblocking, so that a named pipe does not hold us here. */
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct candidate c = {.fd = -1};
	struct kernel_image k = {.elf_fd = -1};
	char modules[PATH_MAX];
	int r;

	if (fd < 0)
		return cannot_read(path, -errno, why);
	r = recognise(fd, path, &c, why);
	if (r == 0)
		r = find_modules(places, path, named, c.bz.release, modules, why);
	if (r == 0 && want_elf)
		r = unpack(places, path, &c, &k.elf_fd, why);
	if (r < 0)
		return r;
	if (k.elf_fd == fd)
		steal_fd(&fd);

	k.path = strdup(path);
	k.release = strdup(c.bz.release);
	k.modules = strdup(modules);
	if (!k.path || !k.release || !k.modules) {
		kernel_image_fini(&k);
		return fail(why, -ENOMEM, "out of memory");
	}
	*out = k;
	return 0;
}

/* Releases with a kernel file, the host's own first, then the newest. */
struct releases {
	char *name[MAX_CANDIDATES];
	size_t n;
};

static bool release_has_kernel(const struct kernel_places *places, const char *release, char *path)
{
	return (snprintf(path, PATH_MAX, "%s/vmlinuz-%s", places->boot, release) < PATH_MAX &&
		access(path, F_OK) == 0) ||
	       (snprintf(path, PATH_MAX, "%s/%s/vmlinuz", places->modules, release) < PATH_MAX &&
		access(path, F_OK) == 0);
}

static int add_release(struct releases *list, const char *name)
{
	for (size_t i = 0; i < list->n; i++)
		if (strcmp(list->name[i], name) == 0)
			return 0;
	if (list->n == MAX_CANDIDATES)
		return 0;
	list->name[list->n] = strdup(name);
	return list->name[list->n] ? (list->n++, 0) : -ENOMEM;
}

/* Adds what follows `prefix` in the names of a directory's entries. */
static int scan_releases(struct releases *list, const char *dir, const char *prefix)
{
	DIR *d = opendir(dir);
	const struct dirent *e;
	int r = 0;

	if (!d)
		return 0;
	while (r == 0 && (e = readdir(d)) != NULL)
		if (e->d_name[0] != '.' && strncmp(e->d_name, prefix, strlen(prefix)) == 0)
			r = add_release(list, e->d_name + strlen(prefix));
	closedir(d);
	return r;
}

static int by_version_descending(const void *a, const void *b)
{
	return strverscmp(*(char *const *)b, *(char *const *)a);
}

static int choose(const struct kernel_places *places, bool want_elf, struct kernel_image *out,
		  struct kernel_why *why)
{
	struct releases list = {0};
	struct kernel_why first = {0}, next;
	char path[PATH_MAX];
	int r = -ENOENT;

	if (add_release(&list, places->release) < 0 ||
	    scan_releases(&list, places->boot, "vmlinuz-") < 0 ||
	    scan_releases(&list, places->modules, "") < 0) {
		r = fail(&first, -ENOMEM, "out of memory");
		goto done;
	}
	qsort(list.name + 1, list.n - 1, sizeof(list.name[0]), by_version_descending);
	for (size_t i = 0; i < list.n && r < 0; i++) {
		if (!release_has_kernel(places, list.name[i], path))
			continue;
		r = try_path(places, path, false, want_elf, out, &next);
		/* The kernel that should have been it is the one to speak of. */
		if (r < 0 && !first.text[0])
			first = next;
	}
	if (r < 0 && !first.text[0])
		fail(&first, r,
		     "there is no kernel image in %s; install one (Debian: sudo apt install "
		     "linux-image-amd64) or give one with --kernel FILE",
		     places->boot);
done:
	for (size_t i = 0; i < list.n; i++)
		free(list.name[i]);
	if (r < 0)
		*why = first;
	return r;
}

int kernel_image_open_at(const struct kernel_places *places, const char *path, bool want_elf,
			 struct kernel_image *out, struct kernel_why *why)
{
	return path ? try_path(places, path, true, want_elf, out, why)
		    : choose(places, want_elf, out, why);
}

char *kernel_cache_dir(void)
{
	return cache_user_dir("XDG_CACHE_HOME", ".cache", "sandcastle/kernels");
}

static int open_or_find(const char *path, bool want_elf, struct kernel_image *out,
			struct kernel_why *why)
{
	AUTO_FREE char *cache = want_elf ? kernel_cache_dir() : NULL;
	struct utsname host;
	struct kernel_places places = {
		.boot = "/boot",
		.modules = "/lib/modules",
		.release = host.release,
		.cache = cache,
	};

	if (uname(&host) < 0)
		return fail(why, -errno, "uname: %s", strerror(errno));
	return kernel_image_open_at(&places, path, want_elf, out, why);
}

int kernel_image_open(const char *path, struct kernel_image *out)
{
	struct kernel_why why;
	int r = open_or_find(path, true, out, &why);

	if (r < 0)
		log_error("%s", why.text);
	return r;
}

int kernel_image_find(const char *path, struct kernel_image *out, struct kernel_why *why)
{
	return open_or_find(path, false, out, why);
}

void kernel_image_fini(struct kernel_image *k)
{
	/* A zeroed one has fd 0, which is never a kernel's: stdin is open when we get here. */
	if (k->path && k->elf_fd >= 0)
		close(k->elf_fd);
	free(k->path);
	free(k->release);
	free(k->modules);
	*k = (struct kernel_image){.elf_fd = -1};
}
