/* SPDX-License-Identifier: MIT */
#include "tests/support/fake_guest.h"

#include <endian.h>
#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>

enum { GUARD_SIZE = 4096, OWN_REGIONS = 2 };

#define REQUIRE(cond)                                                                          \
	do {                                                                                   \
		if (!(cond)) {                                                                 \
			fprintf(stderr, "fake_guest: %s:%d: %s\n", __FILE__, __LINE__, #cond); \
			abort();                                                               \
		}                                                                              \
	} while (0)

static void count_queue(struct virtio_transport *t, unsigned int q)
{
	CONTAINER_OF(t, struct fake_guest, transport)->queue_interrupts[q]++;
}

static void count_config(struct virtio_transport *t)
{
	CONTAINER_OF(t, struct fake_guest, transport)->config_interrupts++;
}

static void note_later(struct virtio_transport *t, unsigned int q)
{
	CONTAINER_OF(t, struct fake_guest, transport)->later[q] = true;
}

static void count_reset(struct virtio_transport *t)
{
	CONTAINER_OF(t, struct fake_guest, transport)->late_resets++;
}

static const struct virtio_transport_ops transport_ops = {
	.interrupt_queue = count_queue,
	.interrupt_config = count_config,
	.kick_later = note_later,
	.was_reset = count_reset,
};

static void dev_read(struct device *dev, unsigned int window, uint64_t off, void *data,
		     unsigned int len)
{
	(void)dev;
	(void)window;
	(void)off;
	memset(data, 0xff, len);
}

static void dev_write(struct device *dev, unsigned int window, uint64_t off, const void *data,
		      unsigned int len)
{
	(void)dev;
	(void)window;
	(void)off;
	(void)data;
	(void)len;
}

static const struct device_ops dev_ops = {
	.name = "fake-transport",
	.read = dev_read,
	.write = dev_write,
	.destroy = device_fini,
};

/* A page nobody may touch on either side: an access one byte too far ends the test. */
static void add_region(struct fake_guest *g, gpa_t base, size_t size)
{
	uint8_t *map =
		mmap(NULL, size + 2 * GUARD_SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	REQUIRE(map != MAP_FAILED);
	REQUIRE(mprotect(map + GUARD_SIZE, size, PROT_READ | PROT_WRITE) == 0);
	g->mem.regions[g->mem.n_regions++] = (struct guest_region){base, size, map + GUARD_SIZE};
}

struct fake_guest *fake_guest_new(void)
{
	struct fake_guest *g = calloc(1, sizeof(*g));

	REQUIRE(g);
	add_region(g, FAKE_RAM_BASE, FAKE_RAM_SIZE);
	add_region(g, FAKE_HIGH_BASE, FAKE_HIGH_SIZE);
	g->heap = FAKE_RAM_BASE;
	g->transport.ops = &transport_ops;
	device_init(&g->dev, &dev_ops);
	REQUIRE(loop_new(&g->loop) == 0);
	return g;
}

void fake_guest_free(struct fake_guest *g)
{
	if (!g)
		return;
	if (g->vdev)
		g->vdev->ops->destroy(g->vdev);
	loop_free(g->loop);
	device_fini(&g->dev);
	/* What a test added to them is the test's. */
	for (unsigned int i = 0; i < OWN_REGIONS; i++)
		munmap(g->mem.regions[i].host - GUARD_SIZE,
		       g->mem.regions[i].size + 2 * GUARD_SIZE);
	free(g);
}

gpa_t fake_alloc(struct fake_guest *g, size_t len, size_t align)
{
	gpa_t at = align_up(g->heap, align);

	REQUIRE(len <= FAKE_RAM_SIZE && at - FAKE_RAM_BASE <= FAKE_RAM_SIZE - len);
	g->heap = at + len;
	if (len > 0)
		memset(fake_ptr(g, at, len), 0, len);
	return at;
}

void fake_release(struct fake_guest *g, gpa_t mark)
{
	REQUIRE(mark >= FAKE_RAM_BASE && mark <= g->heap);
	g->heap = mark;
}

void *fake_ptr(const struct fake_guest *g, gpa_t gpa, size_t len)
{
	void *p = guest_ptr(&g->mem, gpa, len);

	REQUIRE(p);
	return p;
}

struct fake_seg fake_put(struct fake_guest *g, const void *data, size_t len)
{
	struct fake_seg seg = {fake_alloc(g, len, 1), (uint32_t)len, false};

	if (len > 0)
		memcpy(fake_ptr(g, seg.addr, len), data, len);
	return seg;
}

struct fake_seg fake_room(struct fake_guest *g, size_t len)
{
	return (struct fake_seg){fake_alloc(g, len, 1), (uint32_t)len, true};
}

void fake_ring_init(struct fake_guest *g, struct fake_ring *ring, uint16_t size)
{
	size_t n = size;

	*ring = (struct fake_ring){
		.size = size,
		.desc = fake_alloc(g, n * sizeof(struct vring_desc), VRING_DESC_ALIGN_SIZE),
		.avail = fake_alloc(g, sizeof(struct vring_avail) + 2 * n + 2,
				    VRING_AVAIL_ALIGN_SIZE),
		.used = fake_alloc(
			g, sizeof(struct vring_used) + n * sizeof(struct vring_used_elem) + 2,
			VRING_USED_ALIGN_SIZE),
	};
}

void fake_ring_attach(const struct fake_ring *ring, struct virtq *vq)
{
	vq->state = (struct virtq_state){
		.size = ring->size,
		.enabled = true,
		.desc = ring->desc,
		.avail = ring->avail,
		.used = ring->used,
	};
}

void fake_guest_restart(struct fake_guest *g, uint64_t features)
{
	struct virtio_device *vdev = g->vdev;

	features |= 1ull << VIRTIO_F_VERSION_1;
	REQUIRE((features & ~virtio_device_features(vdev)) == 0);
	vdev->acked = features;
	for (unsigned int q = 0; q < vdev->ops->n_queues; q++) {
		fake_ring_init(g, &g->rings[q], vdev->queues[q].max_size);
		fake_ring_attach(&g->rings[q], &vdev->queues[q]);
	}
	virtio_device_activate(vdev, &g->mem);
	for (unsigned int q = 0; q < vdev->ops->n_queues; q++)
		virtio_device_kick(vdev, q);
}

void fake_guest_start(struct fake_guest *g, struct virtio_device *vdev, uint64_t features)
{
	REQUIRE(!g->vdev);
	g->vdev = vdev;
	vdev->transport = &g->transport;
	if (vdev->ops->attach)
		REQUIRE(vdev->ops->attach(vdev, &g->dev, g->loop) == 0);
	fake_guest_restart(g, features);
}

void fake_guest_reset(struct fake_guest *g)
{
	virtio_device_reset(g->vdev);
}

static void settle_end(struct loop_source *src, uint32_t events)
{
	(void)events;
	loop_stop(src->loop);
}

/* One turn of the loop: whatever is ready now. */
static void run_loop(struct fake_guest *g)
{
	struct loop_source end = {.fn = settle_end, .name = "fake-settle"};

	end.fd = eventfd(1, EFD_CLOEXEC);
	REQUIRE(end.fd >= 0 && loop_add(g->loop, &end, EPOLLIN) == 0);
	REQUIRE(loop_run(g->loop) == 0);
	loop_remove(&end);
	close(end.fd);
}

/* True if a kick had been put off. */
static bool kick_late(struct fake_guest *g)
{
	bool any = false;

	for (unsigned int q = 0; q < VIRTIO_MAX_QUEUES; q++)
		if (g->later[q]) {
			g->later[q] = false;
			any = true;
			virtio_device_kick(g->vdev, q);
		}
	return any;
}

void fake_guest_settle(struct fake_guest *g)
{
	/* What the first turn made ready, the second handles. */
	do {
		run_loop(g);
		run_loop(g);
	} while (kick_late(g));
}

static void store16(const struct fake_guest *g, gpa_t at, uint16_t v)
{
	/* As a driver does that shares the ring with a device on another thread. */
	__atomic_store_n((uint16_t *)fake_ptr(g, at, sizeof(v)), htole16(v), __ATOMIC_RELEASE);
}

static uint16_t load16(const struct fake_guest *g, gpa_t at)
{
	return le16toh(
		__atomic_load_n((uint16_t *)fake_ptr(g, at, sizeof(uint16_t)), __ATOMIC_ACQUIRE));
}

static void store_desc(struct fake_guest *g, gpa_t at, const struct fake_seg *seg, bool more,
		       uint16_t next)
{
	struct vring_desc d = {
		.addr = htole64(seg->addr),
		.len = htole32(seg->len),
		.flags = htole16((uint16_t)((seg->writable ? VRING_DESC_F_WRITE : 0) |
					    (more ? VRING_DESC_F_NEXT : 0))),
		.next = htole16(next),
	};

	memcpy(fake_ptr(g, at, sizeof(d)), &d, sizeof(d));
}

static uint16_t take_desc(struct fake_ring *ring)
{
	for (uint16_t i = 0; i < ring->size; i++)
		if (!ring->taken[i]) {
			ring->taken[i] = true;
			ring->more[i] = false;
			return i;
		}
	/* The test published more than the ring holds. */
	abort();
}

uint16_t fake_publish(struct fake_guest *g, unsigned int q, const struct fake_seg *segs,
		      unsigned int n)
{
	struct fake_ring *ring = &g->rings[q];
	uint16_t head, at;

	REQUIRE(n > 0);
	head = at = take_desc(ring);
	for (unsigned int i = 0; i < n; i++) {
		bool more = i + 1 < n;
		uint16_t next = more ? take_desc(ring) : 0;

		store_desc(g, ring->desc + sizeof(struct vring_desc) * at, &segs[i], more, next);
		ring->next[at] = next;
		ring->more[at] = more;
		at = next;
	}
	fake_raw_avail(g, q, head);
	return head;
}

uint16_t fake_publish_indirect(struct fake_guest *g, unsigned int q, const struct fake_seg *segs,
			       unsigned int n)
{
	gpa_t table = fake_alloc(g, n * sizeof(struct vring_desc), 16);
	uint16_t head = take_desc(&g->rings[q]);

	for (unsigned int i = 0; i < n; i++)
		store_desc(g, table + i * sizeof(struct vring_desc), &segs[i], i + 1 < n,
			   (uint16_t)(i + 1));
	fake_raw_desc(g, q, head, table, n * (uint32_t)sizeof(struct vring_desc),
		      VRING_DESC_F_INDIRECT, 0);
	fake_raw_avail(g, q, head);
	return head;
}

void fake_raw_desc(struct fake_guest *g, unsigned int q, uint16_t i, gpa_t addr, uint32_t len,
		   uint16_t flags, uint16_t next)
{
	struct vring_desc d = {htole64(addr), htole32(len), htole16(flags), htole16(next)};

	memcpy(fake_ptr(g, g->rings[q].desc + sizeof(d) * i, sizeof(d)), &d, sizeof(d));
}

void fake_raw_avail(struct fake_guest *g, unsigned int q, uint16_t head)
{
	struct fake_ring *ring = &g->rings[q];
	uint16_t slot = ring->avail_idx & (uint16_t)(ring->size - 1);

	store16(g, ring->avail + sizeof(struct vring_avail) + 2ull * slot, head);
	fake_raw_avail_idx(g, q, (uint16_t)(ring->avail_idx + 1));
}

void fake_raw_avail_idx(struct fake_guest *g, unsigned int q, uint16_t idx)
{
	g->rings[q].avail_idx = idx;
	store16(g, g->rings[q].avail + offsetof(struct vring_avail, idx), idx);
}

void fake_set_used_event(struct fake_guest *g, unsigned int q, uint16_t idx)
{
	const struct fake_ring *ring = &g->rings[q];

	store16(g, ring->avail + sizeof(struct vring_avail) + 2ull * ring->size, idx);
}

void fake_set_no_interrupt(struct fake_guest *g, unsigned int q, bool no)
{
	store16(g, g->rings[q].avail, no ? VRING_AVAIL_F_NO_INTERRUPT : 0);
}

uint16_t fake_avail_event(const struct fake_guest *g, unsigned int q)
{
	const struct fake_ring *ring = &g->rings[q];

	return load16(g, ring->used + sizeof(struct vring_used) +
				 sizeof(struct vring_used_elem) * ring->size);
}

uint16_t fake_used_flags(const struct fake_guest *g, unsigned int q)
{
	return load16(g, g->rings[q].used);
}

void fake_kick(struct fake_guest *g, unsigned int q)
{
	virtio_device_kick(g->vdev, q);
}

bool fake_reap(struct fake_guest *g, unsigned int q, uint16_t *head, uint32_t *written)
{
	struct fake_ring *ring = &g->rings[q];
	struct vring_used_elem elem;
	uint16_t i;

	if (load16(g, ring->used + offsetof(struct vring_used, idx)) == ring->last_used)
		return false;
	memcpy(&elem,
	       fake_ptr(g,
			ring->used + sizeof(struct vring_used) +
				sizeof(elem) * (ring->last_used & (ring->size - 1u)),
			sizeof(elem)),
	       sizeof(elem));
	ring->last_used++;
	i = (uint16_t)le32toh(elem.id);
	REQUIRE(i < ring->size);
	if (head)
		*head = i;
	if (written)
		*written = le32toh(elem.len);
	for (;;) {
		ring->taken[i] = false;
		if (!ring->more[i])
			return true;
		ring->more[i] = false;
		i = ring->next[i];
	}
}

long fake_request(struct fake_guest *g, unsigned int q, const void *out, size_t out_len, void *in,
		  size_t in_len)
{
	gpa_t mark = g->heap;
	struct fake_seg segs[2];
	unsigned int n = 0;
	uint32_t written;
	uint16_t head;

	if (out_len > 0)
		segs[n++] = fake_put(g, out, out_len);
	if (in_len > 0)
		segs[n++] = fake_room(g, in_len);
	(void)fake_publish(g, q, segs, n);
	fake_kick(g, q);
	fake_guest_settle(g);
	/* Not completed: the memory stays the device's. */
	if (!fake_reap(g, q, &head, &written))
		return -1;
	REQUIRE(written <= in_len);
	if (in_len > 0)
		memcpy(in, fake_ptr(g, segs[n - 1].addr, in_len), in_len);
	fake_release(g, mark);
	return (long)written;
}

/* -ENOSPC once fail_after calls were made. */
static int may_fail(struct fake_wiring *fw)
{
	if (fw->fail_after == 0)
		return -ENOSPC;
	if (fw->fail_after > 0)
		fw->fail_after--;
	return 0;
}

static int wiring_msi_new(struct wiring *w, int eventfd, unsigned int *route)
{
	struct fake_wiring *fw = CONTAINER_OF(w, struct fake_wiring, wiring);
	int r = may_fail(fw);

	if (r < 0)
		return r;
	REQUIRE(fw->n_routes < FAKE_MAX_ROUTES);
	fw->routes[fw->n_routes].eventfd = eventfd;
	*route = fw->n_routes++;
	return 0;
}

static int wiring_msi_set(struct wiring *w, unsigned int route, uint64_t addr, uint32_t data)
{
	struct fake_wiring *fw = CONTAINER_OF(w, struct fake_wiring, wiring);
	int r = may_fail(fw);

	if (r < 0)
		return r;
	REQUIRE(route < fw->n_routes);
	fw->routes[route].addr = addr;
	fw->routes[route].data = data;
	fw->routes[route].sets++;
	return 0;
}

static int wiring_line_add(struct wiring *w, unsigned int gsi, int eventfd)
{
	struct fake_wiring *fw = CONTAINER_OF(w, struct fake_wiring, wiring);
	int r = may_fail(fw);

	if (r < 0)
		return r;
	REQUIRE(fw->n_lines < FAKE_MAX_ROUTES);
	fw->lines[fw->n_lines].gsi = gsi;
	fw->lines[fw->n_lines++].eventfd = eventfd;
	return 0;
}

static int wiring_doorbell_add(struct wiring *w, gpa_t addr, int eventfd)
{
	struct fake_wiring *fw = CONTAINER_OF(w, struct fake_wiring, wiring);
	int r = may_fail(fw);

	if (r < 0)
		return r;
	REQUIRE(fw->n_doorbells < FAKE_MAX_DOORBELLS);
	fw->doorbells[fw->n_doorbells].addr = addr;
	fw->doorbells[fw->n_doorbells++].eventfd = eventfd;
	return 0;
}

static int wiring_memory_add(struct wiring *w, gpa_t addr, const void *host, uint64_t len)
{
	struct fake_wiring *fw = CONTAINER_OF(w, struct fake_wiring, wiring);
	int r = may_fail(fw);

	if (r < 0)
		return r;
	fw->memory.addr = addr;
	fw->memory.host = host;
	fw->memory.len = len;
	return 0;
}

static int wiring_memory_remove(struct wiring *w, gpa_t addr)
{
	struct fake_wiring *fw = CONTAINER_OF(w, struct fake_wiring, wiring);
	int r = may_fail(fw);

	if (r < 0)
		return r;
	REQUIRE(fw->memory.addr == addr && fw->memory.host);
	fw->memory.host = NULL;
	return 0;
}

static const struct wiring_ops fake_wiring_ops = {
	.msi_new = wiring_msi_new,
	.msi_set = wiring_msi_set,
	.line_add = wiring_line_add,
	.doorbell_add = wiring_doorbell_add,
	.memory_add = wiring_memory_add,
	.memory_remove = wiring_memory_remove,
};

void fake_wiring_init(struct fake_wiring *fw)
{
	*fw = (struct fake_wiring){.wiring.ops = &fake_wiring_ops, .fail_after = -1};
}

bool fake_wiring_ring(struct fake_wiring *fw, gpa_t addr)
{
	for (unsigned int i = 0; i < fw->n_doorbells; i++)
		if (fw->doorbells[i].addr == addr) {
			REQUIRE(eventfd_write(fw->doorbells[i].eventfd, 1) == 0);
			return true;
		}
	return false;
}

uint64_t fake_wiring_taken(struct fake_wiring *fw, unsigned int route)
{
	eventfd_t n;

	REQUIRE(route < fw->n_routes);
	/* The vectors' eventfds do not block: empty is an error. */
	return eventfd_read(fw->routes[route].eventfd, &n) == 0 ? n : 0;
}
