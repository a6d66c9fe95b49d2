/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "common/agent_protocol.h"
#include "common/log.h"
#include "common/text.h"
#include "image/initramfs/initramfs_priv.h"
#include "image/kernel/unpack.h"

/* Debian's modules.dep has 0.6 MB, its largest module 12 MB. */
#define TEXT_FILE_MAX (16ull << 20)
#define MODULE_MAX    (64ull << 20)

enum {
	CONSOLE_MAJOR = 5,
	CONSOLE_MINOR = 1,

	/* The kernel's Documentation/driver-api/early-userspace/buffer-format.rst, "newc". */
	CPIO_HEADER = 110,
	CPIO_ALIGN = 4,
};

/* Where the agent will find the module in the initramfs. */
#define MODULE_DIR "lib/modules"

/* Where a compressed module is unpacked to. */
struct module_sink {
	struct unpack_sink base;
	struct buffer *out;
};

static int write_module(struct unpack_sink *base, const void *data, size_t len)
{
	return buffer_add(CONTAINER_OF(base, struct module_sink, base)->out, data, len);
}

/* A regular file; anything else may never end. */
static int read_file(int fd, size_t max, struct buffer *out)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	return S_ISREG(st.st_mode) ? read_whole(fd, max, out) : -EINVAL;
}

static int open_below(const char *dir, const char *name)
{
	char path[PATH_MAX];
	int fd;

	if (snprintf(path, sizeof(path), "%s/%s", dir, name) >= PATH_MAX)
		return -ENAMETOOLONG;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	return fd < 0 ? -errno : fd;
}

static int read_text(const char *dir, const char *name, struct buffer *out)
{
	AUTO_CLOSE int fd = open_below(dir, name);

	return fd < 0 ? fd : read_file(fd, TEXT_FILE_MAX, out);
}

/* A module as the kernel loads it: a distribution may have compressed the file. */
static int read_module(const char *dir, const char *path, struct buffer *out)
{
	AUTO_CLOSE int fd = open_below(dir, path);
	const char *dot = strrchr(path, '.');
	struct module_sink sink = {{.write = write_module}, out};
	struct stat st;

	if (fd < 0)
		return fd;
	if (dot && strcmp(dot, ".ko") == 0)
		return read_file(fd, MODULE_MAX, out);
	if (fstat(fd, &st) < 0)
		return -errno;
	return unpack_range(fd, 0, (uint64_t)st.st_size, MODULE_MAX, &sink.base);
}

static int pad(struct buffer *image)
{
	static const uint8_t zeroes[CPIO_ALIGN];

	return buffer_add(image, zeroes, (size_t)(-image->len & (CPIO_ALIGN - 1)));
}

/* One entry of a newc archive: header, name and data, each padded to 4 bytes. */
static int add_node(struct buffer *image, const char *path, mode_t mode, dev_t rdev,
		    const void *data, size_t len)
{
	char header[CPIO_HEADER + 1];
	size_t name = strlen(path) + 1;
	int r;

	if (len > UINT32_MAX)
		return -EFBIG;
	/* Number, mode, owner, group, links, time, size, device and special device, name, 0. */
	snprintf(header, sizeof(header),
		 "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x", 0u, mode, 0u, 0u, 1u,
		 0u, (uint32_t)len, 0u, 0u, major(rdev), minor(rdev), (uint32_t)name, 0u);
	r = buffer_add(image, header, CPIO_HEADER);
	if (r == 0)
		r = buffer_add(image, path, name);
	if (r == 0)
		r = pad(image);
	if (r == 0 && len > 0)
		r = buffer_add(image, data, len);
	return r == 0 ? pad(image) : r;
}

static int add_skeleton(struct buffer *image, const struct agent_image *agent)
{
	static const char *const dirs[] = {"dev", "proc", "sys", "run",
					   "tmp", "mnt",  "lib", MODULE_DIR};
	int r = 0;

	for (size_t i = 0; i < ARRAY_SIZE(dirs) && r == 0; i++)
		r = add_node(image, dirs[i], S_IFDIR | 0755, 0, NULL, 0);
	/* With it the kernel gives init its stdin, stdout and stderr before devtmpfs is there. */
	if (r == 0)
		r = add_node(image, "dev/console", S_IFCHR | 0600,
			     makedev(CONSOLE_MAJOR, CONSOLE_MINOR), NULL, 0);
	if (r == 0)
		r = add_node(image, "init", S_IFREG | 0755, 0, agent->data, agent->len);
	return r;
}

