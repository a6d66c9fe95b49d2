/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "common/log.h"
#include "common/units.h"
#include "launcher/cmd/png.h"
#include "launcher/commands.h"
#include "launcher/control_call.h"
#include "launcher/options.h"

enum { MONITORS = 4, SIDE_MAX = 8192 };

struct screenshot {
	struct call call;
	uint64_t monitor;
};

static int set_monitor(struct call *call, const char *value)
{
	struct screenshot *s = CONTAINER_OF(call, struct screenshot, call);

	if (parse_number(value, 1, MONITORS, &s->monitor) == 0)
		return 0;
	log_error("%s '%s': give a number from 1 to %d", call->what, value, MONITORS);
	return -EINVAL;
}

static const struct option_row options[] = {
	{"monitor", 0, "N", set_monitor, 0, 0, "which one of several (default: 1)"},
	{0},
};

static uint32_t side(const json_t *reply, const char *key, json_int_t max)
{
	const json_int_t n = json_integer_value(json_object_get(reply, key));

	return n > 0 && n <= max ? (uint32_t)n : 0;
}

/* Maps what came with the reply. -EPROTO: it is no picture. */
static int map_picture(const json_t *reply, int fd, struct png_picture *out, size_t *len)
{
	struct png_picture p = {
		.width = side(reply, "width", SIDE_MAX),
		.height = side(reply, "height", SIDE_MAX),
		.stride = side(reply, "stride", SIDE_MAX * 4),
	};
	struct stat st;
	void *map;

	*len = (size_t)p.stride * p.height;
	if (*len == 0 || p.width == 0 || p.stride < p.width * 4 || fd < 0 || fstat(fd, &st) < 0 ||
	    (size_t)st.st_size < *len)
		return -EPROTO;
	map = mmap(NULL, *len, PROT_READ, MAP_PRIVATE, fd, 0);
	if (map == MAP_FAILED)
		return -errno;
	p.pixels = map;
	*out = p;
	return 0;
}

/* Logs on failure, and leaves no half of a file. */
static int write_file(const struct png_picture *p, const char *path)
{
	FILE *out = fopen(path, "wbe");
	int r = out ? png_write(p, out) : -errno;

	if (out && fclose(out) != 0 && r == 0)
		r = -errno;
	if (r == 0)
		return 0;
	if (out)
		(void)remove(path);
	if (r == -ELIBACC)
		log_error("screenshot needs libpng: apt install libpng16-16");
	else
		log_error("cannot write %s: %s", path, strerror(-r));
	return r;
}

static int save(const json_t *reply, int fd, const char *path)
{
	struct png_picture p = {0};
	size_t len;
	int r = map_picture(reply, fd, &p, &len);

	if (r < 0) {
		log_error("the sandbox sent no picture: %s", strerror(-r));
		return r;
	}
	r = write_file(&p, path);
	munmap((void *)(uintptr_t)p.pixels, len);
	return r;
}

static int run(struct call *call)
{
	const struct screenshot *s = CONTAINER_OF(call, struct screenshot, call);
	struct client *c = NULL;
	json_t *reply = NULL;
	AUTO_CLOSE int fd = -1;
	int r = control_open(call->argv[0], &c);

	if (r == 0)
		r = control_ask(c,
				json_pack("{s:s, s:I}", "op", "screenshot", "monitor",
					  (json_int_t)s->monitor),
				&reply);
	if (r == 0) {
		fd = client_take_fd(c);
		r = save(reply, fd, call->argv[1]);
	}
	json_decref(reply);
	client_free(c);
	return r < 0 ? EXIT_SANDCASTLE_FAILED : 0;
}

static const struct screenshot defaults = {.monitor = 1};

const struct command cmd_screenshot = {
	.name = "screenshot",
	.brief = "save what its screen shows as a picture",
	.usage = "[OPTIONS] NAME FILE",
	.about =
		"Saves what a monitor of a sandbox shows as a PNG file, with or without a window.\n"
		"The sandbox needs a display: `start --display on`.\n",
	.options = options,
	.min = 2,
	.max = 2,
	.wants = "takes a name and a file; write `sandcastle screenshot NAME FILE.png`",
	.defaults = &defaults.call,
	.size = sizeof(struct screenshot),
	.run = run,
};
