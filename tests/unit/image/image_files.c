/* SPDX-License-Identifier: MIT */
#include "tests/unit/image/image_files.h"

#include <archive.h>
#include <archive_entry.h>
#include <asm/bootparam.h>
#include <criterion/criterion.h>
#include <elf.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SETUP_SECTORS = 3, SECTOR = 512, PAYLOAD_OFF = 64 };

char *tree_new(void)
{
	char path[] = "/tmp/sandcastle-test-XXXXXX";

	cr_assert_not_null(mkdtemp(path));
	return strdup(path);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

void tree_remove(char *path)
{
	nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	free(path);
}

void tree_write(const char *tree, const char *name, const void *data, size_t len)
{
	char path[4096];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", tree, name);
	for (char *p = path + strlen(tree) + 1; (p = strchr(p, '/')) != NULL; p++) {
		*p = '\0';
		mkdir(path, 0755);
		*p = '/';
	}
	f = fopen(path, "we");
	cr_assert_not_null(f, "%s", path);
	cr_assert_eq(fwrite(data, 1, len, f), len);
	fclose(f);
}

void tree_write_text(const char *tree, const char *name, const char *text)
{
	tree_write(tree, name, text, strlen(text));
}

uint8_t *compress_bytes(enum compressor how, const void *data, size_t len, size_t *out_len)
{
	static int (*const filters[])(struct archive *) = {
		[COMPRESS_NONE] = archive_write_add_filter_none,
		[COMPRESS_GZIP] = archive_write_add_filter_gzip,
		[COMPRESS_XZ] = archive_write_add_filter_xz,
		[COMPRESS_ZSTD] = archive_write_add_filter_zstd,
		[COMPRESS_LZ4] = archive_write_add_filter_lz4,
		[COMPRESS_BZIP2] = archive_write_add_filter_bzip2,
		[COMPRESS_LZMA] = archive_write_add_filter_lzma,
	};
	const size_t room = len + 65536;
	uint8_t *out = malloc(room);
	struct archive *a = archive_write_new();
	struct archive_entry *e = archive_entry_new();

	archive_entry_set_pathname(e, "data");
	archive_entry_set_filetype(e, AE_IFREG);
	cr_assert_eq(archive_write_set_format_raw(a), ARCHIVE_OK);
	cr_assert_eq(filters[how](a), ARCHIVE_OK);
	archive_write_set_bytes_per_block(a, 0);
	cr_assert_eq(archive_write_open_memory(a, out, room, out_len), ARCHIVE_OK);
	cr_assert_eq(archive_write_header(a, e), ARCHIVE_OK);
	cr_assert_eq(archive_write_data(a, data, len), (la_ssize_t)len);
	cr_assert_eq(archive_write_close(a), ARCHIVE_OK);
	archive_entry_free(e);
	archive_write_free(a);
	return out;
}

uint8_t *make_elf(size_t filler, size_t *out_len)
{
	Elf64_Ehdr eh = {
		.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB,
			    EV_CURRENT},
		.e_type = ET_EXEC,
		.e_machine = EM_X86_64,
		.e_version = EV_CURRENT,
		.e_phoff = sizeof(eh),
		.e_phentsize = sizeof(Elf64_Phdr),
		.e_phnum = 1,
	};
	const size_t head = sizeof(eh) + sizeof(Elf64_Phdr);
	uint8_t *elf = calloc(1, head + filler);

	memcpy(elf, &eh, sizeof(eh));
	for (size_t i = 0; i < filler; i++)
		elf[head + i] = (uint8_t)(i * 7 + i / 253);
	*out_len = head + filler;
	return elf;
}

uint8_t *make_bzimage(const char *release, enum compressor how, const uint8_t *elf, size_t elf_len,
		      size_t *out_len)
{
	const size_t setup = (size_t)(SETUP_SECTORS + 1) * SECTOR;
	size_t packed_len;
	uint8_t *packed = compress_bytes(how, elf, elf_len, &packed_len);
	uint8_t *image = calloc(1, setup + PAYLOAD_OFF + packed_len + 4);
	const uint32_t said = (uint32_t)elf_len;
	/* gzip's last four bytes are that length already. */
	const size_t payload_len = packed_len + (how == COMPRESS_GZIP ? 0 : 4);
	const struct setup_header hdr = {
		.setup_sects = SETUP_SECTORS,
		.boot_flag = 0xaa55,
		.header = 0x53726448,
		.version = 0x020f,
		.kernel_version = SECTOR,
		.xloadflags = XLF_KERNEL_64,
		.payload_offset = PAYLOAD_OFF,
		.payload_length = (uint32_t)payload_len,
	};

	memcpy(image + offsetof(struct boot_params, hdr), &hdr, sizeof(hdr));
	sprintf((char *)image + (size_t)2 * SECTOR, "%s (someone@example.org) #1 SMP", release);
	memcpy(image + setup + PAYLOAD_OFF, packed, packed_len);
	if (how != COMPRESS_GZIP)
		memcpy(image + setup + PAYLOAD_OFF + packed_len, &said, sizeof(said));
	free(packed);
	*out_len = setup + PAYLOAD_OFF + payload_len;
	return image;
}

void tree_write_kernel(const char *tree, const char *name, const char *release)
{
	size_t elf_len, len;
	uint8_t *elf = make_elf(100000, &elf_len);
	uint8_t *image = make_bzimage(release, COMPRESS_GZIP, elf, elf_len, &len);

	tree_write(tree, name, image, len);
	free(elf);
	free(image);
}

int fd_of(const void *data, size_t len)
{
	int fd = memfd_create("test", MFD_CLOEXEC);

	cr_assert_geq(fd, 0);
	cr_assert_eq(write(fd, data, len), (ssize_t)len);
	return fd;
}
