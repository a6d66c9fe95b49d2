#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""hello.c with nothing but Python's own ctypes: hello.py [COMMAND [ARG...]]"""

import ctypes as c
import os
import sys

E_TIMEOUT = -5
OUTPUT = c.CFUNCTYPE(None, c.c_void_p, c.c_int, c.POINTER(c.c_char), c.c_size_t)


class Options(c.Structure):
    """struct sandcastle_options up to .memory: an older version of it is fine."""

    _fields_ = [
        ("size", c.c_size_t),
        *((name, c.c_char_p) for name in "program runtime_dir name kernel user workdir".split()),
        ("env", c.POINTER(c.c_char_p)),
        ("maps", c.c_void_p),
        ("n_maps", c.c_size_t),
        ("memory", c.c_uint64),
    ]


class Stdio(c.Structure):
    _fields_ = [("kind", c.c_int), ("fd", c.c_int)]


class ExecOptions(c.Structure):
    _fields_ = [
        ("size", c.c_size_t),
        ("argv", c.POINTER(c.c_char_p)),
        ("env", c.POINTER(c.c_char_p)),
        ("user", c.c_char_p),
        ("workdir", c.c_char_p),
        ("stdio", Stdio * 3),
        ("output", OUTPUT),
        ("data", c.c_void_p),
    ]


def main():
    lib = c.CDLL(os.environ.get("LIBSANDCASTLE", "libsandcastle.so.0"))
    lib.sandcastle_name.restype = c.c_char_p  # what is no int has to be said
    sb, cmd, code = c.c_void_p(), c.c_void_p(), c.c_int(125)

    def check(status):
        if status != 0:
            text = c.create_string_buffer(512)
            lib.sandcastle_message(sb, text, c.c_size_t(len(text)))
            raise SystemExit(f"hello.py: {text.value.decode()} ({status})")

    @OUTPUT
    def output(_data, stream, data, length):
        os.write(stream, data[:length])

    words = [os.fsencode(word) for word in sys.argv[1:]] or [b"uname", b"-a"]
    options = Options(size=c.sizeof(Options), memory=512 << 20)
    command = ExecOptions(
        size=c.sizeof(ExecOptions),
        argv=(c.c_char_p * (len(words) + 1))(*words),
        stdio=(Stdio(0, 0), Stdio(3, 0), Stdio(3, 0)),
        output=output,
    )
    check(lib.sandcastle_new(c.byref(sb)))
    try:
        check(lib.sandcastle_start(sb, c.byref(options)))
        check(lib.sandcastle_exec(sb, c.byref(command), c.byref(cmd)))
        # In steps, since Python hears of Ctrl-C only between calls.
        while (status := lib.sandcastle_command_wait(cmd, 200, c.byref(code))) == E_TIMEOUT:
            pass
        check(status)
    finally:
        lib.sandcastle_free(sb)
    return code.value


if __name__ == "__main__":
    sys.exit(main())
