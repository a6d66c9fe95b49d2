/* SPDX-License-Identifier: MIT */
/*
 * The inside of a battery device (ACPI 6.5 section 10.2.2), the same for each;
 * BASE is where its registers are.
 */
Name (_HID, EisaId ("PNP0C0A"))
Name (_PCL, Package () { \_SB })

OperationRegion (REGS, SystemMemory, BASE, 0x100)
Field (REGS, DWordAcc, NoLock, Preserve)
{
	PRES, 32,	/* 1: there is a battery */
	UNIT, 32,
	DCAP, 32,
	FCAP, 32,
	DVOL, 32,
	WARN, 32,
	LOWL, 32,
	CYCL, 32,
	STAT, 32,
	RATE, 32,
	RCAP, 32,
	VOLT, 32,
	TRIP, 32,
	Offset (0x40),
	MODL, 256,
	TYPE, 128,
	MAKR, 256
}

Method (_STA, 0, NotSerialized)
{
	If (PRES)
	{
		Return (0x1F)
	}
	Return (0x0F)
}

/* Section 10.2.2.1. Steps of capacity are 1; no serial number is given. */
Method (_BIF, 0, NotSerialized)
{
	Local0 = Package (13) {}
	Local0[0] = UNIT
	Local0[1] = DCAP
	Local0[2] = FCAP
	Local0[3] = 1	/* rechargeable */
	Local0[4] = DVOL
	Local0[5] = WARN
	Local0[6] = LOWL
	Local0[7] = 1
	Local0[8] = 1
	Local0[9] = ToString (MODL)
	Local0[10] = ""
	Local0[11] = ToString (TYPE)
	Local0[12] = ToString (MAKR)
	Return (Local0)
}

/* Section 10.2.2.2, revision 1. */
Method (_BIX, 0, NotSerialized)
{
	Local0 = Package (21) {}
	Local0[0] = 1
	Local0[1] = UNIT
	Local0[2] = DCAP
	Local0[3] = FCAP
	Local0[4] = 1
	Local0[5] = DVOL
	Local0[6] = WARN
	Local0[7] = LOWL
	Local0[8] = CYCL
	Local0[9] = 100000	/* measured to 100 %, all that is known */
	Local0[10] = 0xFFFFFFFF	/* sampling and averaging times: unknown */
	Local0[11] = 0xFFFFFFFF
	Local0[12] = 0xFFFFFFFF
	Local0[13] = 0xFFFFFFFF
	Local0[14] = 1
	Local0[15] = 1
	Local0[16] = ToString (MODL)
	Local0[17] = ""
	Local0[18] = ToString (TYPE)
	Local0[19] = ToString (MAKR)
	Local0[20] = 0		/* cannot be swapped by the user */
	Return (Local0)
}

/* Section 10.2.2.11. */
Method (_BST, 0, NotSerialized)
{
	Local0 = Package (4) {}
	Local0[0] = STAT
	Local0[1] = RATE
	Local0[2] = RCAP
	Local0[3] = VOLT
	Return (Local0)
}

/* Section 10.2.2.9: tell when the remaining capacity crosses this. */
Method (_BTP, 1, NotSerialized)
{
	TRIP = Arg0
}
