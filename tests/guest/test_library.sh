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
		    _fields_ = [("host", c.c_char_p), ("guest", c.c_char_p), ("writable", c.c_int)]

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

test_a_runner_and_its_sudden_end()
{
	local pid

	echo data >file
	run "$examples/ci" 'cat file' 'false; exit 3'
	expect_code 1
	expect_match '^--- false; exit 3: exit code 3$'
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
