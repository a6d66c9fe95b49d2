/* SPDX-License-Identifier: MIT */
/*
 * Half of the inputs are a driver of the balloon on a host that becomes short of memory
 * and recovers, with the keeper between them; the others are readings for the policy.
 */
#include <endian.h>
#include <fcntl.h>
#include <linux/virtio_balloon.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "balloon/balloon.h"
#include "balloon/keeper.h"
#include "balloon/policy.h"
#include "devices/board/ram.h"
#include "tests/fuzz/fuzz_clock.h"
#include "tests/fuzz/fuzz_device.h"

#define RAM_BASE 0x200000000ull
#define MIB	 (1ull << 20)

enum { RAM_SIZE = 64 << 20, PAGE = 4096, Q_INFLATE = 0, Q_STATS = 2, MAX_RUN = 600 };

static struct {
	int dirfd; /* the host's /proc and /sys */
	char root[64];
	struct fake_guest *g;
	struct virtio_device *vdev;
	struct balloon_observer *keeper;
	bool waits_for_figures, saves, squeezing;
} fz;

static const char *const files[] = {
	"proc/meminfo",
	"proc/self/cgroup",
	"sys/fs/cgroup/g/memory.events",
	"sys/fs/cgroup/g/memory.high",
	"sys/fs/cgroup/g/memory.max",
	"sys/fs/cgroup/g/memory.current",
	"sys/fs/cgroup/g/memory.stat",
};

static const char *const dirs[] = {"proc",   "proc/self",     "sys",
				   "sys/fs", "sys/fs/cgroup", "sys/fs/cgroup/g"};

