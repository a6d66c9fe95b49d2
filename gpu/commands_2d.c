/* SPDX-License-Identifier: MIT */
/*
 * DOC: the commands
 *
 * One function a command. It gets a copy of the command, as long as the
 * specification says (VIRTIO 1.2 section 5.7.6.8), checks it, acts, and returns the
 * answer's type. An answer with more than its header is made in rq->answer.
 */
#include <endian.h>
#include <string.h>

#include "gpu/formats.h"
#include "gpu/gpu_priv.h"

enum { OK = VIRTIO_GPU_RESP_OK_NODATA };

static struct gpu_rect rect_of(const struct virtio_gpu_rect *r)
{
	return (struct gpu_rect){le32toh(r->x), le32toh(r->y), le32toh(r->width),
				 le32toh(r->height)};
}

static struct gpu_resource *resource(struct gpu *gpu, uint32_t id)
{
	return gpu_resource_find(&gpu->resources, le32toh(id));
}

static uint32_t get_display_info(struct gpu *gpu, struct gpu_request *rq)
{
	struct virtio_gpu_resp_display_info *info = &rq->answer.display;

	for (unsigned int i = 0; i < GPU_SCANOUTS; i++) {
		const struct gpu_scanout *s = &gpu->scanouts[i];

		info->pmodes[i].r.x = htole32(scanout_left(gpu, i));
		info->pmodes[i].r.width = htole32(s->monitor.width);
		info->pmodes[i].r.height = htole32(s->monitor.height);
		info->pmodes[i].enabled = htole32(monitor_width(s) > 0);
	}
	monitors_seen(gpu);
	rq->answer_len = sizeof(*info);
	return VIRTIO_GPU_RESP_OK_DISPLAY_INFO;
}

static uint32_t get_edid(struct gpu *gpu, struct gpu_request *rq)
{
	const uint32_t id = le32toh(rq->cmd.edid.scanout);
	uint8_t edid[EDID_MAX];
	size_t len;

	if (id >= GPU_SCANOUTS)
		return VIRTIO_GPU_RESP_ERR_INVALID_SCANOUT_ID;
	/* An empty one where no monitor is: drivers ask for all. */
	len = monitor_width(&gpu->scanouts[id]) ? edid_make(&gpu->scanouts[id].monitor, edid) : 0;
	rq->answer.edid.size = htole32((uint32_t)len);
	memcpy(rq->answer.edid.edid, edid, len);
	rq->answer_len = sizeof(rq->answer.edid);
	return VIRTIO_GPU_RESP_OK_EDID;
}

static uint32_t create_2d(struct gpu *gpu, struct gpu_request *rq)
{
	const struct virtio_gpu_resource_create_2d *c = &rq->cmd.create_2d;
	uint32_t answer =
		gpu_resource_create_2d(&gpu->resources, le32toh(c->resource_id), le32toh(c->format),
				       le32toh(c->width), le32toh(c->height));
	struct gpu_resource *res;

	if (answer != OK)
		return answer;
	res = resource(gpu, c->resource_id);
	answer = gpu_3d_create_2d(gpu, res);
	if (answer != OK)
		gpu_resource_free(&gpu->resources, res);
	return answer;
}

static uint32_t create_blob(struct gpu *gpu, struct gpu_request *rq)
{
	const struct virtio_gpu_resource_create_blob *c = &rq->cmd.blob;

	if (!virtio_has(&gpu->vdev, VIRTIO_GPU_F_RESOURCE_BLOB))
		return VIRTIO_GPU_RESP_ERR_UNSPEC;
	if (le32toh(c->blob_mem) != VIRTIO_GPU_BLOB_MEM_GUEST)
		return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
	return gpu_resource_create_blob(&gpu->resources, le32toh(c->resource_id), le64toh(c->size),
					rq->chain, sizeof(*c), le32toh(c->nr_entries));
}

static uint32_t unref(struct gpu *gpu, struct gpu_request *rq)
{
	struct gpu_resource *res = resource(gpu, rq->cmd.unref.resource_id);
	uint8_t shown;

	if (!res)
		return VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID;
	shown = scanout_of(gpu, res);
	for (unsigned int i = 0; i < GPU_SCANOUTS; i++)
		if (shown >> i & 1)
			scanout_off(gpu, i);
	gpu_3d_unref(gpu, res);
	gpu_resource_free(&gpu->resources, res);
	return OK;
}

