# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# lib/check.sh: what every script in tests/integration begins with.
#
# A script sources this file, defines functions, and calls for each test
#
#	run_test "what is claimed" SECONDS FUNCTION [ARGUMENT...]
#
# and `finish` at the end.  Output is TAP.  A test is a function that runs in
# a process group of its own under `set -eu -o pipefail`: it passes if it
# returns, fails if anything in it fails or SECONDS have gone by, and may
# call `fail REASON` or `skip REASON`.  What it prints is shown if it fails.
#
# Each test has a directory $T, and a prefix $PREFIX in the bucket, that
# nobody else uses.  After it, pass or fail, everything below $T is unmounted,
# loop devices on files below $T are given back, and processes that the test
# left are ended: they are known by PAIL_TEST_TAG in their environment.
# A test that passed but left a process behind has failed.  What a test changes
# elsewhere it has put back with `undo COMMAND...`.
#
# From the caller (tests/run sets them; sensible values for running a script
# by hand): BUILD, PAIL, and what servers/radosgw prints.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
BUILD=${BUILD:-$ROOT/build-tests/opt}
PAIL=${PAIL:-$BUILD/pail}
PATH=$PATH:/usr/sbin:/sbin
SCRIPT=$(basename "$0")
PAIL_TEST_ONLY=${PAIL_TEST_ONLY:-}
PAIL_TEST_LONG=${PAIL_TEST_LONG:-0}
export LC_ALL=C

test_number=0
test_failures=0
work=$(mktemp -d "${TMPDIR:-/tmp}/pail-$SCRIPT.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'cleanup_test; exit 130' INT TERM

fail()
{
	echo "FAIL: $*"
	exit 1
}

skip()
{
	echo "SKIP: $*"
	exit 77
}

# Is this the long run, where tests may take minutes?
is_long()
{
	[ "$PAIL_TEST_LONG" = 1 ]
}

# ------------------------------------------------------- small assertions

# wait_for SECONDS COMMAND...: until the command succeeds.
wait_for()
{
	local deadline=$((SECONDS + $1))
	shift
	until "$@" >/dev/null 2>&1; do
		[ "$SECONDS" -le "$deadline" ] ||
			fail "waited in vain for: $*"
		sleep 0.05
	done
}

# within SECONDS COMMAND...: it succeeds, and takes no longer.
within()
{
	local limit=$1 begin=$EPOCHREALTIME took
	shift
	"$@" || fail "status $? from: $*"
	took=$(elapsed "$begin")
	echo "took $took s: $*"
	is_less "$took" "$limit" ||
		fail "took $took s, more than $limit s: $*"
}

elapsed()
{
	awk -v a="$1" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.3f", b - a }'
}

is_less()
{
	awk -v a="$1" -v b="$2" 'BEGIN { exit !(a < b) }'
}

# refuses STATUS COMMAND...: the command ends with exactly this status (`any`:
# any but 0, by itself: not by a signal), within 30 s.  What it said is kept
# for `says`.
refuses()
{
	local want=$1 rc=0
	shift
	timeout 30 "$@" >"$T/said" 2>&1 </dev/null || rc=$?
	echo "\$ $*"
	cat "$T/said"
	[ $rc != 124 ] || fail "still running after 30 s: $*"
	[ $rc != 0 ] || fail "accepted: $*"
	[ $rc -lt 126 ] || fail "died with status $rc: $*"
	[ "$want" = any ] || [ $rc = "$want" ] ||
		fail "status $rc instead of $want: $*"
}

# says WORD...: each of the words is in what the last `refuses` command said.
says()
{
	local word
	for word in "$@"; do
		grep -qiF -- "$word" "$T/said" ||
			fail "the message lacks '$word': $(cat "$T/said")"
	done
}

same_file()
{
	cmp "$1" "$2" || fail "$1 and $2 differ"
}

same_text()
{
	[ "$1" = "$2" ] || fail "expected '$2', got '$1'"
}

# Every file below both directories is the same, in name, mode, content.
same_tree()
{
	diff -r --no-dereference "$1" "$2" >"$T/diff" 2>&1 || {
		head -20 "$T/diff"
		fail "$1 and $2 differ"
	}
	tree_of "$1" >"$T/tree1"
	tree_of "$2" >"$T/tree2"
	diff "$T/tree1" "$T/tree2" | head -20
	same_file "$T/tree1" "$T/tree2"
}

tree_of()
{
	(cd "$1" && find . -name lost+found -prune -o \
		-not -type d -printf '%p %m %s %l\n' | sort)
}

need_root()
{
	[ "$(id -u)" = 0 ] || skip "needs root"
}

need_fuse()
{
	need_root
	[ -c /dev/fuse ] || skip "there is no /dev/fuse"
}

need_loop()
{
	need_fuse
	[ -c /dev/loop-control ] || skip "there are no loop devices"
}

need_tool()
{
	command -v "$1" >/dev/null || skip "$1 is not installed"
}

# File systems that the running kernel can mount.
need_fs()
{
	grep -qw "$1" /proc/filesystems || modprobe -q "$1" 2>/dev/null ||
		skip "this kernel has no $1"
}

# random_file FILE BYTES [SEED]: the same seed gives the same bytes.
random_file()
{
	local seed=${3:-$RANDOM}
	openssl enc -aes-128-ctr -nosalt -K "$(printf %032x "$seed")" \
		-iv "$(printf %032x 0)" </dev/zero 2>/dev/null |
		head -c "$2" >"$1" || true
	[ "$(stat -c %s "$1")" = "$2" ] || fail "could not write $1"
}

# A free TCP port on loopback.
free_port()
{
	local port
	for _ in $(seq 50); do
		port=$((20000 + RANDOM % 12000))
		(: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null ||
			{ echo $port; return; }
	done
	fail "no free port"
}

# --------------------------------------------------------------- a test

run_test()
{
	local name=$1 limit=$2 begin=$SECONDS rc=0
	shift 2
	[[ "$SCRIPT: $name" == *$PAIL_TEST_ONLY* ]] || return 0
	if [ "${PAIL_TEST_LIST:-0}" = 1 ]; then
		echo "$SCRIPT: $name"
		return
	fi
	test_number=$((test_number + 1))
	T=$work/$test_number
	PREFIX=$SCRIPT-$$-$test_number/
	mkdir -p "$T"
	# Not with `|| rc=$?`: bash would ignore `set -e` all the way down.
	run_guarded "$limit" "$@" >"$T/log" 2>&1
	rc=$?
	cleanup_test >>"$T/log" 2>&1 || { [ $rc != 0 ] || rc=1; }
	report_test "$name" $rc $((SECONDS - begin))
	rm -rf "$T" 2>/dev/null || true
}

# Run a function in its own process group, and end the group at the limit.
run_guarded()
{
	local limit=$1 pid rc
	shift
	set -m
	(
		set -eEu -o pipefail
		trap - EXIT INT TERM
		trap 'echo "line $LINENO: status $?: $BASH_COMMAND" >&2' ERR
		export PAIL_TEST_TAG=$T PAIL_STATE_DIR=$T/state
		cd "$T"
		"$@"
	) </dev/null &
	pid=$!
	set +m
	(
		sleep "$limit" || exit 0	# it was ended: not needed
		echo "FAIL: not done after $limit s"
		kill -KILL -- "-$pid"
	) 2>/dev/null &
	wait $pid
	rc=$?
	pkill -P $! 2>/dev/null
	kill $! 2>/dev/null
	wait $! 2>/dev/null
	return $rc
}

report_test()
{
	local what="$test_number - $SCRIPT: $1" reason
	case $2 in
	0) echo "ok $what ($3 s)" ;;
	77)
		reason=$(sed -n 's/^SKIP: //p' "$T/log" | tail -1)
		echo "ok $what # SKIP $reason"
		;;
	*)
		echo "not ok $what ($3 s)"
		tail -60 "$T/log" | sed 's/^/# /'
		test_failures=$((test_failures + 1))
		;;
	esac
}

