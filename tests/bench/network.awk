# A table of what network.sh has printed, and how QEMU's figures stand to ours.
BEGIN { FS = "\t" }
NF == 3 {
	if (!($2 in seen)) { seen[$2] = 1; rows[++n] = $2 }
	value[$1, $2] = $3
}
END {
	printf "%-45s %12s %12s %8s\n", "", "sandcastle", "QEMU", "ratio"
	for (i = 1; i <= n; i++) {
		w = rows[i]
		ours = value["sandcastle", w]
		theirs = value["QEMU", w]
		printf "%-45s %12s %12s %8s\n", w, ours, theirs, (ours > 0 && theirs != "") ? sprintf("%.2f", theirs / ours) : ""
	}
}
