/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <string.h>

#include "vmm/config/config.h"
#include "vmm/guest_kernel.h"

Test(guest_kernel, quiet_command_line)
{
	char line[GUEST_KERNEL_CMDLINE_MAX];

	cr_assert_eq(guest_kernel_cmdline(false, line), 0);
	cr_assert_str_eq(line, "loglevel=1 panic=-1 reboot=a earlyprintk=ttyS0,115200 console=hvc0 "
			       "8250.nr_uarts=0 tsc=reliable no_timer_check cryptomgr.notests "
			       "rcupdate.rcu_expedited=1 swiotlb=noforce pci=noearly "
			       "sysctl.vm.percpu_pagelist_high_fraction=1024 "
			       "sysctl.vm.compaction_proactiveness=0 init_on_alloc=0");
}

Test(guest_kernel, debug_command_line)
{
	char line[GUEST_KERNEL_CMDLINE_MAX];

	cr_assert_eq(guest_kernel_cmdline(true, line), 0);
	cr_assert_str_eq(line, "panic=-1 reboot=a earlyprintk=ttyS0,115200,keep 8250.nr_uarts=0 "
			       "ignore_loglevel tsc=reliable no_timer_check cryptomgr.notests "
			       "rcupdate.rcu_expedited=1 swiotlb=noforce pci=noearly "
			       "sysctl.vm.percpu_pagelist_high_fraction=1024 "
			       "sysctl.vm.compaction_proactiveness=0 init_on_alloc=0");
}

Test(guest_kernel, each_switch_has_a_reason_and_stands_once)
{
	const struct kernel_switch *s = guest_kernel_switches;

	for (; s->text; s++) {
		cr_expect(s->why && strlen(s->why) > 20, "%s", s->text);
		cr_expect_null(strchr(s->text, ' '), "%s", s->text);
		for (const struct kernel_switch *other = s + 1; other->text; other++)
			cr_expect_str_neq(s->text, other->text);
	}
}

/* Whether `name` is among the modules of cfg. */
static bool loads(const struct sandbox_config *cfg, const char *name)
{
	const char *modules[GUEST_KERNEL_MODULES_MAX];
	bool found = false;

	guest_kernel_modules(cfg, modules);
	for (const char *const *m = modules; *m; m++)
		found |= strcmp(*m, name) == 0;
	return found;
}

Test(guest_kernel, a_driver_comes_with_its_device)
{
	struct sandbox_config cfg = {.network_mode = NETWORK_NONE};

	cr_expect(loads(&cfg, "virtiofs"));
	cr_expect(!loads(&cfg, "virtio_net"));
	cfg.network_mode = NETWORK_USER;
	cr_expect(loads(&cfg, "virtio_net"));
}
