# shellcheck shell=bash
# root
# shellcheck disable=SC2016 # scripts for the shell in the guest
# No secret of a host is in its sandboxes: plants them as root, where real machines have them, and
# looks for them as the guest's root, and in what the guest has of the host's page cache. It changes
# the host for good, so it runs in an emulated one only.

# plant TREE: each larger than what the DAX window begins with; the list is in `planted`.
plant()
{
	perl -e '
	use File::Path "make_path";
	my ($tree, $list) = @ARGV;
	open(my $in, "<", $list) or die;
	open(my $out, ">", "planted") or die;
	open(my $owned, ">", "owned") or die;
	while (<$in>) {
		my ($mode, $path, $package) = split;
		next if -e "$tree$path";
		my ($dir) = "$tree$path" =~ m|^(.+)/|;
		make_path($dir) if defined $dir;
		open(my $f, ">", "$tree$path") or die "$path: $!";
		print $f "SECRET-MARK $path\n" x 8000;
		chmod oct($mode), $f;
		close($f) or die "$path: $!";
		print $out "$path\n";
		# Of a package, and edited: younger than its list.
		next unless $package;
		print $owned "$path\n";
		utime 2000000000, 2000000000, "$tree$path";
	}' "$1" "$LAB_REPO/tests/support/secrets.txt" || fail "the secrets cannot be planted"
	[ "$(wc -l <planted)" -ge 120 ] || fail "only $(wc -l <planted) secrets were planted"
	ln -s /home/jane/.ssh/id_rsa "$1/usr/bin/leak"
	ln -s ../../../home/jane "$1/usr/share/leak"
	# In L1 itself /home is another file system.
	ln "$1/home/jane/.ssh/id_rsa" "$1/usr/bin/hard" 2>/dev/null && echo /usr/bin/hard >>planted
	return 0
}

# What the guest's root does with names.
write_search()
{
	cat >search <<'END'
mkdir -p /look && mount -t virtiofs sandcastle /look
for top in '' /look/base /look/base/.. /look/base/usr/.. /proc/1/root /look/modules/..; do
	sed "s|^|$top|" planted
done | tr '\n' '\0' | xargs -0 cat 2>/dev/null | head -c 400
cat /usr/bin/leak /usr/share/leak/.ssh/id_rsa /look/base/usr/bin/leak 2>/dev/null | head -c 400
ln -s /look/base/../etc/myapp/token /tmp/link; cat /tmp/link 2>/dev/null | head -c 400
for dir in /etc /home /root /srv /mnt /media /run /var; do
	find $dir ! -path '*/info/*' -type f -print0 | xargs -0 grep -ls SECRET-MARK
done
ls -d /data /swapfile /look/base/data /look/base/swapfile 2>/dev/null
END
}

# search_window PID: what a sandbox's process has mapped of files, the guest's window among it.
search_window()
{
	perl -e '
	my ($pid, $n) = ($ARGV[0], 0);
	open(my $maps, "<", "/proc/$pid/maps") or die;
	open(my $mem, "<:raw", "/proc/$pid/mem") or die;
	while (<$maps>) {
		my ($from, $to, $file) = m|^([0-9a-f]+)-([0-9a-f]+) r--s .* (/.*)$| or next;
		$n++ if $file !~ /\.index$/;
		for (my $at = hex $from; $at < hex $to; $at += 1 << 16) {
			sysseek($mem, $at, 0);
			last unless sysread($mem, my $text, 1 << 16);
			print "a secret of $file\n" if index($text, "SECRET-MARK") >= 0;
		}
	}
	print "$n mappings\n";' "$1"
}

# search_sandbox OPTION...: the guest's words, and then the window's, are in `found`.
search_sandbox()
{
	# What was found before may end without a line feed.
	echo 'echo; echo searched; while [ ! -e go ]; do sleep 0.2; done' >>search
	sandcastle run --user root --map .:rw "$@" -- sh ./search >found 2>errors &
	expect_within 900 says '^searched$' found
	search_window $! >>found
	touch go
	wait $!
	code=$? out=$(<found)
}

expect_nothing_found()
{
	expect_code 0
	expect_match '^searched$'
	expect_no_match 'SECRET-MARK|xattr|^/|secret'
	# Something large was read by way of the window.
	expect_match '^[1-9][0-9]* mappings$'
}

