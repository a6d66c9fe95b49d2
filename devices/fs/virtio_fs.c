/* SPDX-License-Identifier: MIT */
/* virtio-fs, the device: takes requests off its queues and puts replies back. */
#include <endian.h>
#include <errno.h>
#include <linux/virtio_fs.h>
#include <linux/virtio_ids.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>

#include "common/state.h"
#include "devices/fs/dax.h"
#include "devices/fs/fs_priv.h"

/* VIRTIO 1.2 section 5.11.2, without the notification queue. */
enum { Q_HIPRIO, Q_REQUEST, N_QUEUES };

enum { LOOK_MS = 1000 };

struct virtio_fs {
	struct virtio_device vdev;
	struct virtio_fs_config config;
	struct fs_server *server;
	struct device_event retry; /* a timerfd: requests that wait for a lock */
	int timer_fd;
	struct device_event look; /* a timerfd: what the window shows */
	int look_fd;
	bool looking; /* it is set */
	struct virtq_chain chain; /* the request at hand */
};

static struct virtio_fs *to_fs(struct virtio_device *vdev)
{
	return CONTAINER_OF(vdev, struct virtio_fs, vdev);
}

static void arm(int timer_fd, uint64_t ms)
{
	struct itimerspec spec = {
		.it_value = {.tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000},
	};

	/* Cannot fail: the fd is a timerfd and the values are in range. */
	(void)timerfd_settime(timer_fd, 0, &spec, NULL);
}

/* Answers what waited for a lock and can have it now. */
static void finish_waiting(struct virtio_fs *fs)
{
	bool done = true;

	while (done && !fs->vdev.resetting) {
		unsigned int q;
		uint16_t head;
		uint32_t written;

		virtio_device_leave(&fs->vdev);
		done = fs_locks_done(fs->server, &q, &head, &written);
		virtio_device_enter(&fs->vdev);
		if (!done)
			return;
		virtq_push(&fs->vdev.queues[q], head, written);
		virtio_device_flush(&fs->vdev, q);
	}
}

/* While the window shows anything, it is looked at every second. */
static void look_later(struct virtio_fs *fs)
{
	if (fs->looking || !fs_dax_is_used(fs->server))
		return;
	fs->looking = true;
	arm(fs->look_fd, loop_coarse_ms(LOOK_MS));
}

static void look_event(struct device *dev, struct device_event *ev, uint32_t events)
{
	struct virtio_fs *fs = CONTAINER_OF(ev, struct virtio_fs, look);
	uint64_t expirations;

	(void)dev;
	(void)events;
	if (read(ev->src.fd, &expirations, sizeof(expirations)) != sizeof(expirations))
		return;
	fs->looking = false;
	if (fs->vdev.resetting || !fs_dax_is_used(fs->server))
		return;
	virtio_device_leave(&fs->vdev);
	fs_server_look(fs->server);
	virtio_device_enter(&fs->vdev);
	look_later(fs);
}

/* Serves the request in fs->chain. The host's file system may take its time. */
static bool serve(struct virtio_device *vdev, unsigned int q)
{
	struct virtio_fs *fs = to_fs(vdev);
	uint32_t written;
	int r;

	virtio_device_leave(vdev);
	r = fs_server_serve(fs->server, &fs->chain, q, &written);
	virtio_device_enter(vdev);
	fs_server_count(fs->server);
	look_later(fs);
	if (r == FS_WAITS) {
		arm(fs->timer_fd, fs_locks_retry_ms(fs->server));
		return true;
	}
	if (r < 0) {
		virtio_device_break(vdev, "not a FUSE request");
		return false;
	}
	/* Each at once: the next one may take longer. */
	virtq_push(&vdev->queues[q], fs->chain.head, written);
	virtio_device_flush(vdev, q);
	if (fs->server->n_waiting && fs->server->lock_freed)
		finish_waiting(fs);
	return true;
}

static void virtio_fs_queue_kick(struct virtio_device *vdev, unsigned int q)
{
	(void)virtio_device_serve(vdev, q, &to_fs(vdev)->chain, serve);
}

