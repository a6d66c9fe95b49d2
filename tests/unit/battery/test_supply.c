/* SPDX-License-Identifier: MIT */
/* What is made of the attributes of power supplies, as many kinds of hosts have them. */
#include <criterion/criterion.h>
#include <string.h>

#include "battery/supply.h"
#include "battery/timeline.h"

static struct supply_set set;
static struct supply_slots slots;
static struct power_state state;

/* The timeline's words are the attributes themselves, and shorter than code that sets them. */
static void say(const char *text)
{
	struct timeline t = {.text = text};
	uint64_t wait_ms;

	cr_assert_eq(timeline_next(&t, &set, &wait_ms), 0, "line %u: %s", t.line, t.problem);
	supply_summarise(&set, &slots, &state);
}

#define B0 (&state.batteries[0])
#define B1 (&state.batteries[1])

Test(supply, a_host_that_counts_energy)
{
	say("AC   type=Mains online=0\n"
	    "BAT0 type=Battery status=Discharging present=1 technology=Li-poly cycle_count=312\n"
	    "BAT0 voltage_min_design=11520000 voltage_now=12043000 power_now=6431600\n"
	    "BAT0 energy_full_design=57020000 energy_full=48500400 energy_now=31240500\n"
	    "BAT0 capacity=64 capacity_level=Normal model_name=02DL005 manufacturer=LGC "
	    "alarm=2425000\n");
	cr_assert_not(state.ac_online);
	cr_assert(B0->present);
	cr_assert_eq(B0->unit, POWER_UNIT_ENERGY);
	cr_assert_eq(B0->design, 57020);
	cr_assert_eq(B0->full, 48500);
	cr_assert_eq(B0->remaining, 31241, "rounded, not cut");
	cr_assert_eq(B0->rate, 6432);
	cr_assert_eq(B0->voltage, 12043);
	cr_assert_eq(B0->design_voltage, 11520);
	cr_assert_eq(B0->cycles, 312);
	cr_assert_eq(B0->status, POWER_DISCHARGING);
	cr_assert_eq(B0->warning, 2425, "the host's own level");
	cr_assert_eq(B0->low, 2425, "5 %% or the warning, whichever is less");
	cr_assert_str_eq(B0->model, "02DL005");
	cr_assert_str_eq(B0->maker, "LGC");
	cr_assert_str_eq(B0->type, "LiP");
	cr_assert_not(B1->present);
}

Test(supply, a_host_that_counts_charge)
{
	say("ADP1 online=1\n"
	    "BAT1 status=Charging technology=Li-ion charge_full_design=7894000\n"
	    "BAT1 charge_full=6000000 charge_now=3000000 current_now=1500000 "
	    "voltage_now=8000000\n");
	cr_assert(state.ac_online);
	cr_assert_eq(B0->unit, POWER_UNIT_CHARGE);
	cr_assert_eq(B0->design, 7894);
	cr_assert_eq(B0->full, 6000);
	cr_assert_eq(B0->remaining, 3000);
	cr_assert_eq(B0->rate, 1500);
	cr_assert_eq(B0->status, POWER_CHARGING);
	cr_assert_eq(B0->warning, 600);
	cr_assert_eq(B0->low, 300);
	cr_assert_str_eq(B0->type, "LION");
	cr_assert_eq(B0->cycles, POWER_UNKNOWN);
	cr_assert_eq(B0->design_voltage, POWER_UNKNOWN);
}

Test(supply, two_batteries_are_two)
{
	say("AC online=1\n"
	    "BAT0 status=Full energy_full=23000000 energy_now=23000000 power_now=0\n"
	    "BAT1 status=Charging energy_full=47000000 energy_now=20000000 power_now=20000000\n");
	cr_assert_eq(B0->full, 23000);
	cr_assert_eq(B0->status, 0);
	cr_assert_eq(B0->rate, 0);
	cr_assert_eq(B1->full, 47000);
	cr_assert_eq(B1->status, POWER_CHARGING);
}

Test(supply, one_that_is_taken_out_leaves_the_other_where_it_is)
{
	say("BAT0 status=Full energy_full=23000000 energy_now=23000000\n"
	    "BAT1 status=Full energy_full=47000000 energy_now=47000000\n");
	say("BAT0 removed");
	cr_assert_not(B0->present);
	cr_assert_eq(B1->full, 47000);
	say("BAT0 energy_full=23000000 energy_now=1000000");
	cr_assert_eq(B0->remaining, 1000);
	cr_assert_eq(B1->full, 47000);
	/* Another takes the place of one that is gone only when no other is free. */
	say("BAT0 removed\nBATX energy_full=99000000 energy_now=99000000");
	cr_assert_eq(B0->full, 99000);
	cr_assert_eq(B1->full, 47000);
	say("BAT0 energy_full=23000000 energy_now=1000000");
	cr_assert_eq(B0->full, 99000, "two at most");
}

Test(supply, a_desktop_has_no_battery_and_is_on_mains)
{
	say("");
	cr_assert(state.ac_online);
	cr_assert_not(B0->present);
	cr_assert_not(B1->present);
}

