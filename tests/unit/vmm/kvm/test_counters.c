/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <errno.h>
#include <linux/kvm.h>
#include <string.h>
#include <sys/mman.h>

#include "vmm/config/timeline.h"
#include "vmm/kvm/counters.h"

/* A statistics file as KVM lays it out. */
enum { NAME = 48, DESC = sizeof(struct kvm_stats_desc) + NAME, DESCS_AT = 72, DATA_AT = 1024 };

static struct timeline tl;
static int fd;

static void put(const void *data, size_t len, off_t off)
{
	cr_assert_eq(pwrite(fd, data, len, off), (ssize_t)len);
}

static void put_header(uint32_t n, uint32_t name_size)
{
	struct kvm_stats_header h = {
		.name_size = name_size,
		.num_desc = n,
		.desc_offset = DESCS_AT,
		.data_offset = DATA_AT,
	};

	put(&h, sizeof(h), 0);
}

static void put_counter(unsigned int i, const char *name, uint32_t flags, uint16_t size,
			uint64_t value)
{
	struct kvm_stats_desc d = {.flags = flags, .size = size, .offset = i * 8};
	char padded[NAME] = "";

	memcpy(padded, name, strlen(name));
	put(&d, sizeof(d), DESCS_AT + (off_t)i * DESC);
	put(padded, sizeof(padded), DESCS_AT + (off_t)i * DESC + (off_t)sizeof(d));
	put(&value, sizeof(value), DATA_AT + (off_t)i * 8);
}

static void setup(void)
{
	fd = memfd_create("stats", MFD_CLOEXEC);
	timeline_init(&tl);
}

static void teardown(void)
{
	close(fd);
}

TestSuite(kvm_stats, .init = setup, .fini = teardown);

Test(kvm_stats, single_counters_that_are_not_zero)
{
	put_header(5, NAME);
	put_counter(0, "exits", KVM_STATS_TYPE_CUMULATIVE, 1, 70);
	put_counter(1, "io_exits", KVM_STATS_TYPE_CUMULATIVE, 1, 0);
	put_counter(2, "guest_mode", KVM_STATS_TYPE_INSTANT, 1, 1);
	put_counter(3, "halt_poll_hist", KVM_STATS_TYPE_LOG_HIST, 1, 9);
	put_counter(4, "mmio_exits", KVM_STATS_TYPE_CUMULATIVE, 1, 5);
	/* Two vCPUs. */
	cr_assert_eq(kvm_stats_count(fd, &tl), 0);
	cr_assert_eq(kvm_stats_count(fd, &tl), 0);
	cr_assert_eq(tl.n_counters, 2);
	cr_assert_str_eq(tl.counters[0].name, "exits");
	cr_assert_eq(tl.counters[0].value, 140);
	cr_assert_str_eq(tl.counters[1].name, "mmio_exits");
}

Test(kvm_stats, a_file_of_another_shape)
{
	cr_assert_eq(kvm_stats_count(fd, &tl), -EPROTO);
	put_header(1, 0);
	cr_assert_eq(kvm_stats_count(fd, &tl), -EPROTO);
	put_header(1, 1u << 20);
	cr_assert_eq(kvm_stats_count(fd, &tl), -EPROTO);
	put_header(1u << 30, NAME);
	cr_assert_eq(kvm_stats_count(fd, &tl), -EPROTO);
	put_header(2, NAME);
	put_counter(0, "exits", KVM_STATS_TYPE_CUMULATIVE, 1, 1);
	cr_assert_eq(ftruncate(fd, DESCS_AT + DESC + 4), 0);
	cr_assert_eq(kvm_stats_count(fd, &tl), -EPROTO);
}

Test(kvm_stats, a_name_without_an_end)
{
	char name[NAME];

	memset(name, 'x', sizeof(name));
	put_header(1, NAME);
	put_counter(0, "", KVM_STATS_TYPE_CUMULATIVE, 1, 1);
	put(name, sizeof(name), DESCS_AT + (off_t)sizeof(struct kvm_stats_desc));
	cr_assert_eq(kvm_stats_count(fd, &tl), 0);
	cr_assert_eq(strlen(tl.counters[0].name), NAME - 1);
}
