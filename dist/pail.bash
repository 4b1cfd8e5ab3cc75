# SPDX-License-Identifier: Apache-2.0
# bash completion for pail(1).
#
# Verbs and options come from the program's own --help, so that they are always
# its own.  URLs come from what this machine knows already (fstab, /etc/pail,
# what is mounted): a tabulator asks no server.

_pail_verbs()
{
	pail --help 2>/dev/null |
		awk '/^Verbs:/ { on = 1; next } on && NF == 0 { exit }
		     on { print $1 }'
}

_pail_urls()
{
	{
		printf '%s\n' s3:// dir:
		sed -n 's/^[ \t]*PAIL_URL=//p' /etc/pail/*.conf
		awk '$3 == "pail" || $3 == "fuse.pail" { print $1 }' \
			/etc/fstab /proc/self/mounts
	} 2>/dev/null | tr -d '"'
}

_pail_mounts()
{
	awk '$3 == "fuse.pail" { print $2 }' /proc/self/mounts 2>/dev/null
}

# URLs that begin with $1, into COMPREPLY.  Readline cuts words at colons.
_pail_url()
{
	local path

	if [[ $1 == dir:* ]]; then
		while read -r path; do
			COMPREPLY+=("dir:$path/")
		done < <(compgen -d -- "${1#dir:}")
	else
		COMPREPLY+=($(compgen -W "$(_pail_urls)" -- "$1"))
	fi
	((${#COMPREPLY[@]} == 0)) && return
	compopt -o nospace
	__ltrim_colon_completions "$1"
}

_pail()
{
	local cur prev words cword verb options

	_init_completion -n : || return
	verb=${words[1]}
	if ((cword == 1)); then
		COMPREPLY=($(compgen -W "$(_pail_verbs) help --help --version" \
			-- "$cur"))
		return
	fi
	case $prev in
	--*file | --log | --journal | --cacert | --config)
		_filedir
		return
		;;
	--compress)
		COMPREPLY=($(compgen -W 'none deflate zstd' -- "$cur"))
		return
		;;
	--encrypt)
		COMPREPLY=($(compgen -W 'AES-256-CBC AES-128-CBC' -- "$cur"))
		return
		;;
	esac
	if [[ $cur == -* ]]; then
		options=$(_parse_help pail "$verb --help")
		COMPREPLY=($(compgen -W "$options" -- "$cur"))
		[[ ${COMPREPLY[0]} == *= ]] && compopt -o nospace
		return
	fi
	case $verb in
	help)
		COMPREPLY=($(compgen -W "$(_pail_verbs)" -- "$cur"))
		;;
	unmount | sync | stats)
		COMPREPLY=($(compgen -W "$(_pail_mounts)" -- "$cur"))
		_filedir -d
		;;
	mount)
		_pail_url "$cur"
		_filedir -d
		;;
	copy)
		_pail_url "$cur"
		_filedir
		;;
	s3backer)
		_filedir -d
		;;
	*)
		_pail_url "$cur"
		;;
	esac
} && complete -F _pail pail
