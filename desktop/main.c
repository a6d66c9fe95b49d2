/* SPDX-License-Identifier: MIT */
/*
 * sandcastle-window NAME: shows the display of a running sandbox. A client of its control socket:
 * whatever happens here ends no sandbox, but for the question before closing.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "desktop/cursor.h"
#include "desktop/input.h"
#include "desktop/link.h"
#include "desktop/view.h"
#include "desktop/window.h"

enum {
	MESSAGES_A_TURN = 64, /* of the sandbox, before the user's next event has its turn */
	BANNER_MS = 4000,
	WHY_SIZE = 256,
	TEXT_SIZE = 512,
	WAIT_MS = 60 * 1000,
	GRACE_MS = 500,
	CAPS_LIGHT = 2, /* a bit of view.lights */
};

enum phase {
	PHASE_SHOWS, /* or starts: as far as the guest is */
	PHASE_ASKS, /* whether closing is meant */
	PHASE_STOPS, /* the sandbox was asked to end */
	PHASE_ENDED, /* the cause is shown until the window is closed */
};

struct app {
	const char *name;
	enum phase phase;
	bool quit;
	struct link link;
	struct view view;
	struct window windows[WINDOW_SCANOUTS];
	struct input input;
	struct cursor cursor;
	bool drew_pointer; /* over the picture, which is to be drawn anew without it */
	const char *what; /* of PHASE_ENDED: behind the name */
	char why[WHY_SIZE];
	char text[TEXT_SIZE]; /* of the card */
	char heading[WHY_SIZE];
};

static struct window *focused(struct app *app)
{
	const SDL_Window *sdl = SDL_GetKeyboardFocus();

	for (size_t i = 0; i < ARRAY_SIZE(app->windows); i++)
		if (sdl && app->windows[i].sdl == sdl)
			return &app->windows[i];
	return &app->windows[0];
}

static struct window *window_of(struct app *app, uint32_t sdl_id)
{
	for (size_t i = 0; i < ARRAY_SIZE(app->windows); i++)
		if (app->windows[i].sdl && SDL_GetWindowID(app->windows[i].sdl) == sdl_id)
			return &app->windows[i];
	return NULL;
}

static void redraw(struct app *app)
{
	for (size_t i = 0; i < ARRAY_SIZE(app->windows); i++)
		app->windows[i].stale = true;
}

/* What a title says is ours: the guest has no word in it. Its Caps Lock need not be the host's. */
static void set_titles(struct app *app)
{
	const char *caps = app->view.lights & CAPS_LIGHT ? "Caps Lock is on; " : "";
	const char *how = app->input.captured
				  ? "captured, Ctrl+Alt+G gives the pointer back"
				  : "Ctrl+Alt+G captures the pointer, Ctrl+Alt+F full screen";

	for (size_t i = 0; i < ARRAY_SIZE(app->windows); i++) {
		char title[TEXT_SIZE];

		if (!app->windows[i].sdl)
			continue;
		if (i == 0)
			snprintf(title, sizeof(title), "%s - Sandbox (%s%s)", app->name, caps, how);
		else
			snprintf(title, sizeof(title), "%s, monitor %zu - Sandbox (%s%s)",
				 app->name, i + 1, caps, how);
		SDL_SetWindowTitle(app->windows[i].sdl, title);
	}
}

static void set_captured(struct app *app, bool captured)
{
	input_capture(&app->input, focused(app), captured);
	set_titles(app);
	redraw(app);
}

static void enter(struct app *app, enum phase phase)
{
	if (app->input.captured)
		set_captured(app, false);
	app->phase = phase;
	if (phase == PHASE_SHOWS && app->view.cursor.type == WINDOW_CURSOR)
		cursor_set(&app->cursor, &app->view.cursor);
	else
		cursor_arrow();
	redraw(app);
}

