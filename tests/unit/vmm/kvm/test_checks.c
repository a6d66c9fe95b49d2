/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/support/no_override.h"
#include "vmm/kvm/checks.h"

static char tree[] = "/tmp/sandcastle-test-XXXXXX";
static char device[64], cpuinfo[64], modules[64], driver[128];
static struct kvm_places places = {device, cpuinfo, modules};
static struct kvm_report why;
static int fd = -1;

static void write_text(const char *path, const char *text)
{
	FILE *f = fopen(path, "we");

	cr_assert_not_null(f);
	fputs(text, f);
	fclose(f);
}

static void setup(void)
{
	cr_assert_not_null(mkdtemp(tree));
	sprintf(device, "%s/kvm", tree);
	sprintf(cpuinfo, "%s/cpuinfo", tree);
	sprintf(modules, "%s/module", tree);
	mkdir(modules, 0755);
	write_text(cpuinfo, "processor\t: 0\nflags\t\t: fpu svm_lock sse svm\n");
}

static void teardown(void)
{
	if (driver[0])
		rmdir(driver);
	rmdir(modules);
	unlink(cpuinfo);
	unlink(device);
	rmdir(tree);
}

TestSuite(kvm_check, .init = setup, .fini = teardown);

static void load(const char *name)
{
	sprintf(driver, "%s/%s", modules, name);
	mkdir(driver, 0755);
}

static void says(const char *cause, const char *cure)
{
	cr_assert_not_null(strstr(why.cause, cause), "%s", why.cause);
	cr_assert_not_null(strstr(why.cure, cure), "%s", why.cure);
}

Test(kvm_check, processor_flags)
{
	cr_assert_str_eq(kvm_cpu_flag(&places), "svm");
	write_text(cpuinfo, "flags : fpu vmx\n");
	cr_assert_str_eq(kvm_cpu_flag(&places), "vmx");
	/* Names that only begin or end like one. */
	write_text(cpuinfo, "flags : fpu svm_lock nosvm\nvmx flags : vmx\n");
	cr_assert_null(kvm_cpu_flag(&places));
	unlink(cpuinfo);
	cr_assert_null(kvm_cpu_flag(&places));
}

Test(kvm_check, no_device)
{
	cr_assert_eq(kvm_open_at(&places, &why, &fd), -ENODEV);
	cr_assert_eq(why.state, KVM_STATE_MISSING);
	says("there is no", "modprobe kvm_amd");
	write_text(cpuinfo, "flags : vmx\n");
	cr_assert_lt(kvm_open_at(&places, &why, &fd), 0);
	says("there is no", "modprobe kvm_intel");
	write_text(cpuinfo, "flags : fpu\n");
	cr_assert_lt(kvm_open_at(&places, &why, &fd), 0);
	says("no VT-x or AMD-V", "firmware");
}

Test(kvm_check, no_hardware_behind_it)
{
	write_text(device, "");
	write_text(cpuinfo, "flags : fpu\n");
	load("kvm_pvm");
	cr_assert_eq(kvm_open_at(&places, &why, &fd), -ENODEV);
	cr_assert_eq(why.state, KVM_STATE_NO_HARDWARE);
	says("kvm_pvm", "VT-x or AMD-V");
}

Test(kvm_check, another_device)
{
	cr_assert_eq(symlink("/dev/null", device), 0);
	cr_assert_eq(kvm_open_at(&places, &why, &fd), -ENODEV);
	cr_assert_eq(why.state, KVM_STATE_UNUSABLE);
	says("does not speak", "ls -l");
	cr_assert_eq(fd, -1);
}

/* A processor whose flags are hidden counts if its driver is there. */
Test(kvm_check, the_driver_is_proof_enough)
{
	cr_assert_eq(symlink("/dev/null", device), 0);
	write_text(cpuinfo, "flags : fpu\n");
	load("kvm_amd");
	cr_assert_lt(kvm_open_at(&places, &why, &fd), 0);
	cr_assert_eq(why.state, KVM_STATE_UNUSABLE);
}

Test(kvm_check, no_permission)
{
	write_text(device, "");
	chmod(device, 0);
	give_up_override();
	cr_assert_eq(kvm_open_at(&places, &why, &fd), -EACCES);
	cr_assert_eq(why.state, KVM_STATE_NO_PERMISSION);
	says("may not open", "setfacl");
	chmod(device, 0660);
}
