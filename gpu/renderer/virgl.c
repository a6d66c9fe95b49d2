/* SPDX-License-Identifier: MIT */
#include "gpu/renderer/virgl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <virgl/virglrenderer.h>

#include "gpu/renderer/egl.h"
#include "gpu/virgl.h"

enum { BUCKETS = 1024, TEST_CTX = 1, TEST_RES = 1, TEST_SIDE = 16, NAME_LEN = 10 };

/* The pages of a resource, which virglrenderer borrows. */
struct backing {
	struct backing *next;
	uint32_t res;
	struct iovec *iov;
};

/* As virglrenderer lays it out; its header has no such struct. */
struct virgl_box {
	uint32_t x, y, z, w, h, d;
};

static struct virgl_memory mem;
static struct backing *backings[BUCKETS];
static uint32_t last_asked, last_done;

static void *create_context(void *cookie, int scanout, struct virgl_renderer_gl_ctx_param *param)
{
	(void)cookie;
	(void)scanout;
	return egl_context_new(param->major_ver, param->minor_ver, param->shared);
}

static void destroy_context(void *cookie, virgl_renderer_gl_context context)
{
	(void)cookie;
	egl_context_free(context);
}

static int make_current(void *cookie, int scanout, virgl_renderer_gl_context context)
{
	(void)cookie;
	(void)scanout;
	return egl_context_use(context);
}

static void fence_done(void *cookie, uint32_t n)
{
	(void)cookie;
	last_done = n;
}

/* Its own messages tell a guest's programs apart; a user has nothing of them. */
static void be_silent(const char *fmt, va_list ap)
{
	(void)fmt;
	(void)ap;
}

static struct virgl_renderer_callbacks callbacks = {
	.version = 1,
	.write_fence = fence_done,
	.create_gl_context = create_context,
	.destroy_gl_context = destroy_context,
	.make_current = make_current,
};

static int start(void)
{
	static int cookie;

	virgl_set_debug_callback(be_silent);
	return virgl_renderer_init(&cookie, VIRGL_RENDERER_THREAD_SYNC, &callbacks) == 0 ? 0
											 : -ENODEV;
}

/* The test: a picture of one colour, and what came of it. */

static int draw_test(uint32_t colour_bits)
{
	uint32_t stream[] = {
		VIRGL_HEADER(VIRGL_CREATE_OBJECT, VIRGL_OBJECT_SURFACE, 5),
		1,
		TEST_RES,
		VIRGL_FORMAT_BGRA,
		0,
		0,
		VIRGL_HEADER(VIRGL_SET_FRAMEBUFFER, 0, 3),
		1,
		0,
		1,
		VIRGL_HEADER(VIRGL_CLEAR, 0, 8),
		VIRGL_CLEAR_COLOUR,
		colour_bits,
		0,
		colour_bits,
		colour_bits,
		0,
		0,
		0,
	};

	return virgl_renderer_submit_cmd(stream, TEST_CTX, ARRAY_SIZE(stream)) == 0 ? 0 : -ENODEV;
}

static bool read_test(void)
{
	uint32_t pixels[TEST_SIDE * TEST_SIDE] = {0};
	struct iovec iov = {pixels, sizeof(pixels)};
	struct virgl_box box = {0, 0, 0, TEST_SIDE, TEST_SIDE, 1};

	if (virgl_renderer_transfer_read_iov(TEST_RES, 0, 0, TEST_SIDE * 4, 0, &box, 0, &iov, 1))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(pixels); i++)
		if (pixels[i] != 0xffff00ff)
			return false;
	return true;
}

