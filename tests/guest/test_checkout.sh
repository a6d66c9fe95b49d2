# shellcheck shell=bash
# user
# The checkout that the current directory is in, and maps whose changes are thrown away.

test_git_finds_its_tree()
{
	export GIT_CONFIG_NOSYSTEM=1
	git init -q main
	git -C main config user.email a@b.c
	git -C main config user.name a
	mkdir main/sub
	echo text >main/sub/file
	git -C main add .
	git -C main commit -q -m first
	git -C main worktree add -q ../wt

	cd main/sub || fail "no folder"
	run_sandcastle run -v -- sh -c 'git log --format=%s && pwd && echo x >file'
	expect_code 2
	expect_out "first"$'\n'"$PWD"
	expect_err_match "main is shown, read-only, as it is the git work tree"
	run_sandcastle run --map-only -- git log
	expect_code 128
	cd ../../wt/sub || fail "no folder"
	run_sandcastle run -- git status --short --branch
	expect_code 0
	expect_out '## wt'
}

test_changes_are_thrown_away()
{
	mkdir src out
	printf 'all:\n\techo made >made; echo new >file; rm gone; mkdir -p d/e; mv old d/e\n' >src/Makefile
	echo before >src/file
	touch src/gone src/old
	chmod 751 src
	# shellcheck disable=SC2016 # for the shell in the guest
	run_sandcastle run --map src:discard --map "$PWD/out:/out:rw" --workdir "$PWD/src" -- \
		sh -c 'make -s && cat made file && ls && stat -c "%a %u" . && cp made /out && id -u'
	expect_code 0
	expect_out $'made\nnew\nMakefile\nd\nfile\nmade\n751 '"$UID"$'\n'"$UID"
	expect_same "$(<src/file) $(cd src && echo *)" 'before Makefile file gone old'
	expect_same "$(<out/made)" made

	# What is to stay may be inside, also by a file.
	mkdir src/keep
	printf '[map a]\nhost = src\ndiscard = true\n[map b]\nhost = src/keep\nwrite = true\n' >a.sandbox
	run_sandcastle config a.sandbox
	expect_match 'src, writable, changes are thrown away'
	run_sandcastle run --config a.sandbox -- sh -c "cd $PWD/src && echo 1 >lost && echo 2 >keep/kept"
	expect_code 0
	expect_same "$(<src/keep/kept)" 2
	[ ! -e src/lost ] || fail "it was not thrown away"
}
