/* SPDX-License-Identifier: MIT */
/*
 * DOC: a guest follows its window
 *
 * A window's size becomes the monitor's once it has been the same for GPU_SETTLE_MS, and the
 * guest is told. Linux has the mode at once, but a compositor may keep its own: weston looks at a
 * monitor only when that comes or goes. So where the picture has another size after PATIENCE, the
 * monitor is pulled out for a while and plugged in again, which makes every program choose anew.
 * Both times run from when the guest's driver has looked, so that a host whose CPUs are busy does
 * not eat them up. How long a program takes after that is not known: each try waits twice as long
 * as the one before. Then the picture stays as it is, and the window scales it.
 */
#include <endian.h>

#include "gpu/gpu_priv.h"

/* Microseconds. A driver that has not looked after UNSEEN is not waited for. */
enum { UNSEEN = 2000000, PATIENCE = 500000, PULLED = 200000, PULLS = 4 };

static bool same_monitor(const struct edid_monitor *a, const struct edid_monitor *b)
{
	return a->width == b->width && a->height == b->height && a->mm_width == b->mm_width &&
	       a->mm_height == b->mm_height;
}

static void tell_guest(struct gpu *gpu)
{
	gpu->config.events_read |= htole32(VIRTIO_GPU_EVENT_DISPLAY);
	virtio_device_config_changed(&gpu->vdev);
}

static void wait_for_look(struct gpu_follow *f, uint64_t now)
{
	f->at = now + UNSEEN;
	f->unseen = true;
}

void monitors_seen(struct gpu *gpu)
{
	const uint64_t now = gpu->now();

	for (unsigned int i = 0; i < GPU_SCANOUTS; i++) {
		struct gpu_follow *f = &gpu->scanouts[i].follow;

		if (!f->unseen)
			continue;
		f->unseen = false;
		f->at = now + ((uint64_t)(f->pulled ? PULLED : PATIENCE) << f->pulls);
	}
}

void monitor_resize(struct gpu *gpu, const struct window_size *size)
{
	struct gpu_scanout *s = &gpu->scanouts[size->id];

	s->asked = (struct edid_monitor){
		.width = size->width,
		.height = size->height,
		.refresh = s->monitor.refresh,
		.mm_width = size->mm_width,
		.mm_height = size->mm_height,
	};
	s->changing = true;
	loop_timer_set(&gpu->settle, GPU_SETTLE_MS);
}

void monitors_settled(struct gpu *gpu)
{
	bool changed = false;

	for (unsigned int i = 0; i < GPU_SCANOUTS; i++) {
		struct gpu_scanout *s = &gpu->scanouts[i];

		if (s->changing && !same_monitor(&s->monitor, &s->asked)) {
			s->monitor = s->asked;
			s->follow = (struct gpu_follow){0};
			wait_for_look(&s->follow, gpu->now());
			changed = true;
		}
		s->changing = false;
	}
	if (changed)
		tell_guest(gpu);
}

uint32_t monitor_width(const struct gpu_scanout *s)
{
	return s->follow.pulled ? 0 : s->monitor.width;
}

/* The picture's size is the monitor's, or there is no picture. */
static bool follows(const struct gpu_scanout *s)
{
	return !s->res || (s->at.width == s->monitor.width && s->at.height == s->monitor.height);
}

/* Scanout s is waited for, and its time has come; true: the guest is to look again. */
static bool step(struct gpu_scanout *s, uint64_t now)
{
	struct gpu_follow *f = &s->follow;

	if (!f->pulled && (s->monitor.width == 0 || f->pulls == PULLS || follows(s))) {
		*f = (struct gpu_follow){0};
		return false;
	}
	if (f->pulled)
		f->pulls++;
	f->pulled = !f->pulled;
	wait_for_look(f, now);
	return true;
}

void monitors_work(struct gpu *gpu, uint64_t now, uint64_t *until)
{
	bool changed = false;

	for (unsigned int i = 0; i < GPU_SCANOUTS; i++) {
		struct gpu_scanout *s = &gpu->scanouts[i];

		if (s->follow.at != 0 && now >= s->follow.at)
			changed |= step(s, now);
		if (s->follow.at != 0)
			*until = min_u64(*until, s->follow.at);
	}
	if (changed)
		tell_guest(gpu);
}

void monitors_reset(struct gpu *gpu)
{
	for (unsigned int i = 0; i < GPU_SCANOUTS; i++)
		gpu->scanouts[i].follow = (struct gpu_follow){0};
}
