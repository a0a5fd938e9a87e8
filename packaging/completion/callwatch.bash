# SPDX-License-Identifier: MIT
#
# bash completion for callwatch. What may stand next only callwatch knows: its commands and options, and, if callwatchd
# answers within a second, the tables, instances and columns there are.

_callwatch() {
	local current=${COMP_WORDS[COMP_CWORD]} candidate
	COMPREPLY=()
	while IFS= read -r candidate; do
		case $candidate in
		:files)
			compopt -o filenames 2>/dev/null
			mapfile -t COMPREPLY < <(compgen -f -- "${current#=}")
			;;
		*=)
			compopt -o nospace 2>/dev/null
			COMPREPLY+=("$candidate")
			;;
		*)
			COMPREPLY+=("$candidate")
			;;
		esac
	done < <("${COMP_WORDS[0]}" __complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null </dev/null)
}

complete -F _callwatch callwatch
