/* SPDX-License-Identifier: MIT */
/* What the agent reads of others: the host's messages, the base's account files, the module list. */
#include <stdlib.h>
#include <string.h>

#include "guest-agent/messages.h"
#include "guest-agent/modules.h"
#include "guest-agent/users.h"
#include "guest-agent/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_accounts(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	uint32_t groups[4];
	struct user u;

	(void)!passwd_find_name(text, size, "ann", &u);
	(void)!passwd_find_uid(text, size, 1000, &u);
	(void)group_has_gid(text, size, 1000);
	(void)group_list(text, size, "ann", 1000, groups, ARRAY_SIZE(groups));
}

static void fuzz_modules(const uint8_t *data, size_t size)
{
	struct module_line line;
	size_t pos = 0;

	while (modules_next((const char *)data, size, &pos, &line) > 0)
		if (line.path[0] == '\0' || line.path[0] == '/')
			abort();
}

static void fuzz_message(unsigned int which, const uint8_t *body, size_t len)
{
	struct winsize_request w;
	struct exec_request e;
	struct setup_map map;
	struct setup s;
	char *path = NULL;
	struct connect_request connect;
	int sig;

	if (which == 0 && setup_parse(body, len, &s) == 0) {
		for (size_t i = 1; i < s.n_maps; i++)
			if (strcmp(s.maps[i - 1].path, s.maps[i].path) > 0)
				abort();
		setup_fini(&s);
	}
	if (which == 1 && exec_parse(body, len, &e) == 0) {
		if (!e.argv[0] || e.env[e.n_env])
			abort();
		exec_fini(&e);
	}
	if (which == 2)
		(void)!signal_parse(body, len, &sig);
	if (which == 3)
		(void)!winsize_parse(body, len, &w);
	if (which == 5 && connect_parse(body, len, &connect) == 0 && connect.port == 0)
		abort();
	if (which == 4 && map_parse(body, len, &map, &path) == 0) {
		if (map.path[0] != '/')
			abort();
		free(path);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sc_header h;

	if (size == 0)
		return 0;
	if (data[0] < 4)
		fuzz_message(data[0], data + 1, size - 1);
	else if (data[0] == 4)
		fuzz_accounts(data + 1, size - 1);
	else if (data[0] == 5)
		fuzz_modules(data + 1, size - 1);
	else if (data[0] == 6)
		fuzz_message(4, data + 1, size - 1);
	else if (data[0] == 7)
		fuzz_message(5, data + 1, size - 1);
	else if (size > sizeof(h))
		(void)!wire_header(data + 1, SC_BODY_MAX_HOST, &h);
	return 0;
}
