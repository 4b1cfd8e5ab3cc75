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

_pail_options()
{
	pail help "$@" 2>/dev/null |
		sed -n 's/^ *\(-[A-Za-z0-9], \)\{0,1\}\(--[a-z0-9-]*\).*/\2/p'
}

_pail_stores()
{
	pail store --help 2>/dev/null |
		awk 'NF == 0 { on++; next } on == 2 { exit } on { print $1 }'
}

# Files (-f) or directories (-d) that begin with $2, added to COMPREPLY.
_pail_files()
{
	local path

	compopt -o filenames 2>/dev/null
	while read -r path; do
		COMPREPLY+=("$path")
	done < <(compgen "$1" -- "$2")
}

_pail_urls()
{
	{
		printf '%s\n' s3:// dir: raw:
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
	compopt -o nospace 2>/dev/null
	declare -F __ltrim_colon_completions >/dev/null &&
		__ltrim_colon_completions "$1"
	return 0
}

_pail()
{
	local cur prev words cword verb options

	if declare -F _get_comp_words_by_ref >/dev/null; then
		_get_comp_words_by_ref -n : cur prev words cword
	else
		words=("${COMP_WORDS[@]}")
		cword=$COMP_CWORD
		cur=${words[cword]}
		prev=${words[cword - 1]}
	fi
	verb=${words[1]}
	if ((cword == 1)); then
		COMPREPLY=($(compgen -W "$(_pail_verbs) help --help --version" \
			-- "$cur"))
		return
	fi
	case $prev in
	--*file | --input | --output | --program | --log | --journal | --cacert | --config)
		_pail_files -f "$cur"
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
		case $verb in
		store | journal)
			options=$(_pail_options "$verb" "${words[2]}") ;;
		*) options=$(_pail_options "$verb") ;;
		esac
		COMPREPLY=($(compgen -W "$options" -- "$cur"))
		return
	fi
	case $verb in
	help)
		COMPREPLY=($(compgen -W "$(_pail_verbs)" -- "$cur"))
		;;
	journal)
		if ((cword == 2)); then
			COMPREPLY=($(compgen -W 'status replay discard' \
				-- "$cur"))
			return
		fi
		_pail_files -f "$cur"
		;;
	store)
		if ((cword == 2)); then
			COMPREPLY=($(compgen -W "$(_pail_stores)" -- "$cur"))
		elif [[ $cur == raw:* ]]; then
			_pail_url "$cur"
		else
			_pail_files -f "$cur"
		fi
		;;
	unmount | sync | stats | upgrade)
		COMPREPLY=($(compgen -W "$(_pail_mounts)" -- "$cur"))
		_pail_files -d "$cur"
		;;
	mount)
		_pail_url "$cur"
		_pail_files -d "$cur"
		;;
	copy)
		_pail_url "$cur"
		_pail_files -f "$cur"
		;;
	s3backer)
		_pail_files -d "$cur"
		;;
	*)
		_pail_url "$cur"
		;;
	esac
} && complete -F _pail pail
