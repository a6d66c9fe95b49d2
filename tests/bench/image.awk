# Lines of tests/bench/image.sh as a table: a row for each thing, a column for each who, and in
# brackets how many times what the first took.
BEGIN { FS = "\t" }
/^#/ || NF != 3 { print; next }
{
	if (!($1 in whos)) {
		whos[$1] = ++n_whos
		who[n_whos] = $1
	}
	if (!($2 in whats)) {
		whats[$2] = ++n_whats
		what[n_whats] = $2
	}
	value[$1, $2] = $3
}
END {
	for (i = 1; i <= n_whats; i++) {
		printf "%s\n", what[i]
		for (k = 1; k <= n_whos; k++) {
			if (!((who[k], what[i]) in value))
				continue
			v = value[who[k], what[i]]
			if (what[i] ~ /KiB/)
				printf "    %-22s %12d KiB\n", who[k], v
			else if (who[1] SUBSEP what[i] in value && k > 1)
				printf "    %-22s %12.1f ms  (%.2f)\n", who[k], v / 1000, v / value[who[1], what[i]]
			else
				printf "    %-22s %12.1f ms\n", who[k], v / 1000
		}
	}
}
