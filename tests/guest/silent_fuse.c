/* SPDX-License-Identifier: MIT */
/*
 * silent_fuse DIR: an empty file system on DIR whose server, this process, falls silent at
 * SIGUSR1: it takes no request any more, as a server of the network that is gone. Root only.
 * What waits for it then ends with this process.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static _Alignas(8) uint8_t request[1 << 17];

static void answer(int fd, int error, const void *body, size_t len)
{
	const struct fuse_in_header *in = (const void *)request;
	struct fuse_out_header out = {
		.len = (uint32_t)(sizeof(out) + (error ? 0 : len)),
		.error = -error,
		.unique = in->unique,
	};
	struct iovec parts[] = {
		{.iov_base = &out, .iov_len = sizeof(out)},
		{.iov_base = (void *)(uintptr_t)body, .iov_len = error ? 0 : len},
	};

	(void)!writev(fd, parts, 2);
}

static void serve(int fd)
{
	const struct fuse_in_header *in = (const void *)request;
	const struct fuse_init_out init = {
		.major = FUSE_KERNEL_VERSION, .minor = 31, .max_write = 4096};
	const struct fuse_attr_out attr = {
		.attr_valid = 3600,
		.attr = {.ino = 1, .mode = S_IFDIR | 0755, .nlink = 2, .blksize = 4096},
	};

	while (read(fd, request, sizeof(request)) > 0) {
		switch (in->opcode) {
		case FUSE_INIT:
			answer(fd, 0, &init, sizeof(init));
			break;
		case FUSE_GETATTR:
			answer(fd, 0, &attr, sizeof(attr));
			break;
		case FUSE_LOOKUP:
			answer(fd, ENOENT, NULL, 0);
			break;
		case FUSE_FORGET:
		case FUSE_BATCH_FORGET:
			break;
		default:
			answer(fd, ENOSYS, NULL, 0);
			break;
		}
	}
}

static void fall_silent(int signo)
{
	(void)signo;
}

int main(int argc, char **argv)
{
	/* Without SA_RESTART: a read that waits for a request ends. */
	const struct sigaction silence = {.sa_handler = fall_silent};
	char options[100];
	int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);

	snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other",
		 fd);
	if (argc != 2 || fd < 0 || mount("silent", argv[1], "fuse.silent", 0, options) < 0) {
		fprintf(stderr, "silent_fuse: %s\n", strerror(errno));
		return 1;
	}
	sigaction(SIGUSR1, &silence, NULL);
	puts("mounted");
	fflush(stdout);
	serve(fd);
	puts("silent");
	fflush(stdout);
	pause();
	return 0;
}
