/* SPDX-License-Identifier: MIT */
/* What a program compiled against include/sandcastle.h has built in, for tests/abi/check.sh. */
#include <stdio.h>

#include "include/sandcastle.h"

#define SIZE(s)	    printf("struct %s %zu\n", #s, sizeof(struct s))
#define FIELD(s, f) printf("struct %s .%s %zu\n", #s, #f, offsetof(struct s, f))
#define VALUE(v)    printf("%s %d\n", #v, (int)(v))

static void sizes(void)
{
	SIZE(sandcastle_options);
	FIELD(sandcastle_options, program);
	FIELD(sandcastle_options, runtime_dir);
	FIELD(sandcastle_options, name);
	FIELD(sandcastle_options, kernel);
	FIELD(sandcastle_options, user);
	FIELD(sandcastle_options, workdir);
	FIELD(sandcastle_options, env);
	FIELD(sandcastle_options, maps);
	FIELD(sandcastle_options, n_maps);
	FIELD(sandcastle_options, memory);
	FIELD(sandcastle_options, cpus);
	FIELD(sandcastle_options, outlive);
	FIELD(sandcastle_options, pressure_events);
	FIELD(sandcastle_options, root);
	FIELD(sandcastle_options, network);
	FIELD(sandcastle_options, display_width);
	FIELD(sandcastle_options, display_height);
	FIELD(sandcastle_options, publish);
	FIELD(sandcastle_options, battery);
	FIELD(sandcastle_options, call_timeout_ms);
	FIELD(sandcastle_options, timeout_ms);
	FIELD(sandcastle_options, debug_console);
	SIZE(sandcastle_map);
	FIELD(sandcastle_map, mode);
	SIZE(sandcastle_exec_options);
	FIELD(sandcastle_exec_options, argv);
	FIELD(sandcastle_exec_options, env);
	FIELD(sandcastle_exec_options, user);
	FIELD(sandcastle_exec_options, workdir);
	FIELD(sandcastle_exec_options, stdio);
	FIELD(sandcastle_exec_options, output);
	FIELD(sandcastle_exec_options, data);
	FIELD(sandcastle_exec_options, tty);
	FIELD(sandcastle_exec_options, rows);
	FIELD(sandcastle_exec_options, columns);
	FIELD(sandcastle_exec_options, input);
	FIELD(sandcastle_exec_options, input_len);
	FIELD(sandcastle_exec_options, limit_memory);
	FIELD(sandcastle_exec_options, limit_file_size);
	FIELD(sandcastle_exec_options, limit_cpu_s);
	FIELD(sandcastle_exec_options, limit_processes);
	FIELD(sandcastle_exec_options, limit_files);
	SIZE(sandcastle_stdio);
	SIZE(sandcastle_event);
	FIELD(sandcastle_event, type);
	FIELD(sandcastle_event, reason);
	FIELD(sandcastle_event, code);
	FIELD(sandcastle_event, signal);
	FIELD(sandcastle_event, command);
	FIELD(sandcastle_event, data);
	SIZE(sandcastle_usage);
	FIELD(sandcastle_usage, system_us);
	FIELD(sandcastle_usage, memory);
	SIZE(sandcastle_stats);
	FIELD(sandcastle_stats, pid);
	FIELD(sandcastle_stats, guest_total);
	FIELD(sandcastle_stats, guest_available);
}

int main(void)
{
	sizes();
	VALUE(SANDCASTLE_E_INVALID);
	VALUE(SANDCASTLE_E_MEMORY);
	VALUE(SANDCASTLE_E_SYSTEM);
	VALUE(SANDCASTLE_E_START);
	VALUE(SANDCASTLE_E_TIMEOUT);
	VALUE(SANDCASTLE_E_ENDED);
	VALUE(SANDCASTLE_E_NOT_FOUND);
	VALUE(SANDCASTLE_E_EXEC);
	VALUE(SANDCASTLE_E_REFUSED);
	VALUE(SANDCASTLE_E_NO_KVM);
	VALUE(SANDCASTLE_E_INTERRUPTED);
	VALUE(SANDCASTLE_MAP_WRITABLE);
	VALUE(SANDCASTLE_MAP_DISCARD);
	VALUE(SANDCASTLE_STDIO_FD);
	VALUE(SANDCASTLE_STDIO_PIPE);
	VALUE(SANDCASTLE_STDIO_CALLBACK);
	VALUE(SANDCASTLE_STDIO_BYTES);
	VALUE(SANDCASTLE_BUTTON_LEFT);
	VALUE(SANDCASTLE_BUTTON_MIDDLE);
	VALUE(SANDCASTLE_BUTTON_RIGHT);
	VALUE(SANDCASTLE_EVENT_READY);
	VALUE(SANDCASTLE_EVENT_EXITED);
	VALUE(SANDCASTLE_EVENT_ENDED);
	VALUE(SANDCASTLE_EVENT_PRESSURE);
	VALUE(SANDCASTLE_PRESSURE_CALM);
	VALUE(SANDCASTLE_PRESSURE_SQUEEZING);
	VALUE(SANDCASTLE_REASON_STOPPED);
	VALUE(SANDCASTLE_REASON_POWERED_OFF);
	VALUE(SANDCASTLE_REASON_PANICKED);
	VALUE(SANDCASTLE_REASON_FAILED);
	VALUE(SANDCASTLE_REASON_TIME_LIMIT);
	return 0;
}
