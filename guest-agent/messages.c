/* SPDX-License-Identifier: MIT */
#include "guest-agent/messages.h"

#include <endian.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <string.h>

#include "guest-agent/wire.h"

/*
 * Where copies of strings go. A field's header is longer than the terminator
 * its copy needs, so a block as long as the body holds them all.
 */
struct arena {
	char *next;
};

static const char *copy_bytes(struct arena *a, const uint8_t *data, size_t length)
{
	char *s = a->next;

	memcpy(s, data, length);
	s[length] = '\0';
	a->next += length + 1;
	return s;
}

/* A string field that may appear once. */
static int take_str(struct arena *a, const struct wire_field *f, const char **out)
{
	if (*out || wire_str(f) < 0)
		return -EPROTO;
	*out = copy_bytes(a, f->data, f->length);
	return 0;
}

/* Paths come from the host's launcher, which made them canonical; this checks that it did. */
static bool path_is_plain(const char *path)
{
	size_t len = strlen(path);

	if (len < 2 || len >= PATH_MAX || path[0] != '/')
		return false;
	for (const char *p = path; *p;) {
		size_t n = strcspn(++p, "/");

		if (n == 0 || n > NAME_MAX || (n == 1 && p[0] == '.') ||
		    (n == 2 && p[0] == '.' && p[1] == '.'))
			return false;
		p += n;
	}
	return true;
}

/* One map; its path is copied into the arena. */
static int read_map(struct arena *a, const struct wire_field *f, struct setup_map *out)
{
	struct setup_map m;

	if (f->length < sizeof(m.map) ||
	    wire_str(&(struct wire_field){.length = f->length - (uint32_t)sizeof(m.map),
					  .data = f->data + sizeof(m.map)}) < 0)
		return -EPROTO;
	memcpy(&m.map, f->data, sizeof(m.map));
	m.map.index = le32toh(m.map.index);
	m.map.writable = le32toh(m.map.writable);
	m.map.is_file = le32toh(m.map.is_file);
	m.map.discard = le32toh(m.map.discard);
	m.path = copy_bytes(a, f->data + sizeof(m.map), f->length - sizeof(m.map));
	if (m.map.writable > 1 || m.map.is_file > 1 || m.map.discard > 1 ||
	    (m.map.discard && (m.map.writable || m.map.is_file)) || !path_is_plain(m.path))
		return -EPROTO;
	*out = m;
	return 0;
}

static int take_map(struct arena *a, const struct wire_field *f, struct setup *s)
{
	struct setup_map m;
	size_t at = s->n_maps;

	if (s->n_maps == SETUP_MAX_MAPS || read_map(a, f, &m) < 0)
		return -EPROTO;
	/* In the order of their names a folder comes before everything below it. */
	for (; at > 0 && strcmp(s->maps[at - 1].path, m.path) > 0; at--)
		s->maps[at] = s->maps[at - 1];
	s->maps[at] = m;
	s->n_maps++;
	return 0;
}

int map_parse(const uint8_t *body, size_t len, struct setup_map *out, char **path)
{
	struct wire_reader r = {.next = body, .left = len};
	struct wire_field f;
	struct arena a;
	char *block;

	if (wire_next(&r, &f) <= 0 || r.left || f.tag != SC_FIELD_MAP)
		return -EPROTO;
	a.next = block = malloc(len + 1);
	if (!block)
		return -ENOMEM;
	if (read_map(&a, &f, out) < 0) {
		free(block);
		return -EPROTO;
	}
	*path = block;
	return 0;
}

static int take_network(const struct wire_field *f, struct setup *s)
{
	if (s->has_network || f->length != sizeof(s->network))
		return -EPROTO;
	memcpy(&s->network, f->data, sizeof(s->network));
	s->has_network = true;
	return 0;
}

