/* SPDX-License-Identifier: MIT */
/* A machine as bytes: what of it is written, in which order, and how it goes on from there. */
#include <errno.h>
#include <string.h>

#include "common/join.h"
#include "common/log.h"
#include "common/state.h"
#include "vmm/confine/policy.h"
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

int machine_go_on(struct machine *m)
{
	int r;

	kvm_state_resumed(m->vcpus, m->n_vcpus);
	/* What looks into a parked guest is given up before it is the guest's turn again. */
	r = policy_load(POLICY_LOOP, m->start.renderer);
	if (r < 0) {
		log_error("cannot confine the sandbox's process again: %s", strerror(-r));
		return r;
	}
	for (unsigned int i = 0; i < m->n_vcpus; i++)
		vcpu_go_on(m->vcpus[i]);
	return 0;
}

int machine_pause(struct machine *m)
{
	unsigned int slices = PAUSE_SLICES;
	int r = 0;

	for (unsigned int i = 0; i < m->n_vcpus; i++)
		vcpu_ask_to_pause(m->vcpus[i]);
	for (unsigned int i = 0; r == 0 && i < m->n_vcpus; i++)
		r = vcpu_wait_paused(m->vcpus[i], &slices);
	return r;
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
