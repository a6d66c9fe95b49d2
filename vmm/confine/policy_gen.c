/* SPDX-License-Identifier: MIT */
/*
 * Writes the table of policy.def as programs of the kernel's packet filter, one for each role, in C.
 * Runs when Sandcastle is built.
 *
 * The numbers of calls are cut into intervals of one verdict each, and a program is a binary search
 * among them: eight comparisons for some three hundred intervals. A call whose arguments count has
 * its rules in place of a verdict.
 */
#include <errno.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/confine/policy_program.h"
#include "vmm/confine/policy_table.h"

/* Calls of x32 have numbers of their own, from here on. */
enum { NR_END = 1024, X32 = 0x40000000, NONE = -1 };

/* What is refused fails with an errno; a build for tests has a signal bring that to its handler. */
static uint32_t refuse = SECCOMP_RET_ERRNO;

/* A verdict holds from `nr` to the next interval's. */
struct interval {
	uint32_t nr;
	int rules; /* the call whose rules decide, or NONE */
	uint32_t verdict;
};

static struct interval intervals[2 * NR_END];
static size_t n_intervals;

static struct sock_filter code[POLICY_PROGRAM_MAX];
static size_t n_code;

static size_t emit(struct sock_filter ins)
{
	if (n_code == POLICY_PROGRAM_MAX) {
		fputs("policy_gen: a program is too long\n", stderr);
		exit(1);
	}
	code[n_code] = ins;
	return n_code++;
}

static void emit_load(size_t off)
{
	emit((struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)off));
}

static void emit_return(uint32_t verdict)
{
	emit((struct sock_filter)BPF_STMT(BPF_RET | BPF_K, verdict));
}

/* Goes on with the next instruction if the loaded word is `value`, else skips one. */
static void emit_unless(uint32_t value)
{
	emit((struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, 1));
}

static uint32_t compared_with(const struct policy_row *row)
{
	return row->rule == POLICY_SELF	      ? POLICY_IS_SELF
	       : row->rule == POLICY_RENDERER ? POLICY_IS_RENDERER
					      : row->value;
}

static void emit_rule(const struct policy_row *row)
{
	/* x86 is little endian: the low half of an argument comes first. */
	emit_load(offsetof(struct seccomp_data, args) + row->arg * sizeof(uint64_t));
	if (row->rule == POLICY_BITS && row->mask != UINT32_MAX)
		emit((struct sock_filter)BPF_STMT(BPF_ALU | BPF_AND | BPF_K, row->mask));
	emit_unless(compared_with(row));
	emit_return(SECCOMP_RET_ALLOW);
}

static void emit_rules(int nr, enum policy_role role)
{
	for (size_t i = 0; i < policy_n_rows; i++)
		if (policy_rows[i].nr == nr && policy_rows[i].roles != 0 &&
		    policy_row_is_for(&policy_rows[i], role))
			emit_rule(&policy_rows[i]);
	emit_return(refuse | (uint32_t)policy_wrong_argument(nr));
}

/* What allows a call goes before what ends the process for it. */
static struct interval look_up(int nr, enum policy_role role)
{
	bool kills = false, has_rules = false;

	for (size_t i = 0; i < policy_n_rows; i++) {
		const struct policy_row *row = &policy_rows[i];

		if (row->nr != nr || !policy_row_is_for(row, role))
			continue;
		if (row->roles == 0)
			kills = true;
		else if (row->rule == POLICY_ANY)
			return (struct interval){(uint32_t)nr, NONE, SECCOMP_RET_ALLOW};
		else
			has_rules = true;
	}
	return (struct interval){(uint32_t)nr, has_rules ? nr : NONE,
				 kills ? SECCOMP_RET_KILL_PROCESS : refuse | ENOSYS};
}

static bool is_same(const struct interval *a, const struct interval *b)
{
	return a->rules == NONE && b->rules == NONE && a->verdict == b->verdict;
}

static void cut(enum policy_role role)
{
	n_intervals = 0;
	for (int nr = 0; nr < NR_END; nr++) {
		const struct interval next = look_up(nr, role);

		if (n_intervals == 0 || !is_same(&next, &intervals[n_intervals - 1]))
			intervals[n_intervals++] = next;
	}
}

/* Has the test at `at` skip what was emitted since. A test reaches 255 instructions, a jump all. */
static void skip_from(size_t at)
{
	const size_t skipped = n_code - at - 1;

	if (skipped <= UINT8_MAX) {
		code[at].jt = (uint8_t)skipped;
		return;
	}
	emit((struct sock_filter){0});
	memmove(&code[at + 2], &code[at + 1], skipped * sizeof(*code));
	code[at + 1] = (struct sock_filter)BPF_STMT(BPF_JMP | BPF_JA, (uint32_t)skipped);
	code[at].jf = 1;
}

static void emit_interval(const struct interval *i, enum policy_role role)
{
	if (i->rules == NONE)
		emit_return(i->verdict);
	else
		emit_rules(i->rules, role);
}

/* Finds the interval among those of [begin, end) and does what it says. */
static void emit_search(size_t begin, size_t end, enum policy_role role)
{
	const size_t middle = begin + (end - begin) / 2;
	size_t at;

	if (end - begin == 1) {
		emit_interval(&intervals[begin], role);
		return;
	}
	at = emit((struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, intervals[middle].nr, 0,
					       0));
	emit_search(begin, middle, role);
	skip_from(at);
	emit_search(middle, end, role);
}

static void emit_program(enum policy_role role)
{
	n_code = 0;
	emit_load(offsetof(struct seccomp_data, arch));
	emit((struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0));
	emit_return(SECCOMP_RET_KILL_PROCESS);
	emit_load(offsetof(struct seccomp_data, nr));
	emit((struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, X32, 0, 1));
	emit_return(SECCOMP_RET_KILL_PROCESS);
	cut(role);
	emit_search(0, n_intervals, role);
}

static void print_program(enum policy_role role)
{
	printf("static const struct sock_filter %s[] = {\n", policy_role_name(role));
	for (size_t i = 0; i < n_code; i++)
		printf("\t{0x%04x, %u, %u, 0x%08x},\n", code[i].code, code[i].jt, code[i].jf,
		       code[i].k);
	printf("};\n\n");
}

int main(int argc, char **argv)
{
	unsigned short lengths[POLICY_ROLES];

	if (argc == 2 && strcmp(argv[1], "--trap") == 0)
		refuse = SECCOMP_RET_TRAP;
	puts("/* Made from vmm/confine/policy.def by policy_gen. */\n"
	     "#include \"vmm/confine/policy_program.h\"\n");
	for (unsigned int role = 0; role < POLICY_ROLES; role++) {
		emit_program((enum policy_role)role);
		print_program((enum policy_role)role);
		lengths[role] = (unsigned short)n_code;
	}
	puts("const struct policy_program policy_programs[POLICY_ROLES] = {");
	for (unsigned int role = 0; role < POLICY_ROLES; role++)
		printf("\t{%hu, %s},\n", lengths[role], policy_role_name((enum policy_role)role));
	puts("};");
	return ferror(stdout) || fflush(stdout) != 0;
}
