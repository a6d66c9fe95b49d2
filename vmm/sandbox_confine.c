/* SPDX-License-Identifier: MIT */
/* What a sandbox holds on to when its process gives up all else. */
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/own_fd.h"
#include "devices/fs/fs.h"
#include "vmm/machine.h"
#include "vmm/sandbox_priv.h"
#include "vmm/session/shares.h"

/* What is read, or found out, only while the machine is built. */
static void let_go_of_images(const struct sandbox_setup *setup)
{
	if (setup->base->root >= 0)
		close(setup->base->root);
	if (setup->kernel->elf_fd >= 0)
		close(setup->kernel->elf_fd);
	setup->base->root = setup->kernel->elf_fd = -1;
}

int sandbox_confine(struct sandbox *sb)
{
	int writable[FS_MAX_WRITABLE + 3];
	struct confine_setup setup = {
		.writable = writable,
		.locked = sb->setup->run_fd,
		.guard = sb->setup->runs_fd,
		.weak = sb->cfg->confine_weak,
	};
	struct shares_files files;
	int r;

	let_go_of_images(sb->setup);
	/* Whoever could write there could write what others are cloned from. */
	if (!sb->cloned && !sb->park.machine)
		template_store_fini(&sb->store);
	machine_files(sb->machine, &files);
	setup.n_writable = fs_server_writable(files.server, writable);
	writable[setup.n_writable++] = sb->setup->run_fd;
	writable[setup.n_writable++] = sb->setup->runs_fd;
	writable[setup.n_writable++] = sb->store.dir;
	r = own_fd_folder();
	if (r < 0)
		log_error("cannot prepare the sandbox: %s", strerror(-r));
#ifndef SANDCASTLE_POLICY_OFF
	else
		r = confine(&setup, &sb->confinement);
#endif
	if (r < 0)
		return r;
	log_info("confined by %s%s%s", confinement_text(&sb->confinement),
		 sb->confinement.why[0] ? ": " : "", sb->confinement.why);
	return 0;
}
