# shellcheck shell=bash
# What a file describes is what the sandbox is, and a mistake in one starts nothing.

test_a_file_describes_the_sandbox()
{
	mkdir -p project/src project/out elsewhere
	echo 'from the host' >project/src/data
	cat >project/a.sandbox <<-'END'
		[sandbox]
		name = quiet-dune
		cpus = 1
		memory = 512M
		env = COLOUR=sand
		workdir = /work
		priority = high

		[map src]
		host = src
		guest = /work
		[map out]
		host = out
		guest = /out
		write = true

		[command]
		run = echo "$COLOUR on $(hostname), $(nproc) of $(pwd)" && cat data && cd /
		run = echo kept >/out/file; pwd; [ "$(ls -A ~)" = "$(ls -A /etc/skel)" ] || ls -A ~; ! touch /work/x 2>/dev/null && sh -c 'exit 5'
		run = echo not reached
	END
	cd elsewhere || fail "no folder"
	run_sandcastle run --config ../project/a.sandbox
	expect_code 5
	expect_out $'sand on quiet-dune, 1 of /work\nfrom the host\n/work'
	expect_err 'sandcastle: warning: ../project/a.sandbox:7: priority = high is not supported yet; it runs as any process does'
	expect_same kept "$(cat ../project/out/file)"
	[ ! -e ../project/src/x ] || fail "a read-only map was written to"
}

test_a_windows_sandbox_file_and_the_command_line()
{
	mkdir shared
	cat >b.wsb <<-'END'
		<Configuration>
		  <AudioInput>Enable</AudioInput>
		  <Networking>Disable</Networking>
		  <MappedFolders>
		    <MappedFolder><HostFolder>shared</HostFolder></MappedFolder>
		  </MappedFolders>
		  <LogonCommand><Command>C:\setup.exe</Command></LogonCommand>
		  <MemoryInMB>2048</MemoryInMB>
		</Configuration>
	END
	run_sandcastle run --config b.wsb
	expect_one_line_error "b.wsb:7: .*command of Windows"
	run_sandcastle run --config b.wsb --cpus 1 -- sh -c 'pwd; echo hello >~/Desktop/shared/file; grep -c "^processor" /proc/cpuinfo'
	expect_code 0
	expect_out "$HOME"$'\n1'
	expect_err 'sandcastle: warning: b.wsb:2: <AudioInput>Enable is not supported yet; the sandbox has no microphone'
	expect_same hello "$(cat shared/file)"
	# A command that is none of Windows is run once the sandbox is there.
	sed -i '/<AudioInput>/d; s|<Command>.*</Command>|<Command>cp ~/Desktop/shared/file ~/Desktop/shared/copy</Command>|' b.wsb
	run_sandcastle start --name quiet-dune --config b.wsb
	expect_code 0
	expect_err ''
	expect_within 60 test -s shared/copy
	expect_same hello "$(cat shared/copy)"
	run_sandcastle stop quiet-dune
	expect_code 0
}

test_config_says_what_a_file_means()
{
	printf '[sandbox]\nmemory = 1G\n[map a]\nhost = .\ngpu = x\n' >a.sandbox
	run_sandcastle config a.sandbox
	expect_one_line_error "a.sandbox:5: unknown key 'gpu'; a map has host, guest, write"
	run_sandcastle run --config a.sandbox -- true
	expect_one_line_error "a.sandbox:5: unknown key"
	printf '[sandbox]\nmemory = 1G\n' >a.sandbox
	run_sandcastle config a.sandbox
	expect_code 0
	expect_match '^memory +at most 1 GiB'
	run_sandcastle config --json a.sandbox
	expect_code 0
	expect_match '"memory": 1073741824'
}
