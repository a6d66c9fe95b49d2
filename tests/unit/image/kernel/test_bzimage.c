/* SPDX-License-Identifier: MIT */
#include <asm/bootparam.h>
#include <criterion/criterion.h>
#include <elf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "image/kernel/bzimage.h"
#include "tests/unit/image/image_files.h"

struct count_sink {
	struct unpack_sink base;
	size_t len;
};

static int count_write(struct unpack_sink *base, const void *data, size_t len)
{
	(void)data;
	CONTAINER_OF(base, struct count_sink, base)->len += len;
	return 0;
}

static uint8_t *elf, *image;
static size_t elf_len, image_len;
static struct bzimage bz;

static void make(enum compressor how)
{
	free(image);
	image = make_bzimage("6.1.0-9-test", how, elf, elf_len, &image_len);
}

static void setup(void)
{
	elf = make_elf(50000, &elf_len);
	make(COMPRESS_XZ);
}

static void teardown(void)
{
	free(elf);
	free(image);
}

TestSuite(bzimage, .init = setup, .fini = teardown);

/* Changes one field of the boot header. */
#define SET(field, v)                                                  \
	do {                                                           \
		struct setup_header hdr_;                              \
		const size_t off_ = offsetof(struct boot_params, hdr); \
		memcpy(&hdr_, image + off_, sizeof(hdr_));             \
		hdr_.field = (v);                                      \
		memcpy(image + off_, &hdr_, sizeof(hdr_));             \
	} while (0)

static int parse(void)
{
	return bzimage_parse(image, min_size(image_len, BZIMAGE_HEAD), image_len, &bz);
}

static int unpack(size_t *len)
{
	struct count_sink sink = {.base = {.write = count_write}};
	int fd = fd_of(image, image_len);
	int r = bzimage_unpack(&bz, fd, &sink.base);

	close(fd);
	*len = sink.len;
	return r;
}

Test(bzimage, release_and_payload)
{
	for (enum compressor how = COMPRESS_GZIP; how <= COMPRESS_LZMA; how++) {
		size_t len;

		make(how);
		cr_assert_eq(parse(), 0);
		cr_assert_str_eq(bz.release, "6.1.0-9-test");
		cr_assert_eq(unpack(&len), 0, "compressor %d", how);
		cr_assert_eq(len, elf_len);
		cr_assert_eq(bz.unpacked_len, elf_len);
	}
}

Test(bzimage, other_files_are_not_kernels)
{
	static const uint8_t zeros[4096];

	cr_assert_eq(bzimage_parse("", 0, 0, &bz), -ENOEXEC);
	cr_assert_eq(bzimage_parse(zeros, sizeof(zeros), sizeof(zeros), &bz), -ENOEXEC);
	cr_assert_eq(bzimage_parse(image, 600, 600, &bz), -ENOEXEC);
	SET(boot_flag, 0);
	cr_assert_eq(parse(), -ENOEXEC);
	SET(boot_flag, 0xaa55);
	SET(header, 0);
	cr_assert_eq(parse(), -ENOEXEC);
}

Test(bzimage, old_and_32_bit_kernels)
{
	SET(version, 0x020b);
	cr_assert_eq(parse(), -ENOTSUP);
	SET(version, 0x020c);
	cr_assert_eq(parse(), 0);
	SET(xloadflags, 0);
	cr_assert_eq(parse(), -ENOTSUP);
}

Test(bzimage, payload_outside_the_file)
{
	const uint32_t setup_len = 4 * 512;
	const uint32_t room = (uint32_t)image_len - setup_len;

	SET(payload_offset, room + 1);
	cr_assert_eq(parse(), -EBADMSG);
	SET(payload_offset, UINT32_MAX);
	cr_assert_eq(parse(), -EBADMSG);
	SET(payload_offset, 64);
	SET(payload_length, room - 64 + 1);
	cr_assert_eq(parse(), -EBADMSG);
	SET(payload_length, UINT32_MAX);
	cr_assert_eq(parse(), -EBADMSG);
	SET(payload_length, 4);
	cr_assert_eq(parse(), -EBADMSG);
	SET(payload_length, room - 64);
	cr_assert_eq(parse(), 0);
}

