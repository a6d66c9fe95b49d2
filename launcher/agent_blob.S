/* SPDX-License-Identifier: MIT */
/* The static agent travels inside the launcher, so that the two are always of one build. */
	.section .rodata
	.balign 16
	.globl sc_agent_start
	.globl sc_agent_end
sc_agent_start:
	.incbin SC_AGENT_FILE
sc_agent_end:
	.section .note.GNU-stack,"",@progbits
