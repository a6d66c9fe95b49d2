/* SPDX-License-Identifier: MIT */
#include "vmm/foreground.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "common/job.h"
#include "common/log.h"
#include "vmm/session/command.h"

void foreground_resize(const struct foreground *f)
{
	uint16_t rows, columns;

	if (f->command && terminal_size(STDOUT_FILENO, &rows, &columns))
		command_winsize(f->command, rows, columns);
}

void foreground_continue(struct foreground *f)
{
	if (f->command && terminal_raw(&f->terminal, STDIN_FILENO) == 0)
		foreground_resize(f);
}

void foreground_stop(struct foreground *f)
{
	terminal_restore(&f->terminal);
	job_stop();
	foreground_continue(f);
}

/* A shell does not tell a job that runs already that it came to the foreground; keys do. */
static void keys_event(struct loop_source *src, uint32_t events)
{
	struct foreground *f = CONTAINER_OF(src, struct foreground, keys);

	(void)events;
	if (!f->terminal.raw)
		foreground_continue(f);
}

int foreground_init(struct foreground *f, struct loop *loop, struct command *cmd)
{
	int r = terminal_raw(&f->terminal, STDIN_FILENO);

	if (r < 0) {
		log_error("cannot set the terminal up: %s", strerror(-r));
		return r;
	}
	f->command = cmd;
	foreground_resize(f);
	f->keys = (struct loop_source){.fd = STDIN_FILENO, .fn = keys_event, .name = "keys"};
	r = loop_add(loop, &f->keys, EPOLLIN | EPOLLET);
	/* Where it cannot be opened anew the command's input watches the same descriptor. */
	return r == -EEXIST ? 0 : r;
}

void foreground_fini(struct foreground *f)
{
	loop_remove(&f->keys);
	terminal_restore(&f->terminal);
	f->command = NULL;
}
