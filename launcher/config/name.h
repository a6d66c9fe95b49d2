/* SPDX-License-Identifier: MIT */
/* launcher/config/name.h - names for sandboxes that were given none. */
#ifndef LAUNCHER_CONFIG_NAME_H
#define LAUNCHER_CONFIG_NAME_H

#include "common/util.h"

/* Two words and a dash, a valid host name, by chance; malloc'ed, NULL without memory. */
char *name_generate(void) MUST_CHECK;

#endif
