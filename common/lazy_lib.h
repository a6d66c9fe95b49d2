/* SPDX-License-Identifier: MIT */
/* common/lazy_lib.h - libraries that are loaded when something asks for them. */
#ifndef COMMON_LAZY_LIB_H
#define COMMON_LAZY_LIB_H

#include "common/util.h"

/*
 * DOC: why not linked
 *
 * What a start rarely needs is not mapped at each one and does not stay beside a
 * guest: libarchive and libxml2 bring eleven libraries along, a C++ runtime and the
 * Unicode tables among them, which is more than half of the time and the memory a
 * process costs until main(). So they are found by name where they are used, and
 * stay from then on.
 */
struct lazy_symbol {
	const char *name;
	size_t member; /* offset of a function pointer in the library's table */
};

/*
 * Fills the function pointers of `table`. -ELIBACC: the library is not installed, or
 * lacks a symbol, and the table is as it was. Before the machine starts: it opens
 * files by name.
 */
int lazy_lib_open(const char *soname, const struct lazy_symbol *symbols, size_t n,
		  void *table) MUST_CHECK;

#endif
