# SPDX-License-Identifier: MIT
# bash completion for sandcastle(1). What commands and options there are, and what kind of value each
# takes, the program says itself: `sandcastle --complete COMMAND` prints its usage, then a line
# "--name -l VALUE" for each option (launcher/options.h).

# A command of the sandbox's own and its arguments, at that word.
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

_sandcastle_add()
{
	local found

	mapfile -t found < <(compgen "$@" -- "$cur")
	COMPREPLY+=("${found[@]}")
}

_sandcastle_names()
{
	_sandcastle_add -W "$(sandcastle list --quiet 2>/dev/null)" "$@"
}

# The current word is a value that the help calls so: "host|none|FILE", "HOST[:GUEST]".
_sandcastle_value()
{
	local kind kinds

	IFS='|' read -ra kinds <<<"${1%%[[]*}"
	for kind in "${kinds[@]}"; do
		case $kind in
		FILE | HOST | SRC...)
			compopt -o filenames
			_sandcastle_add -f
			;;
		DIR)
			compopt -o filenames
			_sandcastle_add -d
			;;
		UID)
			_sandcastle_add -u
			;;
		K)
			compopt -o nospace
			_sandcastle_add -e
			;;
		[[:lower:]]*)
			_sandcastle_add -W "$kind"
			;;
		esac
	done
}

# The current word is an operand that the usage calls so.
_sandcastle_operand()
{
	case $1 in
	NAME | NAME...)
		_sandcastle_names
		;;
	SRC... | NAME:*)
		compopt -o nospace
		_sandcastle_names -S :
		_sandcastle_value FILE
		;;
	'['*']')
		_sandcastle_operand "${1:1:-1}"
		;;
	*)
		_sandcastle_value "$1"
		;;
	esac
}

_sandcastle()
{
	local cur=${COMP_WORDS[COMP_CWORD]} i=2 n=0 word usage name letter value
	local -A values=()
	local -a operands options=()

	COMPREPLY=()
	if ((COMP_CWORD == 1)); then
		_sandcastle_add -W "$(sandcastle --complete) --version --help"
		return
	fi
	{
		read -r usage
		while read -r name letter value; do
			options+=("$name")
			values[$name]=$value
			values[$letter]=$value
		done
	} < <(sandcastle --complete "${COMP_WORDS[1]}" 2>/dev/null)
	usage=${usage/'[OPTIONS]'/}
	read -ra operands <<<"${usage/'[--]'/}"

	# Past options, their values, and operands.
	while ((i < COMP_CWORD)); do
		word=${COMP_WORDS[i]}
		[[ ${operands[n]} != COMMAND || $word == -* ]] || break
		((i++))
		if [[ $word == -- ]]; then
			break
		elif [[ $word != -* ]]; then
			[[ ${operands[n]} == *... ]] || ((n++))
		elif [[ ${values[$word]:--} != - ]]; then
			# bash makes words of --name=value and of a:b, at COMP_WORDBREAKS.
			[[ ${COMP_WORDS[i]} != = ]] || ((i++))
			if ((i >= COMP_CWORD)); then
				[[ $cur != = ]] || cur=
				_sandcastle_value "${values[$word]}"
				return
			fi
			((i++))
			while [[ ${COMP_WORDS[i]} == [:=] ]]; do
				((i += 2))
			done
		fi
	done
	((i <= COMP_CWORD)) || return
	if [[ ${operands[n]} == COMMAND && ($cur != -* || $i -lt $COMP_CWORD || ${COMP_WORDS[i - 1]} == --) ]]; then
		_sandcastle_command "$i"
	elif [[ $cur == -* ]]; then
		_sandcastle_add -W "${options[*]}"
	else
		_sandcastle_operand "${operands[n]}"
	fi
}

complete -F _sandcastle sandcastle
