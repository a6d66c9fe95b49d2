# shellcheck shell=bash
# Sourced by ./dev: ./dev lint. A function check_NAME and a word in lint_checks is one more check.

lint_checks=(format graph prose tested headers tidy cppcheck scripts desktop)

c_sources()
{
	find . \( -path './build*' -o -name '.?*' \) -prune -o -type f -name '*.[ch]' -print | sort
}

# Every script, by its name or its first line.
scripts()
{
	find . \( -path './build*' -o -name .git -o -name .lab \) -prune -o -type f -print |
		while read -r file; do
			[[ $file == *.sh ]] || head -c 64 "$file" | head -n 1 | grep -aqE '^#!.*[/ ](ba|da)?sh$' || continue
			echo "$file"
		done | sort
}

check_format()
{
	c_sources | xargs -r clang-format --dry-run -Werror
}

check_tidy()
{
	build_quietly gcc '' || return
	c_sources | grep '\.c$' | while read -r file; do
		! grep -qF "$repo/${file#./}\"" build/compile_commands.json || echo "$file"
	done | xargs -r -n 1 -P "$jobs" clang-tidy -p build --quiet 2>/dev/null
}

check_cppcheck()
{
	# It knows neither the clean-up attribute (leaks are for the sanitizers), nor that two symbols
	# may be the ends of one array, nor Criterion's macros.
	c_sources | grep -v '^./tests/unit/' | cppcheck --file-list=- --quiet -j "$jobs" --std=c11 -I . -D_GNU_SOURCE \
		--enable=warning,portability --inline-suppr --suppress=missingIncludeSystem \
		--suppress=memleak --suppress=resourceLeak --suppress=comparePointers \
		--error-exitcode=1
}

check_scripts()
{
	local code=0 parts='/tests/(guest/test_|run/|bench/run\.sh)'

	scripts | grep -vE "$parts" | xargs -r shellcheck || code=1
	# What these use and set belongs to tests/guest/lib.sh and to ./dev.
	scripts | grep -E "$parts" | xargs -r shellcheck -e SC2034,SC2154 || code=1
	return "$code"
}

check_graph()
{
	tests/style/graph.sh
}

# What the desktop package installs. A service menu and a file manager's action are no entries by the
# specification that desktop-file-validate knows.
check_desktop()
{
	local code=0

	desktop-file-validate desktop/sandcastle.desktop desktop/sandcastle-sendto.desktop || code=1
	appstreamcli validate --no-net --no-color desktop/*.metainfo.xml || code=1
	xmllint --noout desktop/*.xml desktop/icons/*.svg || code=1
	return "$code"
}

# Each header compiles by itself, whatever was included before it.
check_headers()
{
	local -a flags

	read -r -a flags < <(pkg-config --cflags libxml-2.0 sdl2 slirp)
	c_sources | grep '\.h$' | xargs -r -n 16 -P "$jobs" gcc -fsyntax-only -x c -std=c11 -D_GNU_SOURCE \
		-I . "${flags[@]}" -Wall -Wextra -Werror
}

check_tested()
{
	tests/style/tested.sh
}

check_prose()
{
	tests/style/prose.sh
}

# lint_stage FILTER
lint_stage()
{
	local name

	need build test
	for name in "${lint_checks[@]}"; do
		grep -qE -- "$1" <<<"$name" || continue
		if "check_$name" >"$scratch/lint" 2>&1; then
			echo "ok $name"
			count 1 0 0
		else
			{ echo "FAIL $name"; sed 's/^/    /' "$scratch/lint" | head -n 100; } | tee "$scratch/lint.said"
			remember "$scratch/lint.said"
			count 0 1 0
		fi
	done
}

cmd_lint()
{
	lint_stage "${1-}"
	[ "$failed" -eq 0 ]
}

cmd_fmt()
{
	need test
	c_sources | xargs -r clang-format -i
}
