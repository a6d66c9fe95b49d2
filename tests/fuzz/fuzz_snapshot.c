/* SPDX-License-Identifier: MIT */
/*
 * Bytes as a snapshot. The file is read: what passes names nothing beyond its RAM. Then its state
 * goes into devices that no guest has used, as if KVM had taken its part: whatever they make of
 * it, they touch no memory but the guest's, which is what the bounds of fake_guest watch.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/state.h"
#include "devices/acpi_events.h"
#include "devices/board/pci.h"
#include "devices/serial.h"
#include "devices/virtio/pci.h"
#include "devices/vsock/vsock.h"
#include "tests/support/fake_guest.h"
#include "vmm/snapshot/snapshot.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { RAM = 4 << 20, KEY_AT = 48 };

static void hear(void *owner, const void *buf, size_t len)
{
	(void)owner;
	(void)buf;
	(void)len;
}

static void asked(void *owner, enum acpi_request request)
{
	(void)owner;
	(void)request;
}

static void swallow(struct vsock_conn *conn, void *owner)
{
	(void)owner;
	vsock_conn_consume(conn, vsock_conn_pending(conn));
}

static void ignore(struct vsock_conn *conn, void *owner)
{
	(void)conn;
	(void)owner;
}

static const struct vsock_conn_ops conn_ops = {
	.readable = swallow, .writable = ignore, .closed = ignore};

static int take(struct vsock_conn *conn, void *owner)
{
	vsock_conn_set_ops(conn, &conn_ops, owner);
	return 0;
}

static void require(bool ok)
{
	if (!ok)
		abort();
}

/* A machine of a few devices, in memory that is watched. */
struct machine {
	struct fake_guest *g;
	struct fake_wiring fw;
	struct bus *mmio;
	struct pci_bus pci;
	struct device *devices[3];
	struct vsock *vs;
};

static void build(struct machine *m)
{
	static const struct pci_windows windows = {.ecam = 0xb0000000,
						   .base32 = 0xc0000000,
						   .len32 = 1 << 20,
						   .base64 = 0x200000000,
						   .len64 = 1 << 30};
	struct virtio_device *vdev = NULL;
	struct pci_function *fn = NULL;

	m->g = fake_guest_new();
	fake_wiring_init(&m->fw);
	require(bus_new(&m->mmio) == 0);
	pci_bus_init(&m->pci, m->mmio, &windows);
	require(serial_new(hear, NULL, &m->devices[0]) == 0);
	require(acpi_events_new(&m->fw.wiring, 9, asked, NULL, &m->devices[1]) == 0);
	require(virtio_vsock_new(&vdev, &m->vs) == 0);
	require(virtio_pci_new(vdev, &m->g->mem, &m->fw.wiring, &fn) == 0);
	require(pci_bus_add(&m->pci, fn) == 0);
	require(virtio_pci_connect(fn, m->g->loop) == 0);
	require(pci_bus_show(&m->pci, &m->fw.wiring) == 0);
	require(vsock_listen(m->vs, 1024, take, NULL) == 0);
	m->devices[2] = &fn->dev;
}

static void load(const uint8_t *state, size_t len)
{
	struct state_reader r = {.next = state, .left = len};
	struct machine m;

	memset(&m, 0, sizeof(m));
	build(&m);
	for (size_t i = 0; r.error == 0 && i < ARRAY_SIZE(m.devices); i++)
		device_load(m.devices[i], &r);
	/* Without its agent's connection a machine does not go on. */
	if (r.error == 0 && vsock_adopt(m.vs) == 0) {
		for (size_t i = 0; i < ARRAY_SIZE(m.devices); i++)
			device_wake(m.devices[i]);
		fake_guest_settle(m.g);
	}
	for (size_t i = ARRAY_SIZE(m.devices); i-- > 0;)
		m.devices[i]->ops->destroy(m.devices[i]);
	pci_bus_fini(&m.pci);
	bus_free(m.mmio);
	fake_guest_free(m.g);
}

static void read_file(const uint8_t *data, size_t size)
{
	AUTO_CLOSE int fd = memfd_create("snapshot", MFD_CLOEXEC);
	uint8_t key[SNAPSHOT_KEY] = {0};
	struct snapshot s;
	uint64_t end = 0;

	if (fd < 0 || write(fd, data, size) != (ssize_t)size)
		return;
	if (size >= KEY_AT + sizeof(key))
		memcpy(key, data + KEY_AT, sizeof(key));
	/* As long as a file of this RAM would be. */
	require(ftruncate(fd, (2 << 20) + RAM) == 0);
	if (snapshot_open(fd, key, RAM, &s) < 0)
		return;
	for (uint32_t i = 0; i < s.ram.n_extents; i++) {
		require(s.extents[i].offset >= end &&
			s.extents[i].len <= RAM - s.extents[i].offset);
		end = s.extents[i].offset + s.extents[i].len;
	}
	load(s.state, s.state_len);
	snapshot_fini(&s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size > 0 && data[0] == 'S')
		read_file(data, size);
	else
		load(data, size);
	return 0;
}
