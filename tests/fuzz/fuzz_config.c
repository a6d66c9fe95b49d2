/* SPDX-License-Identifier: MIT */
/* Both readers of files of settings: a file that begins with '<' is for the one of .wsb files. */
#include <errno.h>
#include <stdlib.h>

#include "launcher/config/config_file.h"
#include "tests/fuzz/fuzz_input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct config_file f;
	int r;

	config_file_init(&f);
	if (size > 0 && data[0] == '<')
		r = config_parse_wsb(&f, (const char *)data, size);
	else
		r = config_parse_ini(&f, (const char *)data, size);
	/* What is refused says why; what is taken is whole. */
	if (r < 0 && r != -ENOMEM && f.n_problems == 0)
		abort();
	if (r == 0 && f.n_problems > 0)
		abort();
	for (size_t i = 0; r == 0 && i < f.n_entries; i++)
		if (!f.entries[i].value || !f.entries[i].line ||
		    (!f.entries[i].what && f.entries[i].kind < CONFIG_UNSUPPORTED))
			abort();
	for (size_t i = 0; r == 0 && i < f.n_shares; i++)
		if (!f.shares[i].host || !*f.shares[i].host)
			abort();
	for (size_t i = 0; r == 0 && i < f.n_entries; i++)
		if (f.entries[i].kind == CONFIG_COMMAND)
			(void)config_is_windows_command(f.entries[i].value);
	config_file_fini(&f);
	return 0;
}
