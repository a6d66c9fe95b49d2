# shellcheck shell=bash
# What the benches share.

# copy_program FILE DIR: as DIR/program with its libraries, since L1's files are another machine's.
# Started with LD_LIBRARY_PATH=DIR.
copy_program()
{
	local library to=$2

	mkdir -p "$to"
	cp -L "$1" "$to/program"
	ldd "$1" | awk '$3 ~ /^\// { print $3 }' | while read -r library; do
		cp -L "$library" "$to/"
	done
}
