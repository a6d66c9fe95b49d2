/* SPDX-License-Identifier: MIT */
/*
 * The whole builder on trees that the input plants: files of packages and of nobody, edited, closed,
 * linked, below all kinds of names, with rules of the user's own. Some files are secrets, and hold a mark:
 * nothing whose bytes hold the mark may be in the image, nor may anything of outside of the tree.
 */
#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/log.h"
#include "common/text.h"
#include "image/base/base.h"
#include "tests/fuzz/fuzz_input.h"

#define MARK "SECRETMARKSECRETMARK"

enum { PATH_LEN = 256, MAX_FILES = 24, OLD = 1000000, NEW = 1900000000 };

static char top[64] = "/dev/shm/sandcastle-fuzz-base-XXXXXX";
static int tree = -1;

/* Components that rules, packages and makers of secrets use. */
static const char *const tops[] = {"etc", "usr", "var", "opt", "usr/local", "home", "root", "srv"};
static const char *const words[] = {
	"lib",
	"share",
	"bin",
	"app",
	"python3",
	"dist-packages",
	"__pycache__",
	"systemd",
	"system",
	"apt",
	"ssl",
	"certs",
	"pam.d",
	"default",
	"cache",
	"man",
	"dpkg",
	"info",
	"skel",
	"sources.list.d",
	"multi-user.target.wants",
	"alternatives",
	"conf",
	"keyrings",
	"mime",
	"ucf",
	"pam",
	"sysusers.d",
	"tmpfiles.d",
	"doc",
	"etc",
	"jdk-17",
};
static const char *const names[] = {
	"app.conf",	 "settings.py",
	"config.php",	 "id_rsa",
	"tool",		 "ca-certificates.crt",
	"locale",	 "sources.list",
	"a.list",	 "a.sources",
	"common-auth",	 "shells",
	"mod.py",	 "mod.cpython-311.pyc",
	"x.service",	 "passwd",
	"part.so",	 "app.ini",
	"status",	 "a.md5sums",
	"token",	 "timezone",
	"catalog",	 "a.gpg",
	"group",	 "machine-id",
	"libs.so",	 "readme.txt",
	"README.Debian", "icon-theme.cache",
};

/* Text that is a secret by itself, wherever it stands. */
static const char *const secrets[] = {
	"-----BEGIN PRIVATE KEY-----\n" MARK "\n-----END PRIVATE KEY-----\n",
	"-----BEGIN OPENSSH PRIVATE KEY-----\n" MARK "\n",
	"AGE-SECRET-KEY-1" MARK "\n",
	"export GITHUB=ghp_" MARK MARK "\n",
	"jane:$6$salt$" MARK MARK "\n",
	"PuTTY-User-Key-File-3: ssh-rsa\n" MARK "\n",
};

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)ftw;
	/* A link must not be followed: it may name a folder of this machine's. */
	if (type != FTW_SL && type != FTW_SLN)
		(void)chmod(path, 0700);
	return remove(path);
}

static void remove_all(void)
{
	(void)nftw(top, remove_one, 32, FTW_DEPTH | FTW_PHYS);
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	char cache[96];

	(void)argc;
	(void)argv;
	if (!mkdtemp(top) || atexit(remove_all))
		abort();
	snprintf(cache, sizeof(cache), "%s/cache", top);
	if (setenv("XDG_CACHE_HOME", cache, 1) || setenv("XDG_CONFIG_HOME", cache, 1))
		abort();
	log_set_level(LOG_LEVEL_ERROR);
	return 0;
}

/* A folder of the tree; links on the way, of the input's making, end in the tree as in a machine's root. */
static int open_folder(const char *path)
{
	const struct open_how how = {.flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
				     .resolve = RESOLVE_IN_ROOT};

	return (int)syscall(SYS_openat2, tree, path, &how, sizeof(how));
}

