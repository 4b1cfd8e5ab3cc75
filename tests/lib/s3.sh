# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
#
# lib/s3.sh: look into the bucket, and change it, without pail's help.  All
# by curl and its signatures; keys must need no URL encoding.
#
# From the environment: PAIL_TEST_ENDPOINT, PAIL_TEST_BUCKET, AWS_*.

need_server()
{
	[ -n "${PAIL_TEST_ENDPOINT:-}" ] ||
		skip "no S3 server (PAIL_TEST_ENDPOINT)"
}

# s3_call METHOD KEY_AND_QUERY [CURL ARGUMENT...]
s3_call()
{
	local method=$1 what=$2
	shift 2
	curl -sS --max-time 60 -X "$method" \
		--aws-sigv4 "aws:amz:$AWS_REGION:s3" \
		--user "$AWS_ACCESS_KEY_ID:$AWS_SECRET_ACCESS_KEY" \
		-H "x-amz-content-sha256: UNSIGNED-PAYLOAD" "$@" \
		"$PAIL_TEST_ENDPOINT/$PAIL_TEST_BUCKET$what"
}

s3_get()
{
	s3_call GET "/$1" --fail
}

# s3_put KEY FILE [CURL ARGUMENT...]
s3_put()
{
	local key=$1 file=$2
	shift 2
	s3_call PUT "/$key" --fail -o /dev/null --upload-file "$file" "$@"
}

s3_delete()
{
	s3_call DELETE "/$1" --fail -o /dev/null
}

# The header lines of an object, names in lower case.
s3_head()
{
	s3_call HEAD "/$1" --fail --head |
		tr -d '\r' | sed 's/^[^:]*:/\L&/'
}

# Lines "KEY BYTES ETAG" of everything below a prefix.
s3_list()
{
	local after="" page last
	while :; do
		page=$(s3_call GET "?list-type=2&max-keys=1000&prefix=${1//\//%2F}${after:+&start-after=$after}" --fail)
		# shellcheck disable=SC2001
		sed 's/<Contents>/\n&/g' <<<"$page" | sed -n \
			's|.*<Key>\(.*\)</Key>.*<ETag>&quot;\(.*\)&quot;</ETag>.*<Size>\([0-9]*\)</Size>.*|\1 \3 \2|p'
		grep -q '<IsTruncated>true' <<<"$page" || return 0
		last=$(grep -o '<Key>[^<]*</Key>' <<<"$page" | tail -1)
		last=${last#<Key>}
		last=${last%</Key>}
		after=${last//\//%2F}
	done
}

s3_keys()
{
	s3_list "$1" | awk '{ print $1 }'
}

# How many block objects are below the prefix?
s3_blocks()
{
	s3_keys "$1" | grep -cE '(/|-|^)[0-9a-f]{8}$' || true
}

# What the bucket says the disk is: its plain blocks put together.
# s3_image PREFIX BLOCK_BYTES DISK_BYTES FILE
s3_image()
{
	local prefix=$1 block=$2 bytes=$3 image=$4 key
	rm -f "$image"
	truncate -s "$bytes" "$image"
	for key in $(s3_keys "$prefix" | grep -E '/[0-9a-f]{8}$'); do
		s3_get "$key" | dd of="$image" bs="$block" conv=notrunc \
			iflag=fullblock seek=$((16#${key##*/})) status=none
	done
}

s3_erase()
{
	local key
	for key in $(s3_keys "$1"); do
		s3_delete "$key"
	done
}

# From now on the server answers 403 to ACTION (s3:PutObject, s3:*) below
# the prefix.  There is one policy per bucket: not for tests side by side.
s3_deny()
{
	local action=$1 prefix=$2
	cat >"$T/policy.json" <<-END
	{ "Version": "2012-10-17", "Statement": [ { "Effect": "Deny",
	  "Principal": "*", "Action": "$action",
	  "Resource": "arn:aws:s3:::$PAIL_TEST_BUCKET/$prefix*" } ] }
	END
	s3_call PUT "?policy=" --fail -o /dev/null \
		--upload-file "$T/policy.json"
	undo s3_allow
}

s3_allow()
{
	s3_call DELETE "?policy=" --fail -o /dev/null
}
