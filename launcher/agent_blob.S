/* SPDX-License-Identifier: MIT */
/* The static agent travels inside the launcher, so that the two are always of one build. */
	.section .rodata
	.balign 16
	.globl sc_agent
	.globl sc_agent_len
sc_agent:
	.incbin SC_AGENT_FILE
.Lend:
	.balign 8
sc_agent_len:
	.quad .Lend - sc_agent
	.globl sc_agent_id
sc_agent_id:
	.incbin SC_AGENT_ID_FILE, 0, 64
	.byte 0
	.section .note.GNU-stack,"",@progbits
