/* SPDX-License-Identifier: MIT */
#include "image/kernel/bzimage.h"

#include <asm/bootparam.h>
#include <ctype.h>
#include <elf.h>
#include <endian.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

enum {
	SECTOR = 512,
	BOOT_FLAG = 0xaa55,
	HDRS_MAGIC = 0x53726448, /* "HdrS" */
	PROTOCOL_OLDEST = 0x020c, /* xloadflags; payload_offset came with 0x0208 */
	DEFAULT_SETUP_SECTS = 4, /* what a 0 means, for historical reasons */
	LENGTH_SUFFIX = 4,
};

/* A release becomes part of a path, so it may hold nothing that moves about in one. */
static int copy_release(const char *src, size_t len, char *out)
{
	size_t n = 0;

	while (n < len && src[n] != ' ' && src[n] != '\0') {
		if (!isalnum((unsigned char)src[n]) && !strchr("._+~-", src[n]))
			return -EBADMSG;
		n++;
	}
	if (n == 0 || n == len || n > BZIMAGE_RELEASE_MAX || src[0] == '.')
		return -EBADMSG;
	memcpy(out, src, n);
	out[n] = '\0';
	return 0;
}

int bzimage_parse(const void *head, size_t head_len, uint64_t file_len, struct bzimage *out)
{
	struct setup_header hdr;
	const size_t hdr_off = offsetof(struct boot_params, hdr);
	struct bzimage bz = {0};
	uint64_t setup_len, version_off, payload_off, payload_len;
	int r;

	if (head_len < hdr_off + sizeof(hdr) || head_len > file_len)
		return -ENOEXEC;
	memcpy(&hdr, (const uint8_t *)head + hdr_off, sizeof(hdr));
	if (le16toh(hdr.boot_flag) != BOOT_FLAG || le32toh(hdr.header) != HDRS_MAGIC)
		return -ENOEXEC;
	if (le16toh(hdr.version) < PROTOCOL_OLDEST || !(le16toh(hdr.xloadflags) & XLF_KERNEL_64))
		return -ENOTSUP;

	setup_len = (hdr.setup_sects ? hdr.setup_sects : DEFAULT_SETUP_SECTS) + UINT64_C(1);
	setup_len *= SECTOR;
	if (setup_len > head_len)
		return -EBADMSG;
	version_off = le16toh(hdr.kernel_version) + (uint64_t)SECTOR;
	if (hdr.kernel_version == 0 || version_off >= setup_len)
		return -EBADMSG;
	r = copy_release((const char *)head + version_off, setup_len - version_off, bz.release);
	if (r < 0)
		return r;

	payload_off = le32toh(hdr.payload_offset);
	payload_len = le32toh(hdr.payload_length);
	if (payload_len <= LENGTH_SUFFIX || payload_off > file_len - setup_len ||
	    payload_len > file_len - setup_len - payload_off)
		return -EBADMSG;
	bz.payload_off = setup_len + payload_off;
	bz.payload_len = payload_len - LENGTH_SUFFIX;
	*out = bz;
	return 0;
}

static int read_at(int fd, void *buf, size_t len, uint64_t off)
{
	for (size_t done = 0; done < len;) {
		ssize_t n = pread(fd, (uint8_t *)buf + done, len - done, (off_t)(off + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return -EBADMSG;
		done += (size_t)n;
	}
	return 0;
}

struct counting_sink {
	struct unpack_sink base;
	struct unpack_sink *next;
	uint64_t total;
};

static int count_and_pass(struct unpack_sink *base, const void *data, size_t len)
{
	struct counting_sink *sink = CONTAINER_OF(base, struct counting_sink, base);

	sink->total += len;
	return sink->next->write(sink->next, data, len);
}

int bzimage_unpack(struct bzimage *bz, int fd, struct unpack_sink *sink)
{
	static const uint8_t gzip_magic[] = {0x1f, 0x8b};
	struct counting_sink counter = {.base = {.write = count_and_pass}, .next = sink};
	uint8_t magic[sizeof(gzip_magic)];
	uint64_t len = bz->payload_len;
	uint32_t said;
	int r;

	r = read_at(fd, &said, sizeof(said), bz->payload_off + bz->payload_len);
	if (r == 0)
		r = read_at(fd, magic, sizeof(magic), bz->payload_off);
	if (r < 0)
		return r;
	said = le32toh(said);
	if (said > BZIMAGE_MAX_UNPACKED)
		return -EFBIG;
	if (memcmp(magic, gzip_magic, sizeof(magic)) == 0)
		len += LENGTH_SUFFIX;

	r = unpack_range(fd, bz->payload_off, len, said, &counter.base);
	if (r < 0)
		return r;
	if (counter.total != said)
		return -EBADMSG;
	bz->unpacked_len = said;
	return 0;
}

int vmlinux_check(int fd)
{
	struct stat st;
	Elf64_Ehdr eh;
	uint64_t phdrs;

	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || read_at(fd, &eh, sizeof(eh), 0) < 0)
		return -ENOEXEC;
	if (memcmp(eh.e_ident, ELFMAG, SELFMAG) != 0 || eh.e_ident[EI_CLASS] != ELFCLASS64 ||
	    eh.e_ident[EI_DATA] != ELFDATA2LSB || eh.e_type != ET_EXEC ||
	    eh.e_machine != EM_X86_64 || eh.e_phentsize != sizeof(Elf64_Phdr) || eh.e_phnum == 0)
		return -ENOEXEC;
	phdrs = (uint64_t)eh.e_phnum * sizeof(Elf64_Phdr);
	if (eh.e_phoff > (uint64_t)st.st_size || phdrs > (uint64_t)st.st_size - eh.e_phoff)
		return -ENOEXEC;
	return 0;
}

/* Looks for the banner that /proc/version shows, which every kernel holds as one string. */
int vmlinux_release(int fd, char *out)
{
	static const char banner[] = "Linux version ";
	enum { WINDOW = 256 * 1024, OVERLAP = 256 };
	AUTO_FREE char *buf = malloc(WINDOW);
	const size_t banner_len = sizeof(banner) - 1;

	if (!buf)
		return -ENOMEM;
	for (uint64_t off = 0;; off += WINDOW - OVERLAP) {
		ssize_t n = pread(fd, buf, WINDOW, (off_t)off);
		const char *p = buf, *end;

		if (n < OVERLAP)
			return n < 0 ? -errno : -ENOEXEC;
		end = buf + n;
		while ((p = memmem(p, (size_t)(end - p), banner, banner_len)) != NULL) {
			p += banner_len;
			/* A format string ("%s") is refused by its '%', so the search goes on. */
			if (copy_release(p, (size_t)(end - p), out) == 0)
				return 0;
		}
	}
}