static uint32_t attach_backing(struct gpu *gpu, struct gpu_request *rq)
{
	const struct virtio_gpu_resource_attach_backing *c = &rq->cmd.attach;
	struct gpu_resource *res = resource(gpu, c->resource_id);
	uint32_t answer;

	if (!res)
		return VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID;
	answer = gpu_resource_attach(&gpu->resources, res, rq->chain, sizeof(*c),
				     le32toh(c->nr_entries));
	if (answer == OK)
		gpu_3d_backed(gpu, res);
	return answer;
}

static uint32_t detach_backing(struct gpu *gpu, struct gpu_request *rq)
{
	struct gpu_resource *res = resource(gpu, rq->cmd.detach.resource_id);
	uint32_t answer;

	if (!res)
		return VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID;
	answer = gpu_resource_detach(&gpu->resources, res);
	if (answer == OK)
		gpu_3d_unbacked(gpu, res);
	return answer;
}

/* Where a resource with rows of its own width has this pixel. */
static uint64_t natural_off(const struct gpu_resource *res, uint32_t x, uint32_t y)
{
	return ((uint64_t)y * res->width + x) * GPU_PIXEL;
}

/*
 * The pixels are read from the guest's pages when the picture is wanted, so there is
 * nothing to transfer; but for a driver that gives them another place than
 * their own, that would be a wrong picture.
 */
static uint32_t transfer_to_host(struct gpu *gpu, struct gpu_request *rq)
{
	const struct virtio_gpu_transfer_to_host_2d *c = &rq->cmd.transfer;
	const struct gpu_resource *res = resource(gpu, c->resource_id);
	const struct gpu_rect r = rect_of(&c->r);

	if (!res)
		return VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID;
	/* Linux sends it for blobs too, which are the picture already. */
	if (res->blob)
		return OK;
	if (res->three_d || rect_empty(&r) || !rect_within(&r, res->width, res->height) ||
	    le64toh(c->offset) != natural_off(res, r.x, r.y) ||
	    natural_off(res, r.x + r.width, r.y + r.height - 1) > res->backed)
		return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
	gpu_3d_transfer_2d(gpu, res, &r, le64toh(c->offset));
	return OK;
}

static uint32_t set_scanout(struct gpu *gpu, struct gpu_request *rq)
{
	const struct virtio_gpu_set_scanout *c = &rq->cmd.set_scanout;
	const uint32_t id = le32toh(c->scanout_id);
	const struct gpu_rect r = rect_of(&c->r);
	struct gpu_resource *res;

	if (id >= GPU_SCANOUTS)
		return VIRTIO_GPU_RESP_ERR_INVALID_SCANOUT_ID;
	if (c->resource_id == 0) {
		scanout_off(gpu, id);
		gpu_3d_hide(gpu, id);
		return OK;
	}
	res = resource(gpu, c->resource_id);
	if (!res)
		return VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID;
	if (res->blob || rect_empty(&r) || !rect_within(&r, res->width, res->height))
		return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
	if (res->three_d)
		return gpu_3d_show(gpu, id, res, &r);
	gpu_3d_hide(gpu, id);
	scanout_show(gpu, id, res, res->format, natural_off(res, r.x, r.y), res->width * GPU_PIXEL,
		     &r);
	return OK;
}

/* The frame buffer that a driver makes of a blob. */
static bool blob_valid(const struct gpu_resource *res, const struct virtio_gpu_set_scanout_blob *c)
{
	const uint32_t width = le32toh(c->width), height = le32toh(c->height);
	const uint32_t stride = le32toh(c->strides[0]);

	return res->blob && gpu_format_known(le32toh(c->format)) && width > 0 &&
	       width <= GPU_MAX_SIDE && height > 0 && height <= GPU_MAX_SIDE &&
	       stride >= width * GPU_PIXEL &&
	       le32toh(c->offsets[0]) + (uint64_t)stride * (height - 1) +
			       (uint64_t)width * GPU_PIXEL <=
		       res->size;
}

