/* SPDX-License-Identifier: MIT */
/*
 * DOC: the commands for a GPU
 *
 * Each is checked here against what we know (numbers of contexts and resources, sizes,
 * pages that are RAM, memory in all) and passed on as a message; what the GPU says to it
 * comes back as a fence only. A resource of 2D lives here and there: contexts may
 * draw on it, while scanouts and pointers read the guest's own pages.
 */
#include <endian.h>
#include <string.h>

#include "gpu/filter.h"
#include "gpu/formats_3d.h"
#include "gpu/gpu_priv.h"
#include "gpu/virgl.h"

enum {
	OK = VIRTIO_GPU_RESP_OK_NODATA,
	WRONG = VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER,
	NO_RESOURCE = VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID,
	NO_CONTEXT = VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID,
	NO_MEMORY = VIRTIO_GPU_RESP_ERR_OUT_OF_MEMORY,
};

bool gpu_3d_on(const struct gpu *gpu)
{
	return virtio_has(&gpu->vdev, VIRTIO_GPU_F_VIRGL) && gpu->three_d.render.state == RENDER_ON;
}

static void send(struct gpu *gpu, const struct render_message *m)
{
	render_send(&gpu->three_d.render, m);
}

/* Capsets */

static const struct render_capset *capset_at(const struct gpu *gpu, uint32_t i)
{
	return i < RENDER_CAPSETS ? &gpu->three_d.render.capsets[i] : NULL;
}

/* A driver that asks without a GPU waits seconds for an answer: there are none. */
static uint32_t get_capset_info(struct gpu *gpu, struct gpu_request *rq)
{
	struct virtio_gpu_resp_capset_info *info = &rq->answer.capset_info;
	const uint32_t i = le32toh(rq->cmd.capset_info.capset_index);
	const struct render_capset *c = gpu_3d_on(gpu) ? capset_at(gpu, i) : NULL;

	rq->answer_len = sizeof(*info);
	if (c) {
		info->capset_id = htole32(i + 1);
		info->capset_max_version = htole32(c->version);
		info->capset_max_size = htole32(c->size);
	}
	return VIRTIO_GPU_RESP_OK_CAPSET_INFO;
}

static uint32_t get_capset(struct gpu *gpu, struct gpu_request *rq)
{
	const struct render_capset *c = capset_at(gpu, le32toh(rq->cmd.capset.capset_id) - 1);

	if (!c || le32toh(rq->cmd.capset.capset_version) > c->version)
		return WRONG;
	memcpy(rq->answer.capset.data, c->data, c->size);
	rq->answer_len = sizeof(rq->answer.capset.hdr) + c->size;
	return VIRTIO_GPU_RESP_OK_CAPSET;
}

/* Contexts */

/* Its place in the table; that of 0 is a free one. NULL: there is none. */
static uint32_t *context(struct gpu *gpu, uint32_t id)
{
	for (unsigned int i = 0; i < GPU_MAX_CONTEXTS; i++)
		if (gpu->three_d.contexts[i] == id)
			return &gpu->three_d.contexts[i];
	return NULL;
}

static bool has_context(struct gpu *gpu, uint32_t id)
{
	return id > 0 && context(gpu, id);
}

static void send_ctx(struct gpu *gpu, uint32_t type, uint32_t ctx, uint32_t res)
{
	const struct render_message m = {.type = type, .ctx = {.ctx = ctx, .res = res}};

	send(gpu, &m);
}

static uint32_t ctx_create(struct gpu *gpu, struct gpu_request *rq)
{
	const uint32_t id = le32toh(rq->cmd.hdr.ctx_id);
	uint32_t *place;

	if (id == 0 || has_context(gpu, id))
		return NO_CONTEXT;
	place = context(gpu, 0);
	if (!place)
		return NO_MEMORY;
	*place = id;
	send_ctx(gpu, RENDER_CTX_CREATE, id, 0);
	return OK;
}

static uint32_t ctx_destroy(struct gpu *gpu, struct gpu_request *rq)
{
	const uint32_t id = le32toh(rq->cmd.hdr.ctx_id);

	if (!has_context(gpu, id))
		return NO_CONTEXT;
	*context(gpu, id) = 0;
	send_ctx(gpu, RENDER_CTX_DESTROY, id, 0);
	return OK;
}

static uint32_t ctx_resource(struct gpu *gpu, const struct gpu_request *rq, uint32_t type)
{
	const uint32_t id = le32toh(rq->cmd.hdr.ctx_id),
		       res = le32toh(rq->cmd.ctx_resource.resource_id);

	if (!has_context(gpu, id))
		return NO_CONTEXT;
	if (!gpu_resource_find(&gpu->resources, res))
		return NO_RESOURCE;
	send_ctx(gpu, type, id, res);
	return OK;
}

static uint32_t ctx_attach(struct gpu *gpu, struct gpu_request *rq)
{
	return ctx_resource(gpu, rq, RENDER_CTX_ATTACH);
}

static uint32_t ctx_detach(struct gpu *gpu, struct gpu_request *rq)
{
	return ctx_resource(gpu, rq, RENDER_CTX_DETACH);
}

