#!/bin/sh
# SPDX-License-Identifier: MIT
# embedding.sh CC LIBRARY PAGE INCLUDE: every block of C in PAGE is a program that compiles and links.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
awk -v dir="$dir" '/^```c$/ { n++; open = 1; next } /^```$/ { open = 0 } open { print > (dir "/" n ".c") }' "$3"
for file in "$dir"/*.c; do
	"$1" -std=c11 -D_GNU_SOURCE -Wall -Wextra -Wpedantic -Werror -I "$4" -o "$dir/program" "$file" "$2"
done
