/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "devices/input.h"
#include "gpu/display.h"
#include "vmm/control/control_priv.h"

bool control_has_display(const struct control *ctl, const struct control_request *req)
{
	if (!ctl->setup.display)
		control_refuse(req->client, req->id, CONTROL_E_NO_DISPLAY, 0,
			       "the sandbox was started without --display");
	return ctl->setup.display;
}

/* A window is to show it: the other end of the pair is the window's. */
void control_display(struct control *ctl, struct control_request *req)
{
	int ends[2];

	if (!control_has_display(ctl, req))
		return;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0) {
		control_refuse(req->client, req->id, CONTROL_E_FAILED, errno, "no socket: %s",
			       strerror(errno));
		return;
	}
	gpu_attach_window(ctl->setup.display->gpu, ends[0]);
	control_reply_with(req->client, req->id, NULL, ends[1]);
}

void control_display_say(const struct control *ctl, const char *text)
{
	if (ctl->setup.display)
		gpu_say(ctl->setup.display->gpu, text);
}

void control_screenshot(struct control *ctl, struct control_request *req)
{
	const json_t *monitor = json_object_get(req->body, "monitor");
	const json_int_t n = monitor ? json_integer_value(monitor) : 1;
	struct gpu_picture p;
	int r;

	if (!control_has_display(ctl, req))
		return;
	if (n < 1 || n > GPU_SCANOUTS) {
		control_refuse(req->client, req->id, CONTROL_E_BAD_REQUEST, 0,
			       "monitor: a number from 1 to %d is needed", GPU_SCANOUTS);
		return;
	}
	r = gpu_screenshot(ctl->setup.display->gpu, (unsigned int)n - 1, &p);
	if (r == -ENODATA)
		control_refuse(req->client, req->id, CONTROL_E_NO_PICTURE, 0,
			       "the guest shows nothing on monitor %d", (int)n);
	else if (r < 0)
		control_refuse(req->client, req->id, CONTROL_E_FAILED, -r, "no picture: %s",
			       strerror(-r));
	else
		control_reply_with(req->client, req->id,
				   json_pack("{s:I, s:I, s:I}", "width", (json_int_t)p.width,
					     "height", (json_int_t)p.height, "stride",
					     (json_int_t)p.stride),
				   p.fd);
}

static json_t *monitors(const struct gpu_figures *f)
{
	json_t *list = json_array();

	for (unsigned int i = 0; i < GPU_SCANOUTS; i++)
		(void)json_array_append_new(
			list,
			f->scanouts[i].width
				? json_pack("{s:I, s:I}", "width", (json_int_t)f->scanouts[i].width,
					    "height", (json_int_t)f->scanouts[i].height)
				: json_null());
	return list;
}

static json_int_t dropped_input(const struct display *d)
{
	return (json_int_t)input_dropped(d->keyboard) + (json_int_t)input_dropped(d->tablet) +
	       (json_int_t)input_dropped(d->mouse);
}

/* Who renders, and if it is the guest itself, why. */
static json_t *renderer(const struct gpu_figures *f)
{
	return json_pack("{s:s, s:s?, s:I, s:I}", "renderer", f->renderer, "why",
			 f->why[0] ? f->why : NULL, "memory", (json_int_t)f->gpu_bytes, "errors",
			 (json_int_t)f->gpu_errors);
}

json_t *control_display_figures(const struct control *ctl)
{
	struct gpu_figures f;

	if (!ctl->setup.display)
		return json_null();
	gpu_get_figures(ctl->setup.display->gpu, &f);
	return json_pack("{s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:o}", "window", (int)f.window,
			 "flushes", (json_int_t)f.flushes, "frames", (json_int_t)f.frames, "copied",
			 (json_int_t)f.copied, "dropped", (json_int_t)f.dropped, "errors",
			 (json_int_t)f.errors, "input_dropped", dropped_input(ctl->setup.display),
			 "monitors", monitors(&f), "gpu", renderer(&f));
}
