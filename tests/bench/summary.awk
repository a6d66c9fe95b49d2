# Sums up what start.sh printed: a table on standard output, and JSON in the file `json`, which also
# names `host`, how it was run, and `revision`.
#	awk -f summary.awk -v json=FILE -v host=TEXT -v revision=TEXT start.out
BEGIN { FS = "\t" }

NF == 4 {
	key = $1 FS $2
	if (!(key in n))
		order[++keys] = key
	ms[key, ++n[key]] = $3
	cpu[key] += $4
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

END {
	printf "{\n  \"host\": \"%s\",\n  \"revision\": \"%s\",\n  \"starts\": [", host, revision >json
	printf "%-30s %-26s %5s %9s %9s %9s %9s\n", "exec to exit, ms", "kernel", "runs", "best",
		"median", "worst", "VMM CPU"
	for (k = 1; k <= keys; k++) {
		key = order[k]
		split(key, part, FS)
		sort_runs(key)
		printf "%-30s %-26s %5d %9.1f %9.1f %9.1f %9.1f\n", part[1], part[2], n[key], ms[key, 1],
			median(key), ms[key, n[key]], cpu[key] / n[key]
		printf "%s\n    {\"what\": \"%s\", \"kernel\": \"%s\", \"vmm_cpu_ms\": %.1f, \"ms\": [",
			(k > 1 ? "," : ""), part[1], part[2], cpu[key] / n[key] >json
		for (i = 1; i <= n[key]; i++)
			printf "%s%s", (i > 1 ? ", " : ""), ms[key, i] >json
		printf "]}" >json
	}
	print "\n  ]\n}" >json
}
