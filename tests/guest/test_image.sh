# shellcheck shell=bash
# The base image, as who uses it sees it.

test_info_and_verify_without_an_image()
{
	run env XDG_CACHE_HOME="$PWD/cache" sandcastle image info --root "$PWD"
	expect_one_line_error 'package database'
	mkdir -p tree/var/lib/dpkg/info tree/usr/bin cache
	printf 'Package: a\nStatus: install ok installed\nVersion: 1\nArchitecture: all\n' \
		>tree/var/lib/dpkg/status
	printf '/usr\n/usr/bin\n/usr/bin/a\n' >tree/var/lib/dpkg/info/a.list
	echo a >tree/usr/bin/a
	export XDG_CACHE_HOME=$PWD/cache
	run_sandcastle image info --root tree
	expect_one_line_error 'no base image yet'
	run_sandcastle image build --root tree
	expect_code 0
	run_sandcastle image info --root tree --json
	expect_match '"shared_files": 1,'
	expect_match '"current": true'
	echo changed >tree/usr/bin/a
	run_sandcastle image verify --root tree
	expect_code 1
	expect_match '^/usr/bin/a'
	run_sandcastle image clean --root tree
	expect_code 0
	run_sandcastle image verify --root tree
	expect_code 1
	run_sandcastle image nonsense
	expect_one_line_error
}