static int take_setup_field(struct arena *a, const struct wire_field *f, struct setup *s,
			    unsigned int *numbers)
{
	switch (f->tag) {
	case SC_FIELD_HOSTNAME:
		return take_str(a, f, &s->hostname);
	case SC_FIELD_USER:
		return take_str(a, f, &s->user);
	case SC_FIELD_HOME:
		return take_str(a, f, &s->home);
	case SC_FIELD_SHELL:
		return take_str(a, f, &s->shell);
	case SC_FIELD_UID:
		*numbers |= 1;
		return wire_u32(f, &s->uid);
	case SC_FIELD_GID:
		*numbers |= 2;
		return wire_u32(f, &s->gid);
	case SC_FIELD_TIMELINE:
		return wire_u32(f, &s->timeline);
	case SC_FIELD_MAP:
		return take_map(a, f, s);
	case SC_FIELD_NETWORK:
		return take_network(f, s);
	case SC_FIELD_RESOLV_CONF:
		return take_str(a, f, &s->resolv_conf);
	default:
		return -EPROTO;
	}
}

/* What is written into a line of /etc/passwd or /etc/hosts stays one field of it. */
static bool is_word(const char *s)
{
	return s && s[0] && !strpbrk(s, ":\n");
}

int setup_parse(const uint8_t *body, size_t len, struct setup *out)
{
	struct wire_reader r = {.next = body, .left = len};
	struct wire_field f;
	unsigned int numbers = 0;
	struct arena a;
	struct setup *s;
	int ret;

	s = calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	a.next = s->strings = malloc(len + 1);
	if (!s->strings) {
		free(s);
		return -ENOMEM;
	}
	while ((ret = wire_next(&r, &f)) > 0) {
		ret = take_setup_field(&a, &f, s, &numbers);
		if (ret < 0)
			break;
	}
	if (ret == 0 &&
	    (numbers != 3 || !is_word(s->hostname) || !is_word(s->user) || !is_word(s->home) ||
	     !is_word(s->shell) || s->home[0] != '/' || strlen(s->home) >= PATH_MAX))
		ret = -EPROTO;
	if (ret == 0)
		*out = *s;
	else
		free(s->strings);
	free(s);
	return ret;
}

void setup_fini(struct setup *s)
{
	free(s->strings);
	s->strings = NULL;
}

static int take_u16(const struct wire_field *f, uint16_t *out)
{
	uint32_t v;

	if (wire_u32(f, &v) < 0 || v > UINT16_MAX)
		return -EPROTO;
	*out = (uint16_t)v;
	return 0;
}

static int take_limits(const struct wire_field *f, uint64_t limits[SC_LIMITS])
{
	if (f->length != SC_LIMITS * sizeof(limits[0]))
		return -EPROTO;
	memcpy(limits, f->data, f->length);
	for (unsigned int i = 0; i < SC_LIMITS; i++)
		limits[i] = le64toh(limits[i]);
	return 0;
}

static int take_exec_field(struct arena *a, const struct wire_field *f, struct exec_request *e,
			   size_t *n_arg)
{
	uint16_t flag;

	switch (f->tag) {
	case SC_FIELD_ARG:
		return take_str(a, f, &e->argv[(*n_arg)++]);
	case SC_FIELD_ENV:
		if (!memchr(f->data, '=', f->length))
			return -EPROTO;
		return take_str(a, f, &e->env[e->n_env++]);
	case SC_FIELD_CWD:
		return take_str(a, f, &e->cwd);
	case SC_FIELD_USER:
		return take_str(a, f, &e->user);
	case SC_FIELD_TTY:
		if (take_u16(f, &flag) < 0 || flag > 1)
			return -EPROTO;
		e->tty = flag;
		return 0;
	case SC_FIELD_SESSION:
		if (take_u16(f, &flag) < 0 || flag > 1)
			return -EPROTO;
		e->session = flag;
		return 0;
	case SC_FIELD_LIMITS:
		return take_limits(f, e->limits);
	case SC_FIELD_ROWS:
		return take_u16(f, &e->winsize.rows);
	case SC_FIELD_COLUMNS:
		return take_u16(f, &e->winsize.columns);
	default:
		return -EPROTO;
	}
}

static int count_fields(const uint8_t *body, size_t len, uint32_t tag, size_t *out)
{
	struct wire_reader r = {.next = body, .left = len};
	struct wire_field f;
	size_t n = 0;
	int ret;

	while ((ret = wire_next(&r, &f)) > 0)
		n += f.tag == tag;
	if (ret == 0)
		*out = n;
	return ret;
}

