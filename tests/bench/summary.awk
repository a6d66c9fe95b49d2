# Sums up what start.sh printed: a table on standard output, the same as Markdown in the file `markdown`,
# and JSON in the file `json`, which also names `host`, how it was run, `revision` and `date`.
#	awk -f summary.awk -v json=FILE -v markdown=FILE -v host=TEXT -v revision=TEXT -v date=DAY start.out
BEGIN { FS = "\t" }

NF == 6 {
	key = $1 FS $2
	if (!(key in n))
		order[++keys] = key
	ms[key, ++n[key]] = $3
	cpu[key] += $4
	all[key] += $5
	waits[key] += $6
	if ($6 > 0)
		disturbed++
}

# Sorts the runs of a key and keeps them so.
function sort_runs(key,    i, j, v)
{
	for (i = 2; i <= n[key]; i++) {
		v = ms[key, i]
		for (j = i - 1; j > 0 && ms[key, j] > v; j--)
			ms[key, j + 1] = ms[key, j]
		ms[key, j + 1] = v
	}
}

function median(key,    m)
{
	m = int((n[key] + 1) / 2)
	return n[key] % 2 ? ms[key, m] : (ms[key, m] + ms[key, m + 1]) / 2
}

# What the goals are measured against: QEMU microvm with the cloud kernel.
function microvm_median(    k)
{
	for (k = 1; k <= keys; k++)
		if (order[k] ~ /^qemu microvm, unpacked kernel\t.*cloud/)
			return median(order[k])
	return 0
}

END {
	for (k = 1; k <= keys; k++)
		sort_runs(order[k])
	base = microvm_median()
	printf "{\n  \"host\": \"%s\",\n  \"revision\": \"%s\",\n  \"date\": \"%s\",\n  \"starts\": [", host,
		revision, date >json
	printf "%-34s %-24s %4s %8s %8s %8s %8s %8s\n", "exec to exit, ms", "kernel", "runs",
		"best", "median", "worst", "CPU", "VMM CPU"
	printf "%s, revision %s, %s:\n\n", host, revision, date >markdown
	print "| exec to exit, ms | kernel | runs | best | median | worst | to microvm | CPU time | of it the VMM's |" >markdown
	print "|---|---|---|---|---|---|---|---|---|" >markdown
	for (k = 1; k <= keys; k++) {
		key = order[k]
		split(key, part, FS)
		kernel = part[2] ~ /cloud/ ? "cloud" : "full"
		ratio = base ? sprintf("%.2f", median(key) / base) : ""
		printf "%-34s %-24s %4d %8.1f %8.1f %8.1f %8.1f %8.1f%s\n", part[1], part[2], n[key],
			ms[key, 1], median(key), ms[key, n[key]], all[key] / n[key], cpu[key] / n[key],
			waits[key] ? sprintf("  (waited %d times for the lab's host)", waits[key]) : ""
		printf "| %s | %s | %d | %.1f | %.1f | %.1f | %s | %.0f | %.0f |\n", part[1], kernel, n[key],
			ms[key, 1], median(key), ms[key, n[key]], ratio, all[key] / n[key],
			cpu[key] / n[key] >markdown
		printf "%s\n    {\"what\": \"%s\", \"kernel\": \"%s\", \"cpu_ms\": %.1f, \"vmm_cpu_ms\": %.1f, " \
			"\"to_microvm\": %s, \"waits\": %d, \"ms\": [", (k > 1 ? "," : ""), part[1], part[2],
			all[key] / n[key], cpu[key] / n[key], ratio == "" ? "null" : ratio, waits[key] >json
		for (i = 1; i <= n[key]; i++)
			printf "%s%s", (i > 1 ? ", " : ""), ms[key, i] >json
		printf "]}" >json
	}
	if (disturbed)
		printf "\n%d runs waited for the files of the lab's host, which no real host does.\n", disturbed >markdown
	print "\n  ]\n}" >json
}