/* The folder that `path` is in, made where it is not there. -1: something else is in the way. */
static int make_parent(const char *path)
{
	char part[PATH_LEN];
	int dir = open_folder(".");

	for (const char *name = path, *slash; dir >= 0 && (slash = strchr(name, '/'));
	     name = slash + 1) {
		snprintf(part, sizeof(part), "%.*s", (int)(slash - name), name);
		(void)mkdirat(dir, part, 0755);
		close(dir);
		snprintf(part, sizeof(part), "%.*s", (int)(slash - path), path);
		dir = open_folder(part);
	}
	return dir;
}

static const char *leaf_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* A new file in `dir`. False: something else is in the way there. */
static bool put_in(int dir, const char *name, const void *data, size_t len, mode_t mode,
		   time_t when)
{
	const struct timespec times[2] = {{.tv_sec = when}, {.tv_sec = when}};
	int fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0)
		return false;
	if (write(fd, data, len) != (ssize_t)len || fchmod(fd, mode) < 0 || futimens(fd, times) < 0)
		abort();
	close(fd);
	return true;
}

static bool put(const char *path, const void *data, size_t len, mode_t mode, time_t when)
{
	AUTO_CLOSE int dir = make_parent(path);

	return dir >= 0 && put_in(dir, leaf_of(path), data, len, mode, when);
}

static void some_path(struct fuzz_input *in, char path[PATH_LEN])
{
	int n = snprintf(path, PATH_LEN, "%s", tops[fuzz_u8(in) % ARRAY_SIZE(tops)]);
	unsigned int depth = fuzz_u8(in) % 5;

	for (unsigned int i = 0; i < depth; i++)
		n += snprintf(path + n, PATH_LEN - (size_t)n, "/%s",
			      words[fuzz_u8(in) % ARRAY_SIZE(words)]);
	snprintf(path + n, PATH_LEN - (size_t)n, "/%s", names[fuzz_u8(in) % ARRAY_SIZE(names)]);
}

/* What the database says, as it is made. */
struct database {
	struct buffer list, sums;
};

static void say(struct buffer *to, const char *text)
{
	if (buffer_add(to, text, strlen(text)) < 0)
		abort();
}

/* With checksums of another text, and old enough: the file's own time says that it was edited. */
static void own(struct database *db, const char *path, bool sum)
{
	say(&db->list, "/");
	say(&db->list, path);
	say(&db->list, "\n");
	if (!sum)
		return;
	say(&db->sums, "0123456789abcdef0123456789abcdef  ");
	say(&db->sums, path);
	say(&db->sums, "\n");
}

/*
 * A secret: a key in a file of nobody's, or in a packaged one that was edited; or any text in a file that
 * not everyone may read.
 */
static void plant_secret(struct database *db, struct fuzz_input *in)
{
	const uint8_t how = fuzz_u8(in);
	const char *text = secrets[how % ARRAY_SIZE(secrets)];
	const mode_t mode = how & 0x40 ? 0755 : 0644;
	char path[PATH_LEN];

	some_path(in, path);
	if (how & 0x80) {
		if (put(path, MARK, strlen(MARK), mode & ~(mode_t)(S_IROTH), OLD) && (how & 0x20))
			own(db, path, false);
	} else if (put(path, text, strlen(text), mode, how & 0x20 ? NEW : OLD) && (how & 0x20)) {
		own(db, path, how & 0x10);
	}
}

/* Text of the input's, which is no secret: whatever parses it has to bear it. */
static void plant_file(struct database *db, struct fuzz_input *in)
{
	const uint8_t how = fuzz_u8(in);
	char path[PATH_LEN];
	uint8_t text[256];
	size_t len = fuzz_u8(in);

	some_path(in, path);
	fuzz_bytes(in, text, len);
	/* Not one that was there before, which may be a secret. */
	if (put(path, text, len, how & 1 ? 0755 : 0644, how & 2 ? NEW : OLD) && (how & 4))
		own(db, path, how & 8);
}

