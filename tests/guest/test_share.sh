# shellcheck shell=bash
# shellcheck disable=SC2016 # scripts for the shell in the guest
# Mapped folders: what programs may do there, what never reaches the host, who sees what when.

# inside [OPTION...] SCRIPT: runs SCRIPT in a sandbox; each line it prints beginning with "not ok"
# fails the test.
inside()
{
	run_sandcastle run "${@:1:$#-1}" -- sh -c '
		check() { what=$1; shift; if "$@"; then echo "ok $what"; else echo "not ok $what"; fi; }
		fails() { ! "$@"; }
		'"${*: -1}"'
		echo the end'
	expect_no_match '^not ok'
	expect_match '^the end$'
	expect_code 0
}

test_read_only_is_the_hosts_word()
{
	echo original >f
	inside --user root '
		check "reads" test "$(cat f)" = original
		check "no write" fails sh -c "echo x > f"
		check "no create" fails touch g
		check "no remove" fails rm -f f
		mount -o remount,rw,bind "$PWD" 2>/dev/null
		cd "$PWD"
		check "no write after remounting" fails sh -c "echo x > f"
		check "no create after remounting" fails touch g
		check "no remove after remounting" fails rm -f f
		check "no mode change" fails chmod 777 f
		check "no attribute" fails setfattr -n user.a -v b f'
	expect_same original "$(cat f)"
	expect_same 1 "$(find . -type f -not -name '.*' | wc -l)"
}

test_operations_of_a_writable_share()
{
	mkdir share
	printf '0123456789' >share/host-file
	inside --map ./share:/share:rw --workdir /share '
		echo one > a; check create test "$(cat a)" = one
		mv a b; check rename test "$(cat b)" = one -a ! -e a
		echo two > c; mv -n b c; check "rename without replacing" test "$(cat b)$(cat c)" = onetwo
		perl -e "\$b = \"b\"; \$c = \"c\"; exit(syscall(316, -100, \$b, -100, \$c, 2) == 0 ? 0 : 1)"
		check "rename exchanges" test "$(cat b)$(cat c)" = twoone
		perl -e "\$b = \"b\"; \$c = \"c\"; exit(syscall(316, -100, \$b, -100, \$c, 1) == -1 && \$!{EEXIST} ? 0 : 1)"
		check "rename with NOREPLACE is refused" test $? = 0
		ln b hard; check "hard link" test "$(stat -c %h b)" = 2 -a b -ef hard
		ln -s b soft; check "symbolic link" test "$(readlink soft)$(cat soft)" = btwo
		mkdir -p d/e/f; rmdir d/e/f; check "directories" test -d d/e -a ! -e d/e/f
		truncate -s 5 host-file; check truncate test "$(cat host-file)" = 01234
		fallocate -l 100000 big; check fallocate test "$(stat -c %s big)" = 100000
		fallocate -p -o 0 -l 4096 big; check "punch a hole" test $? = 0
		touch -d "2001-02-03 04:05:06 UTC" b; check utimes test "$(stat -c %Y b)" = 981173106
		chmod 640 b; check chmod test "$(stat -c %a b)" = 640
		perl -e "use Fcntl; sysopen(F, \".\", O_RDWR | 020200000, 0600) or exit 1; print F \"x\";
			\$from = \"/proc/self/fd/\" . fileno(F); \$to = \"linked\";
			exit(syscall(265, -100, \$from, -100, \$to, 0x400) == 0 ? 0 : 1)"
		check "O_TMPFILE and its link" test -e linked
		mkfifo pipe; (echo through > pipe &); check "a fifo works inside" test "$(cat pipe)" = through
		seq 1 200000 > seq; check "a larger file" test "$(tail -n 1 seq)" = 200000
		mkdir many; (cd many && seq 1 800 | xargs touch); check "800 names" test "$(ls many | wc -l)" = 800
		rm -r many; check "and gone" test ! -e many
		check statfs test "$(stat -f -c %b .)" -gt 0
		cp seq copy; check "copy" cmp seq copy
		dd if=/dev/zero of=sync bs=4096 count=3 oflag=sync 2>/dev/null; check fsync test $? = 0'
	expect_same two "$(cat share/b)"
	expect_same one "$(cat share/c)"
	expect_same 640 "$(stat -c %a share/b)"
	cmp share/seq <(seq 1 200000) || fail "seq differs on the host"
	[ -p share/pipe ] || fail "the fifo is none on the host"
}

