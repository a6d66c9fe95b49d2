/* SPDX-License-Identifier: MIT */
/*
 * What ACPI says of the machine beside the static tables: the PCI host bridge,
 * the power button, and the Generic Event Device through which the hardware-
 * reduced machine tells of events (ACPI 6.5 sections 4.1 and 5.6.9). Addresses
 * are those of vmm/kvm/x86/layout.h, register offsets those of devices/acpi_events.h.
 */
DefinitionBlock ("dsdt.aml", "DSDT", 2, "SANDCS", "SANDCSTL", 1)
{
	Scope (\_SB)
	{
		Device (PCI0)
		{
			Name (_HID, EisaId ("PNP0A08"))
			Name (_CID, EisaId ("PNP0A03"))
			Name (_SEG, 0)
			Name (_BBN, 0)
			Name (_UID, 0)
			Name (_CRS, ResourceTemplate ()
			{
				WordBusNumber (ResourceProducer, MinFixed, MaxFixed, PosDecode,
					0, 0, 0, 0, 1)
				DWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed,
					NonCacheable, ReadWrite,
					0, 0xC0000000, 0xDFFFFFFF, 0, 0x20000000)
				QWordMemory (ResourceProducer, PosDecode, MinFixed, MaxFixed,
					Prefetchable, ReadWrite,
					0, 0x100000000, 0x3FFFFFFFF, 0, 0x300000000)
			})
		}

		/* ECAM belongs to the board: without this the kernel would not use it. */
		Device (ECAM)
		{
			Name (_HID, EisaId ("PNP0C02"))
			Name (_UID, 1)
			Name (_CRS, ResourceTemplate ()
			{
				Memory32Fixed (ReadWrite, 0xE0000000, 0x00100000)
			})
		}

		Device (PWRB)
		{
			Name (_HID, EisaId ("PNP0C0C"))
		}

		Device (GED0)
		{
			Name (_HID, "ACPI0013")
			Name (_UID, 0)
			Name (_CRS, ResourceTemplate ()
			{
				Interrupt (ResourceConsumer, Edge, ActiveHigh, Exclusive) { 9 }
			})
			OperationRegion (EVTS, SystemIO, 0x600, 0x10)
			Field (EVTS, DWordAcc, NoLock, WriteAsZeros)
			{
				PEND, 32	/* reading takes the pending events away */
			}
			Method (_EVT, 1, Serialized)
			{
				Local0 = PEND
				If (Local0 & 1)
				{
					Notify (\_SB.PWRB, 0x80)
				}
			}
		}
	}

	/* Soft-off: SLP_TYP 5, written to the sleep control register. */
	Name (\_S5, Package () { 5, 0, 0, 0 })
}
