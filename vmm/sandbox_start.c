/* SPDX-License-Identifier: MIT */
/* How a sandbox gets its machine: as a clone of a template, or by starting a kernel. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "common/exit_codes.h"
#include "common/log.h"
#include "vmm/machine.h"
#include "vmm/sandbox_priv.h"
#include "vmm/session/session.h"

/*
 * A machine that goes on from the template. 1: there is none that fits; -errno: no machine of this
 * configuration can be built, and a line was logged. The caller keeps kvm_fd.
 */
static int clone_machine(struct sandbox *sb, struct machine_setup *setup)
{
	struct machine_setup clone = *setup;
	AUTO_CLOSE int fd = -1;
	struct snapshot from;
	int r = template_open(&sb->store, sb->cfg->memory, &from, &fd);

	if (r < 0)
		return 1;
	clone.snapshot = &from;
	clone.kvm_fd = fcntl(setup->kvm_fd, F_DUPFD_CLOEXEC, 3);
	r = clone.kvm_fd < 0 ? 1 : machine_build(&clone, &sb->machine);
	snapshot_fini(&from);
	if (r != -ESTALE)
		return r;
	log_info("the template of this machine does not fit any more: it is made anew");
	template_remove(&sb->store);
	return 1;
}

int sandbox_build_machine(struct sandbox *sb, struct machine_setup *setup)
{
	int r;

	template_store_init(&sb->store, sb->setup);
	if (sb->cfg->make_template && sb->store.dir < 0) {
		close(setup->kvm_fd);
		log_error(
			"a sandbox with these options cannot be cloned: no template has a network "
			"or a display, and it needs a folder of your own on a disk of this host");
		return -EOPNOTSUPP;
	}
	r = sb->cfg->make_template ? 1 : clone_machine(sb, setup);
	if (r > 0) {
		sb->park.in_passing = !sb->cfg->make_template && sb->store.dir >= 0 &&
				      template_is_due(&sb->store);
		return machine_build(setup, &sb->machine);
	}
	close(setup->kvm_fd);
	sb->cloned = r == 0;
	if (sb->cloned)
		log_info("a clone of a template");
	return r;
}

static void park_failed(void *owner)
{
	struct sandbox *sb = owner;

	sb->finished = true;
	sb->exit_code = EXIT_SANDCASTLE_FAILED;
	loop_stop(sb->loop);
}

int sandbox_prepare_session(struct sandbox *sb)
{
	if (sb->cloned)
		return session_adopt(sb->session);
	if (!sb->cfg->make_template && !sb->park.in_passing)
		return 0;
	sb->park.machine = sb->machine;
	sb->park.session = sb->session;
	sb->park.store = &sb->store;
	sb->park.failed = park_failed;
	sb->park.owner = sb;
	session_park(sb->session);
	return park_init(&sb->park, sb->loop);
}

void sandbox_judge_template(const struct sandbox *sb)
{
	static const char *const its_fault[] = {"failed", "panicked", "rebooted", "powered-off"};

	if (!sb->cloned || sb->was_ready || !sb->reason)
		return;
	for (size_t i = 0; i < ARRAY_SIZE(its_fault); i++)
		if (strcmp(sb->reason, its_fault[i]) == 0)
			template_failed(&sb->store);
}
