#!/bin/sh
# Who may include whom: fails on an #include between two rooms of the tree that the table does not allow.
# A room is a folder with all below it that is not a room of its own. Run from the root of the tree.
set -u

table=$(cat <<'END'
common
devices/board common
image common devices/board
devices common devices/board image
balloon common devices/board devices
battery common devices/board devices
gpu common devices/board devices
gpu/renderer common gpu vmm/confine
vmm/config common
vmm/kvm common devices/board devices vmm/config
vmm/session common devices/board devices vmm/config
vmm/net common devices/board devices vmm/config vmm/confine
vmm/snapshot common devices/board devices vmm/config vmm/kvm
vmm/confine common vmm/config
vmm/control common devices/board devices balloon battery gpu vmm/config vmm/confine vmm/session
vmm common devices/board devices balloon battery gpu image vmm/config vmm/kvm vmm/session vmm/net vmm/snapshot vmm/confine vmm/control
guest-agent common
include
library/client common
library common include library/client
launcher common image balloon vmm vmm/config vmm/kvm vmm/session vmm/net vmm/snapshot vmm/confine library/client
desktop common library/client
oci common library/client
END
)

# The sources that git knows, without the tests: those look into every room.
git grep -nE '^#include "[^"]+/' -- '*.c' '*.h' '*.S' ':!tests' ':!examples' | awk -v table="$table" '
	function room(path, r) {
		for (r = path; r != ""; ) {
			if (r in rooms) return r
			if (!sub(/\/[^\/]*$/, "", r)) return ""
		}
		return ""
	}
	BEGIN {
		n = split(table, line, "\n")
		for (i = 1; i <= n; i++) {
			m = split(line[i], word, " ")
			rooms[word[1]] = 1
			for (j = 1; j <= m; j++) allowed[word[1], word[j]] = 1
		}
	}
	{
		file = $0; sub(/:.*/, "", file)
		target = $0; sub(/^[^"]*"/, "", target); sub(/".*/, "", target)
		from = room(file); to = room(target)
		if (from == "") { print file ": in no room of tests/style/graph.sh"; bad = 1 }
		else if (!((from, to) in allowed)) {
			print file ": includes " target ", but " from " may not include " to
			bad = 1
		}
	}
	END { exit bad }'
