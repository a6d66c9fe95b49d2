/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>

#include "common/agent_protocol.h"
#include "devices/fs/fs.h"
#include "devices/virtio/virtio.h"
#include "image/base/base.h"
#include "image/kernel/kernel.h"
#include "vmm/file_servers.h"
#include "vmm/machine.h"

static struct sandbox_config cfg;
static struct kernel_image kernel;
static struct base_image base;
static char modules[] = "/tmp", missing[] = "/tmp/there/is/nothing";
static const struct machine_setup setup = {.config = &cfg, .kernel = &kernel, .base = &base};

static void set_up(void)
{
	cfg = (struct sandbox_config){.memory = 256 << 20};
	kernel = (struct kernel_image){.modules = modules, .elf_fd = -1};
	base = (struct base_image){.root = open("/tmp", O_PATH | O_CLOEXEC)};
}

static void clean_up(void)
{
	close(base.root);
}

static unsigned int open_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned int n = 0;

	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

TestSuite(file_servers, .init = set_up, .fini = clean_up);

Test(file_servers, the_window_is_a_power_of_two_and_at_most_a_quarter_of_memory)
{
	cr_expect_eq(file_server_window(64ull << 20), 16ull << 20);
	cr_expect_eq(file_server_window(100ull << 20), 16ull << 20);
	cr_expect_eq(file_server_window(2ull << 30), 512ull << 20);
	cr_expect_eq(file_server_window(64ull << 30), 512ull << 20, "more costs the guest memory");
}

Test(file_servers, the_base_is_shown_with_the_kernels_modules)
{
	struct fs_server *server = NULL;

	cr_assert_eq(file_server_new_base(&setup, &server), 0);
	cr_expect_eq(fs_server_remove_export(server, SC_FS_BASE), 0);
	cr_expect_eq(fs_server_remove_export(server, SC_FS_MODULES), 0);
	cr_expect_eq(fs_server_remove_export(server, "map0"), -ENOENT);
	fs_server_free(server);
}

Test(file_servers, each_map_is_shown_by_its_number)
{
	struct config_map maps[2] = {
		{.fd = open("/tmp", O_PATH | O_CLOEXEC)},
		{.fd = open("/usr", O_PATH | O_CLOEXEC), .writable = true},
	};
	struct fs_server *server = NULL;

	cfg.maps = maps;
	cfg.n_maps = 2;
	cr_assert_eq(file_server_new_maps(&setup, &server), 0);
	close(maps[0].fd);
	close(maps[1].fd);
	cr_expect_eq(fs_server_remove_export(server, "map0"), 0);
	cr_expect_eq(fs_server_remove_export(server, "map1"), 0);
	cr_expect_eq(fs_server_remove_export(server, "map2"), -ENOENT);
	fs_server_free(server);
}

Test(file_servers, without_modules_or_with_a_map_that_is_closed_nothing_is_left)
{
	struct config_map map = {.fd = -1};
	struct fs_server *server = NULL;
	const unsigned int before = open_fds();

	kernel.modules = missing;
	cr_expect_eq(file_server_new_base(&setup, &server), -ENOENT);
	cfg.maps = &map;
	cfg.n_maps = 1;
	cr_expect_eq(file_server_new_maps(&setup, &server), -EBADF);
	cr_expect_null(server);
	cr_expect_eq(open_fds(), before);
}

/* How large the window of a device with this server is. */
static uint64_t window_of(struct fs_server *server)
{
	struct virtio_device *vdev = NULL;
	uint64_t len;

	cr_assert_eq(virtio_fs_new("tag", server, &vdev), 0);
	len = vdev->shm_len;
	vdev->ops->destroy(vdev);
	return len;
}

Test(file_servers, the_base_has_the_window_and_the_maps_a_quarter_of_it)
{
	struct fs_server *server = NULL;

	cr_assert_eq(file_server_new_base(&setup, &server), 0);
	cr_expect_eq(window_of(server), 64u << 20);
	cr_assert_eq(file_server_new_maps(&setup, &server), 0);
	cr_expect_eq(window_of(server), 16u << 20);

	cfg.no_dax = true;
	cr_assert_eq(file_server_new_base(&setup, &server), 0);
	cr_expect_eq(window_of(server), 0);
	cr_assert_eq(file_server_new_maps(&setup, &server), 0);
	cr_expect_eq(window_of(server), 0);
}