/* The card over window w, or NULL: the picture alone. */
static const struct card *card_of(struct app *app, const struct window *w, struct card *card)
{
	const char *state = app->view.state.text;

	*card = (struct card){.heading = app->heading, .text = app->text};
	switch (app->phase) {
	case PHASE_ASKS:
		snprintf(app->heading, sizeof(app->heading), "Discard \"%s\"?", app->name);
		snprintf(app->text, sizeof(app->text), "Everything in it will be gone.");
		card->asks = true;
		return card;
	case PHASE_STOPS:
		snprintf(app->heading, sizeof(app->heading), "%s", app->name);
		snprintf(app->text, sizeof(app->text), "Ends. Close again to leave at once.");
		return card;
	case PHASE_ENDED:
		snprintf(app->heading, sizeof(app->heading), "%s %s", app->name, app->what);
		snprintf(app->text, sizeof(app->text), "%s", app->why);
		return card;
	default:
		if (app->view.pictures[w->id].drawn)
			return NULL;
		snprintf(app->heading, sizeof(app->heading), "%s", app->name);
		snprintf(app->text, sizeof(app->text), "%s", *state ? state : "Starts");
		return card;
	}
}

/* The host's own is captured, or cannot have the guest's picture. */
static bool draws_pointer(const struct app *app)
{
	return app->input.captured || app->view.cursor.kind == WINDOW_POINTER_DRAWN;
}

static void draw(struct app *app)
{
	app->drew_pointer = draws_pointer(app);
	for (size_t i = 0; i < ARRAY_SIZE(app->windows); i++) {
		struct window *w = &app->windows[i];
		struct card card;

		if (w->sdl)
			window_draw(w, &app->view, card_of(app, w, &card), draws_pointer(app));
	}
}

/* SHOWN for what was drawn. What finds no room stays owed; the sandbox's clock helps it meanwhile. */
static void pay(struct app *app)
{
	for (size_t i = 0; i < ARRAY_SIZE(app->windows); i++) {
		struct window *w = &app->windows[i];
		const union window_message m = {
			.shown = {.type = WINDOW_SHOWN, .id = w->id, .seq = w->owed_seq},
		};

		if (w->owed && link_send(&app->link, &m))
			w->owed = false;
	}
}

static bool anything_drawn(const struct app *app)
{
	for (size_t i = 0; i < ARRAY_SIZE(app->view.pictures); i++)
		if (app->view.pictures[i].drawn)
			return true;
	return false;
}

static void finish(struct app *app, const char *what, const char *why)
{
	link_end_wire(&app->link);
	/* What was asked for, or a guest that switched itself off, needs no farewell. */
	if (app->phase == PHASE_STOPS || !*why) {
		app->quit = true;
		return;
	}
	app->what = what;
	snprintf(app->why, sizeof(app->why), "%s", why);
	enter(app, PHASE_ENDED);
}

/* The sandbox's messages */

static void took_frame(struct app *app, const struct window_frame *f)
{
	struct window *w = &app->windows[f->id];
	const struct box part = {(int)f->x, (int)f->y, (int)f->width, (int)f->height};

	w->damage = box_join(w->damage, part);
	w->owed = true;
	w->owed_seq = f->seq;
}

static void took_scanout(struct app *app, const struct window_scanout *s)
{
	struct window *w = &app->windows[s->id];

	w->damage = (struct box){0};
	w->stale = true;
	if (!w->sdl)
		return;
	if (!w->resize_at && !(SDL_GetWindowFlags(w->sdl) & SDL_WINDOW_FULLSCREEN) &&
	    (w->told_width != (int)s->width || w->told_height != (int)s->height))
		if (!window_adopt(w, (int)s->width, (int)s->height))
			w->resize_at = SDL_GetTicks64() + WINDOW_RESIZE_MS;
}

static void took_cursor(struct app *app)
{
	if (app->phase == PHASE_SHOWS && !app->input.captured)
		cursor_set(&app->cursor, &app->view.cursor);
	if (draws_pointer(app) || app->drew_pointer)
		redraw(app);
}

static void took(struct app *app, const union window_message *m)
{
	switch (m->type) {
	case WINDOW_FRAME:
		took_frame(app, &m->frame);
		break;
	case WINDOW_SCANOUT:
		took_scanout(app, &m->scanout);
		break;
	case WINDOW_CURSOR:
		took_cursor(app);
		break;
	case WINDOW_CURSOR_AT:
		if (draws_pointer(app))
			redraw(app);
		break;
	case WINDOW_LEDS:
		set_titles(app);
		break;
	case WINDOW_STATE:
	case WINDOW_OFF:
		redraw(app);
		break;
	default:
		break;
	}
}

