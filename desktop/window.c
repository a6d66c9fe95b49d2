/* SPDX-License-Identifier: MIT */
#include "desktop/window.h"

#include <errno.h>
#include <string.h>

#include "desktop/text.h"

enum {
	FIRST_WIDTH = 1280,
	FIRST_HEIGHT = 800,
	LEAST = 160, /* neither side smaller */
	BUTTON_WIDTH = 15, /* characters */
};

static const uint32_t background = 0x20242c, bars = 0x000000, ink = 0xe8eaee, soft = 0xa8b0bc,
		      sheet = 0x2c323c, danger = 0xb03a3a, calm = 0x46505e;

int window_open(struct window *w, unsigned int id, const char *title)
{
	const int centre = (int)SDL_WINDOWPOS_CENTERED;

	*w = (struct window){.id = id, .stale = true};
	w->sdl = SDL_CreateWindow(title, centre, centre, FIRST_WIDTH, FIRST_HEIGHT,
				  SDL_WINDOW_RESIZABLE | SDL_WINDOW_ALLOW_HIGHDPI);
	if (!w->sdl)
		return -EIO;
	/*
	 * SDL's own surface there is a texture, too, but as large as the window in units of the
	 * desktop: on a dense screen it would be blurred.
	 */
	if (strcmp(SDL_GetCurrentVideoDriver(), "wayland") == 0)
		w->renderer = SDL_CreateRenderer(w->sdl, -1, 0);
	SDL_SetWindowMinimumSize(w->sdl, LEAST, LEAST);
	window_pixels(w, &w->told_width, &w->told_height);
	return 0;
}

static void free_own(struct window *w)
{
	if (w->texture)
		SDL_DestroyTexture(w->texture);
	SDL_FreeSurface(w->own);
	w->texture = NULL;
	w->own = NULL;
}

void window_close(struct window *w)
{
	free_own(w);
	if (w->renderer)
		SDL_DestroyRenderer(w->renderer);
	if (w->sdl)
		SDL_DestroyWindow(w->sdl);
	*w = (struct window){.id = w->id};
}

void window_pixels(const struct window *w, int *width, int *height)
{
	SDL_GetWindowSizeInPixels(w->sdl, width, height);
}

void window_to_pixels(const struct window *w, int *x, int *y)
{
	int width, height, points_x, points_y;

	window_pixels(w, &width, &height);
	SDL_GetWindowSize(w->sdl, &points_x, &points_y);
	if (points_x > 0 && points_y > 0) {
		*x = (int)((int64_t)*x * width / points_x);
		*y = (int)((int64_t)*y * height / points_y);
	}
}

bool window_adopt(struct window *w, int width, int height)
{
	int pixels_x, pixels_y, points_x, points_y;
	SDL_Rect usable;

	window_pixels(w, &pixels_x, &pixels_y);
	SDL_GetWindowSize(w->sdl, &points_x, &points_y);
	if (pixels_x <= 0 || pixels_y <= 0 ||
	    SDL_GetDisplayUsableBounds(SDL_GetWindowDisplayIndex(w->sdl), &usable) < 0)
		return false;
	points_x = (int)((int64_t)width * points_x / pixels_x);
	points_y = (int)((int64_t)height * points_y / pixels_y);
	if (points_x > usable.w || points_y > usable.h)
		return false;
	w->told_width = width;
	w->told_height = height;
	SDL_SetWindowSize(w->sdl, points_x, points_y);
	return true;
}

/* Millimetres of so many pixels; where the screen's own figure is none, 96 dots are an inch. */
static uint32_t millimetres(int pixels, float dpi)
{
	const float dots = dpi >= 40 && dpi <= 1000 ? dpi : 96;

	return (uint32_t)((float)pixels * 25.4F / dots);
}

void window_size(const struct window *w, struct window_size *out)
{
	float across = 0, down = 0;
	int width, height;

	window_pixels(w, &width, &height);
	(void)SDL_GetDisplayDPI(SDL_GetWindowDisplayIndex(w->sdl), NULL, &across, &down);
	width = width < 1 ? 1 : width > WINDOW_MAX_SIDE ? WINDOW_MAX_SIDE : width;
	height = height < 1 ? 1 : height > WINDOW_MAX_SIDE ? WINDOW_MAX_SIDE : height;
	*out = (struct window_size){
		.type = WINDOW_SIZE,
		.id = w->id,
		.width = (uint32_t)width,
		.height = (uint32_t)height,
		.mm_width = millimetres(width, across),
		.mm_height = millimetres(height, down),
	};
}

/* Drawing */

static int text_scale(const struct canvas *c)
{
	const int scale = c->height / 240;

	return scale < 1 ? 1 : scale > 6 ? 6 : scale;
}

static struct box draw_button(const struct canvas *c, int x, int y, const char *text, int scale,
			      uint32_t colour)
{
	const struct box b = {x, y, BUTTON_WIDTH * TEXT_ADVANCE * scale, 2 * TEXT_LINE * scale};

	canvas_fill(c, b, colour);
	text_draw(c, x + (b.width - text_width(text, scale)) / 2, y + TEXT_LINE * scale / 2, text,
		  scale, ink);
	return b;
}

