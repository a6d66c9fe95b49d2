/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "battery/battery.h"
#include "battery/source_priv.h"
#include "battery/timeline.h"
#include "common/log.h"

struct file_source {
	struct power_source source;
	char *text;
	struct timeline timeline;
	uint64_t first_wait;
	struct loop_source look;
	struct loop_timer timer;
};

static void advance(struct file_source *f)
{
	struct power_state state;
	uint64_t wait_ms = 0;

	/* The whole text was read once: it cannot fail, and at its end no timer is set. */
	if (timeline_next(&f->timeline, &f->source.set, &wait_ms) != 1)
		wait_ms = 0;
	power_source_tell(&f->source, true, &state);
	loop_timer_set(&f->timer, wait_ms);
}

static void timer_fired(struct loop_timer *timer)
{
	advance(CONTAINER_OF(timer, struct file_source, timer));
}

static void guest_looked(struct loop_source *src, uint32_t events)
{
	struct file_source *f = CONTAINER_OF(src, struct file_source, look);

	(void)events;
	loop_remove(src);
	loop_timer_set(&f->timer, f->first_wait);
}

static void file_destroy(struct power_source *source)
{
	struct file_source *f = CONTAINER_OF(source, struct file_source, source);

	loop_timer_fini(&f->timer);
	loop_remove(&f->look);
	free(f->text);
	free(f);
}

static const struct power_source_ops file_ops = {
	.destroy = file_destroy,
};

/* Fills TIMELINE_TEXT_MAX + 1 bytes at most, the NUL among them. */
static int read_text(const char *path, char *text)
{
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_NOCTTY | O_CLOEXEC);
	size_t len = 0;
	ssize_t n;

	if (fd < 0)
		return -errno;
	while ((n = read(fd, text + len, TIMELINE_TEXT_MAX + 1 - len)) > 0)
		len += (size_t)n;
	if (n < 0)
		return -errno;
	if (len > TIMELINE_TEXT_MAX)
		return -EFBIG;
	text[len] = '\0';
	return 0;
}

/* Goes through the whole text, so that no mistake shows only after an hour. */
static int check_text(const char *path, const char *text, struct supply_set *scratch)
{
	struct timeline t = {.text = text};
	uint64_t wait_ms;
	int r;

	do
		r = timeline_next(&t, scratch, &wait_ms);
	while (r > 0);
	if (r < 0)
		log_error("--battery %s: line %u: %s", path, t.line, t.problem);
	memset(scratch, 0, sizeof(*scratch));
	return r;
}

static int start(struct file_source *f, const char *path, struct loop *loop)
{
	struct power_state state;
	int r = -ENOMEM;

	f->text = malloc(TIMELINE_TEXT_MAX + 1);
	if (f->text)
		r = read_text(path, f->text);
	if (r == 0) {
		r = check_text(path, f->text, &f->source.set);
		if (r < 0)
			return r;
		r = loop_timer_init(&f->timer, loop, timer_fired, "power-timeline");
	}
	if (r < 0) {
		log_error("cannot use --battery %s: %s", path, strerror(-r));
		return r;
	}
	f->timeline.text = f->text;
	r = timeline_next(&f->timeline, &f->source.set, &f->first_wait);
	power_source_tell(&f->source, true, &state);
	return r > 0 ? loop_add(loop, &f->look, EPOLLIN) : r;
}

int power_source_file_new(const char *path, struct loop *loop, struct device *battery,
			  struct power_source **out)
{
	struct file_source *f = calloc(1, sizeof(*f));
	int r;

	if (!f) {
		log_error("cannot use --battery %s: %s", path, strerror(ENOMEM));
		return -ENOMEM;
	}
	f->source.ops = &file_ops;
	f->source.battery = battery;
	f->look = (struct loop_source){
		.fd = battery_look_fd(battery),
		.fn = guest_looked,
		.name = "power-look",
	};
	r = start(f, path, loop);
	if (r < 0) {
		file_destroy(&f->source);
		return r;
	}
	*out = &f->source;
	return 0;
}
