#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The manual pages name what there is, and nothing else: what the program's own tables say stands in them.

load lib/common
setup() { common_setup; TOP=$HERE/.. MAN=$TOP/docs/man; }
teardown() { common_teardown; }

# options_of: the long options of a help, without dashes.
options_of() { grep -oE '^ +(-[a-zA-Z], )?--[a-z0-9-]+' | grep -oE '[a-z0-9-]+$' | sed 's/^-*//'; }
# section PAGE COMMAND: the part of a page that is about one command.
section() { awk -v c="$2" '/^\.It Cm / && $3 ~ /^[a-z]/ { on = $3 == c } /^\.Sh/ { on = 0 } on' "$MAN/$1"; }

@test "volrun(8) has every command, and each of its options in its place" {
	local c o part n=0
	for c in $(volrun --help | sed -n '/^Commands:/,/^$/s/^  \([a-z]*\) .*/\1/p'); do
		part=$(section volrun.8 "$c")
		[[ -n $part ]] || fail "volrun.8: nothing about $c"
		[[ $c != volume ]] || continue
		[[ $c != run ]] || part+=$(section volrun.8 create)
		[[ $c != restore ]] || part+=$(section volrun.8 checkpoint)
		for o in $(volrun "$c" --help | options_of); do
			[[ $o == help || $part == *"Fl -$o"[[:space:]]* || $part == *"Fl -$o" ]] || fail "volrun.8: $c --$o is not there"
			n=$((n + 1))
		done
	done
	((n > 80)) || fail "only $n options were found"
	for o in $(volrun --help | options_of); do
		grep -q -- "Fl -$o\b" "$MAN/volrun.8" || fail "volrun.8: --$o is not there"
	done
}

@test "volrun(8) and volrun-volume(8) have no command that isn't there" {
	local c all
	all=" $(volrun --help | sed -n '/^Commands:/,/^$/s/^  \([a-z]*\) .*/\1/p' | xargs) "
	for c in $(sed -n '/^\.Sh COMMANDS/,/^\.Sh ENV/s/^\.It Cm \([a-z]*\).*/\1/p' "$MAN/volrun.8"); do
		[[ $all == *" $c "* ]] || fail "volrun.8: there is no command $c"
	done
	all=" $(volrun volume --help | sed -n 's/^  \([a-z][a-z-]*\) .*/\1/p' | xargs) "
	for c in $(sed -n '/^\.Sh COMMANDS/,/^\.Sh FILES/s/^\.It Cm \([a-z-]*\).*/\1/p' "$MAN/volrun-volume.8"); do
		[[ $all == *" $c "* ]] || fail "volrun-volume.8: there is no command $c"
	done
}

@test "volrun-volume(8) has every command and option" {
	local c o n=0
	for c in $(volrun volume --help | sed -n 's/^  \([a-z][a-z-]*\) .*/\1/p'); do
		grep -qE "^\.It Cm $c( |$)" "$MAN/volrun-volume.8" || fail "volrun-volume.8: nothing about $c"
		n=$((n + 1))
	done
	((n >= 20)) || fail "only $n commands were found"
	for o in $(volrun volume --help | options_of); do
		grep -qE "^\.It Fl -$o( |$)" "$MAN/volrun-volume.8" || fail "volrun-volume.8: --$o is not there"
	done
}

@test "volrun-config(5) has every key of the configuration, and no other" {
	local k n=0 keys
	keys=$(grep -oE '"[a-z0-9_]+", JSON_' "$TOP/hooks/config.c" | cut -d '"' -f 2 | sort -u)
	for k in $keys; do
		grep -qE "^\.It Va (.* Va )?$k( |$)" "$MAN/volrun-config.5" || fail "volrun-config.5: key $k is not there"
		n=$((n + 1))
	done
	((n > 60)) || fail "only $n keys were found"
	for k in $(sed -n 's/^\.It Va //p' "$MAN/volrun-config.5" | sed 's/ , Va / /g' | xargs); do
		grep -qx "$k" <<<"$keys" || fail "volrun-config.5: there is no key $k"
	done
	for k in $(sed -n '/names\[\]/,/^}/p' "$TOP/hooks/store/credentials_names.c" | grep -oE '"[a-z-]+"' | tr -d '"'); do
		grep -q "Ql $k\b" "$MAN/volrun-config.5" || fail "volrun-config.5: credentials from $k are not there"
	done
}

@test "volrun-annotations(7) has every option of a volume, and every annotation that the runtime calls unsafe" {
	local k
	for k in $(sed -n '/^} options\[\] = {/,/^};/p' "$TOP/oci/volume.c" | grep -oE '"[a-z]+"' | tr -d '"'); do
		grep -q "^\.It Cm $k= " "$MAN/volrun-annotations.7" || fail "volrun-annotations.7: option $k= is not there"
	done
	for k in $(volrun features | jq -r '.potentiallyUnsafeConfigAnnotations[]'); do
		grep -qF "${k%.}" "$MAN/volrun-annotations.7" || fail "volrun-annotations.7: $k is not there"
	done
	for k in $(grep -ohE '"dev\.volrun\.[a-z]+"' "$TOP"/hooks/*.c "$TOP"/oci/volume.h | tr -d '"' | sort -u); do
		grep -qF "$k" "$MAN/volrun-annotations.7" || fail "volrun-annotations.7: $k is not there"
	done
}