static int test(void)
{
	struct virgl_renderer_resource_create_args args = {
		.handle = TEST_RES,
		.target = VIRGL_TARGET_2D,
		.format = VIRGL_FORMAT_BGRA,
		.bind = VIRGL_BIND_RENDER_TARGET | VIRGL_BIND_SAMPLER_VIEW,
		.width = TEST_SIDE,
		.height = TEST_SIDE,
		.depth = 1,
		.array_size = 1,
	};
	const float one = 1;
	uint32_t bits;
	bool right = false;

	memcpy(&bits, &one, sizeof(bits));
	if (virgl_renderer_context_create(TEST_CTX, NAME_LEN, "sandcastle") ||
	    virgl_renderer_resource_create(&args, NULL, 0))
		return -ENODEV;
	virgl_renderer_ctx_attach_resource(TEST_CTX, TEST_RES);
	right = draw_test(bits) == 0 && read_test();
	virgl_renderer_ctx_detach_resource(TEST_CTX, TEST_RES);
	virgl_renderer_resource_unref(TEST_RES);
	virgl_renderer_context_destroy(TEST_CTX);
	return right ? 0 : -ENODEV;
}

/* What the guest is told that we do not pass on (gpu/filter.h). */
static void mask_capset(uint8_t *data, uint32_t size)
{
	static const struct {
		uint32_t off, bits;
	} masks[] = {
		{VIRGL_CAPS_BITS, VIRGL_CAP_QBO},
		{VIRGL_CAPS_BITS_2, VIRGL_CAP_2_UNTYPED},
	};
	uint32_t v;

	for (size_t i = 0; i < ARRAY_SIZE(masks); i++)
		if (masks[i].off + sizeof(v) <= size) {
			memcpy(&v, data + masks[i].off, sizeof(v));
			v &= ~masks[i].bits;
			memcpy(data + masks[i].off, &v, sizeof(v));
		}
}

static int read_capsets(struct render_hello *hello)
{
	for (unsigned int i = 0; i < RENDER_CAPSETS; i++) {
		uint32_t version = 0, size = 0;

		virgl_renderer_get_cap_set(i + 1, &version, &size);
		if (size == 0 || size > RENDER_CAPSET_MAX)
			return -ENODEV;
		virgl_renderer_fill_caps(i + 1, version, hello->capsets[i].data);
		hello->capsets[i].version = version;
		hello->capsets[i].size = size;
		if (i == 1)
			mask_capset(hello->capsets[i].data, size);
	}
	return 0;
}

int virgl_open(const struct virgl_memory *memory, struct render_hello *hello)
{
	mem = *memory;
	if (start() < 0)
		snprintf(hello->why, sizeof(hello->why), "virglrenderer does not start on it");
	else if (test() < 0)
		snprintf(hello->why, sizeof(hello->why), "it renders a wrong picture");
	else if (read_capsets(hello) < 0)
		snprintf(hello->why, sizeof(hello->why), "virglrenderer offers no capsets");
	else
		return 0;
	return -ENODEV;
}

/* Backings */

static void drop_backing(uint32_t res)
{
	struct backing **at = &backings[res % BUCKETS], *b;

	while (*at && (*at)->res != res)
		at = &(*at)->next;
	b = *at;
	if (!b)
		return;
	*at = b->next;
	free(b->iov);
	free(b);
}

static int unback(uint32_t res)
{
	struct iovec *iov;
	int n;

	virgl_renderer_resource_detach_iov((int)res, &iov, &n);
	drop_backing(res);
	return 0;
}

static int fill_iov(struct iovec *iov, const struct render_run *runs, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		if (runs[i].off > mem.ram_size || runs[i].len > mem.ram_size - runs[i].off)
			return -EINVAL;
		iov[i] = (struct iovec){mem.ram + runs[i].off, runs[i].len};
	}
	return 0;
}

static int back(const struct render_bytes *m)
{
	struct backing *b = calloc(1, sizeof(*b));
	struct iovec *iov = calloc(m->n, sizeof(*iov));

	if (!b || !iov ||
	    fill_iov(iov, (const struct render_run *)(const void *)(mem.area + m->off), m->n) < 0 ||
	    virgl_renderer_resource_attach_iov((int)m->res, iov, (int)m->n)) {
		free(b);
		free(iov);
		return -EINVAL;
	}
	*b = (struct backing){backings[m->res % BUCKETS], m->res, iov};
	backings[m->res % BUCKETS] = b;
	return 0;
}

void virgl_close(void)
{
	virgl_renderer_cleanup(NULL);
	for (unsigned int i = 0; i < BUCKETS; i++)
		while (backings[i])
			drop_backing(backings[i]->res);
}

