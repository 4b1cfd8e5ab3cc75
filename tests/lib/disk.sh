# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# lib/disk.sh: mount volumes with pail and with Debian's s3backer, put file
# systems on them, and stand between them and the server.

# Where the volumes of a test are: s3, the bucket; or raw-K+M, a store of its
# own on image files.  A script sets it before run_test.
STORE=${STORE:-s3}

# need_store [SIZE]: the bucket is there, or the images are made, sparse, of
# this size each.  STORE_PATHS are the images.
need_store()
{
	local profile=${STORE#raw-} i
	STORE_PATHS=()
	if [ "$STORE" = s3 ]; then
		need_server
		return
	fi
	for ((i = 0; i < ${profile%+*} + ${profile#*+}; i++)); do
		STORE_PATHS+=("$T/member$i")
	done
	"$PAIL" store create --quiet --sparse --size "${1:-3G}" \
		--profile "$profile" "${STORE_PATHS[@]}"
}

# The URL of the test's own volume; the argument is added to the prefix, or is
# the volume's name in a store of images.
disk_url()
{
	case $STORE in
	s3)
		echo "s3://$PAIL_TEST_BUCKET/$PREFIX${1:-}?endpoint=${ENDPOINT:-$PAIL_TEST_ENDPOINT}&style=path"
		;;
	raw-*)
		(
			IFS=,
			echo "raw:${STORE_PATHS[*]}?volume=${1:-disk}"
		)
		;;
	esac
}

# disk_blocks DIR: how many blocks the mounted volume has in the store; with
# images a few objects more, always as many.
disk_blocks()
{
	case $STORE in
	s3) s3_blocks "$PREFIX" ;;
	raw-*) "$PAIL" store status "$1" --json | jq .objects ;;
	esac
}

# disk_mount DIR URL [OPTION...]: when it returns the disk is DIR/file.  Without
# a journal, so that fsync means the store, unless the options or JOURNAL (a
# path, or "default") say so.
disk_mount()
{
	local dir=$1 url=$2 journal=${JOURNAL:-none}
	shift 2
	mkdir -p "$dir"
	[[ " $* " == *" --journal "* || $journal = default ]] ||
		set -- --journal "$journal" "$@"
	timeout 60 "$PAIL" mount "$url" "$dir" "$@" ||
		fail "pail mount ended with status $?"
	[ -f "$dir/file" ] || fail "$dir/file is not there"
}

disk_unmount()
{
	local pid
	pid=$(disk_pid "$1")
	timeout "${2:-120}" "$PAIL" unmount "$1" ||
		fail "pail unmount ended with status $?"
	is_mounted "$1" && fail "$1 is still mounted"
	[ -z "$pid" ] || wait_for 20 ended "$pid"
}

is_mounted()
{
	awk -v dir="$1" '$5 == dir { found = 1 } END { exit !found }' \
		/proc/self/mountinfo
}

ended()
{
	[ ! -d "/proc/$1" ] || grep -q '^State:.Z' "/proc/$1/status"
}

# The process behind the mount point: the one of ours with the FUSE device
# open and the directory in its arguments, which is not the mount's holder.
disk_pid()
{
	local pid fds
	for pid in $(tagged); do
		fds=$(readlink "/proc/$pid/fd/"* 2>/dev/null) || true
		grep -qx /dev/fuse <<<"$fds" || continue
		grep -qx pail-holder "/proc/$pid/comm" && continue
		tr '\0' '\n' <"/proc/$pid/cmdline" | grep -qxF -- "$1" || continue
		echo "$pid"
		return
	done
}

# disk_holder DIR: the process that holds the mount, if there is one.
disk_holder()
{
	local pid
	pid=$(awk '/^PPid:/ { print $2 }' "/proc/$(disk_pid "$1")/status")
	! grep -qx pail-holder "/proc/$pid/comm" || echo "$pid"
}

# disk_crash DIR: as if the power had failed, for the volume: nobody is left who
# could start another process.
disk_crash()
{
	local pid
	pid=$(disk_pid "$1")
	# shellcheck disable=SC2046
	kill -KILL $(disk_holder "$1") "$pid"
	wait_for 10 ended "$pid"
}

# disk_stat DIR NAME: a number or word of the mount's status.
disk_stat()
{
	timeout 20 jq -r ".$2" "$1/.status.json"
}

# ------------------------------------------------- file systems on a disk

# fs_make TYPE DISK
fs_make()
{
	case $1 in
	ext4) mkfs.ext4 -q -F -E nodiscard,lazy_itable_init=0 "${@:3}" "$2" ;;
	xfs) mkfs.xfs -q -K -f "${@:3}" "$2" ;;
	btrfs) mkfs.btrfs -q -K -f "${@:3}" "$2" ;;
	esac
}

