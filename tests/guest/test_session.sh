# shellcheck shell=bash
# A graphical program that fills the display, with no session manager. What there is to see is looked
# at by the colour of single pixels; KEEP_PICTURES=DIR keeps the pictures.

# colour_at NAME X Y: prints it, as screenshot has it.
colour_at()
{
	sandcastle screenshot "$1" shot.png 2>/dev/null || return 1
	"$LAB_REPO/build/tests/guest/pixel" shot.png "$2" "$3" 2>/dev/null | cut -d ' ' -f 2
}

# expect_drawn NAME X Y COLOUR; else shows what sandbox NAME and its session have said.
expect_drawn()
{
	local end=$((SECONDS + 480))

	until [ "$(colour_at "$1" "$2" "$3")" = "$4" ]; do
		[ "$SECONDS" -lt "$end" ] || fail "not drawn: $*
$(cat err; sandcastle exec --user root "$1" -- sh -c 'cat /run/sandcastle/session.log; ps axf' 2>&1)"
		sleep 0.5
	done
}

keep()
{
	[ -z "${KEEP_PICTURES-}" ] || cp shot.png "$KEEP_PICTURES/$1.png"
}

need_session()
{
	local program

	for program in sway l3afpad; do
		command -v "$program" >/dev/null || skip "no $program on the host"
	done
}

# Ctrl+Q, until sandbox $1 is gone.
quits()
{
	sandcastle send --key ctrl+q "$1" 2>/dev/null
	sleep 3
	! sandcastle list --quiet | grep -qx "$1"
}

# types_and_saves NAME FILE TEXT: in the editor, whose window is in the middle, all is TEXT then, and
# saved. A guest that is busy for long misses keys, so this is to be tried again.
types_and_saves()
{
	sandcastle send --click 320,300 --key ctrl+a --text "$3" --key ctrl+s "$1" || return
	for _ in {1..10}; do
		[ "$(sandcastle exec "$1" -- cat "$2" 2>/dev/null)" != "$3" ] || return 0
		sleep 1
	done
	return 1
}

test_an_editor_fills_the_display()
{
	local program

	need_session
	echo 'a line' >note
	sandcastle run --name quill --session app --display 640x400 --map note:/srv/note -- \
		sh -c 'cp /srv/note /tmp/note; l3afpad /tmp/note && exit 7' >out 2>err &
	program=$!
	# White is the editor's page, to the last row.
	expect_drawn quill 320 395 ffffff
	keep editor
	expect_within 240 types_and_saves quill /tmp/note Typed
	sandcastle screenshot quill shot.png
	keep editor-typed
	expect_within 240 quits quill
	wait "$program"
	expect_same $? 7

}

test_a_program_that_is_not_there()
{
	run_sandcastle run --session app nonesuch
	expect_code 127
	expect_err_match 'nonesuch'
	run_sandcastle start --session app
	expect_one_line_error 'start. has none'
}
