#!/bin/sh
# SPDX-License-Identifier: MIT
# check.sh LIBRARY SIZES: the library's symbols and the header's sizes and numbers are those in
# libsandcastle.txt. A line that goes or changes breaks programs that are out there: it needs a new soname.
# A new line is written down there together with what adds it. The structs that begin with their size may
# grow at their end; those that do not may not.
here=$(dirname "$0")
{
	readelf -d "$1" | sed -n 's/.*Library soname: \[\(.*\)\]/soname \1/p'
	nm -D --defined-only "$1" | sed -n 's/^[0-9a-f]* T \(.*\)/symbol \1/p' | LC_ALL=C sort
	"$2"
} | diff -u "$here/libsandcastle.txt" -
