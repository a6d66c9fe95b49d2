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
		pause 1
	done
}

keep()
{
	[ -z "${KEEP_PICTURES-}" ] || cp shot.png "$KEEP_PICTURES/$1.png"
}

need_session()
{
	local program

	for program in sway l3afpad zathura; do
		command -v "$program" >/dev/null || skip "no $program on the host"
	done
}

# Types key $2 until sandbox $1 is gone.
quits()
{
	sandcastle send --key "$2" "$1" 2>/dev/null
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

# A file that describes a sandbox, whose program is an editor.
test_an_editor_fills_the_display()
{
	local program

	need_session
	echo 'a line' >note
	cat >quill.sandbox <<-'END'
		[sandbox]
		name = quill
		session = app
		display = 640x400
		[map note]
		host = note
		guest = /srv/note
		[command]
		run = cp /srv/note /tmp/note; l3afpad /tmp/note && exit 7
	END
	sandcastle open quill.sandbox >out 2>err &
	program=$!
	# White is the editor's page, to the last row.
	expect_drawn quill 320 395 ffffff
	keep editor
	expect_within 240 types_and_saves quill /tmp/note Typed
	sandcastle screenshot quill shot.png
	keep editor-typed
	expect_within 240 quits quill ctrl+q
	wait "$program"
	expect_same $? 7
	grep -q 'no window, as neither' err || fail "nothing was said of the window: $(cat err)"
}

# A page that is red from edge to edge.
make_pdf()
{
	cat >"$1" <<-'END'
		%PDF-1.1
		1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj
		2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj
		3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 300 300]/Contents 4 0 R>>endobj
		4 0 obj<</Length 30>>stream
		1 0 0 rg 0 0 300 300 re f     
		endstream endobj
		trailer<</Root 1 0 R>>
	END
}

# shellcheck disable=SC2016 # a name that a shell would read
test_one_file_is_opened()
{
	local viewer

	need_session
	mkdir -p papers config
	make_pdf 'papers/a $HOME %f.pdf'
	echo secret >papers/other
	# The user's choice, of which the sandbox has the second.
	printf '[Default Applications]\napplication/pdf=nowhere.desktop;org.pwmt.zathura-pdf-poppler.desktop;org.pwmt.zathura.desktop\n' >config/mimeapps.list
	XDG_CONFIG_HOME=$TEST_DIR/config sandcastle open --name reader --display 640x400 'papers/a $HOME %f.pdf' >out 2>err &
	viewer=$!
	expect_drawn reader 320 200 ff0000
	keep pdf
	run_sandcastle exec reader -- sh -c 'cd; ls *; cat *.pdf >/dev/null && ! touch *.pdf; ls "$1" /sys/class/net' sh "$TEST_DIR/papers"
	expect_match '^a \$HOME %f\.pdf$'
	expect_no_match 'other|eth|enp'
	expect_within 240 quits reader q
	wait "$viewer"
	expect_same $? 0
}

test_a_program_that_is_not_there()
{
	run_sandcastle run --session app nonesuch
	expect_code 127
	expect_err_match 'nonesuch'
	# The folder is shown for a second, or there is nothing that shows one.
	touch a.odt
	run_sandcastle open --timeout 1s a.odt
	[ "$code" -eq 124 ] || expect_code 125
	expect_err_match "no application for 'a.odt' .*apt install libreoffice-writer"
	run_sandcastle start --session app
	expect_one_line_error 'start. has none'
}
