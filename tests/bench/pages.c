/* SPDX-License-Identifier: MIT */
/*
 * What 512 MiB cost with different pages behind them (docs/decisions/0003-huge-pages.md):
 *	bench_pages memfd|collapse|anon|anon-huge|FILE
 * FILE is on a tmpfs mounted with huge=always, say
 *	unshare -m sh -c 'mount -t tmpfs -o huge=always none /mnt && bench_pages /mnt/f'
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25 /* Linux 6.1 */
#endif

enum { PAGE = 4096, HUGE_PAGE = 2 << 20, SIZE = 512 << 20, READS = 20 * 1000 * 1000 };

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* SIZE bytes at a multiple of HUGE_PAGE; fd -1: anonymous. */
static uint8_t *map(int fd)
{
	uint8_t *area = mmap(NULL, SIZE + HUGE_PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int flags = MAP_FIXED | (fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED);

	if (area == MAP_FAILED)
		return area;
	area += -(uintptr_t)area & (HUGE_PAGE - 1);
	return mmap(area, SIZE, PROT_READ | PROT_WRITE, flags, fd, 0);
}

static double touch(uint8_t *p, size_t len)
{
	double start = now_ms();

	for (size_t off = 0; off < len; off += PAGE)
		p[off] = 1;
	return now_ms() - start;
}

static double read_at_random(const volatile uint8_t *p)
{
	double start = now_ms();
	uint32_t x = 1;

	for (int i = 0; i < READS; i++) {
		x = x * 1664525u + 1013904223u;
		(void)p[x % SIZE];
	}
	return now_ms() - start;
}

/* Every `step` bytes, `len` of them. */
static double drop(int fd, uint8_t *p, size_t end, size_t step, size_t len)
{
	double start = now_ms();

	for (size_t off = 0; off < end; off += step) {
		if (fd < 0)
			(void)madvise(p + off, len, MADV_DONTNEED);
		else
			(void)fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)off,
					(off_t)len);
	}
	return now_ms() - start;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "memfd";
	int fd = -1;
	uint8_t *p;

	if (strcmp(what, "memfd") == 0 || strcmp(what, "collapse") == 0)
		fd = memfd_create("pages", MFD_CLOEXEC);
	else if (strncmp(what, "anon", 4) != 0)
		fd = open(what, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd >= 0 && ftruncate(fd, SIZE) < 0)
		return 1;
	p = map(fd);
	if (p == MAP_FAILED)
		return 1;
	if (fd < 0)
		(void)madvise(p, SIZE, strcmp(what, "anon") == 0 ? MADV_NOHUGEPAGE : MADV_HUGEPAGE);

	printf("touch %.1f ms\n", touch(p, SIZE));
	if (strcmp(what, "collapse") == 0) {
		double start = now_ms();
		int r = madvise(p, SIZE, MADV_COLLAPSE);

		printf("collapse %.1f ms (%d)\n", now_ms() - start, r);
	}
	printf("%d random reads %.1f ms\n", READS, read_at_random(p));
	printf("drop in 4 MiB pieces %.1f ms\n", drop(fd, p, SIZE, 4 << 20, 4 << 20));
	(void)touch(p, SIZE);
	printf("drop in 1 MiB pieces %.1f ms\n", drop(fd, p, SIZE, 1 << 20, 1 << 20));
	(void)touch(p, SIZE / 4);
	printf("drop every second page of 128 MiB %.1f ms\n",
	       drop(fd, p, SIZE / 4, (size_t)2 * PAGE, PAGE));
	return 0;
}
