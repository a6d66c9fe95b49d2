# shellcheck shell=bash
# libsandcastle by its examples, with real sandboxes.

examples=$LAB_REPO/build/examples

test_the_examples()
{
	# shellcheck disable=SC2016 # for the shell in the guest
	run "$examples/hello" sh -c 'echo "in $(uname -n), $(id -un)"; echo err >&2; exit 9'
	expect_code 9
	expect_match "^in [a-z]+-[a-z]+, $(id -un)$"
	expect_err err
	run env LIBSANDCASTLE="$LAB_REPO/build/libsandcastle.so.0" "$LAB_REPO/examples/hello.py" sh -c 'pwd; exit 4'
	expect_code 4
	expect_out /
}

test_a_judge()
{
	run "$examples/judge" 20 bash -c 'ulimit -v; ulimit -u; ulimit -t; ulimit -f; id -un; head -c 20m /dev/zero | tail -c 20m | wc -c'
	expect_code 0
	expect_out $'262144\n64\n20\n1024\nnobody\n20971520'
	expect_err_match '^exit status 0$'
	expect_err_match '^[0-9]+ ms, [2-9][0-9]{4} KiB$'
	run "$examples/judge" 20 sh -c 'exec head -c 2000000 /dev/zero >f'
	expect_err_match '^output limit$'
	run "$examples/judge" 1 sleep 60
	expect_err_match '^time limit$'
}

test_a_shell_on_a_terminal()
{
	command -v script >/dev/null || skip "no script(1)"
	run script -qec "stty rows 33 cols 99; $examples/shell sh -c 'stty size; tty; exit 8'" /dev/null </dev/null
	expect_code 8
	expect_match '33 99'
	expect_match '^/dev/pts/'
}

test_a_share_by_the_library()
{
	mkdir shown
	echo from the host >shown/f
	cat >share.py <<-'END'
		import ctypes as c, hello, os, sys

		class Map(c.Structure):
		    _fields_ = [("host", c.c_char_p), ("guest", c.c_char_p), ("mode", c.c_uint32), ("reserved", c.c_uint32 * 3)]

		lib = c.CDLL(os.environ["LIBSANDCASTLE"])
		sb, code = c.c_void_p(), c.c_int(125)
		options = hello.Options(size=c.sizeof(hello.Options), memory=512 << 20)
		assert lib.sandcastle_new(c.byref(sb)) == 0
		assert lib.sandcastle_start(sb, c.byref(options)) == 0

		def inside(*words):
		    cmd = c.c_void_p()
		    argv = (c.c_char_p * (len(words) + 1))(*[w.encode() for w in words])
		    stdio = (hello.Stdio(0, 0), hello.Stdio(1, 1), hello.Stdio(1, 2))
		    command = hello.ExecOptions(size=c.sizeof(hello.ExecOptions), argv=argv, stdio=stdio)
		    assert lib.sandcastle_exec(sb, c.byref(command), c.byref(cmd)) == 0
		    assert lib.sandcastle_command_wait(cmd, -1, c.byref(code)) == 0
		    return code.value

		shown = Map(os.path.abspath("shown").encode(), b"/srv/shown", 1)
		print(lib.sandcastle_share(sb, c.byref(shown)), lib.sandcastle_share(sb, c.byref(shown)), flush=True)
		print(inside("sh", "-c", "cat /srv/shown/f; echo back >/srv/shown/g"), flush=True)
		print(lib.sandcastle_unshare(sb, b"/srv/shown"), lib.sandcastle_unshare(sb, b"/srv/shown"), flush=True)
		print(inside("test", "-e", "/srv/shown/f"), flush=True)
		lib.sandcastle_free(sb)
	END
	run env LIBSANDCASTLE="$LAB_REPO/build/libsandcastle.so.0" PYTHONDONTWRITEBYTECODE=1 \
		PYTHONPATH="$LAB_REPO/examples" /usr/bin/python3 share.py
	expect_code 0
	expect_out $'0 -9\nfrom the host\n0\n0 -9\n1'
	expect_same back "$(cat shown/g)"
}

