# shellcheck shell=bash
# Sourced by ./dev: the fuzz targets, as a stage and one by one.

fuzz_targets()
{
	find build-clang-address -type f -name 'fuzz_*' -executable -printf '%f\n' 2>/dev/null | sort
}

# run_fuzz TARGET SECONDS. Absolute paths: a target may change its directory.
run_fuzz()
{
	local binary

	binary=$(find build-clang-address -type f -name "$1" -executable | head -n 1)
	[ -n "$binary" ] || return 1
	mkdir -p "build-clang-address/corpus/$1"
	[ ! -d "tests/fuzz/corpus/$1" ] || set -- "$1" "$2" "$repo/tests/fuzz/corpus/$1"
	"$binary" -max_total_time="$2" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
		-artifact_prefix="$repo/build-clang-address/$1-" "$repo/build-clang-address/corpus/$1" "${@:3}"
}

# One fuzz target of the fuzz stage, several at a time.
fuzz_one()
{
	local out=build-clang-address/$1.log

	if run_fuzz "$1" "$2" >"$out" 2>&1; then
		printf 'ok %s, %s runs\n' "$1" "$(sed -n 's/^stat::number_of_executed_units: *//p' "$out")"
	else
		printf 'FAIL %s\n' "$1"
		tail -n 40 "$out" | sed 's/^/    /'
	fi
}

fuzz_stage()
{
	local seconds=$1 target out=$scratch/fuzz

	build_quietly clang address || { count 0 1 0; return; }
	for target in $(fuzz_targets | grep -E -- "$2"); do
		while [ "$(jobs -rp | wc -l)" -ge "$jobs" ]; do
			wait -n
		done
		fuzz_one "$target" "$seconds" &
	done > >(tee "$out")
	wait
	count "$(grep -c '^ok ' "$out")" "$(grep -c '^FAIL ' "$out")" 0
}

cmd_fuzz()
{
	need build test
	build_quietly clang address || die "fuzz: the targets do not build"
	if [ $# -eq 0 ]; then
		fuzz_targets
		return
	fi
	fuzz_targets | grep -qxF -- "$1" || die "fuzz: no target $1; ./dev fuzz lists them"
	[[ ${2-60} =~ ^[0-9]+$ ]] || die "fuzz: '$2' is not a number of seconds"
	run_fuzz "$1" "${2-60}"
}