/* Over a picture it has a sheet of its own. */
static void draw_card(struct window *w, const struct canvas *c, const struct card *card, bool over)
{
	const int scale = text_scale(c), line = TEXT_LINE * scale, middle = c->width / 2;
	const int width = c->width * 3 / 4;
	struct box area = {.x = (c->width - width) / 2 - line,
			   .y = c->height / 3 - line,
			   .width = width + 2 * line,
			   .height = 10 * line};
	int y = c->height / 3;

	if (over || card->asks)
		canvas_fill(c, area, sheet);
	y = text_wrap(c, middle, y, width, card->heading, scale * 2, ink);
	y = text_wrap(c, middle, y + line, width, card->text, scale, soft);
	if (!card->asks)
		return;
	area.width = BUTTON_WIDTH * TEXT_ADVANCE * scale;
	w->discard = draw_button(c, middle - area.width - line, y + line, "Enter: discard", scale,
				 danger);
	w->keep = draw_button(c, middle + line, y + line, "Esc: keep", scale, calm);
}

static void draw_banner(const struct canvas *c)
{
	static const char text[] = "Ctrl+Alt+F leaves full screen, Ctrl+Alt+G frees the pointer";
	const int scale = text_scale(c), width = text_width(text, scale);
	const struct box area = {(c->width - width) / 2 - 8, 0, width + 16, TEXT_LINE * scale * 2};

	canvas_fill(c, area, sheet);
	text_draw(c, area.x + 8, TEXT_LINE * scale / 2, text, scale, ink);
}

/* The guest's pointer over the picture; what it leaves is drawn again with the next frame. */
static struct box draw_pointer(struct window *w, const struct canvas *c, const struct view *view,
			       const struct source *from)
{
	const int x = w->box.x + (int)((int64_t)view->cursor_at.x * w->box.width / from->width);
	const int y = w->box.y + (int)((int64_t)view->cursor_at.y * w->box.height / from->height);

	if (view->cursor.kind == WINDOW_POINTER_NONE || view->cursor_at.id != w->id)
		return (struct box){0};
	canvas_pointer(c, x, y, &view->cursor);
	return (struct box){x - (int)view->cursor.hot_x, y - (int)view->cursor.hot_y,
			    WINDOW_CURSOR_SIDE, WINDOW_CURSOR_SIDE};
}

static struct box draw_picture(struct window *w, const struct canvas *c, const struct view *view,
			       bool pointer)
{
	const struct source from = picture_source(&view->pictures[w->id]);
	const struct box all = {.width = c->width, .height = c->height};
	struct box drawn;

	w->box = canvas_fit(from.width, from.height, c->width, c->height);
	if (!w->stale && !pointer)
		return canvas_show(c, w->box, &from, w->damage);
	canvas_surround(c, w->box, bars);
	drawn = canvas_show(c, w->box, &from,
			    (struct box){.width = from.width, .height = from.height});
	if (pointer) {
		w->pointer = draw_pointer(w, c, view, &from);
		drawn = box_join(drawn, w->pointer);
	}
	return w->stale ? all : box_cut(drawn, all);
}

/* Sets w->own, of that size. */
static void make_own(struct window *w, int width, int height)
{
	if (w->own && (w->own->w != width || w->own->h != height))
		free_own(w);
	if (w->own)
		return;
	w->stale = true;
	w->own = SDL_CreateRGBSurfaceWithFormat(0, width, height, 32, SDL_PIXELFORMAT_RGB888);
	if (w->renderer)
		w->texture = SDL_CreateTexture(w->renderer, SDL_PIXELFORMAT_RGB888,
					       SDL_TEXTUREACCESS_STREAMING, width, height);
}

/* The host's screen, or, where its pixels are others than the guest's, a surface that is converted. */
static SDL_Surface *surface_to_draw(struct window *w)
{
	SDL_Surface *screen;
	int width, height;

	if (w->renderer) {
		window_pixels(w, &width, &height);
		make_own(w, width, height);
		return w->texture ? w->own : NULL;
	}
	screen = SDL_GetWindowSurface(w->sdl);
	if (!screen || screen->format->format == SDL_PIXELFORMAT_RGB888 ||
	    screen->format->format == SDL_PIXELFORMAT_ARGB8888)
		return screen;
	make_own(w, screen->w, screen->h);
	return w->own;
}

static void put_on_screen(struct window *w, const struct box *drawn)
{
	SDL_Rect rect = {drawn->x, drawn->y, drawn->width, drawn->height};

	if (box_empty(drawn))
		return;
	if (w->renderer) {
		SDL_UpdateTexture(w->texture, &rect,
				  (uint8_t *)w->own->pixels +
					  (size_t)rect.y * (size_t)w->own->pitch +
					  (size_t)rect.x * 4,
				  w->own->pitch);
		SDL_RenderCopy(w->renderer, w->texture, NULL, NULL);
		SDL_RenderPresent(w->renderer);
		return;
	}
	if (w->own)
		SDL_BlitSurface(w->own, &rect, SDL_GetWindowSurface(w->sdl), &rect);
	SDL_UpdateWindowSurfaceRects(w->sdl, &rect, 1);
}

void window_draw(struct window *w, const struct view *view, const struct card *card, bool pointer)
{
	const bool has_picture = view->pictures[w->id].drawn;
	SDL_Surface *surface;
	struct canvas c;
	struct box drawn;

	if (!w->sdl || (!w->stale && box_empty(&w->damage)))
		return;
	surface = surface_to_draw(w);
	if (!surface)
		return;
	c = (struct canvas){surface->pixels, surface->w, surface->h, (size_t)surface->pitch};
	w->stale |= card != NULL || w->banner_until > 0;
	if (has_picture) {
		drawn = draw_picture(w, &c, view, pointer);
	} else {
		drawn = (struct box){.width = c.width, .height = c.height};
		canvas_fill(&c, drawn, background);
	}
	if (card) {
		if (has_picture)
			canvas_dim(&c);
		draw_card(w, &c, card, has_picture);
	}
	if (w->banner_until > 0)
		draw_banner(&c);
	put_on_screen(w, &drawn);
	w->stale = false;
	w->damage = (struct box){0};
}