Test(supply, usb_c_chargers_and_mains_are_one)
{
	say("AC online=0\n"
	    "ucsi-source-psy-USBC000:001 type=USB online=0\n"
	    "ucsi-source-psy-USBC000:002 type=USB online=2\n");
	cr_assert(state.ac_online, "2 is online and programmable");
	say("ucsi-source-psy-USBC000:002 online=0");
	cr_assert_not(state.ac_online);
	say("pad type=Wireless online=1");
	cr_assert(state.ac_online);
	say("pad removed\nold type=USB_DCP online=1");
	cr_assert(state.ac_online);
}

Test(supply, mice_and_headsets_are_left_out)
{
	say("hidpp_battery_0 type=Battery scope=Device status=Discharging capacity=55\n"
	    "headset-charger type=USB scope=Device online=1\n"
	    "AC online=0\n");
	cr_assert_not(B0->present);
	cr_assert_not(state.ac_online);
}

Test(supply, a_ups_is_a_battery_after_the_others)
{
	say("A-ups type=UPS status=Discharging capacity=80\n");
	cr_assert(B0->present);
	cr_assert_eq(B0->full, 10000, "percent of a nominal battery");
	cr_assert_eq(B0->remaining, 8000);
	cr_assert_eq(B0->rate, POWER_UNKNOWN);
	cr_assert_not(state.ac_online, "no charger known, and it discharges");
	memset(&slots, 0, sizeof(slots));
	say("BAT0 status=Full energy_full=23000000 energy_now=23000000\n");
	cr_assert_eq(B0->full, 23000);
	cr_assert_eq(B1->full, 10000);
}

Test(supply, partial_entries_are_completed)
{
	say("BAT0 energy_full_design=50000000 energy_now=20000000");
	cr_assert_eq(B0->full, 50000, "the design's, for want of better");
	say("BAT0 energy_full_design= energy_now=20000000 capacity=40");
	cr_assert_eq(B0->full, 50000, "from the percentage");
	say("BAT0 energy_full=40000000 energy_now= capacity=25");
	cr_assert_eq(B0->remaining, 10000);
	say("BAT0 power_now= current_now=-1500000 voltage_now=10000000");
	cr_assert_eq(B0->rate, 15000, "power from current and voltage; leaving is negative");
	say("BAT0 energy_full= charge_full=5000000 charge_now=5000000 current_now= "
	    "power_now=10000000");
	cr_assert_eq(B0->unit, POWER_UNIT_CHARGE);
	cr_assert_eq(B0->rate, 1000, "and the other way round");
	say("BAT0 charge_full= charge_now=0 capacity=0");
	cr_assert_eq(B0->remaining, 0);
	cr_assert_eq(B0->full, 10000);
}

Test(supply, nonsense_is_unknown)
{
	say("BAT0 energy_full=-5 energy_full_design=0 energy_now=99999999999999999999 "
	    "capacity=101");
	cr_assert_not(B0->present, "nothing is known of its charge");
	say("BAT0 energy_full=50000000 energy_now=9223372036854775807 capacity=50 cycle_count=-1");
	cr_assert_eq(B0->remaining, 25000);
	cr_assert_eq(B0->cycles, POWER_UNKNOWN);
	say("BAT0 power_now=-9223372036854775808 voltage_now=0 technology=Plutonium "
	    "status=Melting");
	cr_assert_eq(B0->rate, POWER_UNKNOWN);
	cr_assert_eq(B0->voltage, POWER_UNKNOWN);
	cr_assert_str_eq(B0->type, "");
	cr_assert_eq(B0->status, 0);
	say("BAT0 energy_now=12abc capacity= alarm=x capacity_alert_min=1000");
	cr_assert_not(B0->present);
	say("BAT0 present=0 energy_now=25000000");
	cr_assert_not(B0->present);
}

Test(supply, text_is_printable_and_bounded)
{
	memset(&set, 0, sizeof(set));
	say("BAT0 energy_full=50000000 energy_now=1 model_name=\"  a model whose name is rather "
	    "long, at 50  \"");
	cr_assert_str_eq(B0->model, "a model whose name is rather lo");
	memcpy(set.supplies[0].attrs[SUPPLY_MANUFACTURER], "A\x1b[31m\xff\tB \x01", 12);
	supply_summarise(&set, &slots, &state);
	cr_assert_str_eq(B0->maker, "A[31mB");
}

Test(supply, nearly_full_and_said_to_be_full_is_full)
{
	say("BAT0 status=Full energy_full=50000000 energy_now=48000000");
	cr_assert_eq(B0->remaining, 50000);
	say("BAT0 energy_now=30000000");
	cr_assert_eq(B0->remaining, 30000, "a charge threshold, not a full battery");
	say("BAT0 status=Discharging energy_now=49900000");
	cr_assert_eq(B0->remaining, 49900);
}

Test(supply, levels)
{
	say("BAT0 energy_full=50000000 energy_now=1000000 capacity_level=Critical "
	    "status=Discharging");
	cr_assert_eq(B0->status, POWER_DISCHARGING | POWER_CRITICAL);
	cr_assert_eq(B0->warning, 5000);
	cr_assert_eq(B0->low, 2500);
	say("BAT0 alarm=0 capacity_alert_min=15");
	cr_assert_eq(B0->warning, 7500);
	say("BAT0 alarm=60000000");
	cr_assert_eq(B0->warning, 7500, "a level above full is none");
}