static int add_module(struct buffer *image, const struct kernel_image *k,
		      const struct module_file *f, struct buffer *list)
{
	struct buffer ko = {0};
	char path[PATH_MAX], line[2 * PATH_MAX];
	int r = read_module(k->modules, f->path, &ko);

	if (r < 0 && !f->optional)
		log_error("cannot read the module %s/%s: %s; install the kernel's package again",
			  k->modules, f->path, r == -EBADMSG ? "it is damaged" : strerror(-r));
	if (r < 0) {
		free(ko.data);
		return f->optional ? 0 : r;
	}
	snprintf(path, sizeof(path), MODULE_DIR "/%s.ko", f->name);
	snprintf(line, sizeof(line), "%s/%s%s%s\n", f->optional ? "?" : "", path,
		 f->params ? " " : "", f->params ? f->params : "");
	r = add_node(image, path, S_IFREG | 0644, 0, ko.data, ko.len);
	if (r == 0)
		r = buffer_add(list, line, strlen(line));
	if (r < 0)
		log_error("cannot build the initramfs: out of memory");
	free(ko.data);
	return r;
}

static int write_archive(const struct kernel_image *k, const struct agent_image *agent,
			 const struct module_list *modules, struct buffer *image)
{
	struct buffer list = {0};
	int r = add_skeleton(image, agent);

	if (r < 0)
		log_error("cannot build the initramfs: out of memory");
	for (size_t i = 0; i < modules->n && r == 0; i++)
		r = add_module(image, k, &modules->files[i], &list);
	if (r == 0 && ((r = add_node(image, &SC_MODULES_LIST[1], S_IFREG | 0644, 0, list.data,
				     list.len)) < 0 ||
		       (r = add_node(image, "TRAILER!!!", 0, 0, NULL, 0)) < 0))
		log_error("cannot build the initramfs: out of memory");
	free(list.data);
	return r;
}

static void log_missing(const struct kernel_image *k, const char *module)
{
	if (strstr(k->release, "cloud"))
		log_error("the kernel %s has no module %s: kernels for clouds leave drivers out, "
			  "all of "
			  "displays among them; `sudo apt install linux-image-amd64` and give that "
			  "one with --kernel FILE",
			  k->path, module);
	else
		log_error("the kernel %s has no module %s, neither in %s nor built in; give a "
			  "distribution's kernel with --kernel FILE",
			  k->path, module, k->modules);
}

int initramfs_resolve(const struct kernel_image *k, const char *const *wanted,
		      struct module_list *out)
{
	struct buffer dep = {0}, builtin = {0};
	const char *missing = NULL;
	int r;

	r = read_text(k->modules, "modules.dep", &dep);
	if (r < 0) {
		log_error("cannot read %s/modules.dep: %s; write it with `sudo depmod %s`",
			  k->modules, strerror(-r), k->release);
		goto done;
	}
	/* A kernel without this file has said nothing about what is built in. */
	if (read_text(k->modules, "modules.builtin", &builtin) < 0)
		builtin.len = 0;
	r = modules_resolve((const char *)dep.data, builtin.len ? (const char *)builtin.data : "",
			    wanted, out, &missing);
	if (r == -ENOENT)
		log_missing(k, missing);
	else if (r < 0)
		log_error("cannot use %s/modules.dep: %s; write it again with `sudo depmod %s`",
			  k->modules, strerror(-r), k->release);
done:
	free(dep.data);
	free(builtin.data);
	return r;
}

int initramfs_build(const struct kernel_image *k, const struct agent_image *agent,
		    const struct module_list *modules, size_t room, uint8_t **out, size_t *out_len)
{
	struct buffer image = {0};
	int r = buffer_reserve(&image, room);

	if (r < 0) {
		log_error("cannot build the initramfs: out of memory");
		return r;
	}
	if (room > 0)
		memset(image.data, 0, room);
	image.len = room;
	r = write_archive(k, agent, modules, &image);
	if (r < 0) {
		free(image.data);
		return r;
	}
	*out = (uint8_t *)image.data;
	*out_len = image.len;
	return 0;
}
