# SPDX-License-Identifier: MIT
# bash completion for sandcastle(1).

_sandcastle_run()
{
	local i=2 word

	# Behind the first word that is no option stands a command with its own arguments.
	while ((i < COMP_CWORD)); do
		word=${COMP_WORDS[i]}
		case $word in
		--)
			((i++))
			break
			;;
		--map | --env | --workdir | --user | --memory | --cpus | --timeout | --name | --root | --kernel | --stats | --timeline | \
			--config | -e | -w | -u | -m)
			# bash makes words of --name=value and of a:b, at COMP_WORDBREAKS.
			((i += 2))
			[[ ${COMP_WORDS[i - 1]} != = ]] || ((i++))
			while [[ ${COMP_WORDS[i]} == : ]]; do
				((i += 2))
			done
			;;
		-*)
			((i++))
			;;
		*)
			break
			;;
		esac
	done
	if ((i <= COMP_CWORD)) && [[ ${COMP_WORDS[i]} != -* ]]; then
		_sandcastle_command "$i"
	fi
}

_sandcastle_command()
{
	if declare -F _command_offset >/dev/null; then
		_command_offset "$1"
	elif ((COMP_CWORD == $1)); then
		mapfile -t COMPREPLY < <(compgen -c -- "${COMP_WORDS[COMP_CWORD]}")
	else
		mapfile -t COMPREPLY < <(compgen -f -- "${COMP_WORDS[COMP_CWORD]}")
	fi
}

_sandcastle_names()
{
	mapfile -t COMPREPLY < <(compgen -W "$(sandcastle list --quiet 2>/dev/null)" -- \
		"${COMP_WORDS[COMP_CWORD]}")
}

# Options, the name of a sandbox, then a command of its own.
_sandcastle_exec()
{
	local cur=${COMP_WORDS[COMP_CWORD]} i=2

	while ((i < COMP_CWORD)); do
		case ${COMP_WORDS[i]} in
		--env | --workdir | --user | -e | -w | -u)
			((i += 2))
			[[ ${COMP_WORDS[i - 1]} != = ]] || ((i++))
			;;
		-*)
			((i++))
			;;
		*)
			break
			;;
		esac
	done
	if ((i < COMP_CWORD)); then
		_sandcastle_command $((i + 1))
	elif [[ $cur == -* ]]; then
		mapfile -t COMPREPLY < <(compgen -W "--env --workdir --user --detach --help" -- "$cur")
	else
		_sandcastle_names
	fi
}

# Options, the name of a sandbox, then a path of the host, or of the sandbox with --remove.
_sandcastle_share()
{
	local cur=${COMP_WORDS[COMP_CWORD]} i n=0

	for ((i = 2; i < COMP_CWORD; i++)); do
		[[ ${COMP_WORDS[i]} == -* ]] || ((n++))
	done
	if [[ $cur == -* ]]; then
		mapfile -t COMPREPLY < <(compgen -W "--remove --help" -- "$cur")
	elif ((n == 0)); then
		_sandcastle_names
	else
		compopt -o filenames
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
	fi
}

# Paths of the host, and the names of sandboxes with the colon behind.
_sandcastle_cp()
{
	local cur=${COMP_WORDS[COMP_CWORD]}

	if [[ $cur == -* ]]; then
		mapfile -t COMPREPLY < <(compgen -W "--help" -- "$cur")
	else
		compopt -o filenames -o nospace
		mapfile -t COMPREPLY < <(compgen -f -- "$cur"
			compgen -S : -W "$(sandcastle list --quiet 2>/dev/null)" -- "$cur")
	fi
}

_sandcastle()
{
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}

	COMPREPLY=()
	if ((COMP_CWORD == 1)); then
		mapfile -t COMPREPLY < <(compgen -W "run start exec cp share list stats logs attach wait stop image config doctor \
			--version --help" -- "$cur")
		return
	fi
	case $prev in
	--map | --kernel | --stats | --timeline | --battery | --config)
		compopt -o filenames
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		return
		;;
	--workdir | -w | --root)
		compopt -o filenames
		mapfile -t COMPREPLY < <(compgen -d -- "$cur")
		return
		;;
	--user | -u)
		mapfile -t COMPREPLY < <(compgen -u -- "$cur")
		return
		;;
	--env | -e)
		compopt -o nospace
		mapfile -t COMPREPLY < <(compgen -e -- "$cur")
		return
		;;
	--memory | -m | --cpus | --timeout | --name | --time | -t)
		return
		;;
	esac
	case ${COMP_WORDS[1]} in
	run | start)
		if [[ $cur == -* ]]; then
			mapfile -t COMPREPLY < <(compgen -W "--map --env --workdir --user --memory --cpus \
				--timeout --name --config --root --kernel --stats --timeline --battery --no-dax --tie-to-parent \
				--debug-console --verbose --help" -- "$cur")
		fi
		[[ ${COMP_WORDS[1]} == run ]] || return
		# An option of the command itself is completed by the command's own completion.
		_sandcastle_run
		;;
	exec)
		_sandcastle_exec
		;;
	share)
		_sandcastle_share
		;;
	cp)
		_sandcastle_cp
		;;
	list)
		mapfile -t COMPREPLY < <(compgen -W "--json --quiet --help" -- "$cur")
		;;
	stats | wait | stop | logs | attach)
		if [[ $cur == -* ]]; then
			mapfile -t COMPREPLY < <(compgen -W "--json --help" -- "$cur")
			[[ ${COMP_WORDS[1]} != stop ]] ||
				mapfile -t COMPREPLY < <(compgen -W "--time --force --all --help" -- "$cur")
			[[ ${COMP_WORDS[1]} != attach ]] || mapfile -t COMPREPLY < <(compgen -W "--help" -- "$cur")
			[[ ${COMP_WORDS[1]} != logs ]] ||
				mapfile -t COMPREPLY < <(compgen -W "--follow --help" -- "$cur")
		else
			_sandcastle_names
		fi
		;;
	image)
		if ((COMP_CWORD == 2)); then
			mapfile -t COMPREPLY < <(compgen -W "build info verify clean --help" -- "$cur")
		else
			mapfile -t COMPREPLY < <(compgen -W "--root --changed --left-out --json --verbose --help" -- "$cur")
		fi
		;;
	config)
		if [[ $cur == -* ]]; then
			mapfile -t COMPREPLY < <(compgen -W "--json --help" -- "$cur")
		else
			compopt -o filenames
			mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		fi
		;;
	doctor)
		mapfile -t COMPREPLY < <(compgen -W "--kernel --json --help" -- "$cur")
		;;
	esac
}

complete -F _sandcastle sandcastle
