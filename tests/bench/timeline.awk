# The steps of the median run of those that `start.sh --what timeline` printed, and what its vCPU did.
#	awk -f timeline.awk start.out

# A number or a string, as a line of JSON ends.
function value(v)
{
	v = $0
	sub(/^[^:]*: "?/, "", v)
	sub(/"?,?$/, "", v)
	return v
}

function add(text)
{
	table[runs] = table[runs] text "\n"
}

/^timeline\t/ {
	split($0, field, "\t")
	kernel = field[2]
	waits[++runs] = field[6]
	next
}
/^  "[a-z_]*":/ { part = $1 }
/^  "total_ms"/ { total[runs] = value() }
/^ +"name"/ { name = value() }
/^ +"begin_ms"/ { begin = value() }
/^ +"end_ms"/ { end = value() }
part == "\"steps\":" && /"vmm_cpu_ms"/ { vmm = value(); vmms[runs] += vmm }
part == "\"steps\":" && /"vcpu_cpu_ms"/ {
	vcpus[runs] += value()
	add(sprintf("%-48s %8.1f %8.1f %8.1f", name, end - begin, vmm, value()))
}
part == "\"guest\":" && /"end_ms"/ { add(sprintf("  %-46s %8.1f", name, end - begin)) }
part == "\"kvm\":" && /^    / {
	name = $1
	gsub(/[":]/, "", name)
	add(sprintf("%-48s %8d", name, value()))
}

END {
	if (runs == 0)
		exit 1
	for (i = 1; i <= runs; i++) {
		rank = 1
		for (k = 1; k <= runs; k++)
			rank += total[k] < total[i] || (total[k] == total[i] && k < i)
		if (rank == int((runs + 1) / 2))
			median = i
		all = all sprintf(" %.1f", total[i])
	}
	printf "%d runs, %s:%s ms. Of the median one, which waited %d times for the lab's host:\n\n", runs, kernel, all,
		waits[median]
	printf "%-48s %8s %8s %8s\n", "step", "ms", "VMM CPU", "vCPU CPU"
	printf "%s%-48s %8.1f %8.1f %8.1f\n", table[median], "all", total[median], vmms[median], vcpus[median]
}