/* virgl_renderer_reset() would leave it without fences, so it starts anew. */
static int reset(void)
{
	virgl_close();
	last_done = last_asked;
	return start();
}

static int create(const struct render_create *c)
{
	struct virgl_renderer_resource_create_args args = {
		.handle = c->res,
		.target = c->target,
		.format = c->format,
		.bind = c->bind,
		.width = c->width,
		.height = c->height,
		.depth = c->depth,
		.array_size = c->array_size,
		.last_level = c->last_level,
		.nr_samples = c->samples,
		.flags = c->flags,
	};

	return virgl_renderer_resource_create(&args, NULL, 0);
}

static int transfer(const struct render_message *m)
{
	const struct render_transfer *t = &m->transfer;
	struct virgl_box box = {t->box[0], t->box[1], t->box[2], t->box[3], t->box[4], t->box[5]};

	if (m->type == RENDER_TRANSFER_TO)
		return virgl_renderer_transfer_write_iov(t->res, t->ctx, (int)t->level, t->stride,
							 t->layer_stride, &box, t->off, NULL, 0);
	return virgl_renderer_transfer_read_iov(t->res, t->ctx, t->level, t->stride,
						t->layer_stride, &box, t->off, NULL, 0);
}

static int read_picture(const struct render_read *r)
{
	struct iovec iov = {mem.area + render_slot_off(r->slot), RENDER_SLOT_SIZE};
	struct virgl_box box = {r->x, r->y, 0, r->width, r->height, 1};
	const uint64_t off = (uint64_t)r->y * r->stride + (uint64_t)r->x * 4;

	return virgl_renderer_transfer_read_iov(r->res, 0, 0, r->stride, 0, &box, off, &iov, 1);
}

static int fence(uint32_t n)
{
	last_asked = n;
	return virgl_renderer_create_fence((int)n, 0);
}

static int dispatch(const struct render_message *m)
{
	switch (m->type) {
	case RENDER_CTX_CREATE:
		return virgl_renderer_context_create(m->ctx.ctx, NAME_LEN, "sandcastle");
	case RENDER_CTX_DESTROY:
		virgl_renderer_context_destroy(m->ctx.ctx);
		return 0;
	case RENDER_CTX_ATTACH:
		virgl_renderer_ctx_attach_resource((int)m->ctx.ctx, (int)m->ctx.res);
		return 0;
	case RENDER_CTX_DETACH:
		virgl_renderer_ctx_detach_resource((int)m->ctx.ctx, (int)m->ctx.res);
		return 0;
	case RENDER_RES_CREATE:
		return create(&m->create);
	case RENDER_RES_BACKING:
		return back(&m->bytes);
	case RENDER_RES_UNBACK:
		return unback(m->bytes.res);
	case RENDER_RES_UNREF:
		(void)unback(m->bytes.res);
		virgl_renderer_resource_unref(m->bytes.res);
		return 0;
	case RENDER_TRANSFER_TO:
	case RENDER_TRANSFER_FROM:
		return transfer(m);
	case RENDER_SUBMIT:
		return virgl_renderer_submit_cmd(mem.area + m->bytes.off, (int)m->bytes.ctx,
						 (int)m->bytes.n);
	case RENDER_FENCE:
		return fence(m->n);
	case RENDER_READ:
		return read_picture(&m->read);
	case RENDER_RESET:
		return reset();
	default:
		return -EINVAL;
	}
}

int virgl_do(const struct render_message *m)
{
	/* Whatever ran before may have left another context the current one. */
	virgl_renderer_force_ctx_0();
	return dispatch(m) == 0 ? 0 : -EINVAL;
}

int virgl_poll_fd(void)
{
	return virgl_renderer_get_poll_fd();
}

bool virgl_poll(uint32_t *n)
{
	const uint32_t before = last_done;

	virgl_renderer_poll();
	*n = last_done;
	return last_done != before;
}

uint32_t virgl_forgotten(void)
{
	return last_asked;
}

bool virgl_waits(void)
{
	return last_done != last_asked;
}
