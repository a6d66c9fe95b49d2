/* SPDX-License-Identifier: MIT */
/* The rule files, in the order of their names, as one text. */
	.section .rodata, "a"
	.global rules_builtin, rules_builtin_end
rules_builtin:
	.incbin SC_RULES_FILE
rules_builtin_end:
	.byte 0
	.section .note.GNU-stack, "", @progbits
