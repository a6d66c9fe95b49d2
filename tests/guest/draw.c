/* SPDX-License-Identifier: MIT */
/*
 * tests/guest/draw.c - draws a pattern on monitor N (from 1) by a dumb buffer of DRM, says its size,
 * and keeps it there until its input ends. Needs no library.
 */
#include <libdrm/drm.h>
#include <libdrm/drm_mode.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

enum { MAX_IDS = 16, MAX_MODES = 64 };

static int card;

static void call(unsigned long request, void *arg, const char *what)
{
	if (ioctl(card, request, arg) == 0)
		return;
	perror(what);
	exit(1);
}

static uint32_t pixel(uint32_t x, uint32_t y)
{
	return (x * 7 + y) % 256 << 16 | (y * 5 + 3) % 256 << 8 | (x ^ y) % 256;
}

/* The mode that the monitor likes best; false: nothing is plugged in there. */
static int best_mode(uint32_t connector, struct drm_mode_modeinfo *out)
{
	static struct drm_mode_modeinfo modes[MAX_MODES];
	uint32_t encoders[MAX_IDS];
	struct drm_mode_get_connector c = {
		.connector_id = connector,
		.modes_ptr = (uintptr_t)modes,
		.count_modes = MAX_MODES,
		.encoders_ptr = (uintptr_t)encoders,
		.count_encoders = MAX_IDS,
	};

	/* Without room it looks at the monitor anew. */
	struct drm_mode_get_connector probe = {.connector_id = connector};

	call(DRM_IOCTL_MODE_GETCONNECTOR, &probe, "connector");
	call(DRM_IOCTL_MODE_GETCONNECTOR, &c, "connector's modes");
	if (c.connection != 1 || c.count_modes == 0)
		return 0;
	*out = modes[0];
	for (uint32_t i = 0; i < c.count_modes && i < MAX_MODES; i++)
		if (modes[i].type & DRM_MODE_TYPE_PREFERRED) {
			*out = modes[i];
			break;
		}
	return 1;
}

static uint32_t frame_buffer(uint32_t width, uint32_t height)
{
	struct drm_mode_create_dumb dumb = {.width = width, .height = height, .bpp = 32};
	struct drm_mode_map_dumb map = {0};
	struct drm_mode_fb_cmd fb = {.width = width, .height = height, .bpp = 32, .depth = 24};
	uint32_t *pixels;

	call(DRM_IOCTL_MODE_CREATE_DUMB, &dumb, "dumb buffer");
	map.handle = fb.handle = dumb.handle;
	fb.pitch = dumb.pitch;
	call(DRM_IOCTL_MODE_MAP_DUMB, &map, "map");
	pixels = mmap(NULL, dumb.size, PROT_READ | PROT_WRITE, MAP_SHARED, card, (off_t)map.offset);
	if (pixels == MAP_FAILED) {
		perror("mmap");
		exit(1);
	}
	for (uint32_t y = 0; y < height; y++)
		for (uint32_t x = 0; x < width; x++)
			pixels[y * (dumb.pitch / 4) + x] = pixel(x, y);
	call(DRM_IOCTL_MODE_ADDFB, &fb, "frame buffer");
	return fb.fb_id;
}

int main(int argc, char **argv)
{
	uint32_t crtcs[MAX_IDS], connectors[MAX_IDS], encoders[MAX_IDS], fbs[MAX_IDS];
	struct drm_mode_card_res res = {
		.crtc_id_ptr = (uintptr_t)crtcs,
		.count_crtcs = MAX_IDS,
		.connector_id_ptr = (uintptr_t)connectors,
		.count_connectors = MAX_IDS,
		.encoder_id_ptr = (uintptr_t)encoders,
		.count_encoders = MAX_IDS,
		.fb_id_ptr = (uintptr_t)fbs,
		.count_fbs = MAX_IDS,
	};
	const unsigned int n = argc > 1 ? (unsigned int)atoi(argv[1]) - 1 : 0;
	struct drm_mode_modeinfo mode;
	struct drm_mode_crtc crtc = {.count_connectors = 1, .mode_valid = 1};
	struct drm_mode_fb_dirty_cmd dirty = {0};

	card = open("/dev/dri/card0", O_RDWR | O_CLOEXEC);
	if (card < 0) {
		perror("/dev/dri/card0");
		return 1;
	}
	call(DRM_IOCTL_MODE_GETRESOURCES, &res, "resources");
	printf("%u monitors\n", res.count_connectors);
	if (n >= res.count_connectors || !best_mode(connectors[n], &mode)) {
		printf("nothing there\n");
		return 2;
	}
	crtc.crtc_id = crtcs[n];
	crtc.set_connectors_ptr = (uintptr_t)&connectors[n];
	crtc.mode = mode;
	crtc.fb_id = dirty.fb_id = frame_buffer(mode.hdisplay, mode.vdisplay);
	call(DRM_IOCTL_MODE_SETCRTC, &crtc, "mode");
	call(DRM_IOCTL_MODE_DIRTYFB, &dirty, "flush");
	printf("drawn %ux%u\n", mode.hdisplay, mode.vdisplay);
	fflush(stdout);
	(void)!read(STDIN_FILENO, &mode, 1);
	return 0;
}
