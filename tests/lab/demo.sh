#!/usr/bin/env bash
# What ./dev demo shows, run on a host with virtualization.
set -eu

# One stream, so that what belongs together stays together.
exec 2>&1
TIMEFORMAT='took       %R s; the first run also unpacks the kernel and makes the base image'

heading()
{
	printf '\n--- %s\n' "$*"
}

heading "This host"
echo "kernel     $(uname -r), up for $(cut -d. -f1 /proc/uptime) s"
echo "processes  $(find /proc -maxdepth 1 -name '[0-9]*' | wc -l)"

heading "A command in a sandbox: sandcastle run --user root -- sh -c '...'"
# shellcheck disable=SC2016 # for the shell in the sandbox
time sandcastle run --user root -- sh -c '
	echo "kernel     $(uname -r), up for $(cut -d. -f1 /proc/uptime) s"
	echo "files      $(. /etc/os-release && echo "$PRETTY_NAME"), as on the host"
	echo "processes  (without the threads of the kernel)"
	for dir in /proc/[0-9]*; do
		[ -z "$(head -c 1 "$dir/cmdline")" ] || printf "%10s  %s\n" "${dir#/proc/}" "$(cat "$dir/comm")"
	done
	echo "It writes to /usr/bin/hello:"
	echo "echo hello from the sandbox" >/usr/bin/hello
	chmod +x /usr/bin/hello
	ls -l /usr/bin/hello
	hello
'

heading "A second sandbox: is /usr/bin/hello there?"
sandcastle run -- sh -c '
	if [ -e /usr/bin/hello ]; then
		echo "Yes, and it should not be."
		exit 1
	fi
	echo "No: it went away with the first sandbox."
'

heading "And on the host?"
if [ -e /usr/bin/hello ]; then
	echo "Yes, and it should not be."
	exit 1
fi
echo "Not here either: a sandbox does not write to its host."
