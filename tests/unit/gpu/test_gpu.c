/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <endian.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/unit/gpu/gpu_guest.h"

TestSuite(gpu, .init = gpu_guest_start, .fini = gpu_guest_stop);

Test(gpu, answers_carry_their_own_fence_errors_included)
{
	const struct virtio_gpu_resource_create_2d good = create_2d(1, BGRX, 4, 4),
						   bad = create_2d(2, BGRX, 0, 4);
	struct virtio_gpu_ctrl_hdr answer;

	cr_assert_eq(ask_fenced(&good, sizeof(good), &answer), sizeof(answer));
	cr_assert_eq(le32toh(answer.type), OK);
	cr_assert_eq(le32toh(answer.flags), VIRTIO_GPU_FLAG_FENCE);
	cr_assert_eq(le64toh(answer.fence_id), FENCE_ID);
	cr_assert_eq(ask_fenced(&bad, sizeof(bad), &answer), sizeof(answer));
	cr_assert_eq(le32toh(answer.type), WRONG);
	cr_assert_eq(le32toh(answer.flags), VIRTIO_GPU_FLAG_FENCE);
	cr_assert_eq(le64toh(answer.fence_id), FENCE_ID);
	/* Unknown, and cut short. */
	answer.type = htole32(0x999);
	cr_assert_eq(ask_fenced(&answer, sizeof(answer), &answer), sizeof(answer));
	cr_assert_eq(le32toh(answer.type), UNSPEC);
	cr_assert_eq(le64toh(answer.fence_id), FENCE_ID);
	cr_assert_eq(ask_fenced(&good, sizeof(good) - 1, &answer), sizeof(answer));
	cr_assert_eq(le32toh(answer.type), WRONG);
	cr_assert_eq(le64toh(answer.fence_id), FENCE_ID);
}

Test(gpu, a_clock_answers_where_nobody_looks)
{
	(void)show_picture(1);
	cr_assert_gt(flush_fenced(1, whole_picture()), 0);
	cr_assert_eq(flush_fenced(1, whole_picture()), -1);
	the_time += PACE_PERIOD - 1;
	gpu_work(gpu);
	cr_assert_not(answered());
	the_time += 1;
	gpu_work(gpu);
	cr_assert(answered());
	cr_assert_eq(gpu->figures.flushes, 2);
	cr_assert_eq(gpu->figures.copied, 0);
}

Test(gpu, fences_are_answered_in_order_others_at_once)
{
	const struct virtio_gpu_resource_create_2d c = create_2d(9, BGRX, 4, 4),
						   d = create_2d(10, BGRX, 4, 4);
	struct virtio_gpu_ctrl_hdr answer;

	(void)show_picture(1);
	cr_assert_gt(flush_fenced(1, whole_picture()), 0);
	cr_assert_eq(flush_fenced(1, whole_picture()), -1);
	cr_assert_eq(ask_fenced(&c, sizeof(c), &answer), -1);
	cr_assert_not_null(gpu_resource_find(&gpu->resources, 9));
	cr_assert_eq(ask(&d, sizeof(d)), OK);
	the_time += PACE_PERIOD;
	gpu_work(gpu);
	cr_assert(answered());
	cr_assert(answered());
	cr_assert_not(answered());
	cr_assert_eq(gpu->n_held, 0);
}

Test(gpu, what_is_not_shown_is_not_waited_for)
{
	const struct virtio_gpu_resource_create_2d c = create_2d(2, BGRX, 4, 4);

	(void)show_picture(1);
	cr_assert_gt(flush_fenced(1, whole_picture()), 0);
	cr_assert_eq(ask(&c, sizeof(c)), OK);
	for (int i = 0; i < 5; i++)
		cr_assert_gt(flush_fenced(2, (struct gpu_rect){0, 0, 4, 4}), 0);
}

Test(gpu, a_scanout_that_goes_off_lets_its_flushes_go)
{
	const struct virtio_gpu_set_scanout off = set_scanout(0, 0, whole_picture());

	(void)show_picture(1);
	cr_assert_gt(flush_fenced(1, whole_picture()), 0);
	cr_assert_eq(flush_fenced(1, whole_picture()), -1);
	(void)ask(&off, sizeof(off));
	cr_assert(answered());
	cr_assert_eq(gpu->n_held, 0);
}

Test(gpu, a_reset_with_work_in_flight_forgets_it)
{
	(void)show_picture(1);
	cr_assert_gt(flush_fenced(1, whole_picture()), 0);
	cr_assert_eq(flush_fenced(1, whole_picture()), -1);
	fake_guest_reset(guest);
	cr_assert_eq(gpu->n_held, 0);
	cr_assert_eq(gpu->resources.n, 0);
	cr_assert_null(gpu->scanouts[0].res);
	fake_guest_settle(guest);
	the_time += PACE_PERIOD;
	gpu_work(gpu);
	fake_guest_restart(guest, ALL_FEATURES);
	cr_assert_not(answered());
	(void)show_picture(1);
	cr_assert_gt(flush_fenced(1, whole_picture()), 0);
}