/* To somewhere in the tree, or out of it. */
static void plant_link(struct database *db, struct fuzz_input *in)
{
	static const char *const targets[] = {"/outside", "../../../../outside/key", "/etc",
					      "..",	  "/proc/self/environ",	     "loop"};
	const uint8_t how = fuzz_u8(in);
	char path[PATH_LEN], target[PATH_LEN + 96];
	AUTO_CLOSE int dir = -1;

	some_path(in, path);
	if (how & 0x80)
		snprintf(target, sizeof(target), "%s/outside/key", top);
	else
		snprintf(target, sizeof(target), "%s", targets[how % ARRAY_SIZE(targets)]);
	/* The last folder itself, where nothing is in it yet. */
	if (how & 0x40)
		*strrchr(path, '/') = '\0';
	dir = make_parent(path);
	if (symlinkat(target, dir, leaf_of(path)) == 0 && (how & 0x20))
		own(db, path, false);
}

static void close_folder(struct fuzz_input *in)
{
	char path[PATH_LEN], self[32];
	AUTO_CLOSE int dir = -1;

	some_path(in, path);
	dir = make_parent(path);
	snprintf(self, sizeof(self), "/proc/self/fd/%d", dir);
	(void)!chmod(self, 0750);
}

static const char status[] =
	"Package: a\nStatus: install ok installed\nVersion: 1\nArchitecture: all\n"
	"Conffiles:\n /etc/app/app.conf 0123456789abcdef0123456789abcdef\n";

static int make_folder(const char *name)
{
	char path[96];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", top, name);
	fd = mkdir(path, 0755) < 0 ? -1 : open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		abort();
	return fd;
}

static void make_tree(struct fuzz_input *in)
{
	struct database db = {.list = {NULL, 0, 0}};
	AUTO_CLOSE int outside = make_folder("outside");

	tree = make_folder("tree");
	if (!put_in(outside, "key", MARK, strlen(MARK), 0644, OLD))
		abort();
	for (unsigned int i = 0; i < MAX_FILES && in->left > 0; i++) {
		switch (fuzz_u8(in) % 8) {
		case 0:
			plant_link(&db, in);
			break;
		case 1:
			close_folder(in);
			break;
		case 2:
		case 3:
			plant_file(&db, in);
			break;
		default:
			plant_secret(&db, in);
			break;
		}
	}
	/* A link may be where the database should be: then there is none of use. */
	(void)put("var/lib/dpkg/status", status, sizeof(status) - 1, 0644, OLD);
	(void)put("var/lib/dpkg/info/a.md5sums", db.sums.data, db.sums.len, 0644, OLD);
	(void)put("var/lib/dpkg/info/a.list", db.list.data, db.list.len, 0644, OLD);
	free(db.list.data);
	free(db.sums.data);
}

static bool has_mark(const char *text, size_t len)
{
	return len > 0 && memmem(text, len, MARK, strlen(MARK)) != NULL;
}

/* What a guest would read of a shared file. */
static void check_shared(const struct base_image *image, uint32_t i)
{
	struct buffer text = {NULL, 0, 0};
	char path[4096];
	uint32_t above;
	int fd;

	if (index_path(image->index, i, path, sizeof(path), &above) < 0)
		abort();
	fd = openat(image->root, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || read_whole(fd, 1 << 20, &text) < 0)
		abort();
	if (has_mark(text.data, text.len)) {
		fprintf(stderr, "/%s is in the image\n", path);
		abort();
	}
	close(fd);
	free(text.data);
}

static void check_image(const struct base_image *image)
{
	const struct index *index = image->index;

	if (has_mark((const char *)index->blob, index->head->blob_len)) {
		fprintf(stderr, "a copied file has the mark\n");
		abort();
	}
	for (uint32_t i = 0; i < index->n; i++)
		if (index->entries[i].kind == INDEX_SHARED)
			check_shared(image, i);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = {data, size};
	struct base_image image = {.index = NULL};
	char path[96];

	make_tree(&in);
	snprintf(path, sizeof(path), "%s/tree", top);
	if (base_image_open(path, BASE_ANEW, &image) == 0)
		check_image(&image);
	base_image_fini(&image);
	close(tree);
	for (size_t i = 0; i < 3; i++) {
		static const char *const all[] = {"tree", "outside", "cache"};

		snprintf(path, sizeof(path), "%s/%s", top, all[i]);
		(void)nftw(path, remove_one, 32, FTW_DEPTH | FTW_PHYS);
	}
	return 0;
}