test_programs_on_a_writable_share()
{
	if ! command -v git >/dev/null || ! command -v gcc >/dev/null; then
		skip "no git or gcc on the host"
	fi
	inside --map .:rw '
		export HOME=/tmp GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b
		git init -q repo && cd repo && printf "int main(void)\n{\n\treturn 42;\n}\n" > main.c
		printf "prog: main.c\n\tgcc -o prog main.c\n" > Makefile
		git add . && git commit -qm first; check "git commit" test $? = 0
		check "git status is clean" test -z "$(git status --porcelain)"
		make >/dev/null; ./prog; check "make, gcc, and what it made" test $? = 42
		tar -cf ../t.tar . && mkdir ../out && tar -xf ../t.tar -C ../out; check tar cmp main.c ../out/main.c'
	git -C repo fsck >/dev/null 2>&1 || fail "git fsck on the host"
	./repo/prog
	expect_same 42 $?
}

test_ownership_and_what_never_reaches_the_host()
{
	echo mine >mine
	inside --map .:rw --user root '
		check "the host user is the guest user" test "$(stat -c %u mine)" = '"$UID"'
		echo x > by-root; check "root writes" test -e by-root
		chmod 6777 by-root; mkdir -m 2777 dir
		cp /usr/bin/true suid; chmod u+s suid
		check "no device" fails mknod dev c 1 3
		check "no block device" fails mknod blk b 7 0
		perl -e "\$f = \"suid\"; \$k = \"security.capability\"; \$v = \"\\1\\0\\0\\2\\0\\4\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\";
			exit(syscall(188, \$f, \$k, \$v, 20, 0) == 0 ? 3 : 0)"
		check "no capability" test $? = 0
		chown 0:0 mine 2>/dev/null; check "no foreign owner" test "$(stat -c %u mine)" = '"$UID"'
		su -s /bin/sh nobody -c "touch by-nobody" 2>/dev/null; true'
	expect_same '' "$(find . -not -user "$UID")"
	expect_same '' "$(find . -perm /6000)"
	expect_same '' "$(find . -type b -o -type c)"
	[ -z "$(command -v getcap)" ] || expect_same '' "$(getcap suid)"
}

test_no_way_out_of_a_share()
{
	mkdir share outside elsewhere
	echo secret >outside/secret
	ln -s ../outside share/link
	echo plain >share/plain
	ln -s "$PWD/outside/secret" share/absolute
	mkfifo share/fifo
	cd elsewhere || return
	inside --map ../share:/share:rw --user root '
		cd /share
		check "a link to outside leads nowhere" fails cat link/secret
		check "an absolute link leads into the guest" fails cat absolute
		mkdir -p a/b; ln -sfn ../../outside a/b/out
		check "a link made inside leads nowhere" fails cat a/b/out/secret
		mkdir -p /mnt; mount -t virtiofs sandcastle-maps /mnt
		check "the device itself shows the map" grep -q plain /mnt/map*/plain
		check "not through the device itself" fails cat /mnt/map*/../outside/secret /mnt/map*/link/secret
		check "a fifo of the host is not opened there" timeout 5 sh -c "echo x <> fifo"'
	expect_same secret "$(cat ../outside/secret)"
}

test_changes_are_seen_both_ways()
{
	echo before >f
	sandcastle run --map .:rw -- sh -c '
		cat f; echo from the guest > g
		while [ ! -e new ] || [ "$(cat f)" != after ]; do sleep 0.05; done
		stat -c %s f; echo seen > h; sleep 0.2; cat f >/dev/null; exit 9' >log 2>&1 &
	expect_within 120 test -e g
	expect_same 'from the guest' "$(cat g)"
	echo after >f
	touch new
	# Seen within a second inside; some more for a slow lab.
	expect_within 60 test -e h
	wait %1
	expect_same 9 $?
	expect_same $'before\n6' "$(cat log)"
}