int exec_parse(const uint8_t *body, size_t len, struct exec_request *out)
{
	struct wire_reader r = {.next = body, .left = len};
	struct exec_request e = {.argv = NULL};
	size_t n_arg = 0, n_env = 0;
	struct wire_field f;
	struct arena a;
	int ret;

	if (count_fields(body, len, SC_FIELD_ARG, &n_arg) < 0 ||
	    count_fields(body, len, SC_FIELD_ENV, &n_env) < 0 || n_arg == 0)
		return -EPROTO;
	e.argv = calloc(n_arg + 1, sizeof(*e.argv));
	e.env = calloc(n_env + 1, sizeof(*e.env));
	a.next = e.strings = malloc(len + 1);
	ret = e.argv && e.env && e.strings ? 0 : -ENOMEM;
	n_arg = 0;
	while (ret == 0 && wire_next(&r, &f) > 0)
		ret = take_exec_field(&a, &f, &e, &n_arg);
	if (ret == 0 && (!e.argv[0] || e.argv[0][0] == '\0'))
		ret = -EPROTO;
	if (ret == 0)
		*out = e;
	else
		exec_fini(&e);
	return ret;
}

void exec_fini(struct exec_request *e)
{
	free(e->argv);
	free(e->env);
	free(e->strings);
	*e = (struct exec_request){.argv = NULL};
}

int signal_parse(const uint8_t *body, size_t len, int *sig)
{
	struct wire_reader r = {.next = body, .left = len};
	struct wire_field f;
	uint32_t v;

	if (wire_next(&r, &f) <= 0 || r.left || f.tag != SC_FIELD_SIGNAL || wire_u32(&f, &v) < 0 ||
	    v == 0 || v > (uint32_t)SIGRTMAX)
		return -EPROTO;
	*sig = (int)v;
	return 0;
}

int connect_parse(const uint8_t *body, size_t len, struct connect_request *out)
{
	struct wire_reader r = {.next = body, .left = len};
	struct connect_request c = {.port = 0};
	struct wire_field f;
	int ret;

	while ((ret = wire_next(&r, &f)) > 0) {
		uint16_t v;

		ret = take_u16(&f, &v);
		if (ret < 0 || v == 0)
			return -EPROTO;
		if (f.tag == SC_FIELD_PORT && c.port == 0)
			c.port = v;
		else if (f.tag == SC_FIELD_UDP && v == 1)
			c.udp = true;
		else
			return -EPROTO;
	}
	if (ret < 0 || c.port == 0)
		return -EPROTO;
	*out = c;
	return 0;
}

int resume_parse(const uint8_t *body, size_t len, struct resume *out)
{
	struct wire_reader r = {.next = body, .left = len};
	struct wire_field entropy, realtime;

	/* The host writes them in this order. */
	if (wire_next(&r, &entropy) <= 0 || wire_next(&r, &realtime) <= 0 || r.left ||
	    entropy.tag != SC_FIELD_ENTROPY || entropy.length != sizeof(out->entropy) ||
	    realtime.tag != SC_FIELD_REALTIME || realtime.length != sizeof(out->realtime_ns))
		return -EPROTO;
	memcpy(out->entropy, entropy.data, sizeof(out->entropy));
	memcpy(&out->realtime_ns, realtime.data, sizeof(out->realtime_ns));
	out->realtime_ns = le64toh(out->realtime_ns);
	return 0;
}

int winsize_parse(const uint8_t *body, size_t len, struct winsize_request *out)
{
	struct wire_reader r = {.next = body, .left = len};
	struct winsize_request w = {.rows = 0};
	struct wire_field f;
	int ret;

	while ((ret = wire_next(&r, &f)) > 0) {
		if (f.tag == SC_FIELD_ROWS)
			ret = take_u16(&f, &w.rows);
		else if (f.tag == SC_FIELD_COLUMNS)
			ret = take_u16(&f, &w.columns);
		else
			ret = -EPROTO;
		if (ret < 0)
			return ret;
	}
	if (ret == 0)
		*out = w;
	return ret;
}
