/* SPDX-License-Identifier: MIT */
#include "guest-agent/modules.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "common/agent_protocol.h"
#include "guest-agent/files.h"

enum { LIST_MAX = 64 * 1024 };

int modules_next(const char *list, size_t len, size_t *pos, struct module_line *out)
{
	while (*pos < len) {
		const char *line = list + *pos;
		const char *end = memchr(line, '\n', len - *pos);
		size_t n = end ? (size_t)(end - line) : len - *pos;

		*pos += end ? n + 1 : n;
		out->optional = n > 0 && line[0] == '?';
		for (; n > 0 && (line[0] == '?' || line[0] == '/' || line[0] == ' '); n--)
			line++;
		if (n == 0)
			continue;
		if (n >= sizeof(out->path) || memchr(line, '\0', n))
			return -EINVAL;
		memcpy(out->path, line, n);
		out->path[n] = '\0';
		out->params = out->path + strcspn(out->path, " ");
		if (*out->params != '\0')
			out->path[out->params++ - out->path] = '\0';
		return 1;
	}
	return 0;
}

size_t module_unmarked_length(const void *data, size_t len)
{
	/* The kernel's Documentation/admin-guide/module-signing.rst, "Signed modules". */
	static const char mark[] = "~Module signature appended~\n";
	const size_t n = sizeof(mark) - 1;

	if (len < n || memcmp((const char *)data + len - n, mark, n) != 0)
		return len;
	return len - n;
}

static int insert(const void *data, size_t len, const char *params)
{
	return syscall(SYS_init_module, data, len, params) < 0 && errno != EEXIST ? -errno : 0;
}

static int load_one(int root_fd, const struct module_line *line)
{
	AUTO_CLOSE int fd = openat(root_fd, line->path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	size_t len, bare;
	void *data;
	int r;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	len = (size_t)st.st_size;
	data = mmap(NULL, len, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
	if (data == MAP_FAILED)
		return -errno;
	bare = module_unmarked_length(data, len);
	r = insert(data, bare, line->params);
	/* module.sig_enforce, or a kernel in lockdown. */
	if (r < 0 && bare < len)
		r = insert(data, len, line->params);
	munmap(data, len);
	if (r == 0)
		(void)unlinkat(root_fd, line->path, 0);
	return r;
}

int modules_load(int root_fd, enum modules_round round, struct steps *steps, struct text *why)
{
	/* Without the slash, so that it is looked up from root_fd. */
	static const char name[] = SC_MODULES_LIST;
	struct module_line line;
	AUTO_FREE char *list = NULL;
	size_t len = 0, pos = 0;
	int r;

	r = file_read(root_fd, name + 1, LIST_MAX, &list, &len);
	if (r < 0)
		return text_fail(why, r, "read", name);
	while ((r = modules_next(list, len, &pos, &line)) > 0) {
		if (line.optional != (round == MODULES_OPTIONAL))
			continue;
		r = load_one(root_fd, &line);
		if (r < 0 && !line.optional)
			return text_fail(why, r, "load the kernel module", line.path);
		steps_mark(steps, "module", strrchr(line.path, '/') + 1);
	}
	return r < 0 ? text_fail(why, r, "read", name) : 0;
}
