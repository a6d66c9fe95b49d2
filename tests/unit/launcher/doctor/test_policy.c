/* SPDX-License-Identifier: MIT */
#include "launcher/doctor/policy.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "vmm/confine/policy_table.h"

Test(policy, the_table_is_printed_whole)
{
	json_t *table = doctor_policy_table();
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	cr_assert_eq(json_array_size(table), policy_n_rows);
	doctor_policy_print(table, NULL, f);
	fclose(f);
	for (size_t i = 0; i < policy_n_rows; i++) {
		const json_t *row = json_array_get(table, i);
		const json_t *threads = json_object_get(row, "threads");
		size_t n = 0;

		for (unsigned int role = 0; role < POLICY_ROLES; role++)
			n += policy_rows[i].roles >> role & 1u;
		cr_expect_eq(json_array_size(threads), n, "%s", policy_rows[i].call);
		cr_expect(strstr(text, policy_rows[i].reason), "%s", policy_rows[i].reason);
	}
	cr_expect(strstr(text, "execve: another program\n    ends the process\n"));
	cr_expect(strstr(text, "ioctl (KVM_RUN): runs the guest\n    vcpu\n"));
	free(text);
	json_decref(table);
}

Test(policy, threads_as_the_kernel_says)
{
	json_t *threads = NULL;
	const json_t *me;

	cr_assert_eq(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
	cr_assert_eq(prctl(PR_SET_NAME, "strange: name"), 0);
	cr_assert_eq(doctor_policy_threads("", getpid(), &threads), 0);
	me = json_array_get(threads, 0);
	cr_expect_str_eq(json_string_value(json_object_get(me, "name")), "strange: name");
	cr_expect(json_is_true(json_object_get(me, "no_new_privileges")));
	cr_expect_eq(strlen(json_string_value(json_object_get(me, "capabilities"))), 16);
	json_decref(threads);
}

Test(policy, a_process_that_is_none)
{
	json_t *threads = NULL;

	cr_expect_eq(doctor_policy_threads("/nowhere", 1, &threads), -ENOENT);
	cr_expect_null(threads);
}
