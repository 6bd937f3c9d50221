#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
#
# What a careful administrator would write: one batch in, both servers asked
# for everything every tenth of a second until all of it is there, one batch
# out.  bench.py calls it with the TSIG key, the two nsupdate scripts, and a
# dig -f file for each server beside which FILE.expected lies.

set -eu
key=$1 add=$2 delete=$3
shift 3
nsupdate -y "$key" "$add"
while :; do
	for file; do
		dig -f "$file" >"$file.seen" &
	done
	wait
	missing=
	for file; do
		cmp -s "$file.seen" "$file.expected" || missing=yes
	done
	[ -n "$missing" ] || break
	sleep 0.1
done
nsupdate -y "$key" "$delete"
