/* SPDX-License-Identifier: MIT */
/* vmm/guest_kernel.h - what the guest's kernel is started with: its modules and its command line. */
#ifndef VMM_GUEST_KERNEL_H
#define VMM_GUEST_KERNEL_H

#include <stdbool.h>
#include <stddef.h>

#include "common/util.h"

struct agent_image;
struct guest_mem;
struct kernel_image;
struct sandbox_config;
struct timeline;
struct vcpu;

/* When a switch is on the command line. */
enum kernel_switch_when {
	KERNEL_ALWAYS,
	KERNEL_QUIET, /* without --debug-console */
	KERNEL_DEBUG, /* with it */
};

struct kernel_switch {
	const char *text;
	enum kernel_switch_when when;
	const char *why;
};

/* In the order in which they are given; ends with a NULL text. */
extern const struct kernel_switch guest_kernel_switches[];

enum { GUEST_KERNEL_CMDLINE_MAX = 1024, GUEST_KERNEL_MODULES_MAX = 24 };

/* The command line, NUL-terminated. -E2BIG: it does not fit. */
int guest_kernel_cmdline(bool debug_console, char out[GUEST_KERNEL_CMDLINE_MAX]) MUST_CHECK;

/*
 * The modules a sandbox's guest loads, in this order, ended by NULL. "?" first: after the
 * first command was started.
 */
void guest_kernel_modules(const struct sandbox_config *cfg,
			  const char *out[GUEST_KERNEL_MODULES_MAX]);

/* Where the kernel goes, and what it is made of; all borrowed. */
struct guest_kernel {
	const struct sandbox_config *config;
	const struct kernel_image *kernel;
	const struct agent_image *agent;
	const struct guest_mem *mem;
	struct vcpu *vcpu; /* the first, which starts in it */
	struct timeline *timeline;
};

/* Puts kernel, initramfs and tables into the guest's memory, before it runs. Logs on failure. */
int guest_kernel_load(const struct guest_kernel *g) MUST_CHECK;

#endif
