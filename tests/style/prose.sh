#!/bin/bash
# The pages: no line of prose over 100 columns, no link or named file that is not there, README.md
# lists every page, and the pages of figures stay short. Run from the root of the tree.
set -u
export LC_ALL=C.UTF-8

limit=1200 # words of docs/performance.md, memory.md and testing.md: what is so now, not its history
code=0

complain()
{
	echo "$*"
	code=1
}

# prose PAGE: its lines with their numbers, without tables and code.
prose()
{
	awk '/^ *```/ { fenced = !fenced; next } !fenced && !/^(\||    |\t)/ { print FNR ":" $0 }' "$1"
}

# there PAGE PATH: whether the file that PAGE names is in the tree, from the page on or from the root.
there()
{
	[ -e "$(dirname "$1")/$2" ] || [ -e "$2" ]
}

mapfile -t pages < <(git ls-files --cached --others --exclude-standard -- '*.md')
for page in "${pages[@]}"; do
	while IFS=: read -r number line; do
		[ "${#line}" -le 100 ] || complain "$page:$number: ${#line} columns, more than 100"
	done < <(prose "$page")
	# [text](target), but for other sites and places in the page itself.
	while read -r target; do
		[ -e "$(dirname "$page")/$target" ] || complain "$page: links to $target, which is not there"
	done < <(grep -oE '\]\([^)#]+' "$page" | sed 's/^](//' | grep -v '://')
	for target in $(prose "$page" | grep -oE '\b(docs|tests|devices|vmm|image|launcher|library|common|balloon|battery|guest-agent|gpu|desktop|examples)/[A-Za-z0-9_./-]+\.(md|[chS]|sh|asl)\b'); do
		there "$page" "$target" || complain "$page: names $target, which is not there"
	done
	case $page in
	docs/*)
		grep -qF "($page)" README.md || complain "README.md does not list $page"
		;;
	esac
done

# Pages that the sources name.
for target in $(git grep -hoE 'docs/[A-Za-z0-9_/-]+\.md' -- '*.[ch]' '*.sh' '*.awk' '*.S' dev | sort -u); do
	[ -e "$target" ] || complain "a source names $target, which is not there"
done

for page in docs/performance.md docs/memory.md docs/testing.md; do
	words=$(grep -oE '[^ ]*[A-Za-z0-9][^ ]*' "$page" | wc -l)
	[ "$words" -le "$limit" ] || complain "$page: $words words, more than $limit: its history goes to docs/measured/"
done
exit "$code"
