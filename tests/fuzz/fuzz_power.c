/* SPDX-License-Identifier: MIT */
/*
 * Any text as a timeline, which is to say any attributes of any supplies, and
 * what the guest is told of them: for the parser and for the reader's arithmetic.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "battery/timeline.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(const char *text, size_t size)
{
	size_t len = strnlen(text, size);

	if (len == size)
		abort();
	for (size_t i = 0; i < size; i++)
		if (i < len ? text[i] < ' ' || text[i] > '~' : text[i] != '\0')
			abort();
}

static void check_battery(const struct power_battery *b)
{
	if (!b->present &&
	    (b->full != 0 || b->remaining != 0 || b->status != 0 || b->model[0] != '\0'))
		abort();
	if (b->present && (b->full == 0 || b->full > INT32_MAX || b->remaining > INT32_MAX ||
			   b->warning > b->full || b->low > b->warning))
		abort();
	check_text(b->model, sizeof(b->model));
	check_text(b->type, sizeof(b->type));
	check_text(b->maker, sizeof(b->maker));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct supply_set set;
	struct supply_slots slots = {0};
	struct power_state state;
	struct timeline t = {0};
	char *text = malloc(size + 1);
	uint64_t wait_ms;
	int r;

	if (!text)
		abort();
	memcpy(text, data, size);
	text[size] = '\0';
	t.text = text;
	set.n = 0;
	do {
		r = timeline_next(&t, &set, &wait_ms);
		supply_summarise(&set, &slots, &state);
		for (unsigned int i = 0; i < POWER_MAX_BATTERIES; i++)
			check_battery(&state.batteries[i]);
	} while (r > 0);
	free(text);
	return 0;
}
