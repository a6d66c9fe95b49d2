#!/usr/bin/env bash
# many.sh [N]: N sandboxes started at once (default 20) beside N in a row: how long all of them take from
# the first exec to the last exit of `sandcastle run -- true`. On a host with one CPU, as the lab's:
#	./dev lab --timeout 40m -- tests/bench/many.sh
set -u

n=${1-20}

# Sets ms since $start.
passed()
{
	ms=$(((${EPOCHREALTIME/[.,]/} - ${start/[.,]/}) / 1000))
}

one()
{
	sandcastle run --memory 512M --cpus 1 -- true || echo "a sandbox failed: $?" >&2
}

# The kernel is unpacked, the initramfs made, the base image found.
one || exit
start=$EPOCHREALTIME
for ((i = 0; i < n; i++)); do
	one
done
passed
row=$ms
start=$EPOCHREALTIME
for ((i = 0; i < n; i++)); do
	one &
done
wait
passed
echo "$n in a row: $row ms; at once: $ms ms, $((ms * 100 / row)) % of that, on $(nproc) CPU(s)"
