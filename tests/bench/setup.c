/* SPDX-License-Identifier: MIT */
/*
 * bench_setup KERNEL [ROUNDS]: what of a sandbox's set-up and tear-down needs no virtualization, natively: the
 * kernel's file, base image, guest memory, initramfs, kernel into memory, memory given back. CPU milliseconds, the
 * median of ROUNDS (default 21), and the same over a memfd, where a host refuses user namespaces.
 */
#include <stdbool.h>
#include <stdio.h>
#include <time.h>

#include "devices/board/ram.h"
#include "image/base/base.h"
#include "image/kernel/kernel.h"
#include "vmm/kvm/x86/boot.h"

enum { MAX_ROUNDS = 1001, AGENT_SIZE = 128 << 10 };
#define MEMORY (2ull << 30)

enum part { KERNEL_FILE, BASE, MEMORY_NEW, INITRAMFS, LOAD, MEMORY_BACK, N_PARTS };

static const char *const part_names[N_PARTS] = {
	"kernel's file", "base image",	       "guest memory",
	"initramfs",	 "kernel into memory", "memory given back",
};

static const char *const modules[] = {
	"virtio_pci",
	"vmw_vsock_virtio_transport",
	"virtiofs",
	"overlay",
	"?virtio_console",
	"?virtio_rng",
	"?virtio_balloon",
	"?ac",
	"?battery cache_time=50",
	NULL,
};

struct measure {
	double ms[N_PARTS][MAX_ROUNDS];
	double last;
};

static double cpu_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void mark(struct measure *m, enum part part, unsigned int round)
{
	double now = cpu_ms();

	m->ms[part][round] = now - m->last;
	m->last = cpu_ms();
}

static int load(const struct ram *ram, const struct kernel_image *kernel, struct measure *m,
		unsigned int round)
{
	const struct guest_mem mem = {.regions = {{0, MEMORY, ram->host}}, .n_regions = 1};
	static const uint8_t data[AGENT_SIZE];
	const struct agent_image agent = {.data = data, .len = sizeof(data), .id = "bench"};
	struct boot_input in = {.elf_fd = kernel->elf_fd, .cmdline = ""};
	struct initramfs initramfs;
	struct boot_entry entry;
	int r = initramfs_open(kernel, &agent, modules, &initramfs);

	if (r < 0)
		return r;
	in.initramfs_fd = initramfs.fd;
	in.initramfs_off = initramfs.off;
	in.initramfs_len = initramfs.len;
	mark(m, INITRAMFS, round);
	r = boot_load(&mem, &in, &entry);
	close(initramfs.fd);
	mark(m, LOAD, round);
	return r;
}

static int measure(struct measure *m, const char *path, bool huge, unsigned int round)
{
	struct kernel_image kernel;
	struct base_image base;
	struct ram ram;
	int r;

	m->last = cpu_ms();
	r = kernel_image_open(path, &kernel);
	if (r < 0)
		return r;
	mark(m, KERNEL_FILE, round);
	r = base_image_open(NULL, BASE_CURRENT, &base);
	if (r < 0)
		return r;
	mark(m, BASE, round);
	r = huge ? ram_init(&ram, MEMORY) : ram_init_memfd(&ram, MEMORY);
	mark(m, MEMORY_NEW, round);
	if (r == 0) {
		r = load(&ram, &kernel, m, round);
		m->last = cpu_ms();
		ram_fini(&ram);
		mark(m, MEMORY_BACK, round);
	}
	base_image_fini(&base);
	kernel_image_fini(&kernel);
	return r;
}

static int by_size(const void *a, const void *b)
{
	const double *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

int main(int argc, char **argv)
{
	unsigned int rounds = argc > 2 ? (unsigned int)strtoul(argv[2], NULL, 10) : 21;
	static struct measure m;

	if (argc < 2 || rounds < 1 || rounds > MAX_ROUNDS)
		return 2;
	for (int huge = 1; huge >= 0; huge--) {
		for (unsigned int i = 0; i < rounds; i++)
			if (measure(&m, argv[1], huge, i) < 0)
				return 1;
		for (enum part p = 0; p < N_PARTS; p++) {
			qsort(m.ms[p], rounds, sizeof(m.ms[p][0]), by_size);
			printf("%s\t%s\t%.2f\n", huge ? "huge pages" : "memfd", part_names[p],
			       m.ms[p][rounds / 2]);
		}
	}
	return 0;
}
