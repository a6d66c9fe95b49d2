/* SPDX-License-Identifier: MIT */
#include "vmm/session/agent_wire.h"

#include <endian.h>
#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "common/agent_codec.h"
#include "vmm/config/config.h"
#include "vmm/session/command.h"

#define BIT(tag) (1u << (tag))

/*
 * What the guest may say: the fields each message must have, those of which it has exactly one, and
 * whether it concerns a command.
 */
struct rule {
	uint32_t must, one, may, many;
	bool has_id;
};

static const struct rule rules[] = {
	[SC_MSG_HELLO] = {.must = BIT(SC_FIELD_VERSION) | BIT(SC_FIELD_KERNEL)},
	[SC_MSG_READY] = {.many = BIT(SC_FIELD_STEP) | BIT(SC_FIELD_ADDRESS)},
	[SC_MSG_STARTED] = {.must = BIT(SC_FIELD_PID), .has_id = true},
	[SC_MSG_EXEC_FAILED] = {.must = BIT(SC_FIELD_ERRNO) | BIT(SC_FIELD_TEXT), .has_id = true},
	[SC_MSG_EXITED] = {.one = BIT(SC_FIELD_CODE) | BIT(SC_FIELD_SIGNAL),
			   .may = BIT(SC_FIELD_USAGE),
			   .has_id = true},
	[SC_MSG_FAILED] = {.must = BIT(SC_FIELD_TEXT)},
	[SC_MSG_MAP_DONE] = {.has_id = true},
	[SC_MSG_MAP_FAILED] = {.must = BIT(SC_FIELD_ERRNO) | BIT(SC_FIELD_TEXT), .has_id = true},
	[SC_MSG_CONNECT_FAILED] = {.must = BIT(SC_FIELD_ERRNO) | BIT(SC_FIELD_TEXT),
				   .has_id = true},
	[SC_MSG_PARKED] = {.must = 0},
};

static int bad(const char **why, const char *what)
{
	*why = what;
	return -EPROTO;
}

/* A terminal acts on control characters and some on bytes over 127: the guest gets to send none. */
static void copy_text(char *out, size_t size, const uint8_t *data, size_t len)
{
	len = min_size(len, size - 1);
	for (size_t i = 0; i < len; i++)
		out[i] = data[i] >= 0x20 && data[i] < 0x7f ? (char)data[i] : '?';
	out[len] = '\0';
}

static int take_number(uint32_t tag, uint32_t v, struct agent_message *out, const char **why)
{
	switch (tag) {
	case SC_FIELD_VERSION:
		out->version = v;
		return 0;
	case SC_FIELD_PID:
		out->pid = v;
		return 0;
	case SC_FIELD_ADDRESS:
		out->address = v;
		return 0;
	case SC_FIELD_ERRNO:
		if (v < 1 || v > 4095)
			return bad(why, "an error number out of range");
		out->error = (int)v;
		return 0;
	case SC_FIELD_CODE:
		if (v > 255)
			return bad(why, "an exit status out of range");
		out->code = (int)v;
		return 0;
	default: /* SC_FIELD_SIGNAL: rules[] lets no other through */
		if (v < 1 || v > 64)
			return bad(why, "a signal number out of range");
		out->signal = (int)v;
		return 0;
	}
}

static int take_step(const struct wire_field *f, struct agent_message *out, const char **why)
{
	struct agent_step *step = &out->steps[out->n_steps];
	struct sc_step s;

	if (f->length < sizeof(s))
		return bad(why, "a step cut short");
	if (out->n_steps == AGENT_STEPS_MAX)
		return bad(why, "too many steps");
	memcpy(&s, f->data, sizeof(s));
	step->begin = le64toh(s.begin);
	step->end = le64toh(s.end);
	step->kernel = le32toh(s.kernel) != 0;
	copy_text(step->name, sizeof(step->name), f->data + sizeof(s), f->length - sizeof(s));
	out->n_steps++;
	return 0;
}

