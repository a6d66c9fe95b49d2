/* SPDX-License-Identifier: MIT */
#include "launcher/config/name.h"

#include <stdio.h>
#include <sys/random.h>

/* 32 of each, so that five bits choose and no remainder favours one. */
static const char *const what_like[32] = {
	"amber",  "brisk", "calm",  "clear",  "coral", "crisp",	 "dapper", "early",
	"fair",	  "fleet", "fresh", "gentle", "glad",  "golden", "hazel",  "jolly",
	"keen",	  "light", "lucky", "mellow", "merry", "misty",	 "neat",   "noble",
	"pearly", "quick", "quiet", "ruddy",  "salty", "sunny",	 "tidal",  "windy",
};

static const char *const what[32] = {
	"anchor", "beach",  "breaker", "bucket", "castle", "cliff",  "cockle", "cove",
	"crab",	  "delta",  "dune",    "ebb",	 "gull",   "harbor", "heron",  "island",
	"kelp",	  "lagoon", "limpet",  "marram", "otter",  "pebble", "pier",   "plover",
	"reef",	  "seal",   "shell",   "shore",	 "spade",  "tern",   "tide",   "wave",
};

char *name_generate(void)
{
	uint8_t bits[2] = {0, 0};
	char *name = NULL;

	/* Without entropy the name is merely the same one twice, which nothing forbids. */
	if (getrandom(bits, sizeof(bits), GRND_NONBLOCK) < 0)
		bits[1] = (uint8_t)getpid();
	if (asprintf(&name, "%s-%s", what_like[bits[0] % 32], what[bits[1] % 32]) < 0)
		return NULL;
	return name;
}