test_locks_hold_against_the_host()
{
	command -v flock >/dev/null || skip "no flock(1)"
	touch lock
	exec 9<>lock
	flock -x 9
	inside --map .:rw '
		check "a lock of the host holds inside" fails flock -n -x lock true
		touch waiting; flock -x lock touch got-it
		check "it is had once free" test -e got-it' &
	expect_within 120 test -e waiting
	sleep 0.5
	[ ! -e got-it ] || fail "the lock did not hold"
	flock -u 9
	wait %1 || fail "the guest's half failed"
	[ -e got-it ] || fail "the lock was never had"
}

test_dirty_mmap_pages_come_home()
{
	[ -x /usr/bin/python3 ] || skip "python3 is not one of the system's"
	truncate -s 1048576 f
	inside --map .:rw '
		/usr/bin/python3 -c "
import mmap
f = open(\"f\", \"r+b\")
m = mmap.mmap(f.fileno(), 0)
m[0:5] = b\"hello\"
m[1048570:1048575] = b\"world\"
"
		check "written" test "$(head -c 5 f)" = hello'
	expect_same hello "$(head -c 5 f)"
	expect_same world "$(tail -c 6 f | head -c 5)"
}

# Each name is removed as it is read, by a large buffer and by a small one: tmpfs counts its entries.
test_a_folder_that_is_emptied_while_it_is_read()
{
	mkdir share share/a share/b
	(cd share/a && seq -f f%05g 1 400 | xargs touch)
	(cd share/b && seq -f f%05g 1 100 | xargs touch)
	inside --map ./share:/share:rw '
		perl -e "opendir D, q(/share/a) or die; while (defined(\$_ = readdir D)) { unlink qq(/share/a/\$_) }"
		check "all gone" test "$(ls /share/a | wc -l)" = 0
		perl -e "
			sysopen(D, q(/share/b), 0200000) or die;
			my (\$n, \$buf);
			while ((\$n = syscall(217, fileno(D), \$buf = qq(\\0) x 300, 300)) > 0) {
				for (my \$at = 0; \$at < \$n;) {
					my (\$ino, \$off, \$len, \$type, \$name) = unpack(qq(\@\$at QQSCZ*), \$buf);
					unlink qq(/share/b/\$name);
					\$at += \$len;
				}
			}"
		check "all gone by a small buffer" test "$(ls /share/b | wc -l)" = 0'
	expect_same 0 "$(find share -name 'f*' | wc -l)"
}

# Memory that is a file in the DAX window, handed to a request of another file.
test_direct_io_out_of_a_mapped_file()
{
	mkdir share
	inside --map ./share:/share:rw --workdir /share '
		python3 -c "
import mmap, os
f = os.open(os.path.realpath(\"/usr/bin/python3\"), os.O_RDONLY)
m = mmap.mmap(f, 1 << 20, prot=mmap.PROT_READ)
try:
    os.write(os.open(\"d\", os.O_CREAT | os.O_WRONLY | os.O_DIRECT), memoryview(m)[:262144])
    print(\"written\")
except OSError as e:
    print(e.strerror)" >/tmp/said
		cat /tmp/said
		check "an answer" grep -qE "^(written|Bad address)$" /tmp/said
		echo goes on >after; check "the share goes on" test "$(cat after)" = "goes on"'
}

test_one_file_and_nested_maps()
{
	mkdir -p tree/build
	echo alone >one
	inside --map ./one:/etc/one.conf --map ./tree:/tree --map ./tree/build:/tree/build:rw '
		check "one file" test "$(cat /etc/one.conf)" = alone
		check "read-only" fails sh -c "echo x > /etc/one.conf"
		check "the outer is read-only" fails touch /tree/x
		check "the inner is writable" touch /tree/build/x'
	[ -e tree/build/x ] || fail "nothing arrived"
}

test_of_a_sandbox_that_runs()
{
	local box=share-box

	mkdir ro rw
	echo original >ro/f
	echo alone >one
	# In / it is given no folder to begin with.
	run sh -c "cd / && exec sandcastle start --name $box"
	expect_code 0
	# It runs all the while, with a file open and its directory in the read-only share.
	sandcastle exec $box sh -c '
		until [ -e /srv/ro/f ]; do sleep 0.1; done
		cd /srv/ro && exec 5<f && read -r word <&5 && echo "sees $word"
		until [ -e /tmp/removed ]; do sleep 0.1; done
		ls . 2>&1; cat f 2>&1; cat /proc/self/fd/5 2>&1; ls /srv/ro | wc -l; echo done' >watcher.out &

	run_sandcastle share $box ./ro:/srv/ro
	expect_code 0
	expect_out ''
	expect_err ''
	expect_within 60 says 'sees original' watcher.out
	run_sandcastle share $box rw:/srv/rw:rw
	expect_code 0
	run_sandcastle share $box "$PWD/one"
	expect_code 0
	run_sandcastle list --json
	expect_match '"guest": "/srv/rw"'
	expect_match "\"host\": \"$PWD/ro\""
	run_sandcastle exec -u root $box sh -c '
		cat '"$PWD"'/one; mount -o remount,rw,bind /srv/ro
		echo x >/srv/ro/f; touch /srv/ro/g; rm -f /srv/ro/f; echo x >'"$PWD"'/one
		echo made >/srv/rw/made; perl -e "
			open(F, \"+>\", \"/srv/rw/big\") or die; truncate(F, 65536); print F \"x\" x 65536"'
	expect_match '^alone$'
	expect_same original "$(cat ro/f)"
	expect_same alone "$(cat one)"
	expect_same made "$(cat rw/made)"
	[ ! -e ro/g ] || fail "a read-only share was written"

	# What cannot be.
	run_sandcastle share $box ro:/srv/rw/below
	expect_one_line_error 'would hide part'
	run_sandcastle share $box ro:/srv
	expect_one_line_error 'would hide the share at /srv/'
	run_sandcastle share $box ro:/usr
	expect_one_line_error 'needs that place'
	run_sandcastle share $box no-such-folder
	expect_one_line_error 'no-such-folder'
	run_sandcastle share --remove $box /srv/none
	expect_one_line_error 'nothing is shared at /srv/none'
	run_sandcastle share other ro
	expect_one_line_error "no sandbox named 'other'"

	# Taken back from programs that use it, and from a root that keeps it mounted elsewhere.
	run_sandcastle exec -u root $box sh -c 'mkdir /keep && mount -t virtiofs sandcastle-maps /keep && ls /keep'
	expect_code 0
	expect_match '^map0$'
	run_sandcastle share --remove $box /srv/ro
	expect_code 0
	run_sandcastle share --remove $box one
	expect_code 0
	run_sandcastle exec -u root $box sh -c 'touch /tmp/removed; ls /keep; cat /keep/map0/f; ls /srv/ro'
	expect_no_match 'map0|original|^f$'
	expect_match '^map1$'
	expect_within 60 says '^done$' watcher.out
	expect_same 'sees original
0
done' "$(grep -v -E 'Stale|No such|cannot|Input/output' watcher.out)"
	expect_same 3 "$(grep -c -E 'Stale|No such|Input/output' watcher.out)"
	run_sandcastle share --remove $box /srv/rw
	expect_code 0
	expect_same 65536 "$(stat -c %s rw/big)"
	run_sandcastle list --json
	expect_match '"shares": \[\]'
	# Its place can be used again.
	run_sandcastle share $box rw:/srv/rw
	expect_code 0
	run_sandcastle exec $box cat /srv/rw/made
	expect_out made
	run_sandcastle stop $box
	expect_code 0
	wait
}