fs_check()
{
	case $1 in
	ext4) e2fsck -f -n "$2" ;;
	xfs) xfs_repair -n "$2" ;;
	btrfs) btrfs check --readonly --force "$2" ;;
	esac || fail "fsck of $1 found something"
}

# Loop devices are few and shared: wait for one.
loop_attach()
{
	local dev
	for _ in $(seq 300); do
		dev=$(losetup -f --show "$@" 2>/dev/null) && {
			echo "$dev"
			return
		}
		sleep 0.2
	done
	losetup -f --show "$@"
}

# fs_mount HOW TYPE DISK DIR [OPTIONS]: HOW is `loop` (mount -o loop) or
# `direct` (losetup --direct-io=on).
fs_mount()
{
	local how=$1 type=$2 disk=$3 dir=$4 options=${5:-} dev
	mkdir -p "$dir"
	case $how in
	loop)
		for _ in $(seq 300); do
			mount -t "$type" -o "loop${options:+,$options}" \
				"$disk" "$dir" 2>"$T/mount.err" && return
			grep -q 'find.*loop' "$T/mount.err" || break
			sleep 0.2
		done
		cat "$T/mount.err"
		fail "mount -o loop"
		;;
	direct)
		dev=$(loop_attach --direct-io=on "$disk")
		[ "$(losetup -n -O DIO "$dev" | tr -d ' ')" = 1 ] ||
			fail "no direct I/O on $disk"
		mount -t "$type" ${options:+-o "$options"} "$dev" "$dir"
		;;
	esac
}

# Unmount; a loop device that mount did not make itself is detached too.
fs_unmount()
{
	local dev
	dev=$(awk -v dir="$1" '$5 == dir { for (i = 7; i < NF; i++)
		if ($i == "-") print $(i + 2) }' /proc/self/mountinfo)
	umount "$1"
	losetup "$dev" >/dev/null 2>&1 && losetup -d "$dev"
	wait_for 10 loop_is_free "$dev"
}

loop_is_free()
{
	! losetup "$1" >/dev/null 2>&1
}

# ------------------------------------------------------------- s3backer

s3b_credentials()
{
	(
		umask 077
		echo "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY" >"$T/s3b.key"
	)
}

# The flags that every call needs, one per line.
s3b_flags()
{
	printf '%s\n' "--accessFile=$T/s3b.key" --quiet \
		"--baseURL=${ENDPOINT:-$PAIL_TEST_ENDPOINT}/"
}

# s3b_mount DIR PREFIX [FLAG...]
#
# Debian's version does not know BUCKET/SUBDIR, and speaks path style as long
# as --region is not given.
s3b_mount()
{
	local dir=$1 prefix=$2 flags
	shift 2
	need_tool s3backer
	s3b_credentials
	mkdir -p "$dir"
	readarray -t flags < <(s3b_flags)
	timeout 60 s3backer "${flags[@]}" --prefix="$prefix" "$@" \
		"$PAIL_TEST_BUCKET" "$dir" ||
		fail "s3backer ended with status $?"
	wait_for 20 test -f "$dir/file"
}

# The upload goes on after umount: wait for the process.
s3b_unmount()
{
	local pid
	pid=$(disk_pid "$1")
	umount "$1"
	[ -z "$pid" ] || wait_for 120 ended "$pid"
}

# ----------------------------------------------- between disk and server

# proxy_start [-d MS]: sets ENDPOINT, which disk_url and s3b_mount use.
proxy_start()
{
	local port=${PAIL_TEST_ENDPOINT##*:}
	mkfifo "$T/proxy"
	"$BUILD/tests/bench/delayproxy" -l 0 -t "${port%%/*}" \
		-c "$T/proxy" "$@" >"$T/proxy.out" &
	wait_for 10 grep -q listening "$T/proxy.out"
	ENDPOINT=http://127.0.0.1:$(awk '{ print $2 }' "$T/proxy.out")
}

proxy()
{
	echo "$*" >"$T/proxy"
}

# cut_off DIR MODE: nothing gets through to the server any more.  Not before the
# volume's blocks are listed: until then pail has to ask the server what is in
# the block of which a part is written.
cut_off()
{
	wait_for 30 is_listed "$1"
	proxy "$2"
}

is_listed()
{
	[ "$(disk_stat "$1" survey_done)" = true ]
}

# proxy_count FIELD: requests, up_bytes, down_bytes, accepted, open
proxy_count()
{
	rm -f "$T/proxy.stats"
	proxy stats "$T/proxy.stats"
	wait_for 10 test -e "$T/proxy.stats"
	jq ".$1" "$T/proxy.stats"
}
