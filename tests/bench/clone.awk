# Sums up what `start.sh --what clone` printed: of each kind of start the run with the least CPU time.
#	awk -f clone.awk start.out
BEGIN { FS = "\t" }

$1 == "figure" {
	figure[++figures] = sprintf("%-44s %9.1f MiB", $3, $4 / 1024)
	next
}
NF == 6 {
	if (!($1 in cpu))
		kind[++kinds] = $1
	if (!($1 in cpu) || $5 < cpu[$1]) {
		cpu[$1] = $5
		ms[$1] = $3
		outside[$1] = $4
		waited[$1] = $6
	}
	n[$1]++
	kernel = $2
}

END {
	if (!kinds)
		exit 1
	printf "%-30s %5s %9s %9s %9s %9s\n", "start, " kernel, "runs", "CPU ms", "of kernel", "outside", "ms"
	for (i = 1; i <= kinds; i++) {
		k = kind[i]
		printf "%-30s %5d %9d %9s %9d %9.1f%s\n", k, n[k], cpu[k],
			("kernel" in cpu ? sprintf("%.3f", cpu[k] / cpu["kernel"]) : "-"), outside[k], ms[k],
			(waited[k] > 0 ? "  waited for the lab's host" : "")
	}
	for (i = 1; i <= figures; i++)
		print figure[i]
}
