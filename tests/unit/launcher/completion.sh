#!/bin/bash
# SPDX-License-Identifier: MIT
# completion.sh SANDCASTLE SCRIPT - what bash completion makes of command lines.
#
# shellcheck disable=SC2317 # the script under test calls the functions below
program=$1
# shellcheck source=/dev/null
. "$2"
cd "$(mktemp -d)" || exit 1
trap 'rm -r "$PWD"' EXIT
mkdir a-folder
touch a-file
failed=0

# The program, but for the names of sandboxes: none is needed for them.
sandcastle()
{
	case $* in
	"list --quiet") printf 'quiet-dune\ncalm-cove\n' ;;
	*) "$program" "$@" ;;
	esac
}

# Only bash itself may call it, while it completes.
compopt()
{
	:
}

# The command of the sandbox's own, which is completed by other means, begins at this word.
_command_offset()
{
	COMPREPLY=("command at $1")
}

# expect WHAT WORD...: completing the last word gives WHAT, sorted.
expect()
{
	local want=$1 got
	shift
	COMP_WORDS=(sandcastle "$@")
	COMP_CWORD=$#
	_sandcastle
	got=$(printf '%s\n' "${COMPREPLY[@]}" | sort | tr '\n' ' ')
	[[ $got == "$want " ]] && return
	echo "sandcastle $*: expected '$want', got '$got'"
	failed=1
}

expect "start stats stop" st
expect "--help --json" wait --
expect "calm-cove" wait c
expect "calm-cove quiet-dune" stop --force quiet-dune ""
expect "--battery" run --bat
expect "host" run --battery h
expect "none" run --battery = n
expect "a-file a-folder" run --battery a
expect "a-folder" start --root a
expect "a-file a-folder" doctor --kernel a
expect "" run --memory 1
expect "command at 4" run --battery none make
expect "command at 5" run --battery = none make ""
expect "command at 6" run --map . : rw make
expect "command at 6" run -e A = b make
expect "command at 4" run --no-dax -- make -
expect "command at 2" run make --
expect "command at 3" exec quiet-dune make
expect "command at 5" exec -u root quiet-dune make -
expect "quiet-dune" exec -d q
expect "" start a
expect "a-file a-folder" share quiet-dune a
expect "a-file" cp a-fi
expect "quiet-dune:" cp a-file q
expect "build" image b
expect "--root" image build --r
expect "a-file a-folder" config a
exit $failed
