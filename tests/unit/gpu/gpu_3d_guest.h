/* SPDX-License-Identifier: MIT */
/* tests/unit/gpu/gpu_3d_guest.h - a driver with a GPU: what renders is a process, or the test itself. */
#ifndef TESTS_UNIT_GPU_GPU_3D_GUEST_H
#define TESTS_UNIT_GPU_GPU_3D_GUEST_H

#include "gpu/virgl.h"
#include "tests/unit/gpu/gpu_guest.h"

#define VIRGL_FEATURES (1ull << VIRTIO_GPU_F_VIRGL | 1ull << VIRTIO_GPU_F_EDID)

enum {
	UNKNOWN_CONTEXT = VIRTIO_GPU_RESP_ERR_INVALID_CONTEXT_ID,
	CAPSET_1 = 308, /* bytes, as our renderer offers them */
	CAPSET_2 = 1376,
};

/* The test's end of the socket, where it is the renderer; its view of the area. */
extern int renderer;
extern uint8_t *area;

/* A guest whose RAM is one file; no GPU yet. */
void gpu_3d_guest_start(void);
/* Becomes the renderer, and lets the driver find the GPU. */
void be_renderer(void);
/* The device as it is with such a renderer, before it said a word; for its start. */
void connect_renderer(void);
/* The real one, on the host's GL by software. False: there is no such program. */
bool start_renderer(void);
/* The driver begins anew. */
void find_gpu(void);

/* The next message of the device; fails the test if there is none. */
struct render_message told(void);
/* The next is of this type. */
struct render_message told_of(uint32_t type);
bool told_nothing(void);
/* Says it to the device and lets it act. */
void reply_with(uint32_t type, struct render_reply reply);
/* All messages so far are done, all fences passed. */
void finish(void);
/* Runs the device until an answer is there, for up to a minute of a real renderer's time. */
bool answered_in_time(void);

struct virtio_gpu_ctx_create ctx_create(uint32_t ctx);
struct virtio_gpu_ctrl_hdr ctx_destroy(uint32_t ctx);
struct virtio_gpu_ctx_resource ctx_attach(uint32_t ctx, uint32_t res);
struct virtio_gpu_resource_create_3d create_3d(uint32_t res, uint32_t width, uint32_t height);
struct virtio_gpu_transfer_host_3d transfer_from(uint32_t ctx, uint32_t res, uint32_t width,
						 uint32_t height);
/* Answers with its type; fenced ones as ask_fenced() does. */
uint32_t submit(uint32_t ctx, const uint32_t *stream, size_t dwords);
long submit_fenced(uint32_t ctx, const uint32_t *stream, size_t dwords);
/* A context and a picture of the renderer's, attached to each other and shown on scanout 0. */
void show_3d_picture(uint32_t ctx, uint32_t res, uint32_t width, uint32_t height);
/* Fills it with a colour, each from 0 to 1; the dwords. */
size_t clear_stream(uint32_t *stream, uint32_t res, float red, float green, float blue);

#endif