static void read_wire(struct app *app)
{
	for (int n = 0; n < MESSAGES_A_TURN; n++) {
		union window_message m;
		int fd, r = link_receive(&app->link, &m, &fd);

		if (r == 0)
			r = view_take(&app->view, &m, fd);
		if (r == -EAGAIN || r == -EPIPE)
			return;
		if (r < 0) {
			finish(app, "cannot be shown",
			       "What it says of its display makes no sense. It may still run.");
			return;
		}
		took(app, &m);
	}
}

static void read_sockets(struct app *app)
{
	char why[WHY_SIZE];

	if (app->link.wire >= 0)
		read_wire(app);
	/* Of a sandbox that ends, the two ends close one after the other. */
	if (link_control(&app->link, app->link.wire < 0 ? GRACE_MS : 0, why, sizeof(why)) ==
	    LINK_ENDED)
		finish(app, anything_drawn(app) ? "has ended" : "did not start", why);
	else if (app->link.wire < 0 && app->phase != PHASE_ENDED)
		finish(app, "is not shown here any more", "It still runs.");
	/* At the end nobody is there to be heard, and the thread may rest. */
	if (app->phase != PHASE_ENDED)
		link_resume(&app->link);
}

/* The user */

static void tell_size(struct app *app, struct window *w)
{
	union window_message m;

	w->resize_at = 0;
	window_size(w, &m.size);
	if ((int)m.size.width == w->told_width && (int)m.size.height == w->told_height)
		return;
	w->told_width = (int)m.size.width;
	w->told_height = (int)m.size.height;
	(void)link_send(&app->link, &m);
}

static void open_monitor(struct app *app)
{
	for (unsigned int i = 1; i < ARRAY_SIZE(app->windows); i++) {
		struct window *w = &app->windows[i];

		if (w->sdl)
			continue;
		if (window_open(w, i, app->name) < 0)
			return;
		w->told_width = 0;
		tell_size(app, w);
		set_titles(app);
		return;
	}
}

static void close_monitor(struct app *app, struct window *w)
{
	const union window_message m = {.size = {.type = WINDOW_SIZE, .id = w->id}};

	(void)link_send(&app->link, &m);
	window_close(w);
}

static void toggle_full_screen(struct window *w)
{
	const bool full = SDL_GetWindowFlags(w->sdl) & SDL_WINDOW_FULLSCREEN_DESKTOP;

	SDL_SetWindowFullscreen(w->sdl, full ? 0 : SDL_WINDOW_FULLSCREEN_DESKTOP);
	w->banner_until = full ? 0 : SDL_GetTicks64() + BANNER_MS;
	w->stale = true;
}

static void host_key(struct app *app, enum host_key key)
{
	switch (key) {
	case HOST_KEY_GRAB:
		set_captured(app, !app->input.captured);
		break;
	case HOST_KEY_FULL_SCREEN:
		toggle_full_screen(focused(app));
		break;
	default:
		open_monitor(app);
		break;
	}
}

static void discard(struct app *app)
{
	link_stop(&app->link);
	enter(app, PHASE_STOPS);
}

static void on_key(struct app *app, const SDL_KeyboardEvent *e)
{
	const enum host_key key = input_host_key(e);

	if (app->phase == PHASE_ASKS && e->type == SDL_KEYDOWN && !e->repeat) {
		if (e->keysym.scancode == SDL_SCANCODE_RETURN)
			discard(app);
		else if (e->keysym.scancode == SDL_SCANCODE_ESCAPE)
			enter(app, PHASE_SHOWS);
	}
	/* A key that went down for the guest comes up for it, whatever is asked meanwhile. */
	if (app->phase != PHASE_SHOWS && e->type == SDL_KEYDOWN)
		return;
	if (key == HOST_KEY_NONE || e->type == SDL_KEYUP)
		input_key(&app->input, &app->link, e);
	else if (!e->repeat)
		host_key(app, key);
}