static int take_usage(const struct wire_field *f, struct agent_message *out, const char **why)
{
	struct sc_usage u;

	if (f->length != sizeof(u))
		return bad(why, "figures of a command of the wrong size");
	memcpy(&u, f->data, sizeof(u));
	out->usage.user_us = le64toh(u.user_us);
	out->usage.system_us = le64toh(u.system_us);
	out->usage.memory = le64toh(u.memory);
	return 0;
}

static int take_field(const struct wire_field *f, struct agent_message *out, const char **why)
{
	uint32_t v;

	if (f->tag == SC_FIELD_STEP)
		return take_step(f, out, why);
	if (f->tag == SC_FIELD_USAGE)
		return take_usage(f, out, why);
	if (f->tag == SC_FIELD_KERNEL || f->tag == SC_FIELD_TEXT) {
		if (wire_str(f) < 0)
			return bad(why, "a string with a NUL in it");
		copy_text(out->text, sizeof(out->text), f->data, f->length);
		return 0;
	}
	if (wire_u32(f, &v) < 0)
		return bad(why, "a number of the wrong size");
	return take_number(f->tag, v, out, why);
}

static int take_body(struct wire_reader body, const struct rule *rule, struct agent_message *out,
		     const char **why)
{
	struct wire_field f;
	uint32_t seen = 0;
	int r;

	while ((r = wire_next(&body, &f)) > 0) {
		if (f.tag >= 32 ||
		    !((rule->must | rule->one | rule->may | rule->many) & BIT(f.tag)))
			return bad(why, "a field that does not belong there");
		if (seen & BIT(f.tag) & ~rule->many)
			return bad(why, "a field twice");
		seen |= BIT(f.tag);
		r = take_field(&f, out, why);
		if (r < 0)
			return r;
	}
	if (r < 0)
		return bad(why, "a field longer than its message");
	if ((seen & rule->must) != rule->must)
		return bad(why, "a field missing");
	seen &= rule->one;
	if (rule->one && (seen == 0 || (seen & (seen - 1)) != 0))
		return bad(why, "neither exit status nor signal, or both");
	return 0;
}

ssize_t agent_wire_decode(const uint8_t *data, size_t len, struct agent_message *out,
			  const char **why)
{
	struct sc_header h;
	int r;

	if (len < sizeof(h))
		return 0;
	if (wire_header(data, SC_BODY_MAX_GUEST, &h) < 0)
		return bad(why, "a message too long, or a header that is not ours");
	if (h.type < SC_MSG_HELLO || h.type > SC_MSG_PARKED)
		return bad(why, "an unknown message");
	if (rules[h.type].has_id != (h.id != 0))
		return bad(why, "a command number where none is meant, or none");
	if (len - sizeof(h) < h.length)
		return 0;
	*out = (struct agent_message){.type = h.type, .id = h.id};
	r = take_body((struct wire_reader){data + sizeof(h), h.length}, &rules[h.type], out, why);
	return r < 0 ? r : (ssize_t)(sizeof(h) + h.length);
}

void agent_buffer_fini(struct agent_buffer *buf)
{
	free(buf->data);
	*buf = (struct agent_buffer){.data = NULL};
}

/*
 * A message under construction. The first error sticks, so that the functions
 * below read as lists of fields.
 */
struct writer {
	struct agent_buffer *buf;
	size_t start;
	int error;
};

static void put(struct writer *w, const void *data, size_t len)
{
	struct agent_buffer *b = w->buf;

	if (w->error < 0)
		return;
	if (b->capacity - b->len < len) {
		size_t capacity = align_up(b->len + len, 4096) * 2;
		uint8_t *grown = realloc(b->data, capacity);

		if (!grown) {
			w->error = -ENOMEM;
			return;
		}
		b->data = grown;
		b->capacity = capacity;
	}
	if (len > 0)
		memcpy(b->data + b->len, data, len);
	b->len += len;
}

int agent_buffer_append(struct agent_buffer *buf, const struct agent_buffer *more)
{
	struct writer w = {.buf = buf};

	put(&w, more->data, more->len);
	return w.error;
}

