/* SPDX-License-Identifier: MIT */
#include "launcher/config/timeline_file.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <string.h>

#include "common/log.h"
#include "vmm/config/timeline.h"

enum {
	WIDTH = 1100,
	LEFT = 330, /* where the time axis begins */
	RIGHT = 950, /* and ends; figures follow */
	ROW = 18,
	TOP = 62,
	TICKS = 5,
};

static const char *const phase_colours[TIMELINE_N_PHASES] = {
	[TIMELINE_SET_UP] = "#4e79a7",	     [TIMELINE_BOOT] = "#9c9c9c",
	[TIMELINE_GUEST_SET_UP] = "#59a14f", [TIMELINE_START] = "#76b7b2",
	[TIMELINE_COMMAND] = "#edc948",	     [TIMELINE_TEAR_DOWN] = "#e15759",
};
#define KERNEL_COLOUR "#bab0ac"
#define AGENT_COLOUR  "#8cd17d"

static bool ends_in(const char *s, const char *suffix)
{
	size_t n = strlen(s), m = strlen(suffix);

	return n > m && strcmp(s + n - m, suffix) == 0;
}

bool timeline_file_name_is_good(const char *path)
{
	return ends_in(path, ".svg") || ends_in(path, ".json");
}

static double ms(uint64_t ns)
{
	return (double)ns / 1e6;
}

static uint64_t total(const struct timeline *tl)
{
	return tl->n_steps > 0 ? tl->steps[tl->n_steps - 1].end : 0;
}

/* CPU time of one step: what was used until its end less what was used before it. */
static uint64_t vmm_cpu(const struct timeline *tl, unsigned int i)
{
	return tl->steps[i].vmm_cpu - (i > 0 ? tl->steps[i - 1].vmm_cpu : 0);
}

static uint64_t vcpu_cpu(const struct timeline *tl, unsigned int i)
{
	return tl->steps[i].vcpu_cpu - (i > 0 ? tl->steps[i - 1].vcpu_cpu : 0);
}

static void print_escaped(FILE *f, const char *s)
{
	for (; *s; s++) {
		if (*s == '<')
			fputs("&lt;", f);
		else if (*s == '&')
			fputs("&amp;", f);
		else
			fputc(*s, f);
	}
}

static double x_of(const struct timeline *tl, uint64_t ns)
{
	uint64_t end = total(tl);

	return end > 0 ? LEFT + (RIGHT - LEFT) * ((double)ns / (double)end) : LEFT;
}

/* Name, bar and figures of one row; the caller ends the figures' element. */
static void print_bar(FILE *f, const struct timeline *tl, unsigned int *row, const char *name,
		      const char *colour, uint64_t begin, uint64_t end)
{
	int y = TOP + (int)(*row)++ * ROW;
	double x = x_of(tl, begin), width = x_of(tl, end) - x;

	fprintf(f, "<text x=\"8\" y=\"%d\">", y + 13);
	print_escaped(f, name);
	fprintf(f,
		"</text><rect x=\"%.1f\" y=\"%d\" width=\"%.1f\" height=\"%d\" fill=\"%s\"/>"
		"<text x=\"%d\" y=\"%d\">%.1f ms",
		x, y + 3, width < 0.5 ? 0.5 : width, ROW - 5, colour, RIGHT + 8, y + 13,
		ms(end - begin));
}

static void print_axis(FILE *f, const struct timeline *tl, unsigned int rows)
{
	for (int i = 0; i <= TICKS; i++) {
		uint64_t at = total(tl) / TICKS * (uint64_t)i;

		fprintf(f,
			"<line x1=\"%.1f\" y1=\"%d\" x2=\"%.1f\" y2=\"%d\" stroke=\"#ddd\"/>"
			"<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%.0f ms</text>\n",
			x_of(tl, at), TOP, x_of(tl, at), TOP + (int)rows * ROW, x_of(tl, at),
			TOP - 6, ms(at));
	}
}

static void print_rows(FILE *f, const struct timeline *tl)
{
	unsigned int row = 0;

	for (unsigned int i = 0; i < tl->n_steps; i++) {
		const struct timeline_step *s = &tl->steps[i];

		print_bar(f, tl, &row, s->name, phase_colours[s->phase], s->begin, s->end);
		fprintf(f, ", CPU %.1f", ms(vmm_cpu(tl, i)));
		if (vcpu_cpu(tl, i) > 0)
			fprintf(f, " + %.1f", ms(vcpu_cpu(tl, i)));
		fputs("</text>\n", f);
	}
	for (unsigned int i = 0; i < tl->n_guest; i++) {
		const struct timeline_guest_step *s = &tl->guest[i];
		char name[TIMELINE_NAME];

		/* A line of the log may be longer than the room for it. */
		snprintf(name, sizeof(name), "  %.46s", s->name);
		print_bar(f, tl, &row, name, s->kernel ? KERNEL_COLOUR : AGENT_COLOUR, s->begin,
			  s->end);
		fputs("</text>\n", f);
	}
	for (unsigned int i = 0; i < tl->n_counters; i++) {
		int y = TOP + (int)row++ * ROW;

		fprintf(f, "<text x=\"8\" y=\"%d\">", y + 13);
		print_escaped(f, tl->counters[i].name);
		fprintf(f, "</text><text x=\"%d\" y=\"%d\">%llu</text>\n", LEFT, y + 13,
			(unsigned long long)tl->counters[i].value);
	}
}

