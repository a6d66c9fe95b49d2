/* SPDX-License-Identifier: MIT */
#include "launcher/copy/tar_extract.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>

#include "common/exit_codes.h"
#include "common/log.h"

enum {
	CHUNK = 256 * 1024,
	DRAIN_MAX = 1024 * 1024,
	LOOK_MIN = 64 * 1024, /* bytes from one look at the free room to the next */
	LOOK_MAX = 64 * 1024 * 1024,
	ENTRY_BYTES = 4096, /* what an entry counts for beside its content */
};

#define RESERVE_MAX (1ull << 30)

/* A folder whose mode and time are set when its content is there. */
struct folder {
	struct folder *up;
	mode_t mode;
	struct timespec mtime;
	char path[]; /* below top */
};

struct job {
	const struct tar_lib *lib;
	const struct tar_extract *x;
	struct archive *a;
	struct archive_entry *entry;
	int fd;
	uint8_t *chunk;
	uint64_t entries;
	mode_t mask; /* the user's umask */
	uint64_t keep_bytes, keep_files; /* that stay free */
	uint64_t look_in; /* bytes until the free room is looked at again */
	struct folder *folders; /* each lies in the next */
	char path[PATH_MAX]; /* of the entry, below top */
};

/* What a signal has to remove. */
static volatile sig_atomic_t temporary_dir = -1;
static char temporary_name[48];

static void ended_by_signal(int signo)
{
	if (temporary_dir >= 0)
		(void)unlinkat(temporary_dir, temporary_name, 0);
	_exit(exit_code_of_signal(signo));
}

static void catch_signals(void)
{
	static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
	struct sigaction act = {.sa_handler = ended_by_signal};

	for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
		(void)sigaction(signals[i], &act, NULL);
}

static int open_beneath(int top, const char *path, uint64_t flags)
{
	struct open_how how = {
		.flags = flags | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
	};
	long fd = syscall(SYS_openat2, top, path, &how, sizeof(how));

	return fd < 0 ? -errno : (int)fd;
}

/* How much is free for the user. False if the file system does not say. */
static bool get_free(const struct job *j, uint64_t *bytes, uint64_t *files)
{
	struct statvfs st;

	if (fstatvfs(j->x->top, &st) < 0 || st.f_blocks == 0)
		return false;
	*bytes = (uint64_t)st.f_bavail * st.f_frsize;
	/* Some have as many as there is room for. */
	*files = st.f_files ? st.f_favail : UINT64_MAX;
	return true;
}

/* A guest sends as much as it likes, and other programs of the host need room, too. */
static void keep_some(struct job *j)
{
	uint64_t bytes, files;

	if (!get_free(j, &bytes, &files))
		return;
	j->keep_bytes = min_u64(bytes / 20, RESERVE_MAX);
	j->keep_files = files == UINT64_MAX ? 0 : files / 20;
}

/* `more` bytes are about to be written. -ENOSPC: what is to stay free would not. */
static int take_room(struct job *j, uint64_t more)
{
	uint64_t bytes, files;

	if (more < j->look_in) {
		j->look_in -= more;
		return 0;
	}
	if (!get_free(j, &bytes, &files))
		return 0;
	if (bytes < j->keep_bytes + more || files < j->keep_files)
		return -ENOSPC;
	/* Others write as well. */
	j->look_in = min_u64((bytes - j->keep_bytes - more) / 4, LOOK_MAX);
	j->look_in =
		min_u64(j->look_in, min_u64(files - j->keep_files, LOOK_MAX) / 4 * ENTRY_BYTES);
	if (j->look_in < LOOK_MIN)
		j->look_in = 0;
	return 0;
}

/* Appends a component to the path below top; false if that is too long. */
static bool append(char *path, const char *name, size_t len)
{
	size_t have = strlen(path);

	if (len > NAME_MAX || have + len + 2 > PATH_MAX)
		return false;
	if (have > 0)
		path[have++] = '/';
	memcpy(path + have, name, len);
	path[have + len] = '\0';
	return true;
}

