/* SPDX-License-Identifier: MIT */
/* The screen, and what is typed and clicked at it. */
#include <errno.h>
#include <string.h>

#include "library/client/keys.h"
#include "library/client/picture.h"
#include "library/library_priv.h"

enum { NOTCHES_MAX = 100 };

static int save(struct sandcastle_sandbox *sb, const json_t *reply, int fd, const char *path)
{
	int r = picture_save(reply, fd, path);

	if (r == -ELIBACC)
		return lib_fail(sb, SANDCASTLE_E_SYSTEM, "libpng16.so.16 is not installed");
	if (r < 0)
		return lib_fail(sb, SANDCASTLE_E_SYSTEM, "cannot write %.300s: %s", path,
				strerror(-r));
	return SANDCASTLE_OK;
}

int sandcastle_screenshot(struct sandcastle_sandbox *sb, uint32_t monitor, const char *path)
{
	json_t *reply = NULL;
	AUTO_CLOSE int fd = -1;
	int r;

	(void)pthread_mutex_lock(&sb->lock);
	if (!path || monitor < 1 || monitor > PICTURE_MONITORS)
		r = lib_fail(sb, SANDCASTLE_E_INVALID, "a path and a monitor, 1 to %d, are needed",
			     PICTURE_MONITORS);
	else
		r = lib_call_for_fd(
			sb, json_pack("{s:s, s:i}", "op", "screenshot", "monitor", (int)monitor),
			&reply, &fd);
	if (r == SANDCASTLE_OK)
		r = save(sb, reply, fd, path);
	json_decref(reply);
	(void)pthread_mutex_unlock(&sb->lock);
	return r;
}

/* Sends the events, taken over, if composing them went well: r of keys_add_...(). */
static int send_events(struct sandcastle_sandbox *sb, json_t *events, int r)
{
	int status = SANDCASTLE_OK;

	if (!events || r == -ENOMEM)
		status = lib_fail(sb, SANDCASTLE_E_MEMORY, "out of memory");
	else if (r < 0)
		status = SANDCASTLE_E_INVALID;
	for (size_t at = 0; status == SANDCASTLE_OK && at < json_array_size(events);) {
		json_t *reply = NULL;

		status = lib_call(sb, keys_request(events, &at), NULL, 0, NULL, &reply);
		json_decref(reply);
	}
	json_decref(events);
	return status;
}

int sandcastle_send_key(struct sandcastle_sandbox *sb, const char *chord)
{
	json_t *events = json_array();
	const char *bad = NULL;
	size_t len = 0;
	int r;

	(void)pthread_mutex_lock(&sb->lock);
	r = events ? keys_add_chord(events, chord, &bad, &len) : -ENOMEM;
	if (r == -EINVAL)
		(void)lib_fail(sb, 0, "'%.*s' is no key", (int)min_size(len, 100), bad);
	r = send_events(sb, events, r);
	(void)pthread_mutex_unlock(&sb->lock);
	return r;
}

int sandcastle_send_text(struct sandcastle_sandbox *sb, const char *text)
{
	json_t *events = json_array();
	int r = events ? 0 : -ENOMEM;

	(void)pthread_mutex_lock(&sb->lock);
	for (const char *c = text; r == 0 && *c; c++) {
		r = keys_add_char(events, *c);
		if (r == -EINVAL)
			(void)lib_fail(sb, 0, "byte %zu of the text has no key on a US keyboard",
				       (size_t)(c - text) + 1);
	}
	r = send_events(sb, events, r);
	(void)pthread_mutex_unlock(&sb->lock);
	return r;
}

int sandcastle_send_click(struct sandcastle_sandbox *sb, uint32_t monitor, uint32_t x, uint32_t y,
			  int button)
{
	static const char *const names[] = {"left", "middle", "right"};
	const bool known = button >= 0 && (size_t)button < ARRAY_SIZE(names);
	json_t *events = json_array();
	int r;

	(void)pthread_mutex_lock(&sb->lock);
	r = events ? keys_add_click(events, monitor, x, y, known ? names[button] : "") : -ENOMEM;
	if (r == -EINVAL)
		(void)lib_fail(sb, 0, "there is no button %d", button);
	r = send_events(sb, events, r);
	(void)pthread_mutex_unlock(&sb->lock);
	return r;
}

int sandcastle_send_wheel(struct sandcastle_sandbox *sb, int notches)
{
	const bool good = notches >= -NOTCHES_MAX && notches <= NOTCHES_MAX;
	json_t *events = json_array();
	int r;

	(void)pthread_mutex_lock(&sb->lock);
	if (!good)
		(void)lib_fail(sb, 0, "more than %d notches", NOTCHES_MAX);
	r = !events ? -ENOMEM : good ? keys_add_wheel(events, notches) : -EINVAL;
	r = send_events(sb, events, r);
	(void)pthread_mutex_unlock(&sb->lock);
	return r;
}