finish()
{
	[ "${PAIL_TEST_LIST:-0}" = 1 ] || echo "1..$test_number"
	[ $test_failures = 0 ]
}

# -------------------------------------------------------------- cleaning up

# Pids of processes that the test started, also those that left its group.
tagged()
{
	grep -lzxF -- "PAIL_TEST_TAG=$T" /proc/[0-9]*/environ 2>/dev/null |
		sed -n 's|^/proc/\([0-9]*\)/environ$|\1|p' |
		grep -vx "$$" || true
}

mounts_below()
{
	awk -v dir="$1/" 'index($5 "/", dir) == 1 { print $5 }' \
		/proc/self/mountinfo | tac
}

loops_below()
{
	losetup -n -l -O NAME,BACK-FILE 2>/dev/null |
		awk -v dir="$1/" 'index($2, dir) == 1 { print $1 }'
}

# A FUSE file system whose server does not answer is cut off, so that
# nothing can hang on it.
abort_fuse()
{
	local minor
	minor=$(awk -v dir="$1" '$5 == dir { split($3, d, ":"); print d[2] }' \
		/proc/self/mountinfo | tail -1)
	[ -n "$minor" ] && [ -e "/sys/fs/fuse/connections/$minor/abort" ] &&
		echo 1 >"/sys/fs/fuse/connections/$minor/abort"
}

release_loops()
{
	local dev
	for dev in $(loops_below "$T"); do
		losetup -d "$dev" || true
	done
}

# Remember a command for the end of the test; the last comes first.
undo()
{
	printf '%q ' "$@" >>"$T/undo"
	echo >>"$T/undo"
}

cleanup_test()
{
	local dir pid left
	[ -n "${T:-}" ] || return 0
	[ ! -e "$T/undo" ] || . <(tac "$T/undo")
	for pid in $(tagged); do
		kill -CONT "$pid" 2>/dev/null || true
	done
	for dir in $(mounts_below "$T"); do
		release_loops
		timeout 20 umount "$dir" 2>/dev/null && continue
		abort_fuse "$dir" || true
		timeout 20 umount -l "$dir" || true
	done
	release_loops
	for _ in $(seq 100); do
		left=$(tagged)
		[ -n "$left" ] || return 0
		# Helpers of a test need no farewell; programs under test do.
		for pid in $left; do
			case $(cat "/proc/$pid/comm" 2>/dev/null) in
			pail | pail-holder | s3backer | mount.pail) ;;
			*) kill -KILL "$pid" 2>/dev/null || true ;;
			esac
		done
		sleep 0.1
	done
	for pid in $left; do
		echo "left behind: $(tr '\0' ' ' <"/proc/$pid/cmdline")"
		kill -KILL "$pid" 2>/dev/null || true
	done
	return 1
}