/* True if a terminal would do something else than show it, in ASCII or as UTF-8 has it. */
static bool steers_terminals(const char *text)
{
	for (const unsigned char *p = (const unsigned char *)text; *p; p++)
		if ((*p < 0x20 && *p != '\n' && *p != '\t') || *p == 0x7f ||
		    (*p == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0))
			return true;
	return false;
}

/*
 * Where the entry belongs: j->path, "" for top itself. NULL, or why it belongs
 * nowhere.
 */
static const char *find_place(struct job *j, const char *name)
{
	const struct tar_extract *x = j->x;
	bool first = strcmp(x->from, ".") != 0;

	j->path[0] = '\0';
	if (!name || name[0] == '/')
		return "its name is no relative path";
	if (steers_terminals(name))
		return "its name has control characters";
	if (strcmp(x->as, ".") != 0 && !append(j->path, x->as, strlen(x->as)))
		return strerror(ENAMETOOLONG);
	for (const char *p = name; *p;) {
		size_t n = strcspn(p, "/");

		if (n == 2 && p[0] == '.' && p[1] == '.')
			return "its name leads out of the folder";
		if (n > 0 && !(n == 1 && p[0] == '.')) {
			if (first && (strlen(x->from) != n || memcmp(p, x->from, n) != 0))
				return "it is not part of what was asked for";
			if (!first && !append(j->path, p, n))
				return strerror(ENAMETOOLONG);
			first = false;
		}
		p += n + (p[n] == '/');
	}
	return first ? "it is not part of what was asked for" : NULL;
}

static bool lies_in(const char *path, const char *dir)
{
	const size_t n = strlen(dir);

	return strncmp(path, dir, n) == 0 && path[n] == '/';
}

/* Gives folders that the path does not lie in what was put off. */
static void leave_folders(struct job *j, const char *path)
{
	while (j->folders && (!path || !lies_in(path, j->folders->path))) {
		struct folder *f = j->folders;
		const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, f->mtime};
		AUTO_CLOSE int fd = open_beneath(j->x->top, f->path, O_RDONLY | O_DIRECTORY);

		if (fd >= 0) {
			(void)!fchmod(fd, f->mode);
			(void)!futimens(fd, times);
		}
		j->folders = f->up;
		free(f);
	}
}

static int enter_folder(struct job *j, mode_t mode, struct timespec mtime)
{
	const size_t len = strlen(j->path) + 1;
	struct folder *f = malloc(sizeof(*f) + len);

	if (!f)
		return -ENOMEM;
	*f = (struct folder){.up = j->folders, .mode = mode, .mtime = mtime};
	memcpy(f->path, j->path, len);
	j->folders = f;
	return 0;
}

