/* SPDX-License-Identifier: MIT */
/* poor_host.h - a child of a test as a user, and on a host that lets users make no namespaces. */
#ifndef TESTS_SUPPORT_POOR_HOST_H
#define TESTS_SUPPORT_POOR_HOST_H

#include <stdbool.h>

/* Whether users can make namespaces here. */
bool host_has_namespaces(void);
/* Root becomes an ordinary user, for good. */
bool leave_root(void);
/* From here on no namespace can be made, as where the host's policy says so. After leave_root(). */
bool enter_poor_host(void);

#endif
