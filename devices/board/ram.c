/* SPDX-License-Identifier: MIT */
#include "devices/board/ram.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "common/pass_fd.h"

enum {
	PAGE = 4096,
	HUGE_PAGE = 2 << 20,
	/* So that nothing a guest gives back uses up the mappings of the process. */
	MAX_PIECES = 4096,
};

/* A tmpfs that nobody else sees. Needs to be root of a user and a mount namespace. */
static int open_huge_file(void)
{
	AUTO_CLOSE int fs = (int)syscall(SYS_fsopen, "tmpfs", FSOPEN_CLOEXEC);
	AUTO_CLOSE int mnt = -1;
	int fd;

	if (fs < 0 || syscall(SYS_fsconfig, fs, FSCONFIG_SET_STRING, "huge", "always", 0) < 0 ||
	    /* Its default, half of the host's memory, is not what limits us. */
	    syscall(SYS_fsconfig, fs, FSCONFIG_SET_STRING, "size", "0", 0) < 0 ||
	    syscall(SYS_fsconfig, fs, FSCONFIG_SET_STRING, "mode", "0700", 0) < 0 ||
	    syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return -errno;
	mnt = (int)syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC, 0);
	if (mnt < 0)
		return -errno;
	fd = openat(mnt, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	return fd < 0 ? -errno : fd;
}

static int write_file(const char *path, const char *text)
{
	AUTO_CLOSE int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t len = (ssize_t)strlen(text);

	return fd >= 0 && write(fd, text, (size_t)len) == len ? 0 : -errno;
}

/* A file has an owner: the new namespace has to know our user and group. */
static int enter_namespaces(void)
{
	uid_t uid = geteuid();
	gid_t gid = getegid();
	char map[32];
	int r;

	if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
		return -errno;
	snprintf(map, sizeof(map), "0 %u 1", uid);
	r = write_file("/proc/self/uid_map", map);
	if (r == 0)
		r = write_file("/proc/self/setgroups", "deny");
	snprintf(map, sizeof(map), "0 %u 1", gid);
	return r < 0 ? r : write_file("/proc/self/gid_map", map);
}

/*
 * The namespaces are a child's, which is about to end when this returns; the
 * file keeps its file system alive.
 */
static int borrow_huge_file(pid_t *child)
{
	AUTO_CLOSE int ours = -1;
	int pair[2];
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	ours = pair[0];
	pid = fork();
	if (pid == 0) {
		int fd = enter_namespaces() < 0 ? -1 : open_huge_file();

		_exit(fd < 0 || pass_fd(pair[1], fd) < 0);
	}
	close(pair[1]);
	if (pid < 0)
		return -EAGAIN;
	*child = pid;
	return take_fd(ours);
}

/*
 * The address, the file's offsets and the guest's addresses agree modulo 2 MiB:
 * only then can one entry of the host's and the nested page tables map a huge page.
 */
static int map(struct ram *ram, uint64_t size)
{
	const int kind = ram->fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED;

	uint8_t *area, *start;
	size_t head;

	area = mmap(NULL, size + HUGE_PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
		    -1, 0);
	if (area == MAP_FAILED)
		return -errno;
	head = (size_t)(-(uintptr_t)area & (HUGE_PAGE - 1));
	start = area + head;
	if (mmap(start, size, PROT_READ | PROT_WRITE, kind | MAP_NORESERVE | MAP_FIXED, ram->fd,
		 0) == MAP_FAILED) {
		int r = -errno;

		munmap(area, size + HUGE_PAGE);
		return r;
	}
	if (head > 0)
		munmap(area, head);
	munmap(start + size, HUGE_PAGE - head);
	ram->host = start;
	ram->size = size;
	/* What is in the guest's memory is nobody's crash dump. */
	(void)madvise(start, size, MADV_DONTDUMP);
	return 0;
}

int ram_init_memfd(struct ram *ram, uint64_t size)
{
	int r;

	*ram = (struct ram){.fd = memfd_create("sandcastle-ram", MFD_CLOEXEC | MFD_ALLOW_SEALING)};
	if (ram->fd < 0)
		return -errno;
	if (ftruncate(ram->fd, (off_t)size) < 0 ||
	    fcntl(ram->fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		r = -errno;
	else
		r = map(ram, size);
	if (r < 0)
		ram_fini(ram);
	return r;
}

int ram_init(struct ram *ram, uint64_t size)
{
	pid_t child = 0;
	int fd = borrow_huge_file(&child);

	*ram = (struct ram){.fd = fd, .huge = true, .helper = child};
	if (fd < 0) {
		ram_reap(ram);
		return ram_init_memfd(ram, size);
	}
	if (ftruncate(fd, (off_t)size) == 0 && map(ram, size) == 0)
		return 0;
	ram_fini(ram);
	return ram_init_memfd(ram, size);
}

void ram_reap(struct ram *ram)
{
	while (ram->helper > 0 && waitpid(ram->helper, NULL, 0) < 0 && errno == EINTR)
		;
	ram->helper = 0;
}

void ram_fini(struct ram *ram)
{
	ram_reap(ram);
	if (ram->host)
		munmap(ram->host, ram->size);
	if (ram->fd >= 0)
		close(ram->fd);
	if (ram->blocks && ram->statm_fd >= 0)
		close(ram->statm_fd);
	if (ram->blocks && ram->pagemap_fd >= 0)
		close(ram->pagemap_fd);
	free(ram->blocks);
	*ram = (struct ram){.fd = -1};
}

static bool block_is_files(const struct ram *ram, uint64_t offset)
{
	const uint64_t block = offset / HUGE_PAGE;

	return (__atomic_load_n(&ram->blocks[block / 8], __ATOMIC_RELAXED) >> (block % 8)) & 1;
}

static void mark_block(const struct ram *ram, uint64_t offset, bool files)
{
	const uint64_t block = offset / HUGE_PAGE;
	const uint8_t bit = (uint8_t)(1u << (block % 8));

	if (files)
		(void)__atomic_fetch_or(&ram->blocks[block / 8], bit, __ATOMIC_RELAXED);
	else
		(void)__atomic_fetch_and(&ram->blocks[block / 8], (uint8_t)~bit, __ATOMIC_RELAXED);
}

static int map_extent(struct ram *ram, const struct ram_template *from, const struct ram_extent *e)
{
	if (mmap(ram->host + e->offset, e->len, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_NORESERVE | MAP_FIXED, from->fd,
		 (off_t)(from->offset + e->offset)) == MAP_FAILED)
		return -errno;
	(void)madvise(ram->host + e->offset, e->len, MADV_DONTDUMP);
	for (uint64_t at = e->offset; at < e->offset + e->len; at += HUGE_PAGE)
		mark_block(ram, at, true);
	mark_block(ram, e->offset + e->len - 1, true);
	return 0;
}

/* What this process has that is neither a file's nor shared. */
static int read_own(const struct ram *ram, uint64_t *out)
{
	unsigned long long size, resident, shared;
	char text[128];
	ssize_t n = pread(ram->statm_fd, text, sizeof(text) - 1, 0);

	if (n <= 0)
		return n < 0 ? -errno : -EIO;
	text[n] = '\0';
	if (sscanf(text, "%llu %llu %llu", &size, &resident, &shared) != 3 || shared > resident)
		return -EIO;
	*out = (resident - shared) * (uint64_t)sysconf(_SC_PAGESIZE);
	return 0;
}

int ram_init_template(struct ram *ram, uint64_t size, const struct ram_template *from)
{
	int r;

	*ram = (struct ram){.fd = -1, .blocks = calloc(1, size / HUGE_PAGE / 8 + 1)};
	if (!ram->blocks)
		return -ENOMEM;
	ram->statm_fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
	ram->pagemap_fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	r = ram->statm_fd < 0 || ram->pagemap_fd < 0 ? -errno : read_own(ram, &ram->before);
	if (r == 0)
		r = map(ram, size);
	/* Huge pages would give each clone 2 MiB for the first byte it writes. */
	if (r == 0)
		(void)madvise(ram->host, size, MADV_NOHUGEPAGE);
	for (uint32_t i = 0; r == 0 && i < from->n_extents; i++)
		r = map_extent(ram, from, &from->extents[i]);
	if (r < 0)
		ram_fini(ram);
	return r;
}

/*
 * Puts zero pages in the place of the file's. Made elsewhere and moved: a mapping that fails in
 * its place has already taken away what was there.
 */
static int put_zeroes(const struct ram *ram, uint64_t start, uint64_t end)
{
	void *new = mmap(NULL, end - start, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (new == MAP_FAILED)
		return -errno;
	(void)madvise(new, end - start, MADV_DONTDUMP);
	(void)madvise(new, end - start, MADV_NOHUGEPAGE);
	if (mremap(new, end - start, end - start, MREMAP_MAYMOVE | MREMAP_FIXED,
		   ram->host + start) == MAP_FAILED) {
		const int r = -errno;

		munmap(new, end - start);
		return r;
	}
	return 0;
}

/*
 * A part of one block. Where the file has something in it, dropping our page would bring the file's
 * back: a page that the guest gave away and counts on as zero. A whole block becomes anonymous;
 * less than that does so a bounded number of times, and is cleared by hand after it.
 */
static int discard_in_block(const struct ram *ram, uint64_t start, uint64_t end)
{
	static atomic_uint pieces;
	int r;

	if (!block_is_files(ram, start))
		return madvise(ram->host + start, end - start, MADV_DONTNEED) < 0 ? -errno : 0;
	if (end - start < HUGE_PAGE && atomic_fetch_add(&pieces, 1) >= MAX_PIECES) {
		memset(ram->host + start, 0, end - start);
		return 0;
	}
	r = put_zeroes(ram, start, end);
	if (r == 0 && end - start == HUGE_PAGE)
		mark_block(ram, start, false);
	return r;
}

static int discard_template(const struct ram *ram, uint64_t start, uint64_t end)
{
	int r = 0;

	while (r == 0 && start < end) {
		const uint64_t next = min_u64(align_up(start + 1, HUGE_PAGE), end);

		r = discard_in_block(ram, start, next);
		start = next;
	}
	return r;
}

static int resident_template(const struct ram *ram, uint64_t *out)
{
	uint64_t own = 0;
	int r = read_own(ram, &own);

	if (r == 0)
		*out = own - min_u64(own, ram->before);
	return r;
}

int ram_discard(const struct ram *ram, const void *host, uint64_t len)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	uint64_t start = (uintptr_t)host - (uintptr_t)ram->host, end;

	/* An address below the RAM wraps to an offset far above it. */
	if (start > ram->size || len > ram->size - start)
		return -EFAULT;
	end = (start + len) & ~(page - 1);
	start = align_up(start, page);
	if (start >= end)
		return 0;
	if (ram->blocks)
		return discard_template(ram, start, end);
	if (fallocate(ram->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)start,
		      (off_t)(end - start)) < 0)
		return -errno;
	return 0;
}

int ram_resident(const struct ram *ram, uint64_t *out)
{
	struct stat st;

	if (ram->blocks)
		return resident_template(ram, out);
	if (fstat(ram->fd, &st) < 0)
		return -errno;
	*out = (uint64_t)st.st_blocks * 512;
	return 0;
}

/* How many of a block's pages are there, and a file's (Documentation/admin-guide/mm/pagemap.rst). */
static int count_files_pages(int pagemap_fd, const uint8_t *block, uint64_t *pages)
{
	const uint64_t there = 1ull << 63, files = 1ull << 61;
	uint64_t entries[HUGE_PAGE / PAGE];
	const off_t at = (off_t)((uintptr_t)block / PAGE * sizeof(entries[0]));
	const ssize_t n = pread(pagemap_fd, entries, sizeof(entries), at);

	if (n < 0)
		return -errno;
	for (size_t i = 0; i < (size_t)n / sizeof(entries[0]); i++)
		*pages += (entries[i] & there) && (entries[i] & files);
	return 0;
}

int ram_template_mapped(const struct ram *ram, uint64_t *out)
{
	uint64_t pages = 0;
	int r = 0;

	for (uint64_t at = 0; r == 0 && ram->blocks && at < ram->size; at += HUGE_PAGE)
		if (block_is_files(ram, at))
			r = count_files_pages(ram->pagemap_fd, ram->host + at, &pages);
	if (r == 0)
		*out = pages * PAGE;
	return r;
}