static uint32_t set_scanout_blob(struct gpu *gpu, struct gpu_request *rq)
{
	const struct virtio_gpu_set_scanout_blob *c = &rq->cmd.scanout_blob;
	const uint32_t id = le32toh(c->scanout_id), stride = le32toh(c->strides[0]);
	const struct gpu_rect r = rect_of(&c->r);
	struct gpu_resource *res;

	if (!virtio_has(&gpu->vdev, VIRTIO_GPU_F_RESOURCE_BLOB))
		return VIRTIO_GPU_RESP_ERR_UNSPEC;
	if (id >= GPU_SCANOUTS)
		return VIRTIO_GPU_RESP_ERR_INVALID_SCANOUT_ID;
	if (c->resource_id == 0) {
		scanout_off(gpu, id);
		return OK;
	}
	res = resource(gpu, c->resource_id);
	if (!res)
		return VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID;
	if (!blob_valid(res, c) || rect_empty(&r) ||
	    !rect_within(&r, le32toh(c->width), le32toh(c->height)))
		return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
	scanout_show(gpu, id, res, le32toh(c->format),
		     le32toh(c->offsets[0]) + (uint64_t)r.y * stride + (uint64_t)r.x * GPU_PIXEL,
		     stride, &r);
	return OK;
}

/* Part r of the frame buffer is a new picture, as far as s shows it. */
static void flush_scanout(struct gpu_scanout *s, const struct gpu_rect *r)
{
	struct gpu_rect common = rect_common(r, &s->at);

	common.x -= s->at.x;
	common.y -= s->at.y;
	if (!rect_empty(&common))
		rect_add(&s->dirty, &common);
}

static uint32_t flush(struct gpu *gpu, struct gpu_request *rq)
{
	const struct gpu_resource *res = resource(gpu, rq->cmd.flush.resource_id);
	const struct gpu_rect r = rect_of(&rq->cmd.flush.r);

	if (!res)
		return VIRTIO_GPU_RESP_ERR_INVALID_RESOURCE_ID;
	/* A blob has no size of its own: what of it is outside is cut off. */
	if (!res->blob && !rect_within(&r, res->width, res->height))
		return VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER;
	gpu->figures.flushes++;
	if (res->three_d) {
		gpu_3d_flush(gpu, res, &r);
		return OK;
	}
	rq->waits = scanout_of(gpu, res);
	for (unsigned int i = 0; i < GPU_SCANOUTS; i++)
		if (rq->waits >> i & 1)
			flush_scanout(&gpu->scanouts[i], &r);
	return OK;
}

static const struct command {
	uint32_t type;
	size_t len;
	uint32_t (*fn)(struct gpu *gpu, struct gpu_request *rq);
} commands[] = {
	{VIRTIO_GPU_CMD_GET_DISPLAY_INFO, sizeof(struct virtio_gpu_ctrl_hdr), get_display_info},
	{VIRTIO_GPU_CMD_RESOURCE_CREATE_2D, sizeof(struct virtio_gpu_resource_create_2d),
	 create_2d},
	{VIRTIO_GPU_CMD_RESOURCE_UNREF, sizeof(struct virtio_gpu_resource_unref), unref},
	{VIRTIO_GPU_CMD_SET_SCANOUT, sizeof(struct virtio_gpu_set_scanout), set_scanout},
	{VIRTIO_GPU_CMD_RESOURCE_FLUSH, sizeof(struct virtio_gpu_resource_flush), flush},
	{VIRTIO_GPU_CMD_TRANSFER_TO_HOST_2D, sizeof(struct virtio_gpu_transfer_to_host_2d),
	 transfer_to_host},
	{VIRTIO_GPU_CMD_RESOURCE_ATTACH_BACKING, sizeof(struct virtio_gpu_resource_attach_backing),
	 attach_backing},
	{VIRTIO_GPU_CMD_RESOURCE_DETACH_BACKING, sizeof(struct virtio_gpu_resource_detach_backing),
	 detach_backing},
	{VIRTIO_GPU_CMD_GET_EDID, sizeof(struct virtio_gpu_cmd_get_edid), get_edid},
	{VIRTIO_GPU_CMD_RESOURCE_CREATE_BLOB, sizeof(struct virtio_gpu_resource_create_blob),
	 create_blob},
	{VIRTIO_GPU_CMD_SET_SCANOUT_BLOB, sizeof(struct virtio_gpu_set_scanout_blob),
	 set_scanout_blob},
};

uint32_t gpu_command(struct gpu *gpu, struct gpu_request *rq)
{
	const uint32_t type = le32toh(rq->cmd.hdr.type);

	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		if (commands[i].type == type)
			return rq->chain->rd_len < commands[i].len
				       ? (uint32_t)VIRTIO_GPU_RESP_ERR_INVALID_PARAMETER
				       : commands[i].fn(gpu, rq);
	return gpu_3d_command(gpu, rq);
}
