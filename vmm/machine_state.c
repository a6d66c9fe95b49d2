/* SPDX-License-Identifier: MIT */
/* A machine as bytes: what of it is written, in which order, and how it goes on from there. */
#include <errno.h>

#include "common/join.h"
#include "common/log.h"
#include "common/state.h"
#include "vmm/kvm/state.h"
#include "vmm/machine_priv.h"
#include "vmm/snapshot/snapshot.h"

enum { PAUSE_SLICES = 900 / JOIN_SLICE_MS, MAX_DEVICES = 3 + MACHINE_MAX_FUNCTIONS };

/* All devices, in the order of their states. */
static unsigned int list_devices(const struct machine *m, struct device *out[MAX_DEVICES])
{
	unsigned int n = 0;

	out[n++] = m->serial;
	out[n++] = m->acpi_events;
	out[n++] = m->battery;
	for (unsigned int i = 0; i < m->n_functions; i++)
		out[n++] = &m->functions[i]->dev;
	return n;
}

static int start_vcpus(struct machine *m)
{
	int r = 0;

	for (unsigned int i = 0; r == 0 && i < m->n_vcpus; i++) {
		vcpu_let_go_on(m->vcpus[i]);
		r = vcpu_start(m->vcpus[i]);
	}
	return r;
}

int machine_go_on(struct machine *m)
{
	int r;

	kvm_state_resumed(m->vcpus, m->n_vcpus);
	r = start_vcpus(m);
	if (r < 0)
		log_error("cannot start the machine's threads: %s", strerror(-r));
	return r;
}

int machine_pause(struct machine *m)
{
	unsigned int slices = PAUSE_SLICES;

	for (unsigned int i = 0; i < m->n_vcpus; i++)
		vcpu_ask_to_stop(m->vcpus[i]);
	return machine_join_vcpus(m, &slices);
}

void machine_save(struct machine *m, struct state_writer *w)
{
	struct device *devices[MAX_DEVICES];
	const unsigned int n = list_devices(m, devices);

	kvm_state_save(m->vm, m->vcpus, m->n_vcpus, w);
	state_put_int(w, n, 4);
	for (unsigned int i = 0; i < n; i++)
		device_save(devices[i], w);
}

static void load_devices(struct machine *m, struct state_reader *r)
{
	struct device *devices[MAX_DEVICES];
	const unsigned int n = list_devices(m, devices);

	if (state_get_int(r, 4) != n)
		state_fail(r, -ESTALE);
	for (unsigned int i = 0; r->error == 0 && i < n; i++)
		device_load(devices[i], r);
	if (r->left > 0)
		state_fail(r, -EBADMSG);
}

int machine_load(struct machine *m, const struct snapshot *from)
{
	struct state_reader r = {.next = from->state, .left = from->state_len};
	struct device *devices[MAX_DEVICES];
	const unsigned int n = list_devices(m, devices);
	int error;

	/* The interrupt controllers first, or they would lose what the devices raise. */
	kvm_state_load(m->vm, m->vcpus, m->n_vcpus, &r);
	vm_hold_routes(m->vm);
	if (r.error == 0)
		load_devices(m, &r);
	error = vm_commit_routes(m->vm);
	if (r.error < 0)
		return r.error;
	for (unsigned int i = 0; error == 0 && i < n; i++)
		device_wake(devices[i]);
	kvm_state_resumed(m->vcpus, m->n_vcpus);
	return error;
}

void machine_ram(const struct machine *m, const uint8_t **host, uint64_t *size, int *fd)
{
	*host = m->vm->ram.host;
	*size = m->vm->ram.size;
	*fd = m->vm->ram.fd;
}
