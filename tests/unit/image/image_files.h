/* SPDX-License-Identifier: MIT */
/* tests/unit/image/image_files.h - small made-up kernels, modules and trees. */
#ifndef TESTS_UNIT_IMAGE_FILES_H
#define TESTS_UNIT_IMAGE_FILES_H

#include <stddef.h>
#include <stdint.h>

/* A folder of its own for a test; its path, which the caller frees after tree_remove(). */
char *tree_new(void);
void tree_remove(char *path);

/* Writes a file below `tree`, making the folders it is in. */
void tree_write(const char *tree, const char *name, const void *data, size_t len);
void tree_write_text(const char *tree, const char *name, const char *text);

enum compressor {
	COMPRESS_NONE,
	COMPRESS_GZIP,
	COMPRESS_XZ,
	COMPRESS_ZSTD,
	COMPRESS_LZ4,
	COMPRESS_BZIP2,
	COMPRESS_LZMA
};

/* `data` in that compressor's format; malloc'ed. */
uint8_t *compress_bytes(enum compressor how, const void *data, size_t len, size_t *out_len);

/* An ELF header, one program header and `filler` further bytes; malloc'ed. */
uint8_t *make_elf(size_t filler, size_t *out_len);

/* A bzImage of that release around `elf`; malloc'ed. */
uint8_t *make_bzimage(const char *release, enum compressor how, const uint8_t *elf, size_t elf_len,
		      size_t *out_len);

/* make_bzimage() around make_elf(), written to a file of `tree`. */
void tree_write_kernel(const char *tree, const char *name, const char *release);

/* An fd that holds these bytes. */
int fd_of(const void *data, size_t len);

#endif
