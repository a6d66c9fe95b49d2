/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vmm/snapshot/snapshot.h"

enum { RAM = 8 << 20, PAGE = 4096, STATE = 5000 };

static uint8_t key[SNAPSHOT_KEY] = {1, 2, 3}, state[STATE];
static struct snapshot found;
static uint8_t *ram;
static int ram_fd, fd;

static void setup(void)
{
	ram_fd = memfd_create("ram", MFD_CLOEXEC);
	fd = memfd_create("file", MFD_CLOEXEC);
	cr_assert_eq(ftruncate(ram_fd, RAM), 0);
	ram = mmap(NULL, RAM, PROT_READ | PROT_WRITE, MAP_SHARED, ram_fd, 0);
	cr_assert_neq(ram, MAP_FAILED);
	memset(state, 's', sizeof(state));
	/* Two pages near each other, one far away, and the last. */
	ram[0] = 'a';
	ram[10 * PAGE + 5] = 'b';
	ram[500 * PAGE] = 'c';
	ram[RAM - 1] = 'd';
	/* Touched, and zero. */
	ram[1000 * PAGE] = 0;
}

static void teardown(void)
{
	snapshot_fini(&found);
	munmap(ram, RAM);
	close(ram_fd);
	close(fd);
}

TestSuite(snapshot, .init = setup, .fini = teardown);

static void write_it(void)
{
	cr_assert_eq(snapshot_write(fd, key, ram, RAM, ram_fd, state, sizeof(state)), 0);
}

Test(snapshot, comes_back)
{
	struct ram copy;
	struct stat st;

	write_it();
	cr_assert_eq(snapshot_open(fd, key, RAM, &found), 0);
	cr_assert_eq(found.state_len, STATE);
	cr_assert_eq(memcmp(found.state, state, STATE), 0);
	cr_assert_eq(found.ram.n_extents, 3);
	cr_assert_eq(found.extents[0].offset, 0);
	cr_assert_eq(found.extents[0].len, 11 * PAGE);
	cr_assert_eq(found.extents[1].offset, 500 * PAGE);
	cr_assert_eq(found.extents[2].offset + found.extents[2].len, RAM);
	cr_assert_eq(found.ram.offset % (2 << 20), 0);
	cr_assert_eq(fstat(fd, &st), 0);
	cr_assert_lt(st.st_blocks * 512, 256 << 10);
	cr_assert_eq(ram_init_template(&copy, RAM, &found.ram), 0);
	cr_assert_eq(memcmp(copy.host, ram, RAM), 0);
	ram_fini(&copy);
}

Test(snapshot, of_another_machine_is_refused)
{
	uint8_t other[SNAPSHOT_KEY] = {1, 2, 4};

	write_it();
	cr_assert_eq(snapshot_open(fd, other, RAM, &found), -ESTALE);
	cr_assert_eq(snapshot_open(fd, key, 2 * RAM, &found), -ESTALE);
	cr_assert_null(found.state);
}

#ifndef SANDCASTLE_FUZZ /* where the checksum does not count */
static void flip(off_t at)
{
	uint8_t v;

	cr_assert_eq(pread(fd, &v, 1, at), 1);
	v ^= 0x40;
	cr_assert_eq(pwrite(fd, &v, 1, at), 1);
}

/* Every bit of the header and its list would do; some of each part stand for them. */
Test(snapshot, damaged_is_refused)
{
	write_it();
	for (off_t at = 0; at < PAGE + STATE + 48; at += at < 112 ? 1 : 97) {
		flip(at);
		cr_assert_lt(snapshot_open(fd, key, RAM, &found), 0, "byte %ld", (long)at);
		flip(at);
	}
	cr_assert_eq(snapshot_open(fd, key, RAM, &found), 0);
}
#endif

Test(snapshot, cut_off_is_refused)
{
	struct stat st;

	write_it();
	cr_assert_eq(fstat(fd, &st), 0);
	cr_assert_eq(snapshot_open(fd, key, RAM, &found), 0);
	snapshot_fini(&found);
	cr_assert_eq(ftruncate(fd, st.st_size - PAGE), 0);
	cr_assert_eq(snapshot_open(fd, key, RAM, &found), -EBADMSG);
	cr_assert_eq(ftruncate(fd, 100), 0);
	cr_assert_eq(snapshot_open(fd, key, RAM, &found), -EBADMSG);
	cr_assert_eq(ftruncate(fd, 0), 0);
	cr_assert_eq(snapshot_open(fd, key, RAM, &found), -EBADMSG);
}

Test(snapshot, too_many_pieces_are_none)
{
	uint8_t *big = NULL;
	const size_t size = (size_t)(SNAPSHOT_MAX_EXTENTS + 1) * 20 * PAGE;
	int big_fd = memfd_create("ram", MFD_CLOEXEC);

	cr_assert_eq(ftruncate(big_fd, (off_t)size), 0);
	big = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, big_fd, 0);
	cr_assert_neq(big, MAP_FAILED);
	for (size_t i = 0; i <= SNAPSHOT_MAX_EXTENTS; i++)
		big[i * 20 * PAGE] = 1;
	cr_assert_eq(snapshot_write(fd, key, big, size, big_fd, state, STATE), -E2BIG);
	munmap(big, size);
	close(big_fd);
}
