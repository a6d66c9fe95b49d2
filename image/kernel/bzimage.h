/* SPDX-License-Identifier: MIT */
/* image/kernel/bzimage.h - the kernel in its two file forms: compressed bzImage and ELF vmlinux. */
#ifndef IMAGE_KERNEL_BZIMAGE_H
#define IMAGE_KERNEL_BZIMAGE_H

#include <stdint.h>

#include "common/util.h"
#include "image/kernel/unpack.h"

enum {
	BZIMAGE_RELEASE_MAX = 64, /* as utsname has it, without the NUL */
	/* What bzimage_parse() needs of the file's beginning: 255 setup sectors and the boot one. */
	BZIMAGE_HEAD = 256 * 512,
};

/* A kernel larger than this unpacked is not believed. */
#define BZIMAGE_MAX_UNPACKED (256ull << 20)

/*
 * DOC: bzImage
 *
 * A boot sector and setup code in 512-byte sectors, then the protected-mode
 * part, which has the compressed ELF vmlinux inside at payload_offset. The
 * compressed stream is followed by the unpacked length, four bytes little
 * endian; for gzip they are the last four of the stream itself. See the x86
 * boot protocol, Documentation/arch/x86/boot.rst in the kernel tree; the
 * structure is <asm/bootparam.h>'s.
 */
struct bzimage {
	char release[BZIMAGE_RELEASE_MAX + 1];
	uint64_t payload_off, payload_len; /* in the file, bytes; without the length at its end */
	uint32_t unpacked_len; /* set by bzimage_unpack() */
};

/*
 * Reads the boot header in the first head_len bytes of a file of file_len
 * bytes. -ENOEXEC: not a bzImage; -ENOTSUP: one without a 64-bit entry or
 * older than boot protocol 2.12 (Linux 3.8); -EBADMSG: its fields contradict
 * the file. Never trusts a field of the file.
 */
int bzimage_parse(const void *head, size_t head_len, uint64_t file_len,
		  struct bzimage *out) MUST_CHECK;

/*
 * Unpacks the ELF into sink and checks that it is as long as the file says.
 * -EBADMSG, -EFBIG, or what reading or the sink returned.
 */
int bzimage_unpack(struct bzimage *bz, int fd, struct unpack_sink *sink) MUST_CHECK;

/* 0 if fd holds a 64-bit x86 ELF executable whose program headers are inside it; -ENOEXEC. */
int vmlinux_check(int fd) MUST_CHECK;

/* The release named in an ELF vmlinux; `out` has BZIMAGE_RELEASE_MAX + 1 bytes. -ENOEXEC: none. */
int vmlinux_release(int fd, char *out) MUST_CHECK;

#endif