static bool inside(const struct box *b, int x, int y)
{
	return x >= b->x && x < b->x + b->width && y >= b->y && y < b->y + b->height;
}

static void on_button(struct app *app, const struct window *w, const SDL_MouseButtonEvent *e)
{
	int x = e->x, y = e->y;

	if (app->phase == PHASE_SHOWS) {
		input_button(&app->input, &app->link, w, e);
		return;
	}
	if (app->phase != PHASE_ASKS || e->type != SDL_MOUSEBUTTONDOWN)
		return;
	window_to_pixels(w, &x, &y);
	if (inside(&w->discard, x, y))
		discard(app);
	else if (inside(&w->keep, x, y))
		enter(app, PHASE_SHOWS);
}

static void on_close(struct app *app, struct window *w)
{
	if (w->id > 0)
		close_monitor(app, w);
	else if (app->phase == PHASE_SHOWS)
		enter(app, PHASE_ASKS);
	else if (app->phase != PHASE_ASKS)
		app->quit = true;
}

static void tell_hidden(struct app *app, const struct window *w, bool hidden)
{
	const union window_message m = {
		.hidden = {.type = WINDOW_HIDDEN, .id = w->id, .hidden = hidden},
	};

	(void)link_send(&app->link, &m);
}

/* The window is as large as the guest was told last, or showed first. */
static bool has_told_size(const struct window *w)
{
	int width, height;

	window_pixels(w, &width, &height);
	return width == w->told_width && height == w->told_height;
}

static void on_window(struct app *app, struct window *w, const SDL_WindowEvent *e)
{
	switch (e->event) {
	case SDL_WINDOWEVENT_SIZE_CHANGED:
		/* The size that the guest itself has chosen comes by here as well. */
		if (!has_told_size(w))
			w->resize_at = SDL_GetTicks64() + WINDOW_RESIZE_MS;
		w->stale = true;
		break;
	case SDL_WINDOWEVENT_EXPOSED:
		w->stale = true;
		break;
	case SDL_WINDOWEVENT_FOCUS_GAINED:
	case SDL_WINDOWEVENT_FOCUS_LOST:
		input_focus(&app->input, &app->link, w, e->event == SDL_WINDOWEVENT_FOCUS_GAINED);
		set_titles(app);
		break;
	case SDL_WINDOWEVENT_HIDDEN:
	case SDL_WINDOWEVENT_MINIMIZED:
		tell_hidden(app, w, true);
		break;
	case SDL_WINDOWEVENT_SHOWN:
	case SDL_WINDOWEVENT_RESTORED:
		tell_hidden(app, w, false);
		break;
	case SDL_WINDOWEVENT_CLOSE:
		on_close(app, w);
		break;
	default:
		break;
	}
}

static void on_pointer(struct app *app, const SDL_Event *e)
{
	struct window *w = window_of(app, e->motion.windowID);

	if (!w)
		return;
	if (e->type == SDL_MOUSEBUTTONDOWN || e->type == SDL_MOUSEBUTTONUP)
		on_button(app, w, &e->button);
	else if (app->phase != PHASE_SHOWS)
		return;
	else if (e->type == SDL_MOUSEMOTION)
		input_motion(&app->input, &app->link, w, &e->motion);
	else
		input_wheel(&app->link, &e->wheel);
}

static void on_event(struct app *app, const SDL_Event *e)
{
	struct window *w;

	if (e->type == app->link.event_type) {
		read_sockets(app);
		return;
	}
	switch (e->type) {
	case SDL_QUIT:
		/* Each window is closed by itself; this is the session's end. */
		app->quit = true;
		break;
	case SDL_WINDOWEVENT:
		w = window_of(app, e->window.windowID);
		if (w)
			on_window(app, w, &e->window);
		break;
	case SDL_KEYDOWN:
	case SDL_KEYUP:
		on_key(app, &e->key);
		break;
	case SDL_MOUSEMOTION:
	case SDL_MOUSEBUTTONDOWN:
	case SDL_MOUSEBUTTONUP:
	case SDL_MOUSEWHEEL:
		on_pointer(app, e);
		break;
	default:
		break;
	}
}