/* Resources */

static uint32_t create_3d(struct gpu *gpu, struct gpu_request *rq)
{
	const struct virtio_gpu_resource_create_3d *c = &rq->cmd.create_3d;
	const struct render_message m = {
		.type = RENDER_RES_CREATE,
		.create = {.res = le32toh(c->resource_id),
			   .target = le32toh(c->target),
			   .format = le32toh(c->format),
			   .bind = le32toh(c->bind),
			   .width = le32toh(c->width),
			   .height = le32toh(c->height),
			   .depth = le32toh(c->depth),
			   .array_size = le32toh(c->array_size),
			   .last_level = le32toh(c->last_level),
			   .samples = le32toh(c->nr_samples),
			   .flags = le32toh(c->flags) & VIRGL_FLAG_Y_0_TOP},
	};
	const struct render_create *s = &m.create;
	const struct gpu_3d_size size = {s->target, s->format,	   s->width,	  s->height,
					 s->depth,  s->array_size, s->last_level, s->samples};
	struct gpu_resource *res;
	uint64_t bytes;
	uint32_t answer;

	if (gpu_3d_bytes(&size, &bytes) < 0)
		return WRONG;
	res = gpu_resource_create_3d(&gpu->resources, s->res, bytes, &answer);
	if (!res)
		return answer;
	res->format = s->format;
	res->width = s->width;
	res->height = s->height;
	res->target = s->target;
	res->depth = s->depth;
	res->array_size = s->array_size;
	res->last_level = s->last_level;
	send(gpu, &m);
	return answer;
}

uint32_t gpu_3d_create_2d(struct gpu *gpu, struct gpu_resource *res)
{
	const struct render_message m = {
		.type = RENDER_RES_CREATE,
		.create = {.res = res->id,
			   .target = VIRGL_TARGET_2D,
			   .format = res->format,
			   .bind = VIRGL_BIND_RENDER_TARGET | VIRGL_BIND_SAMPLER_VIEW,
			   .width = res->width,
			   .height = res->height,
			   .depth = 1,
			   .array_size = 1,
			   .flags = VIRGL_FLAG_Y_0_TOP},
	};

	if (!gpu_3d_on(gpu))
		return OK;
	if (res->size > GPU_MAX_ONE_3D || res->size > GPU_MAX_3D - gpu->resources.gpu_bytes)
		return NO_MEMORY;
	res->gpu_bytes = res->size;
	gpu->resources.gpu_bytes += res->size;
	send(gpu, &m);
	return OK;
}

static uint64_t run_len(const struct gpu_resource *res, unsigned int i)
{
	return (i + 1 < res->n_runs ? res->runs[i + 1].off : res->backed) - res->runs[i].off;
}

void gpu_3d_backed(struct gpu *gpu, const struct gpu_resource *res)
{
	struct render *render = &gpu->three_d.render;
	struct render_message m = {
		.type = RENDER_RES_BACKING,
		.bytes = {.res = res->id, .n = res->n_runs},
	};
	struct render_run *runs;

	if (!gpu_3d_on(gpu))
		return;
	runs = render_reserve(render, res->n_runs * sizeof(*runs), &m.bytes.off);
	for (unsigned int i = 0; i < res->n_runs; i++)
		runs[i] = (struct render_run){(uint64_t)(res->runs[i].host - render->ram),
					      run_len(res, i)};
	send(gpu, &m);
}

static void send_res(struct gpu *gpu, uint32_t type, const struct gpu_resource *res)
{
	const struct render_message m = {.type = type, .bytes = {.res = res->id}};

	if (gpu_3d_on(gpu))
		send(gpu, &m);
}

void gpu_3d_unbacked(struct gpu *gpu, const struct gpu_resource *res)
{
	send_res(gpu, RENDER_RES_UNBACK, res);
}

void gpu_3d_unref(struct gpu *gpu, const struct gpu_resource *res)
{
	for (unsigned int i = 0; i < GPU_SCANOUTS; i++)
		if (gpu->three_d.scanouts[i].res == res) {
			scanout_off(gpu, i);
			gpu_3d_hide(gpu, i);
		}
	send_res(gpu, RENDER_RES_UNREF, res);
}

/* Transfers */

void gpu_3d_transfer_2d(struct gpu *gpu, const struct gpu_resource *res, const struct gpu_rect *r,
			uint64_t off)
{
	const struct render_message m = {
		.type = RENDER_TRANSFER_TO,
		.transfer = {.res = res->id,
			     .box = {r->x, r->y, 0, r->width, r->height, 1},
			     .off = off},
	};

	if (gpu_3d_on(gpu))
		send(gpu, &m);
}

static bool within(uint32_t at, uint32_t len, uint32_t size)
{
	return len > 0 && (uint64_t)at + len <= size;
}

static uint32_t level_side(uint32_t v, uint32_t level)
{
	return v >> level ? v >> level : 1;
}

static bool box_valid(const struct gpu_resource *res, uint32_t level, const uint32_t box[6])
{
	const uint32_t layers =
		res->target == VIRGL_TARGET_3D ? level_side(res->depth, level) : res->array_size;

	return level <= res->last_level && within(box[0], box[3], level_side(res->width, level)) &&
	       within(box[1], box[4], level_side(res->height, level)) &&
	       within(box[2], box[5], layers);
}