static int make_folder(struct job *j, int dir, const char *name, mode_t mode, struct timespec mtime)
{
	const bool made = mkdirat(dir, name, 0700) == 0;
	AUTO_CLOSE int fd = -1;

	if (!made && errno != EEXIST)
		return -errno;
	fd = openat(dir, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	/* One that was there is the user's, and stays as it is. */
	return made ? enter_folder(j, mode, mtime) : 0;
}

/* Notes a name for something that has none yet, in `dir`. */
static void begin_temporary(int dir)
{
	static unsigned int number;

	snprintf(temporary_name, sizeof(temporary_name), ".sandcastle-cp-%d-%u", getpid(),
		 number++);
	temporary_dir = dir;
}

/* Gives it its name, or takes it away. */
static int end_temporary(const char *name, int r)
{
	const int dir = temporary_dir;

	if (r == 0 && renameat(dir, temporary_name, dir, name) < 0)
		r = -errno;
	if (r < 0)
		(void)unlinkat(dir, temporary_name, 0);
	temporary_dir = -1;
	return r;
}

static int write_all(int fd, const uint8_t *data, size_t len, off_t at)
{
	while (len > 0) {
		ssize_t n = pwrite(fd, data, len, at);

		if (n < 0)
			return -errno;
		data += n;
		len -= (size_t)n;
		at += n;
	}
	return 0;
}

/* -EBADMSG: the archive ended or is broken. */
static int write_content(struct job *j, int fd)
{
	const la_int64_t size = j->lib->entry_size(j->entry);
	const void *data;
	la_int64_t at;
	size_t len;
	int r;

	while ((r = j->lib->read_data_block(j->a, &data, &len, &at)) == ARCHIVE_OK) {
		if (at < 0 || at > size || (la_int64_t)len > size - at)
			return -EBADMSG;
		r = take_room(j, len);
		if (r == 0)
			r = write_all(fd, data, len, at);
		if (r < 0)
			return r;
		copy_tally_add(j->x->tally, len);
	}
	if (r != ARCHIVE_EOF || size < 0)
		return -EBADMSG;
	return ftruncate(fd, size) < 0 ? -errno : 0;
}

static int make_file(struct job *j, int dir, const char *name, mode_t mode, struct timespec mtime)
{
	const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, mtime};
	AUTO_CLOSE int fd = -1;
	int r;

	begin_temporary(dir);
	fd = openat(dir, temporary_name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
		    0600);
	if (fd < 0) {
		temporary_dir = -1;
		return -errno;
	}
	r = write_content(j, fd);
	if (r == 0 && (fchmod(fd, mode) < 0 || futimens(fd, times) < 0))
		r = -errno;
	return end_temporary(name, r);
}

static int make_link(struct job *j, int dir, const char *name, struct timespec mtime)
{
	const struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, mtime};
	const char *target = j->lib->entry_symlink(j->entry);

	if (!target || !target[0] || steers_terminals(target))
		return -EINVAL;
	begin_temporary(dir);
	if (symlinkat(target, dir, temporary_name) < 0) {
		temporary_dir = -1;
		return -errno;
	}
	(void)utimensat(dir, temporary_name, times, AT_SYMLINK_NOFOLLOW);
	return end_temporary(name, 0);
}

static int make_entry(struct job *j)
{
	const mode_t mode = j->lib->entry_perm(j->entry) & 0777 & ~j->mask;
	struct timespec mtime = {
		.tv_sec = j->lib->entry_mtime(j->entry),
		.tv_nsec = j->lib->entry_mtime_nsec(j->entry),
	};
	char *slash = strrchr(j->path, '/');
	const char *name = slash ? slash + 1 : j->path;
	AUTO_CLOSE int dir = -1;

	if (mtime.tv_nsec < 0 || mtime.tv_nsec > 999999999)
		mtime.tv_nsec = 0;
	if (slash)
		*slash = '\0';
	dir = open_beneath(j->x->top, slash ? j->path : ".", O_PATH | O_DIRECTORY);
	if (slash)
		*slash = '/';
	if (dir < 0)
		return dir;
	switch (j->lib->entry_filetype(j->entry)) {
	case AE_IFDIR:
		return make_folder(j, dir, name, mode, mtime);
	case AE_IFREG:
		return make_file(j, dir, name, mode, mtime);
	case AE_IFLNK:
		return make_link(j, dir, name, mtime);
	default:
		return -EOPNOTSUPP;
	}
}

/* True for what concerns one entry; otherwise no other would fare better. */
static bool is_of_entry(int error)
{
	switch (error) {
	case -ENOSPC:
	case -EDQUOT:
	case -EIO:
	case -EROFS:
	case -ENOMEM:
	case -EMFILE:
	case -ENFILE:
	case -EBADMSG:
		return false;
	default:
		return true;
	}
}

