/* SPDX-License-Identifier: MIT */
/* tests/unit/vmm/confine/bpf.h - runs a filter of system calls as the kernel would. */
#ifndef TESTS_UNIT_VMM_CONFINE_BPF_H
#define TESTS_UNIT_VMM_CONFINE_BPF_H

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdint.h>

/* What the program returns. The test fails at an instruction that these filters have no use for. */
uint32_t bpf_run(const struct sock_filter *code, size_t len, const struct seccomp_data *data);

#endif
