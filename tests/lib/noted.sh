# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# lib/noted.sh: a file system at $T/fs on a disk whose bytes are on recording
# disks (tests/tools/faultdisk: $T/d0 is the first), and files in it that are
# known outside: their content follows from their number, and $T/acked has the
# number of each that was fsync'd, and the event of the recording behind it.

FAULTDISK=$BUILD/tests/tools/faultdisk

events()
{
	sed -n 's/^events //p' "$T/d0/control"
}

content()
{
	local i=$1
	yes "this is file $i" | head -c $((i * 7919 % 90000 + 1)) || true
}

# files FROM TO: written, fsync'd, noted
files()
{
	local i
	for ((i = $1; i <= $2; i++)); do
		content "$i" >"$T/next"
		timeout 60 dd if="$T/next" of="$T/fs/file$i" bs=64K conv=fsync \
			status=none || fail "file $i: write or fsync failed"
		echo "$i $(events 2>/dev/null || echo 0)" >>"$T/acked"
	done
}

# check_files [EVENT]: all that were noted (until then) are there
check_files()
{
	local i at n=0
	while read -r i at; do
		[ "$at" -le "${1:-$at}" ] || continue
		content "$i" | cmp - "$T/fs/file$i" ||
			fail "file $i is not what was fsync'd"
		n=$((n + 1))
	done <"$T/acked"
	echo "$n files are right"
}

# forget N: all but the last N are deleted, and no longer asked for: the disk does
# not fill up, and checking takes no longer from round to round.
forget()
{
	local i rest
	head -n "-$1" "$T/acked" >"$T/old"
	while read -r i rest; do
		rm -f "$T/fs/file$i"
	done <"$T/old"
	tail -n "$1" "$T/acked" >"$T/new"
	mv "$T/new" "$T/acked"
	sync -f "$T/fs"
}
