# shellcheck shell=bash
# Sourced by ./dev: ./dev test, and the list of its stages.

# The stages in their order: a line each, which is all that a further one needs. KIND is what
# ./dev test takes to run this stage alone, COMMAND adds what it ran with count().
stages()
{
	#     KIND   TITLE                                  COMMAND...
	stage unit "unit tests, gcc" ctest_stage gcc '' unit "$pattern"
	background start start_begin
	stage unit "unit tests, clang with ASan and UBSan" ctest_stage clang address 'unit|stress' "$pattern"
	stage stress "stress tests, clang with TSan" ctest_stage clang thread stress "$pattern"
	stage window "the window, under Xvfb" ctest_stage gcc '' window "$pattern"
	stage fuzz "fuzz targets, $seconds s each" fuzz_stage "$seconds" "$pattern"
	stage lint "lint" lint_stage "$pattern"
	stage start "start of a sandbox, in counted time" start_stage
	stage guest "guest tests, in the lab" guest_stage "$limit" "$pattern"
}

# wanted KIND: whether stages of this kind are to run. Without a kind all are.
wanted()
{
	[[ " $kinds " = *" $1 "* ]] || kinds+=" $1"
	[ -z "$kind" ] || [ "$kind" = "$1" ]
}

# background KIND COMMAND [ARG...]: begins what a later stage of that kind waits for.
background()
{
	! wanted "$1" || "${@:2}"
}

# stage KIND TITLE COMMAND [ARG...]: runs one stage under a header line and says what came of it.
stage()
{
	local title=$2 start=$SECONDS p=$passed f=$failed s=$skipped

	wanted "$1" || return 0
	shift 2
	printf '\n== %s\n' "$title"
	"$@"
	printf -- '-- %s: %d passed, %d failed, %d skipped, %d s\n' "$title" \
		$((passed - p)) $((failed - f)) $((skipped - s)) $((SECONDS - start))
}

cmd_test()
{
	local seconds=4 limit=25m kind='' kinds='' pattern=''

	while [ $# -gt 0 ]; do
		case $1 in
		--fuzz-seconds) seconds=${2-} && shift ;;
		--fuzz-seconds=*) seconds=${1#*=} ;;
		--timeout) limit=${2-} && shift ;;
		--timeout=*) limit=${1#*=} ;;
		-*) die "test: unknown option $1; see ./dev help test" ;;
		*)
			[ -z "$pattern" ] || die "test: one kind and one filter at most; see ./dev help test"
			if [ -n "$kind" ]; then
				pattern=$1
			else
				kind=$1
			fi
			;;
		esac
		shift || break
	done
	[[ $seconds =~ ^[0-9]+$ ]] || die "test: --fuzz-seconds takes a number"

	stages
	[ -z "$kind" ] || [[ " $kinds " = *" $kind "* ]] || die "test: '$kind' is not one of$kinds"
	if [ -s "$scratch/failures" ]; then
		printf '\n== what failed, once more\n'
		head -n 200 "$scratch/failures"
	fi
	printf '\nThe whole took %d s.\n' "$SECONDS"
	if [ "$skipped" -gt 0 ]; then
		printf '%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
	else
		printf '%d passed, %d failed\n' "$passed" "$failed"
	fi
	[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
}