static void put_file(const char *path, const char *text)
{
	int fd = openat(fz.dirfd, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		abort();
	close(fd);
}

static void host_memory(unsigned int available_mib)
{
	char text[96];

	snprintf(text, sizeof(text), "MemTotal: %u kB\nMemAvailable: %u kB\n", 8192U << 10,
		 available_mib << 10);
	put_file("proc/meminfo", text);
}

static void group_memory(unsigned int high_mib, unsigned int current_mib)
{
	char text[32];

	snprintf(text, sizeof(text), "%llu\n", current_mib * MIB);
	put_file("sys/fs/cgroup/g/memory.current", text);
	snprintf(text, sizeof(text), "%llu\n", high_mib * MIB);
	put_file("sys/fs/cgroup/g/memory.high", high_mib ? text : "max\n");
}

static void remove_host(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		(void)unlinkat(fz.dirfd, files[i], 0);
	for (size_t i = ARRAY_SIZE(dirs); i-- > 0;)
		(void)unlinkat(fz.dirfd, dirs[i], AT_REMOVEDIR);
	(void)rmdir(fz.root);
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	strcpy(fz.root, "/dev/shm/sandcastle-fuzz-balloon-XXXXXX");
	if (!mkdtemp(fz.root))
		abort();
	fz.dirfd = open(fz.root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	atexit(remove_host);
	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++)
		if (mkdirat(fz.dirfd, dirs[i], 0755) < 0)
			abort();
	for (size_t i = 0; i < ARRAY_SIZE(files); i++)
		put_file(files[i], "");
	put_file("proc/self/cgroup", "0::/g\n");
	return 0;
}

/* The policy on any readings: what it advises is within reason. */

static uint64_t some_memory(struct fuzz_input *in)
{
	return (uint64_t)fuzz_u16(in) * MIB / 16;
}

static void fuzz_policy(struct fuzz_input *in)
{
	struct policy p = {0};
	struct policy_reading r = {.now_ms = 100000, .ram = some_memory(in)};

	while (in->left > 0) {
		uint8_t how = fuzz_u8(in);
		struct policy_advice advice;

		r.now_ms += fuzz_u8(in) * (how & 1 ? 100u : 1u);
		r.host_short = how & 2;
		r.guest_known = how & 4;
		r.guest_quiet = how & 8;
		if (how & 0x10) {
			r.host_available = some_memory(in);
			r.host_reserve = some_memory(in) / 16;
		}
		if (how & 0x20) {
			r.guest_total = min_u64(some_memory(in), r.ram);
			r.guest_free = min_u64(some_memory(in), r.ram);
			r.guest_available = min_u64(some_memory(in), r.ram);
		}
		if (how & 0x40)
			r.resident = min_u64(some_memory(in), r.ram);
		/* A guest that does as it is told, or as it likes. */
		if (how & 0x80)
			r.balloon = min_u64(some_memory(in), r.ram);
		else
			r.balloon = min_u64(p.target, r.ram);
		advice = policy_step(&p, &r);
		if (advice.again_ms > 1000 || advice.target != p.target ||
		    advice.target > 4 * r.ram || !policy_state_name(p.state) ||
		    (p.state == POLICY_CALM && p.target > 0))
			abort();
	}
}

/* The balloon and its keeper */

static void on_figures(void *owner, const struct figures *figures)
{
	(void)owner;
	if (!figures || !fz.waits_for_figures)
		abort();
	fz.waits_for_figures = false;
}

static void on_pressure(void *owner, bool squeezing)
{
	(void)owner;
	/* Told of changes alone. */
	if (squeezing == fz.squeezing)
		abort();
	fz.squeezing = squeezing;
}

static bool saves_power(void *owner)
{
	(void)owner;
	return fz.saves;
}

/* What a driver writes to the configuration. */
static void write_config(uint8_t op, struct fuzz_input *in)
{
	struct virtio_device *vdev = fz.vdev;
	size_t off = vdev->config_writable_off + op % vdev->config_writable_len;
	size_t len = min_size(1u << (op >> 6), vdev->config_len - off);

	fuzz_bytes(in, (uint8_t *)vdev->config + off, len);
	vdev->ops->config_written(vdev, off, len);
}

/* The guest has given up what it was asked for. */
static void obey(void)
{
	struct virtio_balloon_config config;

	memcpy(&config, fz.vdev->config, sizeof(config));
	config.actual = config.num_pages;
	memcpy(fz.vdev->config, &config, sizeof(config));
	fz.vdev->ops->config_written(fz.vdev, offsetof(struct virtio_balloon_config, actual),
				     sizeof(config.actual));
}

static void publish(unsigned int q, const void *data, size_t len)
{
	struct fake_seg seg;

	if (fuzz_free_descriptors(fz.g, q) == 0 || fz.g->heap > FAKE_RAM_BASE + FAKE_RAM_SIZE / 2)
		return;
	seg = fake_put(fz.g, data, len);
	(void)fake_publish(fz.g, q, &seg, 1);
	fake_kick(fz.g, q);
}

static void say_stats(struct fuzz_input *in)
{
	struct virtio_balloon_stat stats[] = {
		{htole16(VIRTIO_BALLOON_S_MEMTOT), htole64(RAM_SIZE)},
		{htole16(VIRTIO_BALLOON_S_MEMFREE), htole64(fuzz_u16(in) * 1024ull)},
		{htole16(VIRTIO_BALLOON_S_AVAIL), htole64(fuzz_u16(in) * 1024ull)},
	};

	publish(Q_STATS, stats, sizeof(stats));
}

/* A run of pages of RAM to one of the first two queues. */
static void name_pages(uint8_t op, struct fuzz_input *in)
{
	uint32_t pfns[MAX_RUN];
	unsigned int n = 1 + fuzz_u16(in) % MAX_RUN, first = fuzz_u16(in);

	for (unsigned int i = 0; i < n; i++)
		pfns[i] = htole32((uint32_t)(RAM_BASE / PAGE) + (first + i) % (RAM_SIZE / PAGE));
	publish(Q_INFLATE + (op >> 7), pfns, n * sizeof(pfns[0]));
}

static void touch_ram(const struct ram *ram, unsigned int mib)
{
	const size_t len = min_size(mib * MIB, RAM_SIZE);

	for (size_t off = 0; off < len; off += PAGE)
		ram->host[off] = 1;
}

static void other(void *arg, uint8_t op, struct fuzz_input *in)
{
	const struct ram *ram = arg;

	switch (op % 9) {
	case 0:
		write_config(op, in);
		break;
	case 1:
		host_memory(fuzz_u16(in) % 8192);
		break;
	case 2:
		group_memory(op & 0x80 ? fuzz_u16(in) : 0, fuzz_u16(in));
		break;
	case 3:
		say_stats(in);
		break;
	case 4:
		obey();
		break;
	case 5:
		if (fz.waits_for_figures)
			break;
		fz.waits_for_figures = true;
		keeper_ask(fz.keeper, on_figures, NULL);
		break;
	case 6:
		fz.saves = op & 0x80;
		touch_ram(ram, fuzz_u8(in));
		break;
	case 7:
		name_pages(op, in);
		break;
	default:
		fuzz_clock_pass(fuzz_u16(in), op);
		fake_guest_settle(fz.g);
		break;
	}
}

static void fuzz_keeper(struct fuzz_input *in, struct ram *ram)
{
	static const struct keeper_owner_ops owner = {.saves_power = saves_power};
	const struct keeper_config cfg = {.ram = ram, .root = fz.root, .owner_ops = &owner};

	fz.g->mem.regions[fz.g->mem.n_regions++] =
		(struct guest_region){RAM_BASE, RAM_SIZE, ram->host};
	if (keeper_new(&cfg, &fz.keeper) < 0)
		abort();
	keeper_on_pressure(fz.keeper, on_pressure, NULL);
	if (virtio_balloon_new(&fz.g->mem, ram, fz.keeper, &fz.vdev) < 0)
		abort();
	fuzz_device(fz.g, fz.vdev, in, other, ram);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = {data, size};
	struct ram ram;

	if (fuzz_u8(&in) & 1) {
		fuzz_policy(&in);
		return 0;
	}
	fuzz_clock_start();
	host_memory(6000);
	group_memory(0, 0);
	fz.waits_for_figures = fz.saves = fz.squeezing = false;
	fz.g = fake_guest_new();
	if (ram_init_memfd(&ram, RAM_SIZE) < 0)
		abort();
	fuzz_keeper(&in, &ram);
	fake_guest_free(fz.g);
	ram_fini(&ram);
	return 0;
}