# A tree of busybox and a package that declares what is to be below /etc and /var.
make_tree()
{
	local busybox

	need_busybox
	mkdir -p tree/bin tree/etc tree/usr/lib/tmpfiles.d tree/usr/share/a/b tree/var/lib/dpkg/info
	cp "$busybox" tree/bin/busybox
	ln -s busybox tree/bin/sh
	printf 'ID=tree\nVERSION_ID=7\n' >tree/usr/lib/os-release
	echo pristine >tree/etc/conf
	echo copied >tree/usr/share/a/b/c
	cat >tree/usr/lib/tmpfiles.d/a.conf <<-'END'
		d /var/lib/%o/%w 0750
		C /var/copy - - - - /usr/share/a
		L /etc/link - - - - ../var/copy/b/c
		f /etc/made 0640 - - - made for %o
		z /etc/con* 0604
	END
	printf 'Package: a\nStatus: install ok installed\nVersion: 1\nArchitecture: all\nConffiles:\n /etc/conf %s\n' \
		"$(md5sum <tree/etc/conf | cut -d ' ' -f 1)" >tree/var/lib/dpkg/status
	printf '%s\n' /bin /bin/busybox /bin/sh /etc /etc/conf /usr /usr/lib /usr/lib/os-release /usr/lib/tmpfiles.d \
		/usr/lib/tmpfiles.d/a.conf /usr/share /usr/share/a /usr/share/a/b /usr/share/a/b/c /var /var/lib >tree/var/lib/dpkg/info/a.list
}

test_another_system_by_the_library()
{
	make_tree
	cat >root.py <<-'END'
		import ctypes as c, hello, os, sys

		class Options(hello.Options):
		    _fields_ = [("numbers", c.c_uint32 * 4), ("root", c.c_char_p)]

		lib = c.CDLL(os.environ["LIBSANDCASTLE"])
		sb, cmd, code = c.c_void_p(), c.c_void_p(), c.c_int(125)
		options = Options(size=c.sizeof(Options), memory=256 << 20, user=b"root", root=os.path.abspath("tree").encode())
		assert lib.sandcastle_new(c.byref(sb)) == 0
		def check(status):
		    text = c.create_string_buffer(512)
		    lib.sandcastle_message(sb, text, c.c_size_t(len(text)))
		    assert status == 0, text.value

		check(lib.sandcastle_start(sb, c.byref(options)))
		argv = (c.c_char_p * 4)(b"/bin/sh", b"-c", sys.argv[1].encode())
		command = hello.ExecOptions(size=c.sizeof(hello.ExecOptions), argv=argv, stdio=(hello.Stdio(0, 0), hello.Stdio(1, 1), hello.Stdio(1, 2)))
		check(lib.sandcastle_exec(sb, c.byref(command), c.byref(cmd)))
		assert lib.sandcastle_command_wait(cmd, -1, c.byref(code)) == 0
		lib.sandcastle_free(sb)
		sys.exit(code.value)
	END
	# shellcheck disable=SC2016 # for the shell in the guest
	run env LIBSANDCASTLE="$LAB_REPO/build/libsandcastle.so.0" PYTHONDONTWRITEBYTECODE=1 \
		PYTHONPATH="$LAB_REPO/examples" /usr/bin/python3 root.py '
		b=/bin/busybox
		$b stat -c "%n %a %u" /var/lib/tree/7 /var/copy/b/c /etc/made /etc/conf
		$b readlink /etc/link
		$b cat /etc/link /etc/conf /etc/made
		exit 6'
	expect_code 6
	expect_out '/var/lib/tree/7 750 0
/var/copy/b/c 644 0
/etc/made 640 0
/etc/conf 604 0
../var/copy/b/c
copied
pristine
made for tree'
}

test_a_runner_and_its_sudden_end()
{
	local pid

	echo data >file
	# shellcheck disable=SC2016 # perl's variable
	run "$examples/ci" 'cat file' 'perl -e "my \$b = q(x) x 6e7; 1 for 1 .. 1e6"; exit 3'
	expect_code 1
	# Sixty million bytes, and some time.
	expect_match '^--- perl .*; exit 3: exit code 3, ([1-9][0-9]*\.[0-9]+|0\.([1-9].|.[1-9])) s of CPU time, ([6-9].|1..) MiB$'
	expect_err_match '2 of 2 done, 1 failed'
	# Killed at any time, it takes its sandboxes along; the harness looks whether anything is left.
	"$examples/ci" 'sleep 600' >/dev/null 2>&1 &
	pid=$!
	sleep 3
	kill -9 "$pid"
	wait "$pid" 2>/dev/null
	expect_within 30 no_sandcastle
}

no_sandcastle()
{
	! pgrep -u "$UID" -x sandcastle >/dev/null
}