static void put_field(struct writer *w, enum sc_field_tag tag, size_t len)
{
	struct sc_field f = {htole32(tag), htole32((uint32_t)len)};
	size_t body;

	if (w->error < 0)
		return;
	/* Never more than the maximum so far, hence no sum here can wrap. */
	body = w->buf->len - w->start - sizeof(struct sc_header);
	if (len > SC_BODY_MAX_HOST || body + sizeof(f) + len > SC_BODY_MAX_HOST)
		w->error = -E2BIG;
	put(w, &f, sizeof(f));
}

static void put_u32(struct writer *w, enum sc_field_tag tag, uint32_t v)
{
	v = htole32(v);
	put_field(w, tag, sizeof(v));
	put(w, &v, sizeof(v));
}

/* NULL: the field is left out. */
static void put_str(struct writer *w, enum sc_field_tag tag, const char *s)
{
	if (!s)
		return;
	put_field(w, tag, strlen(s));
	put(w, s, strlen(s));
}

static struct writer begin(struct agent_buffer *buf, enum sc_message type, uint32_t id)
{
	struct sc_header h = {.type = htole16((uint16_t)type), .id = htole32(id)};
	struct writer w = {.buf = buf, .start = buf->len};

	put(&w, &h, sizeof(h));
	return w;
}

static int end(struct writer *w)
{
	size_t body = w->buf->len - w->start - sizeof(struct sc_header);
	uint32_t length = htole32((uint32_t)body);

	if (w->error < 0) {
		w->buf->len = w->start;
		return w->error;
	}
	memcpy(w->buf->data + w->start + offsetof(struct sc_header, length), &length,
	       sizeof(length));
	return 0;
}

static void put_limits(struct writer *w, const uint64_t limits[SC_LIMITS])
{
	uint64_t all[SC_LIMITS], any = 0;

	for (unsigned int i = 0; i < SC_LIMITS; i++) {
		all[i] = htole64(limits[i]);
		any |= limits[i];
	}
	if (any == 0)
		return;
	put_field(w, SC_FIELD_LIMITS, sizeof(all));
	put(w, all, sizeof(all));
}

static void put_map(struct writer *w, const struct config_map *m, uint32_t index)
{
	struct sc_map map = {
		.index = htole32(index),
		.writable = htole32(m->writable),
		.is_file = htole32(m->is_file),
		.discard = htole32(m->discard),
	};

	put_field(w, SC_FIELD_MAP, sizeof(map) + strlen(m->guest));
	put(w, &map, sizeof(map));
	put(w, m->guest, strlen(m->guest));
}

static void put_network(struct writer *w, const struct net_addresses *a)
{
	struct sc_network net;

	memcpy(net.mac, a->mac, sizeof(net.mac));
	memcpy(net.guest4, a->guest4, sizeof(net.guest4));
	memcpy(net.gateway4, a->gateway4, sizeof(net.gateway4));
	memcpy(net.guest6, a->guest6, sizeof(net.guest6));
	memcpy(net.gateway6, a->gateway6, sizeof(net.gateway6));
	put_field(w, SC_FIELD_NETWORK, sizeof(net));
	put(w, &net, sizeof(net));
}

int agent_wire_park(struct agent_buffer *buf)
{
	struct writer w = begin(buf, SC_MSG_PARK, 0);

	return end(&w);
}