static int take_entry(struct job *j)
{
	const char *name = j->lib->entry_pathname(j->entry);
	const char *why = find_place(j, name);
	const bool is_folder = j->lib->entry_filetype(j->entry) == AE_IFDIR;
	int r;

	leave_folders(j, j->path);
	if (!why && j->lib->entry_hardlink(j->entry))
		why = "it is a hard link";
	/* Top itself is there, and stays as it is. */
	if (!why && !j->path[0] && is_folder)
		return 0;
	if (!why && !j->path[0])
		why = "it has no name";
	if (why) {
		copy_tally_skip(j->x->tally, name ? name : "something without a name", why);
		return 0;
	}
	r = take_room(j, ENTRY_BYTES);
	if (r == 0)
		r = make_entry(j);
	if (r == 0) {
		j->x->tally->files++;
		copy_tally_add(j->x->tally, 0);
		return 0;
	}
	if (!is_of_entry(r))
		return r;
	copy_tally_skip(j->x->tally, name,
			r == -EOPNOTSUPP ? "it is neither a file, a folder nor a symbolic link"
					 : strerror(-r));
	return 0;
}

static la_ssize_t source_read(struct archive *a, void *data, const void **buf)
{
	struct job *j = data;
	ssize_t n;

	(void)a;
	do
		n = read(j->fd, j->chunk, CHUNK);
	while (n < 0 && errno == EINTR);
	*buf = j->chunk;
	return n;
}

static void tell_unwritten(const struct job *j, int error)
{
	char clean[160];

	copy_printable(j->path, clean, sizeof(clean));
	log_error("cannot write %s in %s: %s%s", clean, j->x->to, strerror(-error),
		  error == -ENOSPC ? "; a twentieth of what was free is not used" : "");
}

static int take_all(struct job *j)
{
	int r;

	while ((r = j->lib->read_next_header(j->a, &j->entry)) == ARCHIVE_OK || r == ARCHIVE_WARN) {
		if (j->entries++ == TAR_ENTRIES_MAX) {
			log_error("more than %d files; copy parts of it", TAR_ENTRIES_MAX);
			return -E2BIG;
		}
		r = take_entry(j);
		if (r < 0 && r != -EBADMSG)
			tell_unwritten(j, r);
		if (r < 0)
			return r;
	}
	if (j->entries == 0)
		return -ENODATA;
	return r == ARCHIVE_EOF ? 0 : -EBADMSG;
}

/* What follows the archive's end, so that who wrote it is not cut off. */
static void drain(struct job *j)
{
	ssize_t n = 1;

	for (size_t total = 0; n > 0 && total < DRAIN_MAX; total += (size_t)n) {
		n = read(j->fd, j->chunk, CHUNK);
		if (n < 0)
			break;
	}
}

static void tell_broken(const struct job *j)
{
	const char *text = j->lib->error_string(j->a);
	char clean[160];

	copy_printable(text ? text : "", clean, sizeof(clean));
	log_error("what the sandbox sent breaks off or is no tar archive%s%s", clean[0] ? ": " : "",
		  clean);
}

int tar_extract(const struct tar_lib *lib, const struct tar_extract *x, int fd)
{
	AUTO_FREE uint8_t *chunk = malloc(CHUNK);
	struct job *j = calloc(1, sizeof(*j));
	int r = -ENOMEM;

	if (j && chunk) {
		*j = (struct job){.lib = lib, .x = x, .fd = fd, .chunk = chunk, .mask = umask(0)};
		(void)umask(j->mask);
		j->a = lib->read_new();
		keep_some(j);
	}
	catch_signals();
	if (j && j->a && lib->read_format_tar(j->a) == ARCHIVE_OK) {
		r = lib->read_open(j->a, j, NULL, source_read, NULL) == ARCHIVE_OK ? take_all(j)
										   : -ENODATA;
		leave_folders(j, NULL);
		if (r == 0)
			drain(j);
		else if (r == -EBADMSG)
			tell_broken(j);
	}
	if (r == -ENOMEM && (!j || !j->a))
		log_error("out of memory");
	if (j && j->a)
		lib->read_free(j->a);
	free(j);
	return r;
}
