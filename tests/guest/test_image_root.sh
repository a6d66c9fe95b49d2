# shellcheck shell=bash
# root
# shellcheck disable=SC2016 # scripts for the shell in the guest
# No secret of a host is in its sandboxes: plants them as root, where real machines have them, and
# looks for them as the guest's root. That none is in an index made where they are is tested in
# tests/unit/image/test_base.c: to make one here takes minutes. It changes the host for good, so it
# runs in an emulated one only.

test_no_secret_of_the_host()
{
	local mode path n=0

	[ "$LAB_MODE" != direct ] || skip "this machine is no throw-away one"
	export TEST_LIMIT=400
	: >planted
	while read -r mode path; do
		[ ! -e "$path" ] || continue
		mkdir -p "${path%/*}"
		echo "SECRET-MARK $path" >"$path"
		[ "$mode" != 600 ] || chmod 600 "$path"
		echo "$path" >>planted
		n=$((n + 1))
	done <"$LAB_REPO/tests/support/secrets.txt"
	[ "$n" -ge 40 ] || fail "only $n secrets were planted"
	ln -s /home/jane/.ssh/id_rsa /usr/bin/leak
	ln -s ../../../home/jane /usr/share/leak
	cat >search <<'END'
mkdir -p /look && mount -t virtiofs sandcastle /look
for top in '' /look/base /look/base/.. /look/base/usr/.. /proc/1/root /look/modules/..; do
	sed "s|^|$top|" planted
done | xargs -d '\n' cat 2>/dev/null
cat /usr/bin/leak /usr/share/leak/.ssh/id_rsa /look/base/usr/bin/leak 2>/dev/null
ln -s /look/base/../etc/myapp/token /tmp/link; cat /tmp/link 2>/dev/null
grep -rs --exclude-dir=info SECRET-MARK /etc /home /root /srv /mnt /media /run /var
ls -d /data /swapfile /look/base/data /look/base/swapfile 2>/dev/null
perl -e '
	# File handles: nodes of the file server by number, generation 0.
	open(my $m, "<", "/look") or die;
	for my $node (1 .. 400) {
		my $handle = pack("LlLLL", 12, 0x81, 0, $node, 0);
		my $fd = syscall(304, fileno($m), $handle, 0);
		next if $fd < 0;
		open(my $f, "<&=", $fd) or next;
		my $text = -f $f ? <$f> : "";
		print $text if defined $text && $text =~ /SECRET-MARK/;
		my $names = "\0" x 4096;
		my $len = syscall(196, $fd, $names, 4096);
		print "xattr\n" if $len > 0;
	}'
echo searched
END
	run_sandcastle run --user root -- sh ./search
	while read -r path; do
		rm -f "$path"
	done <planted
	rm -f /usr/bin/leak /usr/share/leak
	expect_code 0
	expect_match '^searched$'
	expect_no_match 'SECRET-MARK|xattr|^/'
}

test_a_file_that_changes_under_a_sandbox()
{
	[ "$LAB_MODE" != direct ] || skip "this machine is no throw-away one"
	export TEST_LIMIT=400
	cp -p /usr/bin/tac original
	sandcastle run --map .:rw -- sh -c '
		exec 3</usr/bin/tac; head -c 4 <&3 >/dev/null; touch up
		while [ ! -e go ]; do sleep 0.1; done
		cat <&3 >/dev/null && echo open goes on
		cat /usr/bin/tac 2>&1' >log 2>errors &
	expect_within 200 test -e up
	# As a package manager does it: another file under the name.
	{ cat original && echo newer; } >/usr/bin/tac.dpkg-new
	mv /usr/bin/tac.dpkg-new /usr/bin/tac
	touch go
	wait %1
	cp -p original /usr/bin/tac.dpkg-new
	mv /usr/bin/tac.dpkg-new /usr/bin/tac
	grep -aq '^open goes on' log || fail "an open file was lost: $(head -c 300 log errors)"
	! grep -aq '^newer' log || fail "a changed file was served"
	grep -aqi 'tac.*stale' log || fail "no ESTALE: $(head -c 300 log errors)"
	grep -q 'has changed since the base image was made' errors || fail "nothing was said: $(cat errors)"
}
