/* SPDX-License-Identifier: MIT */
/*
 * bench_base_image [ROUNDS]: the base image of this host, natively: made, brought up to date after a
 * change of packages, and found current. Wall and CPU milliseconds, medians of ROUNDS (default 7).
 * The index is kept where XDG_CACHE_HOME says; it should be a place of its own.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "image/base/base.h"

enum { MAX_ROUNDS = 101 };

struct measure {
	double wall[MAX_ROUNDS], cpu[MAX_ROUNDS];
};

static double now_ms(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static int compare(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

/*
 * As dpkg's change would: the stamp of the database is another, the rules' is not.
 * What the directories say of when they were modified stays.
 */
static int age_index(const char *path)
{
	AUTO_CLOSE int fd = open(path, O_RDWR | O_CLOEXEC);
	AUTO_FREE uint8_t *file = NULL;
	struct index_header *h;
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -1;
	file = malloc((size_t)st.st_size);
	if (!file || pread(fd, file, (size_t)st.st_size, 0) != st.st_size)
		return -1;
	h = (struct index_header *)(void *)file;
	h->stamp[INDEX_STAMP - 1] ^= 1;
	h->checksum = 0;
	h->checksum = index_checksum(h, sizeof(*h)) ^
		      index_checksum(file + sizeof(*h), (size_t)st.st_size - sizeof(*h));
	return pwrite(fd, file, (size_t)st.st_size, 0) == st.st_size ? 0 : -1;
}

static int measure(struct measure *m, unsigned int round, enum base_want want, bool aged)
{
	struct base_image image = {.root = -1};
	double wall, cpu;

	if (aged) {
		if (base_image_open(NULL, BASE_EXISTING, &image) < 0 || age_index(image.path) < 0)
			return -1;
		base_image_fini(&image);
	}
	wall = now_ms(CLOCK_MONOTONIC);
	cpu = now_ms(CLOCK_PROCESS_CPUTIME_ID);
	if (base_image_open(NULL, want, &image) < 0)
		return -1;
	m->wall[round] = now_ms(CLOCK_MONOTONIC) - wall;
	m->cpu[round] = now_ms(CLOCK_PROCESS_CPUTIME_ID) - cpu;
	base_image_fini(&image);
	return 0;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		enum base_want want;
		bool aged;
	} what[] = {
		{"made, warm caches", BASE_ANEW, false},
		{"brought up to date", BASE_CURRENT, true},
		{"found current", BASE_CURRENT, false},
	};
	unsigned int rounds = argc > 1 ? (unsigned int)atoi(argv[1]) : 7;
	static struct measure m;

	if (rounds == 0 || rounds > MAX_ROUNDS)
		return 2;
	/* The first warms the caches. */
	if (measure(&m, 0, BASE_ANEW, false) < 0)
		return 1;
	for (size_t i = 0; i < ARRAY_SIZE(what); i++) {
		for (unsigned int k = 0; k < rounds; k++)
			if (measure(&m, k, what[i].want, what[i].aged) < 0)
				return 1;
		qsort(m.wall, rounds, sizeof(double), compare);
		qsort(m.cpu, rounds, sizeof(double), compare);
		printf("%-20s %8.1f ms, %8.1f ms of CPU\n", what[i].name, m.wall[rounds / 2],
		       m.cpu[rounds / 2]);
	}
	return 0;
}
