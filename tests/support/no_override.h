/* SPDX-License-Identifier: MIT */
/* tests/support/no_override.h - root as its files' modes allow, for tests of what is refused. */
#ifndef TESTS_SUPPORT_NO_OVERRIDE_H
#define TESTS_SUPPORT_NO_OVERRIDE_H

#include <criterion/criterion.h>
#include <linux/capability.h>
#include <sys/syscall.h>
#include <unistd.h>

/* For the rest of the test's process; an ordinary user loses nothing. */
static inline void give_up_override(void)
{
	const __u32 override = 1u << CAP_DAC_OVERRIDE | 1u << CAP_DAC_READ_SEARCH;
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct caps[_LINUX_CAPABILITY_U32S_3];

	cr_assert_eq(syscall(SYS_capget, &header, caps), 0);
	caps[0].effective &= ~override;
	caps[0].permitted &= ~override; /* access(2) takes these */
	cr_assert_eq(syscall(SYS_capset, &header, caps), 0);
}

#endif