Test(gpu, a_queue_full_of_flushes_is_held_and_answered)
{
	const struct virtio_gpu_ctrl_hdr fence = {.flags = htole32(VIRTIO_GPU_FLAG_FENCE)};
	struct virtio_gpu_resource_flush f = flush(1, whole_picture());
	struct fake_seg seg;
	unsigned int n = 0;

	(void)show_picture(1);
	cr_assert_gt(flush_fenced(1, whole_picture()), 0);
	f.hdr.flags = fence.flags;
	seg = fake_put(guest, &f, sizeof(f));
	for (unsigned int i = 0; i < GPU_QUEUE_SIZE; i++)
		(void)fake_publish(guest, 0, &seg, 1);
	fake_kick(guest, 0);
	fake_guest_settle(guest);
	cr_assert_eq(gpu->n_held, GPU_QUEUE_SIZE);
	the_time += PACE_PERIOD;
	gpu_work(gpu);
	while (answered())
		n++;
	cr_assert_eq(n, GPU_QUEUE_SIZE);
}

Test(gpu, a_malformed_ring_breaks_it_until_reset)
{
	(void)show_picture(1);
	fake_raw_avail(guest, 0, 999);
	fake_kick(guest, 0);
	cr_assert(guest->vdev->broken);
	fake_guest_reset(guest);
	fake_guest_restart(guest, ALL_FEATURES);
	(void)show_picture(1);
}

Test(gpu, a_screenshot_without_a_window_has_every_pixel)
{
	uint32_t *pixels = show_picture(1), *map;
	struct gpu_picture picture;

	for (unsigned int i = 0; i < WIDTH * HEIGHT; i++)
		pixels[i] = i * 2654435761u;
	cr_assert_eq(gpu_screenshot(gpu, 0, &picture), 0);
	cr_assert_eq(picture.width, WIDTH);
	cr_assert_eq(picture.height, HEIGHT);
	cr_assert_eq(picture.stride, WIDTH * 4);
	map = mmap(NULL, PICTURE, PROT_READ, MAP_SHARED, picture.fd, 0);
	cr_assert_neq(map, MAP_FAILED);
	cr_assert_eq(memcmp(map, pixels, PICTURE), 0);
	/* Nobody can change it any more. */
	cr_assert_eq(write(picture.fd, "x", 1), -1);
	cr_assert_eq(ftruncate(picture.fd, 0), -1);
	munmap(map, PICTURE);
	close(picture.fd);
}

Test(gpu, a_screenshot_of_a_part_in_another_format)
{
	const struct virtio_gpu_resource_create_2d c =
		create_2d(5, VIRTIO_GPU_FORMAT_A8R8G8B8_UNORM, 8, 8);
	const struct virtio_gpu_set_scanout s = set_scanout(1, 5, (struct gpu_rect){2, 3, 4, 5});
	const gpa_t at = fake_alloc(guest, 256, 64);
	uint8_t *bytes = fake_ptr(guest, at, 256), got[4 * 5 * 4];
	struct gpu_picture picture;

	cr_assert_eq(ask(&c, sizeof(c)), OK);
	cr_assert_eq(attach(5, at, 256), OK);
	cr_assert_eq(ask(&s, sizeof(s)), OK);
	for (unsigned int i = 0; i < 256; i++)
		bytes[i] = (uint8_t)i;
	cr_assert_eq(gpu_screenshot(gpu, 1, &picture), 0);
	cr_assert_eq(read(picture.fd, got, sizeof(got)), sizeof(got));
	/* The first pixel is that of 2, 3; its bytes are turned round. */
	for (unsigned int i = 0; i < 4; i++)
		cr_assert_eq(got[i], bytes[(3 * 8 + 2) * 4 + 3 - i]);
	close(picture.fd);
}

Test(gpu, no_picture_no_screenshot)
{
	const struct virtio_gpu_resource_detach_backing d = detach(1);
	struct gpu_picture picture;

	cr_assert_eq(gpu_screenshot(gpu, 0, &picture), -ENODATA);
	cr_assert_eq(gpu_screenshot(gpu, GPU_SCANOUTS, &picture), -EINVAL);
	(void)show_picture(1);
	cr_assert_eq(gpu_screenshot(gpu, 0, &picture), 0);
	close(picture.fd);
	/* Shown, but its pages are gone. */
	cr_assert_eq(ask(&d, sizeof(d)), OK);
	cr_assert_eq(gpu_screenshot(gpu, 0, &picture), -ENODATA);
}

Test(gpu, figures_say_what_is_shown)
{
	struct gpu_figures f;

	(void)show_picture(1);
	(void)flush_fenced(1, whole_picture());
	gpu_get_figures(gpu, &f);
	cr_assert_eq(f.flushes, 1);
	cr_assert_eq(f.frames, 0);
	cr_assert_eq(f.scanouts[0].width, WIDTH);
	cr_assert_eq(f.scanouts[0].height, HEIGHT);
	cr_assert_eq(f.scanouts[1].width, 0);
	cr_assert_not(f.window);
}

Test(gpu, events_are_cleared_by_writing_them)
{
	gpu->config.events_read = htole32(VIRTIO_GPU_EVENT_DISPLAY);
	gpu->config.events_clear = htole32(VIRTIO_GPU_EVENT_DISPLAY);
	guest->vdev->ops->config_written(guest->vdev, 4, 4);
	cr_assert_eq(gpu->config.events_read, 0);
	cr_assert_eq(gpu->config.events_clear, 0);
	cr_assert_eq(guest->vdev->config_writable_off, 4);
	cr_assert_eq(guest->vdev->config_writable_len, 4);
}