int timeline_print_svg(const struct timeline *tl, FILE *f)
{
	unsigned int bars = tl->n_steps + tl->n_guest, rows = bars + tl->n_counters;

	fprintf(f,
		"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" "
		"font-family=\"sans-serif\" font-size=\"11\">\n"
		"<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n"
		"<text x=\"8\" y=\"18\" font-size=\"14\">One run of a sandbox: %.1f ms</text>\n"
		"<text x=\"8\" y=\"36\">Host's steps with CPU time (VMM + its vCPUs); the agent's "
		"and the kernel's by the guest's clock; what the vCPUs did, in numbers</text>\n",
		WIDTH, TOP + (int)rows * ROW + 10, ms(total(tl)));
	print_axis(f, tl, bars);
	print_rows(f, tl);
	fputs("</svg>\n", f);
	return ferror(f) ? -EIO : 0;
}

static json_t *json_steps(const struct timeline *tl)
{
	json_t *list = json_array();

	for (unsigned int i = 0; i < tl->n_steps; i++) {
		const struct timeline_step *s = &tl->steps[i];

		json_array_append_new(list, json_pack("{s:s, s:s, s:f, s:f, s:f, s:f}", "phase",
						      timeline_phase_name(s->phase), "name",
						      s->name, "begin_ms", ms(s->begin), "end_ms",
						      ms(s->end), "vmm_cpu_ms", ms(vmm_cpu(tl, i)),
						      "vcpu_cpu_ms", ms(vcpu_cpu(tl, i))));
	}
	return list;
}

static json_t *json_guest(const struct timeline *tl)
{
	json_t *list = json_array();

	for (unsigned int i = 0; i < tl->n_guest; i++) {
		const struct timeline_guest_step *s = &tl->guest[i];

		json_array_append_new(list,
				      json_pack("{s:s, s:s, s:f, s:f}", "who",
						s->kernel ? "kernel" : "agent", "name", s->name,
						"begin_ms", ms(s->begin), "end_ms", ms(s->end)));
	}
	return list;
}

int timeline_print_json(const struct timeline *tl, FILE *f)
{
	json_t *counters = json_object(), *phases = json_object(), *root;
	int r = -ENOMEM;

	for (unsigned int i = 0; i < tl->n_counters; i++)
		json_object_set_new(counters, tl->counters[i].name,
				    json_integer((json_int_t)tl->counters[i].value));
	for (enum timeline_phase p = 0; p < TIMELINE_N_PHASES; p++)
		json_object_set_new(phases, timeline_phase_name(p),
				    json_pack("{s:f, s:f}", "ms", ms(timeline_phase_time(tl, p)),
					      "vmm_cpu_ms", ms(timeline_phase_cpu(tl, p))));
	root = json_pack("{s:f, s:o, s:o, s:o, s:o}", "total_ms", ms(total(tl)), "phases", phases,
			 "steps", json_steps(tl), "guest", json_guest(tl), "kvm", counters);
	if (root)
		r = json_dumpf(root, f, JSON_INDENT(2) | JSON_REAL_PRECISION(9)) < 0 ||
				    fputc('\n', f) == EOF
			    ? -EIO
			    : 0;
	json_decref(root);
	return r;
}

int timeline_file_open(const char *path, FILE **out)
{
	/* Nonblocking, so that a named pipe without a reader does not hold us here. */
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0666);
	FILE *f = fd >= 0 ? fdopen(fd, "w") : NULL;

	if (!f) {
		int r = -errno;

		log_error("cannot open %s: %s; --timeline wants a file that can be written", path,
			  strerror(-r));
		if (fd >= 0)
			close(fd);
		return r;
	}
	*out = f;
	return 0;
}

int timeline_file_write(const char *path, FILE *f, const struct timeline *tl)
{
	int r = ends_in(path, ".json") ? timeline_print_json(tl, f) : timeline_print_svg(tl, f);

	if (fclose(f) != 0 && r == 0)
		r = -errno;
	if (r < 0)
		log_error("cannot write the timeline to %s: %s", path, strerror(-r));
	return r;
}
