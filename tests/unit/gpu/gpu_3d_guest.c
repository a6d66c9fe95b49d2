/* SPDX-License-Identifier: MIT */
#include "tests/unit/gpu/gpu_3d_guest.h"

#include <criterion/criterion.h>
#include <endian.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

int renderer = -1;
uint8_t *area;

static int ram_fd = -1;

void gpu_3d_guest_start(void)
{
	gpu_guest_start();
	/* The rings are there already: they move along. */
	ram_fd = memfd_create("ram", MFD_CLOEXEC);
	guest->mem.n_regions = 1;
	cr_assert_eq(write(ram_fd, guest->mem.regions[0].host, FAKE_RAM_SIZE), FAKE_RAM_SIZE);
	cr_assert_neq(mmap(guest->mem.regions[0].host, FAKE_RAM_SIZE, PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_FIXED, ram_fd, 0),
		      MAP_FAILED);
}

void find_gpu(void)
{
	fake_guest_reset(guest);
	fake_guest_restart(guest, VIRGL_FEATURES);
	fake_guest_settle(guest);
}

void connect_renderer(void)
{
	struct render *r = &gpu->three_d.render;
	int ends[2];

	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
	area = mmap(NULL, RENDER_AREA_SIZE, PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	cr_assert_neq(area, MAP_FAILED);
	r->area = area;
	r->src.fd = ends[0];
	r->ram = guest->mem.regions[0].host;
	r->state = RENDER_STARTING;
	renderer = ends[1];
}

void be_renderer(void)
{
	struct render_hello *hello;

	connect_renderer();
	hello = (struct render_hello *)(void *)area;
	snprintf(hello->driver, sizeof(hello->driver), "Test GPU\n");
	hello->capsets[0].version = 1;
	hello->capsets[0].size = CAPSET_1;
	hello->capsets[1].version = 2;
	hello->capsets[1].size = CAPSET_2;
	memset(hello->capsets[1].data, 'c', CAPSET_2);
	cr_assert_eq(send(renderer, &(struct render_message){.type = RENDER_READY},
			  sizeof(struct render_message), 0),
		     sizeof(struct render_message));
	cr_assert_eq(gpu_render_wait(gpu, 0), 0);
	find_gpu();
}

bool start_renderer(void)
{
	const struct gpu_host host = {
		.program = RENDERER_PROGRAM,
		.ram_fd = ram_fd,
		.ram = guest->mem.regions[0].host,
		.ram_size = FAKE_RAM_SIZE,
		.forced = true,
	};

	if (access(RENDERER_PROGRAM, X_OK) < 0)
		return false;
	gpu_render_start(gpu, &host);
	(void)gpu_render_wait(gpu, 60 * 1000);
	cr_assert_eq(gpu->three_d.render.state, RENDER_ON, "%s", gpu->three_d.render.why);
	find_gpu();
	return true;
}

struct render_message told(void)
{
	struct render_message m = {0};

	cr_assert_eq(recv(renderer, &m, sizeof(m), MSG_DONTWAIT), sizeof(m));
	return m;
}

struct render_message told_of(uint32_t type)
{
	const struct render_message m = told();

	cr_assert_eq(m.type, type, "%u, not %u", m.type, type);
	return m;
}

bool told_nothing(void)
{
	uint8_t byte;

	return recv(renderer, &byte, 1, MSG_DONTWAIT | MSG_PEEK) < 0;
}

void reply_with(uint32_t type, struct render_reply reply)
{
	const struct render_message m = {.type = type, .reply = reply};

	cr_assert_eq(send(renderer, &m, sizeof(m), 0), sizeof(m));
	fake_guest_settle(guest);
}

void finish(void)
{
	reply_with(RENDER_FENCED, (struct render_reply){.n = gpu->three_d.render.fence,
							.done = gpu->three_d.render.sent});
}

bool answered_in_time(void)
{
	for (unsigned int i = 0; i < 60; i++) {
		struct pollfd p = {.fd = gpu->three_d.render.src.fd, .events = POLLIN};

		if (answered())
			return true;
		(void)poll(&p, 1, 1000);
		the_time += PACE_HIDDEN_PERIOD;
	}
	return false;
}

static struct virtio_gpu_ctrl_hdr hdr(uint32_t type, uint32_t ctx)
{
	return (struct virtio_gpu_ctrl_hdr){.type = htole32(type), .ctx_id = htole32(ctx)};
}

struct virtio_gpu_ctx_create ctx_create(uint32_t ctx)
{
	return (struct virtio_gpu_ctx_create){.hdr = hdr(VIRTIO_GPU_CMD_CTX_CREATE, ctx),
					      .nlen = htole32(64)};
}

struct virtio_gpu_ctrl_hdr ctx_destroy(uint32_t ctx)
{
	return hdr(VIRTIO_GPU_CMD_CTX_DESTROY, ctx);
}

struct virtio_gpu_ctx_resource ctx_attach(uint32_t ctx, uint32_t res)
{
	return (struct virtio_gpu_ctx_resource){.hdr = hdr(VIRTIO_GPU_CMD_CTX_ATTACH_RESOURCE, ctx),
						.resource_id = htole32(res)};
}

struct virtio_gpu_resource_create_3d create_3d(uint32_t res, uint32_t width, uint32_t height)
{
	return (struct virtio_gpu_resource_create_3d){
		.hdr = hdr(VIRTIO_GPU_CMD_RESOURCE_CREATE_3D, 0),
		.resource_id = htole32(res),
		.target = htole32(VIRGL_TARGET_2D),
		.format = htole32(VIRGL_FORMAT_BGRA),
		.bind = htole32(VIRGL_BIND_RENDER_TARGET | VIRGL_BIND_SAMPLER_VIEW),
		.width = htole32(width),
		.height = htole32(height),
		.depth = htole32(1),
		.array_size = htole32(1),
		.flags = htole32(VIRGL_FLAG_Y_0_TOP),
	};
}

struct virtio_gpu_transfer_host_3d transfer_from(uint32_t ctx, uint32_t res, uint32_t width,
						 uint32_t height)
{
	return (struct virtio_gpu_transfer_host_3d){
		.hdr = hdr(VIRTIO_GPU_CMD_TRANSFER_FROM_HOST_3D, ctx),
		.box = {.w = htole32(width), .h = htole32(height), .d = htole32(1)},
		.resource_id = htole32(res),
		.stride = htole32(width * 4),
	};
}

struct submit_command {
	struct virtio_gpu_cmd_submit head;
	uint32_t stream[64];
};

static size_t make_submit(struct submit_command *s, uint32_t ctx, const uint32_t *stream,
			  size_t dwords)
{
	cr_assert_leq(dwords, ARRAY_SIZE(s->stream));
	s->head = (struct virtio_gpu_cmd_submit){
		.hdr = hdr(VIRTIO_GPU_CMD_SUBMIT_3D, ctx),
		.size = htole32((uint32_t)(dwords * sizeof(uint32_t))),
	};
	memcpy(s->stream, stream, dwords * sizeof(uint32_t));
	return sizeof(s->head) + dwords * sizeof(uint32_t);
}

uint32_t submit(uint32_t ctx, const uint32_t *stream, size_t dwords)
{
	struct submit_command s;
	const size_t len = make_submit(&s, ctx, stream, dwords);

	return ask(&s, len);
}

long submit_fenced(uint32_t ctx, const uint32_t *stream, size_t dwords)
{
	struct virtio_gpu_ctrl_hdr answer;
	struct submit_command s;
	const size_t len = make_submit(&s, ctx, stream, dwords);

	return ask_fenced(&s, len, &answer);
}

void show_3d_picture(uint32_t ctx, uint32_t res, uint32_t width, uint32_t height)
{
	const struct virtio_gpu_ctx_create c = ctx_create(ctx);
	const struct virtio_gpu_resource_create_3d p = create_3d(res, width, height);
	const struct virtio_gpu_ctx_resource a = ctx_attach(ctx, res);
	const struct virtio_gpu_set_scanout s =
		set_scanout(0, res, (struct gpu_rect){0, 0, width, height});

	cr_assert_eq(ask(&c, sizeof(c)), OK);
	cr_assert_eq(ask(&p, sizeof(p)), OK);
	cr_assert_eq(ask(&a, sizeof(a)), OK);
	cr_assert_eq(ask(&s, sizeof(s)), OK);
}

static uint32_t bits(float v)
{
	uint32_t b;

	memcpy(&b, &v, sizeof(b));
	return b;
}

size_t clear_stream(uint32_t *stream, uint32_t res, float red, float green, float blue)
{
	const uint32_t all[] = {
		VIRGL_HEADER(VIRGL_CREATE_OBJECT, VIRGL_OBJECT_SURFACE, 5),
		1,
		res,
		VIRGL_FORMAT_BGRA,
		0,
		0,
		VIRGL_HEADER(VIRGL_SET_FRAMEBUFFER, 0, 3),
		1,
		0,
		1,
		VIRGL_HEADER(VIRGL_CLEAR, 0, 8),
		VIRGL_CLEAR_COLOUR,
		bits(red),
		bits(green),
		bits(blue),
		bits(1),
		0,
		0,
		0,
		VIRGL_HEADER(VIRGL_DESTROY_OBJECT, VIRGL_OBJECT_SURFACE, 1),
		1,
	};

	memcpy(stream, all, sizeof(all));
	return ARRAY_SIZE(all);
}