static void retry_event(struct device *dev, struct device_event *ev, uint32_t events)
{
	struct virtio_fs *fs = CONTAINER_OF(ev, struct virtio_fs, retry);
	uint64_t expirations;
	unsigned int ms;

	(void)dev;
	(void)events;
	if (read(ev->src.fd, &expirations, sizeof(expirations)) != sizeof(expirations))
		return;
	if (!fs->vdev.active || fs->vdev.broken || fs->vdev.resetting)
		return;
	finish_waiting(fs);
	ms = fs_locks_retry_ms(fs->server);
	if (ms)
		arm(fs->timer_fd, ms);
}

static int virtio_fs_attach(struct virtio_device *vdev, struct device *dev, struct loop *loop)
{
	struct virtio_fs *fs = to_fs(vdev);
	int r = device_watch(dev, loop, &fs->retry, fs->timer_fd, EPOLLIN, retry_event, "fs-locks");

	if (r == 0)
		r = device_watch(dev, loop, &fs->look, fs->look_fd, EPOLLIN, look_event, "fs-look");
	return r;
}

static void virtio_fs_reset(struct virtio_device *vdev)
{
	fs_server_reset(to_fs(vdev)->server);
}

static void virtio_fs_save(struct virtio_device *vdev, struct state_writer *w)
{
	/* A request that waits would be answered while the guest's memory is written. */
	for (unsigned int q = 0; q < N_QUEUES; q++)
		if (virtq_waiting(&vdev->queues[q]) > 0)
			state_refuse(w, -EBUSY);
	fs_server_save(to_fs(vdev)->server, w);
}

static void virtio_fs_load(struct virtio_device *vdev, struct state_reader *r)
{
	fs_server_load(to_fs(vdev)->server, r);
	look_later(to_fs(vdev));
}

static void virtio_fs_destroy(struct virtio_device *vdev)
{
	struct virtio_fs *fs;

	if (!vdev)
		return;
	fs = to_fs(vdev);
	device_unwatch(&fs->retry);
	device_unwatch(&fs->look);
	if (fs->timer_fd >= 0)
		close(fs->timer_fd);
	if (fs->look_fd >= 0)
		close(fs->look_fd);
	fs_server_free(fs->server);
	free(fs);
}

static const struct virtio_device_ops virtio_fs_ops = {
	.name = "virtio-fs",
	.type = VIRTIO_ID_FS,
	.n_queues = N_QUEUES,
	.queue_max = {VIRTQ_MAX_SIZE, VIRTQ_MAX_SIZE},
	.takes_foreign = true,
	.chain_max = {FS_MAX_CHAIN, FS_MAX_CHAIN},
	.attach = virtio_fs_attach,
	.queue_kick = virtio_fs_queue_kick,
	.reset = virtio_fs_reset,
	.reset_waits = true,
	.save = virtio_fs_save,
	.load = virtio_fs_load,
	.destroy = virtio_fs_destroy,
};

int virtio_fs_new(const char *tag, struct fs_server *server, struct virtio_device **out)
{
	struct virtio_fs *fs = NULL;
	int r = -EINVAL;

	if (strlen(tag) > sizeof(fs->config.tag))
		goto fail;
	r = -ENOMEM;
	fs = calloc(1, sizeof(*fs));
	if (!fs)
		goto fail;
	memcpy(fs->config.tag, tag, strlen(tag));
	fs->config.num_request_queues = htole32(N_QUEUES - Q_REQUEST);
	fs->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	fs->look_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (fs->timer_fd < 0 || fs->look_fd < 0) {
		r = -errno;
		goto fail_fds;
	}
	virtio_device_init(&fs->vdev, &virtio_fs_ops, &fs->config, sizeof(fs->config));
	fs->server = server;
	server->vdev = &fs->vdev;
	if (server->dax) {
		fs->vdev.shm = fs_dax_host(server->dax);
		fs->vdev.shm_len = fs_dax_size(server->dax);
	}
	*out = &fs->vdev;
	return 0;
fail_fds:
	if (fs->timer_fd >= 0)
		close(fs->timer_fd);
	if (fs->look_fd >= 0)
		close(fs->look_fd);
fail:
	free(fs);
	fs_server_free(server);
	return r;
}
