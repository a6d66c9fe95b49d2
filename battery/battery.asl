/* SPDX-License-Identifier: MIT */
/*
 * Two batteries, the AC adapter, and a Generic Event Device of their own that
 * tells of their changes (ACPI 6.5 sections 10.2, 10.3 and 5.6.9). All they say
 * is read from the registers of battery/battery.h; the addresses are those of
 * vmm/kvm/x86/layout.h.
 */
DefinitionBlock ("battery.aml", "SSDT", 2, "SANDCS", "BATTERY", 1)
{
	Scope (\_SB)
	{
		Device (AC)
		{
			Name (_HID, "ACPI0003")
			Name (_PCL, Package () { \_SB })
			Method (_PSR, 0, NotSerialized)
			{
				Return (\_SB.GED1.ONLN)
			}
		}

		Device (BAT0)
		{
			Name (_UID, 0)
			Name (BASE, 0xFEB01100)
			Include ("slot.asl")
		}

		Device (BAT1)
		{
			Name (_UID, 1)
			Name (BASE, 0xFEB01200)
			Include ("slot.asl")
		}

		Device (GED1)
		{
			Name (_HID, "ACPI0013")
			Name (_UID, 1)
			Name (_CRS, ResourceTemplate ()
			{
				Interrupt (ResourceConsumer, Edge, ActiveHigh, Exclusive) { 10 }
			})
			OperationRegion (REGS, SystemMemory, 0xFEB01000, 0x100)
			Field (REGS, DWordAcc, NoLock, Preserve)
			{
				PEND, 32,	/* reading takes the pending events away */
				ONLN, 32
			}
			Method (_EVT, 1, Serialized)
			{
				Local0 = PEND
				If (Local0 & 0x01)
				{
					Notify (\_SB.AC, 0x80)
				}
				/* What it is before how it is: a battery may have been swapped. */
				If (Local0 & 0x04)
				{
					Notify (\_SB.BAT0, 0x81)
				}
				If (Local0 & 0x02)
				{
					Notify (\_SB.BAT0, 0x80)
				}
				If (Local0 & 0x10)
				{
					Notify (\_SB.BAT1, 0x81)
				}
				If (Local0 & 0x08)
				{
					Notify (\_SB.BAT1, 0x80)
				}
			}
		}
	}
}
