# shellcheck shell=bash
# root
# The Debian package that ./dev package made: installs, works for an ordinary user, goes without a trace.

test_the_debian_package()
{
	local package file
	local -a files

	package=$(find "$LAB_REPO/build/package" -maxdepth 1 -name 'sandcastle_*.deb' 2>/dev/null)
	[ -n "$package" ] || skip "no package was made: ./dev package"
	# The index of all manual pages, which a trigger would make anew, takes minutes in the lab.
	run dpkg --no-triggers -i "$package"
	expect_code 0
	mapfile -t files < <(dpkg -L sandcastle)
	for file in /usr/bin/sandcastle /usr/share/man/man1/sandcastle.1 /usr/share/man/man5/sandcastle.sandbox.5 \
		/usr/share/bash-completion/completions/sandcastle /usr/include/sandcastle.h /usr/lib/libsandcastle.so.0 \
		/usr/share/sandcastle/apparmor /usr/lib/pkgconfig/sandcastle.pc /usr/share/man/man3/sandcastle.3; do
		[[ " ${files[*]} " == *" $file "* ]] || fail "the package lacks $file"
	done
	run runuser -u user -- env -C /tmp PATH=/usr/bin:/bin sandcastle run --cpus 1 -- sh -c 'command -v sandcastle; id -un'
	expect_code 0
	expect_out $'/usr/bin/sandcastle\nuser'
	# shellcheck disable=SC2016 # for the user's shell
	run runuser -u user -- env -C /tmp PATH=/usr/bin:/bin sh -c \
		'gcc -o h "$1/examples/hello.c" $(pkg-config --cflags --libs sandcastle) && ./h sh -c "pwd; exit 7"; rm h' sh "$LAB_REPO"
	expect_out /
	run dpkg --no-triggers --purge sandcastle
	expect_code 0
	for file in "${files[@]}"; do
		[[ $file != *sandcastle* ]] || [ ! -e "$file" ] || fail "$file is left"
	done
}