/* Does what is due, and returns how long nothing is. */
static int timers(struct app *app)
{
	const uint64_t now = SDL_GetTicks64();
	uint64_t next = now + WAIT_MS;

	for (size_t i = 0; i < ARRAY_SIZE(app->windows); i++) {
		struct window *w = &app->windows[i];

		if (w->sdl && w->resize_at && w->resize_at <= now)
			tell_size(app, w);
		if (w->banner_until && w->banner_until <= now) {
			w->banner_until = 0;
			w->stale = true;
		}
		if (w->resize_at)
			next = min_u64(next, w->resize_at);
		if (w->banner_until)
			next = min_u64(next, w->banner_until);
		if (w->owed)
			next = min_u64(next, now + WINDOW_RESIZE_MS);
	}
	return (int)(next - now);
}

static void run(struct app *app)
{
	while (!app->quit) {
		const int wait = timers(app);
		SDL_Event e;

		draw(app);
		pay(app);
		if (!SDL_WaitEventTimeout(&e, wait))
			continue;
		do
			on_event(app, &e);
		while (!app->quit && SDL_PollEvent(&e));
	}
}

static int start_sdl(void)
{
	SDL_SetHint(SDL_HINT_NO_SIGNAL_HANDLERS, "1");
	SDL_SetHint(SDL_HINT_VIDEO_ALLOW_SCREENSAVER, "1");
	SDL_SetHint(SDL_HINT_VIDEO_X11_NET_WM_BYPASS_COMPOSITOR, "0");
	SDL_SetHint(SDL_HINT_VIDEO_MINIMIZE_ON_FOCUS_LOSS, "0");
	SDL_SetHint(SDL_HINT_MOUSE_FOCUS_CLICKTHROUGH, "1");
	SDL_SetHint(SDL_HINT_QUIT_ON_LAST_WINDOW_CLOSE, "0");
	SDL_SetHint(SDL_HINT_APP_NAME, "Sandcastle");
	if (SDL_Init(SDL_INIT_VIDEO) < 0) {
		fprintf(stderr, "sandcastle-window: no display of the host: %s\n", SDL_GetError());
		return -EIO;
	}
	/*
	 * Pixels go to the window through shared memory. SDL's own choice is a GL texture, which on
	 * a host without a GPU costs 145 MiB and 17 ms a frame. Wayland without X knows no other way.
	 */
	if (strcmp(SDL_GetCurrentVideoDriver(), "wayland") != 0)
		SDL_SetHint(SDL_HINT_FRAMEBUFFER_ACCELERATION, "0");
	/* Else an input method would take keys that are the guest's. */
	SDL_StopTextInput();
	return 0;
}

static int show(struct app *app)
{
	const uint32_t event_type = SDL_RegisterEvents(1);
	char why[WHY_SIZE];
	int r = window_open(&app->windows[0], 0, app->name);

	if (r < 0) {
		fprintf(stderr, "sandcastle-window: no window: %s\n", SDL_GetError());
		return r;
	}
	set_titles(app);
	draw(app);
	r = link_open(&app->link, app->name, event_type, why, sizeof(why));
	if (r < 0) {
		fprintf(stderr, "sandcastle-window: %s: %s\n", app->name, why);
		finish(app, "cannot be shown", why);
	}
	run(app);
	return r;
}

int main(int argc, char **argv)
{
	struct app app = {.link = {.wire = -1, .stop_fd = -1}};
	int r;

	if (argc != 2 || argv[1][0] == '-') {
		fprintf(stderr, "Usage: sandcastle-window NAME\n");
		return 2;
	}
	app.name = argv[1];
	for (unsigned int i = 0; i < WINDOW_SCANOUTS; i++)
		app.windows[i].id = i;
	if (start_sdl() < 0)
		return 1;
	r = show(&app);
	link_close(&app.link);
	cursor_fini(&app.cursor);
	for (size_t i = 0; i < ARRAY_SIZE(app.windows); i++)
		window_close(&app.windows[i]);
	view_fini(&app.view);
	SDL_Quit();
	return r < 0 || app.phase == PHASE_ENDED ? 1 : 0;
}
