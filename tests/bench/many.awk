# Sums up what `start.sh --what many` printed: N starts in a row, the same at once, and what those are of the row.
#	awk -f many.awk start.out
BEGIN { FS = "\t" }

$1 == "in a row" || $1 == "at once" {
	n[$1]++
	kernel = $2
	for (i = 3; i <= 6; i++)
		sum[$1, i] += $i
}
$1 == "in a row" && $6 > 0 { waited++ }
$1 == "lost" { lost = $3 }

# Column i of the lines of start.sh.
function line(text, i,    row, all)
{
	row = sum["in a row", i]
	all = sum["at once", i]
	printf "%-36s %9.1f", text, row
	if (n["at once"])
		printf " %9.1f %8.3f", all, (row > 0 ? all / row : 0)
	print ""
}

END {
	if (!n["in a row"])
		exit 1
	printf "%-36s %9s %9s %8s\n", n["in a row"] " starts, " kernel, "in a row", "at once", "of it"
	line("ms, exec of the first to the last end", 3)
	line("ms of CPU time", 5)
	line("ms of that outside the guests", 4)
	printf "Waits for the lab's host: %d in %d of the row, %d at once.\n", sum["in a row", 6], waited, sum["at once", 6]
	if (n["at once"])
		printf "Lost and taken again: %d.\n", lost
	else
		print "All at once did not come to their end."
}
