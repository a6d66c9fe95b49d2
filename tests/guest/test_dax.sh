# shellcheck shell=bash
# shellcheck disable=SC2016 # scripts for the shell in the guest
# The DAX window: large files that a guest cannot write are the host's own pages in it.

need_python()
{
	[ -x /usr/bin/python3 ] || skip "python3 is not one of the system's"
}

# read_mapped FILE [OPTION...]: reads FILE in a sandbox through a mapping; the output is its
# checksum, and how many KiB of memory the guest took for it.
read_mapped()
{
	run_sandcastle run --memory 512M --cpus 1 "${@:2}" -- /usr/bin/python3 -c '
import hashlib, mmap, sys
def used():
    kinds = ("Cached:", "AnonPages:", "Slab:", "PageTables:")
    return sum(int(l.split()[1]) for l in open("/proc/meminfo") if l.startswith(kinds))
h = hashlib.sha256()
f = open(sys.argv[1], "rb")
before = used()
m = mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ)
for at in range(0, len(m), 1 << 16):
    h.update(m[at:at + (1 << 16)])
print(h.hexdigest(), used() - before)' "$1"
	expect_code 0
}

test_reading_takes_no_memory()
{
	local sum

	need_python
	head -c 33554432 /dev/urandom >big
	sum=$(sha256sum <big)
	read_mapped big
	expect_same "${sum%% *}" "${out% *}"
	# Of 32 MiB: 2 % and what a process in a guest takes meanwhile.
	[ "${out#* }" -lt 2048 ] || fail "the guest took ${out#* } KiB to read 32 MiB"
	read_mapped big --no-dax
	expect_same "${sum%% *}" "${out% *}"
	[ "${out#* }" -gt 30000 ] || fail "--no-dax took ${out#* } KiB only"
}

# file_cache: KiB of files, those in memory only left out, that this host has in its page cache.
file_cache()
{
	awk '/^Cached:/ { n += $2 } /^Shmem:/ { n -= $2 } END { print n }' /proc/meminfo
}