# With the index that came with the lab: everything is newer than it.
test_no_secret_of_the_host()
{
	local path

	[ "$LAB_MODE" != direct ] || skip "this machine is no throw-away one"
	plant ''
	write_search
	cat >>search <<'END'
cat /usr/bin/perl >/dev/null
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
END
	search_sandbox
	while read -r path; do
		rm -f "$path"
	done <planted
	rm -f /usr/bin/leak /usr/share/leak
	expect_nothing_found
}

# An image made while they are there, of a system that is quickly walked: packages own some of the
# places, which hold a secret all the same.
test_no_secret_in_an_image_made_among_them()
{
	local busybox tree=$PWD/tree info=$PWD/tree/var/lib/dpkg/info

	need_busybox
	mkdir -p tree/usr/bin tree/usr/share/mounted "$info" work
	cd work || fail "no directory"
	ln -s usr/bin "$tree/bin"
	cp "$busybox" "$tree/usr/bin/busybox"
	ln -s busybox "$tree/usr/bin/sh"
	plant "$tree"
	{
		printf 'Package: a\nStatus: install ok installed\nVersion: 1\nArchitecture: all\nConffiles:\n'
		sed -n 's|^/etc/.*|& 00000000000000000000000000000000|; s|^/etc| &|p' planted
	} >"$tree/var/lib/dpkg/status"
	{
		printf '%s\n' /bin /usr/bin /usr/bin/busybox /usr/bin/sh /usr/bin/leak /usr/share \
			/usr/share/mounted/secret /usr/share/private
		grep -v -e ^/usr -e ^/opt -e ^/tmp -e ^/swapfile -e ^/data planted
		cat owned
	} >"$info/a.list"
	sed 's|^/|00000000000000000000000000000000  |' owned >"$info/a.md5sums"
	mount -t tmpfs none "$tree/usr/share/mounted"
	echo SECRET-MARK mounted >"$tree/usr/share/mounted/secret"
	echo SECRET-MARK unreadable >"$tree/usr/share/private"
	chmod 640 "$tree/usr/share/private"
	printf '%s\n' /usr/share/mounted/secret /usr/share/private >>planted
	write_search
	sed -i '1i /bin/busybox --install -s /bin' search
	export XDG_CACHE_HOME=$PWD/../cache
	search_sandbox --root "$tree"
	umount "$tree/usr/share/mounted"
	expect_nothing_found
	grep -q busybox "$XDG_CACHE_HOME"/sandcastle/base/*.index || fail "no index"
	! grep -q SECRET-MARK "$XDG_CACHE_HOME"/sandcastle/base/*.index || fail "a secret is in the index"
}

test_a_file_that_changes_under_a_sandbox()
{
	[ "$LAB_MODE" != direct ] || skip "this machine is no throw-away one"
	export TEST_LIMIT=400
	local name

	cp -p /usr/bin/tac /usr/bin/comm .
	sandcastle run --map .:rw -- sh -c '
		exec 3</usr/bin/tac; head -c 4 <&3 >/dev/null; touch up
		while [ ! -e go ]; do sleep 0.1; done
		cat <&3 >/dev/null && echo open goes on
		cmp /usr/bin/tac tac && echo what was read stays
		cat /usr/bin/comm 2>&1' >log 2>errors &
	expect_within 200 test -e up
	# As a package manager does it: another file under the name.
	for name in tac comm; do
		{ cat "$name" && echo newer; } >/usr/bin/$name.dpkg-new
		mv /usr/bin/$name.dpkg-new /usr/bin/$name
	done
	touch go
	wait %1
	for name in tac comm; do
		cp -p "$name" /usr/bin/$name.dpkg-new
		mv /usr/bin/$name.dpkg-new /usr/bin/$name
	done
	grep -aq '^open goes on' log || fail "an open file was lost: $(head -c 300 log errors)"
	grep -aq '^what was read stays' log || fail "a file that was read was lost: $(head -c 300 log errors)"
	! grep -aq '^newer' log || fail "a changed file was served"
	grep -aqi 'comm.*stale' log || fail "no ESTALE: $(head -c 300 log errors)"
	grep -q 'has changed since the base image was made' errors || fail "nothing was said: $(cat errors)"
}
