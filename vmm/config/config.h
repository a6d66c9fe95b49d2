/* SPDX-License-Identifier: MIT */
/* vmm/config/config.h - what one sandbox is to be; filled by the launcher, read by machine and session. */
#ifndef VMM_CONFIG_CONFIG_H
#define VMM_CONFIG_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "common/port.h"
#include "common/util.h"
#include "vmm/config/network.h"

enum {
	CONFIG_MAX_CPUS = 64,
	CONFIG_MAX_MAPS = 64,
};

#define CONFIG_MIN_MEMORY (128ull << 20)
#define CONFIG_MAX_MEMORY (1ull << 40)

/* A host folder or file that the guest sees. */
struct config_map {
	char *host; /* absolute, symlinks resolved; for messages */
	char *guest; /* absolute, normalised */
	int fd; /* O_PATH on host, opened while the configuration is checked; -1: given away */
	bool writable;
	bool discard; /* not writable: the guest keeps what it changes to itself; a folder */
	bool is_file;
};

/* A port that is published from the start. */
struct config_port {
	struct port port;
	int fd; /* listens there; -1: given away */
};

/* The guest's first monitor, and with it a keyboard and pointers; there is none unless enabled. */
struct config_display {
	bool enabled;
	uint32_t width, height; /* pixels, 1 to 8192 */
};

/* Whether the host's GPU renders for a guest that has a display. */
enum gpu_choice {
	GPU_AUTO, /* if the host has one that works */
	GPU_FORCED, /* whatever renders GL there, also by software; and tried again after failures */
	GPU_NOT, /* the guest renders by itself */
};

struct config_user {
	char *name;
	char *home;
	char *shell;
	uint32_t uid, gid;
};

/* Strings are owned by the struct. */
struct sandbox_config {
	char *name; /* also the guest's host name */
	bool name_is_generated; /* another is as good */
	unsigned int cpus; /* 1 to CONFIG_MAX_CPUS */
	uint64_t memory; /* ceiling in bytes, a multiple of 2 MiB */
	/*
	 * No two at one guest path; one lies inside another only where both show
	 * the same host folder and the outer one is read-only (vmm/config/map_rules.h). Parents
	 * first. What is shared later is in vmm/session/shares.h.
	 */
	struct config_map *maps;
	size_t n_maps;

	char **argv; /* NULL-terminated, at least one; NULL: none but those of clients */
	/* Without argv: lines for sh(1), run in order once the guest is ready; NULL-terminated. */
	char **commands;
	/* These are also what clients' commands get where they do not say otherwise. */
	char **env; /* NULL-terminated "K=V" */
	char *workdir; /* in the guest; NULL: the home directory */
	char *run_as; /* --user; NULL: the invoking user */
	struct config_user user; /* the invoking user */
	bool tty; /* stdin and stdout are terminals */

	char *root; /* --root DIR: the system it is made of; NULL: this host */
	char *kernel; /* --kernel FILE; NULL: choose */
	uint64_t timeout_ms; /* 0: none */
	bool tie_to_parent; /* end when the process that started us does */
	char *battery; /* --battery: "host" or NULL, "none", or a timeline's file */
	struct config_display display;
	char *gpu; /* --gpu: "auto", "on" or "off" */
	enum gpu_choice gpu_choice; /* the same */
	char *session; /* --session: "none" or "app" */
	bool session_app; /* the same: argv is shown on the display, which there is then */
	bool window; /* --window: the host shows the display at once */
	char *timeline; /* --timeline FILE; NULL: none */
	bool debug_console;
	char *network; /* --network: "none", "internet", "user", "tap=NAME" or "libvirt:NAME" */
	enum network_mode network_mode; /* the same */
	/* These are net_configure()'s to fill. */
	struct net_addresses addresses; /* of a network; with a tap, mac alone */
	int tap; /* its descriptor, with NETWORK_TAP and NETWORK_LIBVIRT; 0: not open */
	char **publish; /* --publish "[ADDR:]HOST:GUEST", NULL-terminated */
	struct config_port *ports; /* the same, once they are listened at */
	size_t n_ports;
	char *resolv_conf; /* the guest's /etc/resolv.conf; NULL: an empty one */
	bool no_template; /* --no-template: neither a clone nor what one is made of */
	bool make_template; /* `template build`: start cold, and leave a template */
	bool confine_weak; /* --confine=weak: also where its process cannot be confined */
	bool no_dax; /* --no-dax: files are read, never mapped */
	bool no_stdin; /* --no-stdin: the command's standard input is empty */
};

void sandbox_config_init(struct sandbox_config *cfg); /* all zero */
/* Frees what the struct owns, maps' fds included. An initialised or half-filled one is fine. */
void sandbox_config_fini(struct sandbox_config *cfg);
/* The same for one map. */
void config_map_fini(struct config_map *map);
/* Closes the descriptors of its maps. */
void config_close_maps(struct sandbox_config *cfg);

#endif
