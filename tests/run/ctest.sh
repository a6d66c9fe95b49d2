# shellcheck shell=bash
# Sourced by ./dev: the stages that CTest runs.

# ctest_stage CC SANITIZE LABEL FILTER
ctest_stage()
{
	local -a targets=()

	[ "$3" != stress ] || targets=(stress)
	build_quietly "$1" "$2" "${targets[@]}" || { count 0 1 0; return; }
	rm -f "$dir/Testing/Temporary/LastTest.log"
	ctest --test-dir "$dir" -L "$3" -R "${4:-.}" -j "$jobs" --output-on-failure 2>&1 |
		grep -vE '^(Internal ctest changing|Test project|Label Time|Total Test time|(unit|stress) +=| +Start +[0-9]+:|\[(RUN |PASS)\]|$)'
	[ -e "$dir/Testing/Temporary/LastTest.log" ] || return
	grep -ahE '^\[SKIP\]' "$dir/Testing/Temporary/LastTest.log" | sed 's/^\[SKIP\]/skip/'
	count_ctest "$dir/Testing/Temporary/LastTest.log"
}
