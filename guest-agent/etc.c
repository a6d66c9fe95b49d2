/* SPDX-License-Identifier: MIT */
#include "guest-agent/etc.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "guest-agent/files.h"
#include "guest-agent/network.h"
#include "guest-agent/users.h"

enum { USERS_FILE_MAX = 4 * 1024 * 1024 };

/* Appends the pieces as one line; `text` is what the file holds. */
static int append_line(const char *path, const char *text, size_t len, const char *const *pieces)
{
	AUTO_CLOSE int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
	int r = 0;

	if (fd < 0)
		return -errno;
	if (len > 0 && text[len - 1] != '\n')
		r = write_all(fd, "\n", 1);
	for (; r == 0 && *pieces; pieces++)
		r = write_all(fd, *pieces, strlen(*pieces));
	return r;
}

/* No password, as root has none. A system without the file has no use for a line. */
static int add_shadow(const struct setup *s)
{
	const char *const line[] = {s->user, ":*:19000:0:99999:7:::\n", NULL};
	AUTO_FREE char *text = NULL;
	size_t len = 0;
	int r = file_read(AT_FDCWD, "/etc/shadow", USERS_FILE_MAX, &text, &len);

	if (r < 0)
		return r == -ENOENT ? 0 : r;
	return append_line("/etc/shadow", text, len, line);
}

static int add_user(const struct setup *s, const char *uid, const char *gid)
{
	const char *const line[] = {
		s->user, ":x:", uid, ":", gid, "::", s->home, ":", s->shell, "\n", NULL};
	AUTO_FREE char *text = NULL;
	size_t len = 0;
	struct user u;
	int r = file_read(AT_FDCWD, "/etc/passwd", USERS_FILE_MAX, &text, &len);

	if (r < 0 && r != -ENOENT)
		return r;
	if (passwd_find_uid(text, len, s->uid, &u) == 0)
		return 0;
	r = append_line("/etc/passwd", text, len, line);
	return r < 0 ? r : add_shadow(s);
}

static int add_group(const struct setup *s, const char *gid)
{
	const char *const line[] = {s->user, ":x:", gid, ":\n", NULL};
	AUTO_FREE char *text = NULL;
	size_t len = 0;
	int r = file_read(AT_FDCWD, "/etc/group", USERS_FILE_MAX, &text, &len);

	if (r < 0 && r != -ENOENT)
		return r;
	if (group_has_gid(text, len, s->gid))
		return 0;
	return append_line("/etc/group", text, len, line);
}

/*
 * Numbers of the user's own for rootless containers, as adduser(8) gives to a first user: newuidmap(1)
 * and newgidmap(1) read these files, and where they are not installed nobody does.
 */
static int add_subordinates(const struct setup *s)
{
	struct text line = {.len = 0};
	int r;

	if (s->uid == 0 || access("/usr/bin/newuidmap", F_OK) < 0)
		return 0;
	text_add(&line, s->user);
	text_add(&line, ":100000:65536\n");
	r = file_replace("/etc/subuid", line.buf);
	return r < 0 ? r : file_replace("/etc/subgid", line.buf);
}

static int write_host_name(const char *name)
{
	struct text t = {.len = 0};
	int r;

	if (sethostname(name, strlen(name)) < 0)
		return -errno;
	text_add(&t, name);
	text_add(&t, "\n");
	r = file_replace("/etc/hostname", t.buf);
	if (r < 0)
		return r;
	t = (struct text){.len = 0};
	text_add(&t, "127.0.0.1\tlocalhost\n127.0.1.1\t");
	text_add(&t, name);
	text_add(&t, "\n::1\tlocalhost ip6-localhost ip6-loopback\n");
	return file_replace("/etc/hosts", t.buf);
}

/* See machine-id(5): a sandbox is another machine each time. */
static int write_machine_id(void)
{
	static const char digits[] = "0123456789abcdef";
	uint8_t id[16];
	char text[2 * sizeof(id) + 2];

	if (getrandom(id, sizeof(id), 0) != sizeof(id))
		return -errno;
	for (size_t i = 0; i < sizeof(id); i++) {
		text[2 * i] = digits[id[i] >> 4];
		text[2 * i + 1] = digits[id[i] & 15];
	}
	text[2 * sizeof(id)] = '\n';
	text[2 * sizeof(id) + 1] = '\0';
	return file_replace("/etc/machine-id", text);
}

static int loopback_up(void)
{
	struct ifreq ifr = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
	AUTO_CLOSE int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	return fd < 0 || ioctl(fd, SIOCSIFFLAGS, &ifr) < 0 ? -errno : 0;
}

int etc_finish(struct setup *s, struct text *why)
{
	struct text uid = {.len = 0}, gid = {.len = 0};
	int r = make_dirs("/etc");

	text_add_u32(&uid, s->uid);
	text_add_u32(&gid, s->gid);
	if (r == 0)
		r = write_host_name(s->hostname);
	if (r < 0)
		return text_fail(why, r, "set the host name", s->hostname);
	r = write_machine_id();
	if (r < 0)
		return text_fail(why, r, "write", "/etc/machine-id");
	r = add_user(s, uid.buf, gid.buf);
	if (r == 0)
		r = add_group(s, gid.buf);
	if (r == 0)
		r = add_subordinates(s);
	if (r < 0)
		return text_fail(why, r, "add the account of", s->user);
	/* Without a server a lookup fails at once; a file that is not there means one on this machine. */
	r = file_replace("/etc/resolv.conf", s->resolv_conf ? s->resolv_conf : "");
	if (r < 0)
		return text_fail(why, r, "write", "/etc/resolv.conf");
	r = loopback_up();
	if (r < 0)
		return text_fail(why, r, "bring up the device", "lo");
	return s->has_network ? network_up(&s->network, why) : 0;
}
