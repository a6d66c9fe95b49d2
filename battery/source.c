/* SPDX-License-Identifier: MIT */
#include "battery/source.h"

#include "battery/battery.h"
#include "battery/source_priv.h"

void power_source_tell(struct power_source *source, bool announced, struct power_state *out)
{
	supply_summarise(&source->set, &source->slots, out);
	battery_update(source->battery, out, announced);
}

void power_source_free(struct power_source *source)
{
	if (source)
		source->ops->destroy(source);
}
