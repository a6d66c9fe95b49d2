/* SPDX-License-Identifier: MIT */
/* vmm/file_servers.h - the machine's two file servers: what they show, and how they are told of its state. */
#ifndef VMM_FILE_SERVERS_H
#define VMM_FILE_SERVERS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/util.h"

struct device;
struct fs_server;
struct machine_setup;

/* A virtio-fs device of the machine; both are the device's. Zeroed: there is none yet. */
struct file_server {
	struct fs_server *server;
	struct device *device;
};

/* How large the DAX window of a guest with so much memory is: a power of two, as a BAR is. */
uint64_t file_server_window(uint64_t memory);

/* A server of the base image and of the kernel's modules, frozen. The caller's to free. */
int file_server_new_base(const struct machine_setup *setup, struct fs_server **out) MUST_CHECK;
/* A server of the folders that the configuration maps, which may change while the guest runs. */
int file_server_new_maps(const struct machine_setup *setup, struct fs_server **out) MUST_CHECK;

/* See fs_server_mend_window(). On the thread of a vCPU; takes the device's lock. */
bool file_server_mend_window(const struct file_server *files);
/* See fs_server_reset(). On the thread of its loop; takes the device's lock. */
void file_server_forget(const struct file_server *files);

#endif
