/* SPDX-License-Identifier: MIT */
/*
 * To be preloaded into sandcastle on an emulated host: guests are not offered PV EOI, so that
 * an exit ends each interrupt. docs/testing.md says what that avoids.
 */
#include <linux/kvm.h>
#include <linux/kvm_para.h>
#include <stdarg.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static void hide_pv_eoi(struct kvm_cpuid2 *cpuid)
{
	for (unsigned int i = 0; i < cpuid->nent; i++)
		if (cpuid->entries[i].function == KVM_CPUID_FEATURES)
			cpuid->entries[i].eax &= ~(1u << KVM_FEATURE_PV_EOI);
}

int ioctl(int fd, unsigned long request, ...)
{
	va_list args;
	void *arg;

	va_start(args, request);
	arg = va_arg(args, void *);
	va_end(args);
	if (request == KVM_SET_CPUID2)
		hide_pv_eoi(arg);
	return (int)syscall(SYS_ioctl, fd, request, arg);
}
