# shellcheck shell=bash
# shellcheck disable=SC2016 # scripts for the shell in the guest
# The base image, as who uses it sees it. The index comes with the lab (tests/lab/lab.sh); to make
# one here takes minutes.

test_info_and_verify_without_an_image()
{
	run env XDG_CACHE_HOME="$PWD/cache" sandcastle image info --root "$PWD"
	expect_one_line_error 'package database'
	mkdir -p tree/var/lib/dpkg/info tree/usr/bin cache
	printf 'Package: a\nStatus: install ok installed\nVersion: 1\nArchitecture: all\n' \
		>tree/var/lib/dpkg/status
	printf '/usr\n/usr/bin\n/usr/bin/a\n' >tree/var/lib/dpkg/info/a.list
	echo a >tree/usr/bin/a
	export XDG_CACHE_HOME=$PWD/cache
	run_sandcastle image info --root tree
	expect_one_line_error 'no base image yet'
	run_sandcastle image build --root tree
	expect_code 0
	run_sandcastle image info --root tree --json
	expect_match '"shared_files": 1,'
	expect_match '"current": true'
	echo changed >tree/usr/bin/a
	run_sandcastle image verify --root tree
	expect_code 1
	expect_match '^/usr/bin/a'
	run_sandcastle image clean --root tree
	expect_code 0
	run_sandcastle image verify --root tree
	expect_code 1
	run_sandcastle image nonsense
	expect_one_line_error
}

# gcc and git are used in test_share.sh. dpkg reads what all packages own, which takes its time here.
test_programs_work_as_on_the_host()
{
	export TEST_LIMIT=300
	mkdir -p deb/DEBIAN deb/usr/bin
	printf 'Package: sc-test\nVersion: 1\nArchitecture: all\nMaintainer: t <t@example.org>\nDescription: t\n' \
		>deb/DEBIAN/control
	printf '#!/bin/sh\necho from the package\n' >deb/usr/bin/sc-test
	chmod 755 deb/usr/bin/sc-test
	dpkg-deb --root-owner-group -b deb sc-test.deb >/dev/null || fail "no package"
	run_sandcastle run --user root -- sh -c '
		/usr/bin/python3 -c "import json; print(\"from python\")" || echo from python
		perl -MPOSIX -e "print \"from perl\n\""
		! command -v man >/dev/null || [ ! -e /usr/share/man/man1/ls.1.gz ] ||
			man ls 2>/dev/null | grep -q "list directory contents" && echo from man
		# As who works in it has it: by the .bashrc that a new home begins with.
		[ ! -e /usr/share/bash-completion/bash_completion ] ||
			HOME=$(getent passwd '"$(id -u)"' | cut -d: -f6) bash -ic "complete -p -D" 2>/dev/null |
				grep -q _completion_loader && echo from completion
		dpkg -i sc-test.deb >/tmp/log 2>&1 || cat /tmp/log
		sc-test; dpkg -s sc-test | grep ^Version
		su -s /bin/sh nobody -c "id -un"; grep -c . /etc/machine-id; stat -c %a /usr/bin/su
		stat -c "%a %U:%G" /var/lib/private /var/log/wtmp
		cmp /root/.bashrc /usr/share/base-files/dot.bashrc && cd / && stat -c %a /root'
	expect_code 0
	expect_out 'from python
from perl
from man
from completion
from the package
Version: 1
nobody
1
'"$(stat -c %a /usr/bin/su)"'
700 root:root
664 root:utmp
700'
	[ ! -e /usr/bin/sc-test ] || fail "the package is installed on the host"
}

# Another system's tree, of an ordinary user's: busybox is all there is in it.
test_another_system()
{
	local busybox

	need_busybox
	mkdir -p tree/bin tree/etc tree/var/lib/dpkg/info
	printf 'Package: busybox\nStatus: install ok installed\nVersion: 1\nArchitecture: all\nConffiles:\n /etc/release %s\n' \
		"$(echo another system | md5sum | cut -d ' ' -f 1)" >tree/var/lib/dpkg/status
	printf '/bin\n/bin/busybox\n/bin/sh\n/etc\n/etc/release\n' >tree/var/lib/dpkg/info/busybox.list
	cp "$busybox" tree/bin/busybox
	ln -s busybox tree/bin/sh
	echo another system >tree/etc/release
	echo somebody >tree/etc/secret
	chmod 4755 tree/bin/busybox
	# The user's own shell is not in it.
	run_sandcastle run --root tree --memory 256M -- /bin/busybox sh -c '
		b=/bin/busybox
		$b cat /etc/release
		$b ls -d /etc/secret /usr/bin/env /usr/share 2>/dev/null
		$b stat -c "%u %g %a" /bin/busybox
		$b test -e /lib/modules/$($b uname -r)/modules.dep && echo modules
		$b awk -F: -v u=$($b id -u) "\$3 == u { print \$7 }" /etc/passwd
		$b echo $SHELL
		$b touch here 2>/dev/null || echo read-only
		$b cp $b /tmp/copy && $b cmp $b /tmp/copy && echo same'
	expect_code 0
	expect_out 'another system
0 0 4755
modules
/bin/sh
/bin/sh
read-only
same'
	run_sandcastle run --root tree/etc -- true
	expect_one_line_error 'tree/etc has no package database'
	run_sandcastle run --root tree/none -- true
	expect_one_line_error 'tree/none.*--root wants the root directory of a system'
}
