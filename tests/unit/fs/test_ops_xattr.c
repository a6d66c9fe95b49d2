/* SPDX-License-Identifier: MIT */
#include <criterion/criterion.h>
#include "tests/unit/fs/fuse_client.h"
