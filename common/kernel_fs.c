/* SPDX-License-Identifier: MIT */
#include "common/kernel_fs.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/vfs.h>

#include "common/util.h"

/* Numbers of <linux/magic.h>, some of which its older versions lack, and of file systems' own sources. */
static const struct {
	uint32_t magic;
	const char *name;
} kernels[] = {
	{0x00009fa0, "proc"},	   {0x62656572, "sysfs"},	{0x64626720, "debugfs"},
	{0x74726163, "tracefs"},   {0x73636673, "securityfs"},	{0x0027e0eb, "cgroup"},
	{0x63677270, "cgroup2"},   {0xcafe4a11, "bpf"},		{0xde5e81e4, "efivarfs"},
	{0x00001cd1, "devpts"},	   {0x62656570, "configfs"},	{0x6165676c, "pstore"},
	{0x6e736673, "nsfs"},	   {0x65735543, "fusectl"},	{0xf97cff8c, "selinuxfs"},
	{0x43415d53, "smackfs"},   {0x5a3c69f0, "apparmorfs"},	{0x19800202, "mqueue"},
	{0x958458f6, "hugetlbfs"}, {0x42494e4d, "binfmt_misc"}, {0x67596969, "rpc_pipefs"},
	{0x6e667364, "nfsd"},	   {0x07655821, "resctrl"},	{0xabba1974, "xenfs"},
	{0x6c6f6f70, "binder"},	   {0x00009fa2, "usbdevfs"},	{0x09041934, "anon_inodefs"},
	{0x50494446, "pidfs"},	   {0x5345434d, "secretmem"},	{0x444d4142, "dmabuf"},
	{0x50495045, "pipefs"},	   {0x534f434b, "sockfs"},
};

const char *kernel_fs_name(int fd)
{
	struct statfs st;

	if (fstatfs(fd, &st) < 0)
		return NULL;
	for (size_t i = 0; i < ARRAY_SIZE(kernels); i++)
		if ((uint32_t)st.f_type == kernels[i].magic)
			return kernels[i].name;
	return NULL;
}
