# shellcheck shell=bash
# shellcheck disable=SC2016 # scripts for the shell in the guest
# `sandcastle cp`, both ways, and out of a sandbox that means harm.

# Lists a tree: names, kinds, modes, times to the second, sizes, targets.
list_tree()
{
	(cd "$1" && find . \( -type d -printf '%y %m %T@ %p\0' \) -o -printf '%y %m %T@ %s %p %l\0' | sed -z 's/\.[0-9]* / /' | sort -z | tr '\0\n' '\n?')
}

test_both_ways()
{
	local i box=cp-box odd=$'new\nline \xff -x'

	mkdir -p tree/sub/empty tree/ro out
	echo text >tree/file
	echo odd >"tree/$odd"
	head -c 20000000 /dev/urandom >tree/big
	printf '#!/bin/sh\n' >tree/script
	chmod 4750 tree/script
	ln -s ../file tree/sub/link
	ln -s /nowhere/at/all tree/dangling
	ln tree/file tree/hard
	mkfifo tree/fifo
	touch -d '2001-02-03 04:05:06 UTC' tree/file tree/sub/empty tree/sub
	chmod 700 tree/sub/empty
	chmod 555 tree/ro
	run sh -c "cd / && exec sandcastle start --name $box"
	expect_code 0

	# In: a FIFO is none of what is copied, and said; set-id bits stay here.
	run_sandcastle cp tree $box:/tmp
	expect_code 125
	expect_err_match 'skipped tree/fifo'
	rm tree/fifo
	chmod 750 tree/script
	run_sandcastle cp tree $box:/tmp/again
	expect_code 0
	expect_out ''
	expect_err ''
	run_sandcastle exec $box sh -c 'cd /tmp/tree && stat -c "%U %a %Y" file sub/empty; readlink sub/link dangling; ls /tmp/again; sha256sum <big'
	expect_match "^$(id -un) 644 981173106$"
	expect_match "^$(id -un) 700 981173106$"
	expect_match '^\.\./file$'
	expect_match "^$(sha256sum <tree/big)$"

	# Out, under its name and another, and the content alone.
	run_sandcastle cp $box:/tmp/again out
	expect_code 0
	expect_err ''
	list_tree tree >before
	list_tree out/again >after
	run diff before after
	expect_out ''
	cmp tree/big out/again/big || fail "the file of 20 MB is another"
	run_sandcastle cp $box:/tmp/again/. out/content
	expect_code 0
	list_tree out/content | grep -av '^d.* \.$' >after
	grep -av '^d.* \.$' before >before.content
	run diff before.content after
	expect_out ''
	run_sandcastle cp "$box:/tmp/tree/$odd" $box:/tmp/tree/file out
	expect_code 0
	expect_same odd "$(cat "out/$odd")"
	run_sandcastle cp $box:/tmp/tree/file out/renamed
	expect_code 0
	expect_same text "$(cat out/renamed)"
	# Into a file that is there, and the content of a folder into one that is there.
	echo other >single
	run_sandcastle cp single $box:/tmp/tree/file
	expect_code 0
	run_sandcastle cp tree/sub/. $box:/tmp/tree/ro/..
	expect_code 0
	run_sandcastle exec $box sh -c 'cat /tmp/tree/file; readlink /tmp/tree/link'
	expect_out $'other\n../file'

	# What cannot be.
	run_sandcastle cp nothing $box:/tmp
	expect_one_line_error 'nothing'
	run_sandcastle cp $box:/tmp/nothing out
	expect_one_line_error 'tar in the sandbox failed: .*nothing'
	run_sandcastle cp single $box:/nowhere/x
	expect_one_line_error 'tar in the sandbox failed: .*nowhere'
	run_sandcastle cp single tree/file $box:/tmp/nowhere
	expect_one_line_error 'no folder in the sandbox'
	run_sandcastle cp $box:/tmp/tree/file nowhere/x
	expect_one_line_error 'nowhere'
	run_sandcastle cp single $box:/etc/shadow
	expect_code 125
	run_sandcastle cp $box:/tmp $box:/tmp/x
	expect_one_line_error 'both in a sandbox'
	run_sandcastle cp single other:/tmp
	expect_one_line_error "no sandbox named 'other'"

	# A disk of ours that is full: one line that names it, and nothing half-written.
	mkdir full
	run env XDG_RUNTIME_DIR="${XDG_RUNTIME_DIR:-/run/user/$UID}" unshare --map-root-user --mount sh -c \
		"mount -t tmpfs -o size=1M full full; sandcastle cp $box:/tmp/tree/big full; echo \$? \$(ls -A full)"
	expect_out 125
	expect_err_match '^sandcastle: cannot write big in full: No space left on device; a twentieth'

	# A tar that does as it likes.
	mkdir -p safe/in
	run_sandcastle exec -u root $box sh -c 'cat >/usr/local/bin/tar && chmod 755 /usr/local/bin/tar' <<-'END'
		#!/bin/sh
		cd /tmp && mkdir -p w x && echo evil >x/f && ln -sf ../../.. x/up && ln -sf x y && cp /bin/true x/suid && chmod 6777 x/suid
		exec /usr/bin/tar -c -f - -P --format=gnu --transform 's,^x/f$,x/up/evil,' --transform 's,^y$,../evil,' \
			--transform 's,^w,/tmp/evil,' x x/f y w /dev/null x/suid
	END
	expect_code 0
	run_sandcastle cp $box:/tmp/x safe/in
	expect_code 125
	expect_err_match 'skipped x/up/evil'
	expect_err_match 'skipped \.\./evil'
	expect_err_match 'skipped /tmp/evil'
	# Without -p the user's umask counts, and set-id bits never do.
	expect_same 755 "$(stat -c %a safe/in/x/suid)"
	for i in evil ../evil safe/evil safe/in/evil /tmp/evil; do
		[ ! -e "$i" ] || fail "$i got out"
	done
	run_sandcastle exec -u root $box sh -c 'printf "#!/bin/sh\nexec cat /dev/zero\n" >/usr/local/bin/tar'
	run_sandcastle cp $box:/tmp/x safe
	expect_code 125
	run_sandcastle stop -f $box
	expect_code 0
	chmod -R u+w tree out
}
