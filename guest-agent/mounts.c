/* SPDX-License-Identifier: MIT */
#include "guest-agent/mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <sys/sysmacros.h>
#include <sys/utsname.h>

#include "common/agent_protocol.h"
#include "guest-agent/etc.h"
#include "guest-agent/files.h"
#include "guest-agent/home.h"

#define BASE_TOP   "/base"
#define MAPS_TOP   "/maps"
#define MEMORY_TOP "/memory"
#define NEW_ROOT   "/newroot"

static int make_dir(const char *path, mode_t mode)
{
	return mkdir(path, mode) < 0 && errno != EEXIST ? -errno : 0;
}

/* Makes the mount point and mounts. */
static int mount_at(const char *source, const char *path, const char *type, unsigned long flags,
		    const char *data, struct text *why)
{
	int r = make_dir(path, 0755);

	if (r == 0 && mount(source, path, type, flags, data) < 0)
		r = -errno;
	return r < 0 ? text_fail(why, r, "mount", path) : 0;
}

int mounts_early(struct text *why)
{
	/* A kernel may have mounted it itself (CONFIG_DEVTMPFS_MOUNT does not, for an initramfs). */
	int r = mount_at("dev", "/dev", "devtmpfs", MS_NOSUID, "mode=0755", why);

	return r == -EBUSY ? 0 : r;
}

/*
 * 80 % of RAM: a full disk ends in ENOSPC before the kernel has to kill
 * processes, and the rest is enough for them to say so. One inode a page of
 * RAM, twice the default: trees of small files (a checkout, node_modules) run
 * out of those first; they cost about 1 KiB each.
 */
static int mount_memory(struct text *why)
{
	struct text options = {.len = 0};
	struct sysinfo si;
	uint64_t pages;

	if (sysinfo(&si) < 0)
		return text_fail(why, -errno, "learn the size of memory", NULL);
	pages = (uint64_t)si.totalram * si.mem_unit / 4096;
	text_add(&options, "mode=0755,size=80%,nr_inodes=");
	text_add_u32(&options, (uint32_t)min_u64(pages, UINT32_MAX));
	return mount_at("memory", MEMORY_TOP, "tmpfs", 0, options.buf, why);
}

/* The empty folders in memory: name there, where it is mounted, and how. */
struct private_dir {
	const char *name;
	const char *path;
	mode_t mode;
	uint64_t attributes;
};

static const struct private_dir private_dirs[] = {
	{"home", "/home", 0755, 0},
	{"tmp", "/tmp", 01777, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV},
	{"vartmp", "/var/tmp", 01777, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV},
	{"run", "/run", 0755, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV},
	{"shm", "/dev/shm", 01777, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV},
};

static int fill_memory(struct text *why)
{
	if (chdir(MEMORY_TOP) < 0 || mkdir("upper", 0755) < 0 || mkdir("work", 0755) < 0)
		return text_fail(why, -errno, "make a folder in", MEMORY_TOP);
	for (size_t i = 0; i < ARRAY_SIZE(private_dirs); i++)
		if (mkdir(private_dirs[i].name, private_dirs[i].mode) < 0)
			return text_fail(why, -errno, "make a folder in", MEMORY_TOP);
	return 0;
}