Test(bzimage, setup_longer_than_the_file)
{
	SET(setup_sects, 255);
	cr_assert_eq(parse(), -EBADMSG);
}

Test(bzimage, release_outside_or_not_fit_for_a_path)
{
	SET(kernel_version, 0);
	cr_assert_eq(parse(), -EBADMSG);
	SET(kernel_version, 3 * 512);
	cr_assert_eq(parse(), -EBADMSG);
	SET(kernel_version, UINT16_MAX);
	cr_assert_eq(parse(), -EBADMSG);
	SET(kernel_version, 512);
	for (const char *const *bad =
		     (const char *const[]){"../../etc", "a/b", "..", "", "a%sb", NULL};
	     *bad; bad++) {
		memset(image + 1024, 0, 512);
		memcpy(image + 1024, *bad, strlen(*bad) + 1);
		cr_assert_eq(parse(), -EBADMSG, "%s", *bad);
	}
	/* No end within the setup sectors, and one beyond what a release may have. */
	memset(image + 1024, 'a', 1024);
	cr_assert_eq(parse(), -EBADMSG);
	image[1024 + BZIMAGE_RELEASE_MAX + 1] = '\0';
	cr_assert_eq(parse(), -EBADMSG);
	image[1024 + BZIMAGE_RELEASE_MAX] = '\0';
	cr_assert_eq(parse(), 0);
	cr_assert_eq(strlen(bz.release), BZIMAGE_RELEASE_MAX);
}

Test(bzimage, the_length_at_the_end_must_be_true)
{
	uint32_t wrong = (uint32_t)elf_len - 1;
	size_t len;

	cr_assert_eq(parse(), 0);
	memcpy(image + image_len - 4, &wrong, 4);
	cr_assert_eq(unpack(&len), -EFBIG);
	wrong += 2;
	memcpy(image + image_len - 4, &wrong, 4);
	cr_assert_eq(unpack(&len), -EBADMSG);
	wrong = UINT32_MAX;
	memcpy(image + image_len - 4, &wrong, 4);
	cr_assert_eq(unpack(&len), -EFBIG);
	cr_assert_eq(len, 0);
}

static int check_elf(void)
{
	int fd = fd_of(elf, elf_len);
	int r = vmlinux_check(fd);

	close(fd);
	return r;
}

Test(bzimage, elf_headers)
{
	Elf64_Ehdr *eh = (Elf64_Ehdr *)(void *)elf;

	cr_assert_eq(check_elf(), 0);
	eh->e_machine = EM_AARCH64;
	cr_assert_eq(check_elf(), -ENOEXEC);
	eh->e_machine = EM_X86_64;
	eh->e_phoff = elf_len - sizeof(Elf64_Phdr) + 1;
	cr_assert_eq(check_elf(), -ENOEXEC);
	eh->e_phoff = UINT64_MAX;
	cr_assert_eq(check_elf(), -ENOEXEC);
	eh->e_phoff = sizeof(*eh);
	eh->e_phnum = UINT16_MAX;
	cr_assert_eq(check_elf(), -ENOEXEC);
	eh->e_phnum = 0;
	cr_assert_eq(check_elf(), -ENOEXEC);
	cr_assert_eq(vmlinux_check(-1), -ENOEXEC);
}

/* The banner may lie across two of the windows the search reads. */
Test(bzimage, release_of_an_elf)
{
	char release[BZIMAGE_RELEASE_MAX + 1];
	const size_t size = 600000;
	char *file = calloc(1, size);

	snprintf(file + 100, size - 100, "Linux version %s (%s)", "%s", "%s");
	for (size_t at = (256 << 10) - 40; at <= 256 << 10; at += 8) {
		int fd;

		memset(file + 1024, 0, size - 1024);
		snprintf(file + at, size - at, "Linux version 6.5.1+x (who)");
		fd = fd_of(file, size);
		cr_assert_eq(vmlinux_release(fd, release), 0, "at %zu", at);
		cr_assert_str_eq(release, "6.5.1+x");
		close(fd);
	}
	memset(file, 0, size);
	int none = fd_of(file, size);

	cr_assert_eq(vmlinux_release(none, release), -ENOEXEC);
	close(none);
	free(file);
}