static uint32_t transfer(struct gpu *gpu, const struct gpu_request *rq, uint32_t type)
{
	const struct virtio_gpu_transfer_host_3d *t = &rq->cmd.transfer_3d;
	const struct render_message m = {
		.type = type,
		.transfer = {.res = le32toh(t->resource_id),
			     .ctx = le32toh(t->hdr.ctx_id),
			     .level = le32toh(t->level),
			     .stride = le32toh(t->stride),
			     .layer_stride = le32toh(t->layer_stride),
			     .box = {le32toh(t->box.x), le32toh(t->box.y), le32toh(t->box.z),
				     le32toh(t->box.w), le32toh(t->box.h), le32toh(t->box.d)},
			     .off = le64toh(t->offset)},
	};
	const struct gpu_resource *res = gpu_resource_find(&gpu->resources, m.transfer.res);

	if (m.transfer.ctx != 0 && !has_context(gpu, m.transfer.ctx))
		return NO_CONTEXT;
	if (!res)
		return NO_RESOURCE;
	if (!res->three_d || !res->runs || m.transfer.off >= res->backed ||
	    !box_valid(res, m.transfer.level, m.transfer.box))
		return WRONG;
	send(gpu, &m);
	return OK;
}

static uint32_t transfer_to(struct gpu *gpu, struct gpu_request *rq)
{
	return transfer(gpu, rq, RENDER_TRANSFER_TO);
}

static uint32_t transfer_from(struct gpu *gpu, struct gpu_request *rq)
{
	return transfer(gpu, rq, RENDER_TRANSFER_FROM);
}

/* Streams */

static uint32_t submit(struct gpu *gpu, struct gpu_request *rq)
{
	const uint32_t size = le32toh(rq->cmd.submit.size);
	struct render_message m = {
		.type = RENDER_SUBMIT,
		.bytes = {.ctx = le32toh(rq->cmd.hdr.ctx_id), .n = size / 4},
	};
	void *stream;

	if (!has_context(gpu, m.bytes.ctx))
		return NO_CONTEXT;
	if (size > GPU_STREAM_MAX || size % 4 != 0 ||
	    size > rq->chain->rd_len - sizeof(rq->cmd.submit))
		return WRONG;
	/* Linux sends an empty one to make a fence. */
	if (size == 0)
		return OK;
	stream = render_reserve(&gpu->three_d.render, size, &m.bytes.off);
	if (chain_read(rq->chain, sizeof(rq->cmd.submit), stream, size) != size ||
	    gpu_filter(stream, m.bytes.n) < 0)
		return WRONG;
	send(gpu, &m);
	return OK;
}

static const struct command {
	uint32_t type;
	size_t len;
	uint32_t (*fn)(struct gpu *gpu, struct gpu_request *rq);
} commands[] = {
	{VIRTIO_GPU_CMD_GET_CAPSET, sizeof(struct virtio_gpu_get_capset), get_capset},
	{VIRTIO_GPU_CMD_CTX_CREATE, sizeof(struct virtio_gpu_ctx_create), ctx_create},
	{VIRTIO_GPU_CMD_CTX_DESTROY, sizeof(struct virtio_gpu_ctrl_hdr), ctx_destroy},
	{VIRTIO_GPU_CMD_CTX_ATTACH_RESOURCE, sizeof(struct virtio_gpu_ctx_resource), ctx_attach},
	{VIRTIO_GPU_CMD_CTX_DETACH_RESOURCE, sizeof(struct virtio_gpu_ctx_resource), ctx_detach},
	{VIRTIO_GPU_CMD_RESOURCE_CREATE_3D, sizeof(struct virtio_gpu_resource_create_3d),
	 create_3d},
	{VIRTIO_GPU_CMD_TRANSFER_TO_HOST_3D, sizeof(struct virtio_gpu_transfer_host_3d),
	 transfer_to},
	{VIRTIO_GPU_CMD_TRANSFER_FROM_HOST_3D, sizeof(struct virtio_gpu_transfer_host_3d),
	 transfer_from},
	{VIRTIO_GPU_CMD_SUBMIT_3D, sizeof(struct virtio_gpu_cmd_submit), submit},
};

uint32_t gpu_3d_command(struct gpu *gpu, struct gpu_request *rq)
{
	const uint32_t type = le32toh(rq->cmd.hdr.type);

	if (type == VIRTIO_GPU_CMD_GET_CAPSET_INFO)
		return rq->chain->rd_len < sizeof(rq->cmd.capset_info) ? (uint32_t)WRONG
								       : get_capset_info(gpu, rq);
	for (size_t i = 0; gpu_3d_on(gpu) && i < ARRAY_SIZE(commands); i++)
		if (commands[i].type == type)
			return rq->chain->rd_len < commands[i].len ? (uint32_t)WRONG
								   : commands[i].fn(gpu, rq);
	return VIRTIO_GPU_RESP_ERR_UNSPEC;
}