/* Puts a folder or file of one of the top mounts at `path`, which exists, below dir_fd. */
static int bind_on(int top, const char *name, int dir_fd, const char *path, uint64_t attributes)
{
	struct mount_attr attr = {.attr_set = attributes};
	AUTO_CLOSE int fd = open_tree(top, name, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (attributes && mount_setattr(fd, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0)
		return -errno;
	if (move_mount(fd, "", dir_fd, path,
		       MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_SYMLINKS | MOVE_MOUNT_T_EMPTY_PATH) <
	    0)
		return -errno;
	return 0;
}

static int bind_at(int top, const char *name, const char *path, uint64_t attributes)
{
	return bind_on(top, name, AT_FDCWD, path, attributes);
}

static int mount_private_dirs(const struct mounts *m, struct text *why)
{
	for (size_t i = 0; i < ARRAY_SIZE(private_dirs); i++) {
		const struct private_dir *d = &private_dirs[i];
		int r = make_dirs(d->path);

		if (r == 0)
			r = bind_at(m->memory, d->name, d->path, d->attributes);
		if (r < 0)
			return text_fail(why, r, "mount", d->path);
	}
	return 0;
}

/*
 * What udev and systemd do on the distribution, for there is neither: the nodes
 * that any user may open, two of which load their module when they are, and the
 * settings of sysctl.d/50-default.conf that programs of users meet.
 */
static void be_a_distribution(void)
{
	static const struct {
		const char *path;
		mode_t mode;
		unsigned int minor; /* of the misc devices, major 10 */
	} nodes[] = {
		{"/dev/fuse", 0666, 229},
		{"/dev/net/tun", 0666, 200},
		{"/dev/loop-control", 0660, 237},
	};
	static const char *const settings[][2] = {
		{"/proc/sys/net/ipv4/ping_group_range", "0 2147483647"},
		{"/proc/sys/fs/protected_hardlinks", "1"},
		{"/proc/sys/fs/protected_symlinks", "1"},
		{"/proc/sys/fs/protected_fifos", "1"},
		{"/proc/sys/fs/protected_regular", "2"},
	};

	(void)!make_dir("/dev/net", 0755);
	for (size_t i = 0; i < ARRAY_SIZE(nodes); i++) {
		(void)!mknod(nodes[i].path, S_IFCHR | nodes[i].mode, makedev(10, nodes[i].minor));
		(void)!chmod(nodes[i].path, nodes[i].mode);
	}
	/* A kernel may lack any of them. */
	for (size_t i = 0; i < ARRAY_SIZE(settings); i++) {
		AUTO_CLOSE int fd = open(settings[i][0], O_WRONLY | O_CLOEXEC);

		if (fd >= 0)
			(void)!write(fd, settings[i][1], strlen(settings[i][1]));
	}
}

static int mount_kernel_trees(struct text *why)
{
	enum { HARMLESS = MS_NOSUID | MS_NODEV | MS_NOEXEC };
	static const char *const links[][2] = {
		{"/proc/self/fd", "/dev/fd"},
		{"/proc/self/fd/0", "/dev/stdin"},
		{"/proc/self/fd/1", "/dev/stdout"},
		{"/proc/self/fd/2", "/dev/stderr"},
	};
	struct text ignored;
	int r;

	r = mount_at("proc", "/proc", "proc", HARMLESS, NULL, why);
	if (r == 0)
		r = mount_at("sysfs", "/sys", "sysfs", HARMLESS, NULL, why);
	/* Group 5 is "tty" on every distribution. */
	if (r == 0)
		r = mount_at("devpts", "/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC,
			     "gid=5,mode=0620,ptmxmode=0666", why);
	if (r < 0)
		return r;
	/* A kernel may lack these two, and few programs miss them. */
	(void)!mount_at("mqueue", "/dev/mqueue", "mqueue", HARMLESS, NULL, &ignored);
	(void)!mount_at("cgroup2", "/sys/fs/cgroup", "cgroup2", HARMLESS,
			"nsdelegate,memory_recursiveprot", &ignored);
	for (size_t i = 0; i < ARRAY_SIZE(links); i++)
		if (symlink(links[i][0], links[i][1]) < 0 && errno != EEXIST)
			return text_fail(why, -errno, "make the link", links[i][1]);
	be_a_distribution();
	return 0;
}

/* The modules of the kernel that runs, where programs look for them. */
static int mount_modules(const struct mounts *m, struct text *why)
{
	struct text path = {.len = 0};
	struct utsname uts;
	int r;

	if (uname(&uts) < 0)
		return text_fail(why, -errno, "learn the kernel's version", NULL);
	text_add(&path, "/lib/modules/");
	text_add(&path, uts.release);
	r = make_dirs(path.buf);
	if (r == 0)
		r = bind_at(m->base, SC_FS_MODULES, path.buf, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
	return r < 0 ? text_fail(why, r, "mount", path.buf) : 0;
}

/* From the initramfs, which cannot be unmounted, into the tree at NEW_ROOT. */
static int enter_new_root(struct text *why)
{
	int r = make_dir(NEW_ROOT "/dev", 0755);

	if (r < 0 || mount("/dev", NEW_ROOT "/dev", NULL, MS_MOVE, NULL) < 0 ||
	    chdir(NEW_ROOT) < 0 || mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0 ||
	    chdir("/") < 0)
		return text_fail(why, r < 0 ? r : -errno, "enter the new root", NULL);
	return 0;
}

int mounts_root(struct mounts *m, struct text *why)
{
	int r;

	*m = (struct mounts){.maps = -1, .base = -1, .memory = -1};
	/* Read-only: or the kernel would ask for the time of the last access after each read. */
	r = mount_at(SC_FS_TAG, BASE_TOP, "virtiofs", MS_RDONLY, NULL, why);
	if (r == 0)
		r = mount_at(SC_FS_MAPS_TAG, MAPS_TOP, "virtiofs", 0, NULL, why);
	if (r == 0)
		r = mount_memory(why);
	if (r == 0)
		r = fill_memory(why);
	/*
	 * volatile: nothing in memory needs a sync. redirect_dir and metacopy:
	 * renaming a folder or changing an owner of the host's does not copy it.
	 */
	if (r == 0)
		r = mount_at("overlay", NEW_ROOT, "overlay", 0,
			     "lowerdir=" BASE_TOP "/" SC_FS_BASE ",upperdir=" MEMORY_TOP
			     "/upper,workdir=" MEMORY_TOP
			     "/work,volatile,redirect_dir=on,metacopy=on",
			     why);
	if (r < 0)
		return r;
	m->maps = open(MAPS_TOP, O_PATH | O_CLOEXEC);
	m->base = open(BASE_TOP, O_PATH | O_CLOEXEC);
	m->memory = open(MEMORY_TOP, O_PATH | O_CLOEXEC);
	if (m->maps < 0 || m->base < 0 || m->memory < 0)
		return text_fail(why, -errno, "open", "the top mounts");
	r = enter_new_root(why);
	if (r == 0)
		r = mount_kernel_trees(why);
	if (r == 0)
		r = mount_private_dirs(m, why);
	if (r == 0)
		r = mount_modules(m, why);
	return r;
}

static bool is_below(const char *path, const char *dir)
{
	size_t n = strlen(dir);

	return strncmp(path, dir, n) == 0 && path[n] == '/';
}

/* At or below the user's home: what is made there is the user's, as if they had made it. */
static bool is_users(const char *path, const struct setup *s)
{
	return strcmp(path, s->home) == 0 || is_below(path, s->home);
}

/*
 * Opens a folder of the path, `part`, below its parent, and makes it if it is
 * missing. What we made is not looked up again by a link that somebody put in its place.
 */
static int open_part(int parent, const char *name, const char *part, const struct setup *s)
{
	const bool made = mkdirat(parent, name, strcmp(part, s->home) == 0 ? 0700 : 0755) == 0;
	AUTO_CLOSE int fd = -1;

	if (!made && errno != EEXIST)
		return -errno;
	fd = openat(parent, name, O_PATH | O_DIRECTORY | O_CLOEXEC | (made ? O_NOFOLLOW : 0));
	if (fd < 0 ||
	    (made && is_users(part, s) && fchownat(fd, "", s->uid, s->gid, AT_EMPTY_PATH) < 0))
		return -errno;
	return steal_fd(&fd);
}

/* Makes what is missing of a path (plain, see messages.h; "" is the root); O_PATH. */
static int make_path(const char *path, const struct setup *s)
{
	AUTO_CLOSE int fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	char part[PATH_MAX];
	size_t len = strlen(path), from = 1;

	for (size_t i = 1; fd >= 0 && i <= len; i++) {
		int next;

		if (path[i] != '/' && path[i] != '\0')
			continue;
		memcpy(part, path, i);
		part[i] = '\0';
		next = open_part(fd, part + from, part, s);
		if (next < 0)
			return next;
		close(fd);
		fd = next;
		from = i + 1;
	}
	return fd < 0 ? -errno : steal_fd(&fd);
}

/* The file to put another one over, made if it is missing; O_PATH. */
static int make_file(int parent, const char *name, const char *path, const struct setup *s)
{
	AUTO_CLOSE int fd = openat(parent, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	int r;

	if (fd < 0 && errno != EEXIST)
		return -errno;
	if (fd >= 0 && is_users(path, s) && fchown(fd, s->uid, s->gid) < 0)
		return -errno;
	r = openat(parent, name, O_PATH | O_CLOEXEC);
	return r < 0 ? -errno : r;
}

/* An O_PATH descriptor of the place where the map is to be mounted. */
static int make_place(const struct setup_map *map, const struct setup *s)
{
	char parent[PATH_MAX];
	const char *name = strrchr(map->path, '/');
	size_t len = (size_t)(name - map->path);
	int dir, fd;

	if (!map->map.is_file)
		return make_path(map->path, s);
	memcpy(parent, map->path, len);
	parent[len] = '\0';
	dir = make_path(parent, s);
	fd = dir < 0 ? dir : make_file(dir, name + 1, map->path, s);
	if (dir >= 0)
		close(dir);
	return fd;
}

/*
 * A folder and, above it, a layer in memory that takes the changes. The layer's top is the
 * folder itself to who looks, so it has its owner and mode.
 */
static int mount_layered(const struct mounts *m, const char *name, int place)
{
	struct text maps = {.len = 0}, layer = {.len = 0}, options = {.len = 0}, at = {.len = 0};
	AUTO_CLOSE int dir = -1;
	struct stat st;

	if (m->memory < 0)
		return -EOPNOTSUPP;
	if (fstatat(m->maps, name, &st, 0) < 0 || mkdirat(m->memory, name, 0700) < 0)
		return -errno;
	dir = openat(m->memory, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0 || mkdirat(dir, "upper", 0700) < 0 || mkdirat(dir, "work", 0700) < 0 ||
	    fchownat(dir, "upper", st.st_uid, st.st_gid, 0) < 0 ||
	    fchmodat(dir, "upper", st.st_mode & 07777, 0) < 0)
		return -errno;
	text_add(&maps, "/proc/self/fd/");
	text_add_u32(&maps, (uint32_t)m->maps);
	text_add(&layer, "/proc/self/fd/");
	text_add_u32(&layer, (uint32_t)dir);
	text_add(&at, "/proc/self/fd/");
	text_add_u32(&at, (uint32_t)place);
	text_add(&options, "lowerdir=");
	text_add(&options, maps.buf);
	text_add(&options, "/");
	text_add(&options, name);
	text_add(&options, ",upperdir=");
	text_add(&options, layer.buf);
	text_add(&options, "/upper,workdir=");
	text_add(&options, layer.buf);
	text_add(&options, "/work,volatile,redirect_dir=on,metacopy=on");
	return mount("overlay", at.buf, "overlay", MS_NOSUID | MS_NODEV, options.buf) < 0 ? -errno
											  : 0;
}

static int mount_map(const struct mounts *m, const struct setup_map *map, const struct setup *s)
{
	uint64_t attributes = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
	AUTO_CLOSE int place = make_place(map, s);
	struct text name = {.len = 0};

	text_add(&name, "map");
	text_add_u32(&name, map->map.index);
	if (map->map.discard)
		return place < 0 ? place : mount_layered(m, name.buf, place);
	if (map->map.is_file)
		text_add(&name, "/file");
	if (!map->map.writable)
		attributes |= MOUNT_ATTR_RDONLY;
	return place < 0 ? place : bind_on(m->maps, name.buf, place, "", attributes);
}

int mounts_add(const struct mounts *m, const struct setup_map *map, const struct setup *s,
	       struct text *why)
{
	int r = mount_map(m, map, s);

	return r < 0 ? text_fail(why, r, "mount the share at", map->path) : 0;
}

/* Whether something of the maps is there; without asking the host, which may refuse. */
static bool is_of_maps(const struct mounts *m, int fd)
{
	struct statx top, there;
	const int flags = AT_EMPTY_PATH | AT_STATX_DONT_SYNC;

	return statx(m->maps, "", flags, 0, &top) == 0 && statx(fd, "", flags, 0, &there) == 0 &&
	       top.stx_dev_major == there.stx_dev_major && top.stx_dev_minor == there.stx_dev_minor;
}

static int detach(int fd)
{
	struct text path = {.len = 0};

	text_add(&path, "/proc/self/fd/");
	text_add_u32(&path, (uint32_t)fd);
	return umount2(path.buf, MNT_DETACH) < 0 ? -errno : 0;
}

int mounts_remove(const struct mounts *m, const struct setup_map *map, struct text *why)
{
	AUTO_CLOSE int fd = open(map->path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	int synced = map->map.writable ? mounts_sync(m) : 0;
	int r = 0;

	/* If it is not there, someone in here has unmounted it. */
	if (fd >= 0 && (map->map.discard || is_of_maps(m, fd)))
		r = detach(fd);
	if (r < 0 && r != -EINVAL)
		return text_fail(why, r, "detach the share at", map->path);
	if (synced < 0)
		return text_fail(why, synced, "write back what was changed below", map->path);
	return 0;
}

/* Lazily: what was bound from a top keeps working without it. */
static int detach_top(int *fd)
{
	int r = detach(*fd);

	close(*fd);
	*fd = -1;
	return r;
}

int mounts_finish(struct mounts *m, struct setup *s, struct text *why)
{
	bool new_home = access(s->home, F_OK) < 0;
	/* Most bases have one, with what packages say is in it. */
	int r = make_dir("/root", 0700);

	if (r == 0)
		r = make_path(s->home, s);
	if (r < 0)
		return text_fail(why, r, "make the home directory", s->home);
	close(r);
	if (new_home)
		home_fill("/etc/skel", s->home, s->uid, s->gid);
	for (size_t i = 0; i < s->n_maps; i++) {
		r = mount_map(m, &s->maps[i], s);
		if (r < 0)
			return text_fail(why, r, "mount the map at", s->maps[i].path);
	}
	r = etc_finish(s, why);
	if (r < 0)
		return r;
	if (mkdir("/run/user", 0755) < 0 || mkdir("/run/lock", 01777) < 0)
		return text_fail(why, -errno, "make a folder in", "/run");
	close(m->base);
	m->base = -1;
	r = detach_top(&m->memory);
	return r < 0 ? text_fail(why, r, "detach", "the memory file system") : 0;
}

int mounts_sync(const struct mounts *m)
{
	AUTO_CLOSE int fd = openat(m->maps, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 || syncfs(fd) < 0 ? -errno : 0;
}
