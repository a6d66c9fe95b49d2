# shellcheck shell=bash
# Sourced by ./dev: the fuzz targets, as a stage and one by one.

fuzz_targets()
{
	find build-clang-address -type f -name 'fuzz_*' -executable -printf '%f\n' 2>/dev/null | sort
}

# A kick takes milliseconds: an input that takes seconds is a fault, on a busy machine too.
fuzz_limits=(-timeout=5 -rss_limit_mb=2048)

# run_fuzz TARGET SECONDS LEARNT [OPTION...]: what it finds is kept in the directory LEARNT. Absolute
# paths: a target may change its directory.
run_fuzz()
{
	local binary learnt=$repo/$3

	binary=$(find build-clang-address -type f -name "$1" -executable | head -n 1)
	[ -n "$binary" ] || return 1
	mkdir -p "$learnt"
	set -- "$1" "$2" "${@:4}" "$learnt"
	[ ! -d "tests/fuzz/corpus/$1" ] || set -- "$@" "$repo/tests/fuzz/corpus/$1"
	"$binary" -max_total_time="$2" "${fuzz_limits[@]}" -print_final_stats=1 \
		-artifact_prefix="$repo/build-clang-address/$1-" "${@:3}"
}

# One fuzz target of the fuzz stage, several at a time. From the committed inputs, with a fixed seed:
# who changed nothing is not told of a fault by chance. To look for faults is what ./dev fuzz is for.
fuzz_one()
{
	local out=build-clang-address/$1.log learnt=build-clang-address/stage/$1

	rm -rf "$learnt"
	if run_fuzz "$1" "$2" "$learnt" -seed=1 >"$out" 2>&1; then
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
	remember "$out"
	count "$(grep -c '^ok ' "$out")" "$(grep -c '^FAIL ' "$out")" 0
}

# Runs each target over its committed inputs and nothing else. Sets with_corpus: the programs.
run_corpora()
{
	local dir=build-clang-coverage binary target

	rm -rf "$dir/profile"
	with_corpus=()
	for target in "$@"; do
		binary=$(find "$dir" -type f -name "$target" -executable | head -n 1)
		if ! LLVM_PROFILE_FILE=$dir/profile/$target "$binary" -runs=0 "${fuzz_limits[@]}" \
			-artifact_prefix="$dir/" "tests/fuzz/corpus/$target" >"$log" 2>&1; then
			tail -n 40 "$log"
			return 1
		fi
		with_corpus+=("$binary")
	done
}

# Lines "FILE LINES LINES-THAT-RAN", files by their names in the repository.
count_lines()
{
	local dir=build-clang-coverage

	llvm-profdata merge -sparse -o "$dir/profile/all" "$dir"/profile/fuzz_* || return
	llvm-cov export -format=lcov -summary-only -instr-profile="$dir/profile/all" \
		"${with_corpus[@]/#/-object=}" | awk -F: -v repo="$repo/" '
			$1 == "SF" {
				file = substr($2, length(repo) + 1)
				sub(/^build-clang-coverage\/\.\.\//, "", file)
			}
			$1 == "LF" { lines = $2 }
			$1 == "LH" { print file, lines, $2 }'
}

# A table of the files that tests/fuzz/bounds names. Fails where one is below its bound.
show_coverage()
{
	local percent files file

	count_lines >"$scratch/lines" || return
	grep '^[0-9]' tests/fuzz/bounds | while read -r percent files; do
		for file in $files; do
			echo "$percent $file"
		done
	done >"$scratch/bounds"
	awk '
		FNR == NR { lines[$1] = $2; ran[$1] = $3; next }
		{
			share = lines[$2] ? int(100 * ran[$2] / lines[$2]) : 0
			low = share < $1
			if (low)
				failed = 1
			printf "%-32s %3d %%%s\n", $2, share, low ? ", less than its " $1 " %" : ""
		}
		END { exit failed }
	' "$scratch/lines" "$scratch/bounds"
}

fuzz_coverage()
{
	local -a targets

	mapfile -t targets < <(find tests/fuzz/corpus -mindepth 1 -maxdepth 1 -printf '%f\n' | sort)
	build_quietly clang coverage "${targets[@]}" || die "fuzz: the targets do not build"
	run_corpora "${targets[@]}" || die "fuzz: a committed input fails"
	show_coverage || die "fuzz: the committed inputs run too little"
}

cmd_fuzz()
{
	need build test
	if [ "${1-}" = --coverage ]; then
		fuzz_coverage
		return
	fi
	build_quietly clang address || die "fuzz: the targets do not build"
	if [ $# -eq 0 ]; then
		fuzz_targets
		return
	fi
	fuzz_targets | grep -qxF -- "$1" || die "fuzz: no target $1; ./dev fuzz lists them"
	[[ ${2-60} =~ ^[0-9]+$ ]] || die "fuzz: '$2' is not a number of seconds"
	run_fuzz "$1" "${2-60}" "build-clang-address/corpus/$1"
}