# guest_memory NAME: KiB of memory a sandbox's guest holds.
guest_memory()
{
	local bytes

	bytes=$(sandcastle stats --json "$1" | grep -o '"resident":[0-9]*')
	echo $((${bytes#*:} / 1024))
}

test_two_sandboxes_read_one_copy()
{
	local box size cache memory
	local -a files

	mapfile -t files < <(find /usr/bin /usr/lib/x86_64-linux-gnu -type f -perm -o=r -size +512k -size -6M | sort | head -n 16)
	size=$((($(stat -c %s "${files[@]}" | paste -sd +)) / 1024))
	[ "$size" -gt 10000 ] || skip "this host has no large programs and libraries: $size KiB"
	for box in one two; do
		run_sandcastle start --name "$box" --memory 512M --cpus 1
		expect_code 0
		run_sandcastle exec "$box" cat /dev/null
		expect_code 0
	done
	run_sandcastle exec one sh -c 'cat "$@" | wc -c' sh "${files[@]}"
	expect_code 0
	cache=$(file_cache) memory=$(guest_memory two)
	run_sandcastle exec two sh -c 'cat "$@" | wc -c' sh "${files[@]}"
	expect_code 0
	expect_same "$size" $((out / 1024))
	cache=$(($(file_cache) - cache)) memory=$(($(guest_memory two) - memory))
	note "the second one, reading $size KiB: $cache KiB of page cache, $memory KiB of guest memory"
	[ "$cache" -lt $((size / 10)) ] || fail "the host keeps a second copy"
	[ "$memory" -lt $((size / 5)) ] || fail "the guest keeps a copy"
	run_sandcastle stop one two
	expect_code 0
}

# A guest with a mapping of a file that the host cuts short lives on, and is told by the next request.
test_a_file_cut_short_kills_nothing()
{
	need_python
	head -c 6291456 /dev/zero | tr '\0' x >f
	sandcastle run -- /usr/bin/python3 -c '
import errno, mmap, os, time
f = open("f", "rb", 0)
m = mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ)
print(sum(m[0::4096]), flush=True)
while not os.path.exists("go"):
    time.sleep(0.05)
print(set(m[4096::4096]))
time.sleep(0.5)
try:
    os.fstat(f.fileno())
except OSError as e:
    print(errno.errorcode[e.errno])
f.close()
print(len(open("f", "rb").read()), flush=True)
os._exit(7)' >log 2>err &
	expect_within 120 test -s log
	truncate -s 100 f
	touch go
	wait %1
	expect_same '7 ' "$? $(grep -v 'was made shorter on the host' err)"
	expect_same $'184320\n{0}\nESTALE\n100' "$(cat log)"
	expect_same 1 "$(wc -l <err)"
}

# Root in the guest takes the window from its driver and writes to it: nothing happens outside.
test_a_write_into_the_window_harms_only_the_guest()
{
	command -v busybox >/dev/null || skip "no busybox on the host"
	head -c 4194304 /dev/zero | tr '\0' x >f
	run_sandcastle run --user root --timeout 60s -- sh -c '
		cp "$(command -v busybox)" /tmp/busybox
		exec /tmp/busybox sh -c "
			cat f >/dev/null
			for d in /sys/bus/virtio/drivers/virtiofs/virtio*; do
				# The window is BAR 2.
				sed -n 3p \$d/../resource | cut -d\" \" -f1 >>/tmp/windows
				echo \${d##*/} >/sys/bus/virtio/drivers/virtiofs/unbind
			done
			for at in \$(cat /tmp/windows); do
				for off in 0 0x200000 0x400ffc; do
					/tmp/busybox devmem \$((at + off)) 32 0x12345678 && /tmp/busybox devmem \$((at + off)) 32
				done
			done
			echo the end"'
	expect_code 0
	# Of two windows. What it writes is dropped; without a driver there are only zero pages.
	expect_same 6 "$(grep -c '^0x00000000$' <<<"$out")"
	expect_match '^the end$'
	expect_same 0 "$(tr -d x <f | wc -c)"
}

# Root in the guest reads the windows themselves, past their driver: the kernel refuses them as devices, but a
# BPF program reads what the kernel has mapped, all of them, and finds what is shared and nothing else.
test_the_window_read_directly_has_no_secret()
{
	local secret

	need_python
	mkdir share
	secret=$(head -c 12 /dev/urandom | od -An -tx1 | tr -d ' \n')
	# As large as what is mapped if it is shared.
	yes "$secret" | head -c 1048576 >host-only
	cat host-only >/dev/null
	yes "shown to the guest" | head -c 1048576 >share/f
	cat >share/look.py <<-'END'
		import ctypes, errno, glob, mmap, os, struct, sys

		STEP = 1 << 16
		libc = ctypes.CDLL(None, use_errno=True)

		def bpf(command, form, *values):
		    attr = ctypes.create_string_buffer(struct.pack(form, *values), 128)
		    r = libc.syscall(321, command, attr, 128)
		    if r < 0:
		        sys.exit(f"bpf {command}: {os.strerror(ctypes.get_errno())}")
		    return r, attr

		def address(buf):
		    return ctypes.addressof(buf)

		# A map of one value, and a program that reads kernel memory at its first argument into it.
		value, _ = bpf(0, "5I", 2, 4, STEP, 1, 1 << 10)
		code = ((0x79, 0x16, 0), (0x18, 0x21, value), (0, 0, 0), (0xb7, 2, STEP), (0xbf, 0x63, 0), (0x85, 0, 113), (0x95, 0, 0))
		insns = ctypes.create_string_buffer(b"".join(struct.pack("BBhi", op, regs, 0, imm) for op, regs, imm in code))
		license = ctypes.create_string_buffer(b"GPL")
		program, _ = bpf(5, "IIQQ", 17, len(code), address(insns), address(license))
		text = mmap.mmap(value, STEP, mmap.MAP_SHARED, mmap.PROT_READ)

		def kernel(at):
		    arg = ctypes.create_string_buffer(struct.pack("Q", at), 8)
		    _, attr = bpf(10, "4I2Q4I2Q", program, 0, 0, 0, 0, 0, 0, 0, 8, 0, address(arg), 0)
		    return text[:] if struct.unpack_from("I", attr, 4)[0] == 0 else None

		def look(path, at, length):
		    try:
		        m = mmap.mmap(os.open(path, os.O_RDONLY), length, mmap.MAP_SHARED, mmap.PROT_READ, offset=at)
		        return "read" if len(m[:4096]) == 4096 else "short"
		    except OSError as e:
		        return errno.errorcode[e.errno]

		names = ("linux_banner", "page_offset_base")
		symbol = {w[2]: int(w[0], 16) for w in map(str.split, open("/proc/kallsyms")) if w[2] in names}
		print(kernel(symbol["linux_banner"])[:13].decode())
		base = struct.unpack_from("Q", kernel(symbol["page_offset_base"]))[0]
		print("low memory:", look("/dev/mem", 0xf0000, 4096))

		secret = sys.argv[1].encode()
		f = open("f", "rb")
		shown = mmap.mmap(f.fileno(), 0, prot=mmap.PROT_READ)
		start = shown[:4096]
		for d in glob.glob("/sys/bus/virtio/drivers/virtiofs/virtio*"):
		    pci = os.path.dirname(os.path.realpath(d))
		    first, last = (int(x, 16) for x in open(pci + "/resource").readlines()[2].split()[:2])
		    print("window:", last + 1 - first >> 20, *(look(*where, last + 1 - first) for where in
		        ((pci + "/resource2", 0), (pci + "/resource2_wc", 0), ("/dev/mem", first))))
		    parts = [kernel(base + at) for at in range(first, last + 1, STEP)]
		    print("parts:", len(parts), parts.count(None), *(sum(what in p for p in parts if p) for what in (start, secret)))
	END
	cd share || return
	run_sandcastle run --user root --memory 128M --timeout 200s -- /usr/bin/python3 look.py "$secret"
	expect_code 0
	# BPF reads, and so does what the kernel refuses for the windows.
	expect_match '^Linux version$'
	expect_match '^low memory: read$'
	expect_same 2 "$(grep -c '^window: [0-9]* EINVAL EINVAL EPERM$' <<<"$out")"
	# All of both: that of the base, and that in which the shared file is.
	expect_match '^parts: 512 0 0 0$'
	expect_match '^parts: 128 0 [1-9][0-9]* 0$'
}