int agent_wire_resume(struct agent_buffer *buf)
{
	uint8_t entropy[SC_ENTROPY_BYTES];
	struct sc_realtime realtime;
	struct timespec now;
	struct writer w;

	if (getrandom(entropy, sizeof(entropy), 0) != sizeof(entropy))
		return -errno;
	clock_gettime(CLOCK_REALTIME, &now);
	realtime.ns = htole64((uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec);
	w = begin(buf, SC_MSG_RESUME, 0);
	put_field(&w, SC_FIELD_ENTROPY, sizeof(entropy));
	put(&w, entropy, sizeof(entropy));
	put_field(&w, SC_FIELD_REALTIME, sizeof(realtime));
	put(&w, &realtime, sizeof(realtime));
	explicit_bzero(entropy, sizeof(entropy));
	return end(&w);
}

int agent_wire_setup(struct agent_buffer *buf, const struct sandbox_config *cfg)
{
	struct writer w = begin(buf, SC_MSG_SETUP, 0);

	put_str(&w, SC_FIELD_HOSTNAME, cfg->name);
	put_str(&w, SC_FIELD_USER, cfg->user.name);
	put_u32(&w, SC_FIELD_UID, cfg->user.uid);
	put_u32(&w, SC_FIELD_GID, cfg->user.gid);
	put_str(&w, SC_FIELD_HOME, cfg->user.home);
	put_str(&w, SC_FIELD_SHELL, cfg->user.shell);
	if (cfg->network_mode != NETWORK_NONE)
		put_network(&w, &cfg->addresses);
	put_str(&w, SC_FIELD_RESOLV_CONF, cfg->resolv_conf);
	if (cfg->timeline)
		put_u32(&w, SC_FIELD_TIMELINE, 1);
	for (size_t i = 0; i < cfg->n_maps; i++)
		put_map(&w, &cfg->maps[i], (uint32_t)i);
	return end(&w);
}

int agent_wire_exec(struct agent_buffer *buf, const struct command_spec *spec, uint32_t id)
{
	struct writer w = begin(buf, SC_MSG_EXEC, id);

	for (char *const *arg = spec->argv; *arg; arg++)
		put_str(&w, SC_FIELD_ARG, *arg);
	for (char *const *env = spec->env; env && *env; env++)
		put_str(&w, SC_FIELD_ENV, *env);
	put_str(&w, SC_FIELD_CWD, spec->workdir);
	put_str(&w, SC_FIELD_USER, spec->run_as);
	put_limits(&w, spec->limits);
	if (spec->session)
		put_u32(&w, SC_FIELD_SESSION, 1);
	if (spec->tty) {
		put_u32(&w, SC_FIELD_TTY, 1);
		put_u32(&w, SC_FIELD_ROWS, spec->rows);
		put_u32(&w, SC_FIELD_COLUMNS, spec->columns);
	}
	return end(&w);
}

int agent_wire_signal(struct agent_buffer *buf, uint32_t id, uint32_t signo)
{
	struct writer w = begin(buf, SC_MSG_SIGNAL, id);

	put_u32(&w, SC_FIELD_SIGNAL, signo);
	return end(&w);
}

int agent_wire_winsize(struct agent_buffer *buf, uint32_t id, uint32_t rows, uint32_t columns)
{
	struct writer w = begin(buf, SC_MSG_WINSIZE, id);

	put_u32(&w, SC_FIELD_ROWS, rows);
	put_u32(&w, SC_FIELD_COLUMNS, columns);
	return end(&w);
}

int agent_wire_map(struct agent_buffer *buf, const struct config_map *map, uint32_t index,
		   bool remove, uint32_t id)
{
	struct writer w = begin(buf, remove ? SC_MSG_UNMAP : SC_MSG_MAP, id);

	put_map(&w, map, index);
	return end(&w);
}

int agent_wire_connect(struct agent_buffer *buf, uint16_t port, bool udp, uint32_t id)
{
	struct writer w = begin(buf, SC_MSG_CONNECT, id);

	put_u32(&w, SC_FIELD_PORT, port);
	if (udp)
		put_u32(&w, SC_FIELD_UDP, 1);
	return end(&w);
}

int agent_wire_graphics_lost(struct agent_buffer *buf)
{
	struct writer w = begin(buf, SC_MSG_GRAPHICS_LOST, 0);

	return end(&w);
}

int agent_wire_shutdown(struct agent_buffer *buf)
{
	struct writer w = begin(buf, SC_MSG_SHUTDOWN, 0);

	return end(&w);
}
