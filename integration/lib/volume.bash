# SPDX-License-Identifier: Apache-2.0
# volume.bash - containers with volumes, on "nodes": a node is a configuration
# (own cache, run directory, name) with a state directory of its own.
#
#   A store is $T/store (type filesystem), or the S3 bucket $BUCKET where that is set, or the one of GCS, $GCS_BUCKET.

# node NAME [JQ-FILTER]: makes $T/NAME.json.
node() {
	local store
	mkdir -p "$T/state-$1" "$T/run-$1" "$T/cache-$1"
	if [[ -n ${BUCKET:-} ]]; then
		store=$(
			. "$SUITE/rgw/env"
			printf '%s' "$AWS_SECRET_ACCESS_KEY" >"$T/secret"
			chmod 600 "$T/secret"
			jq -cn --arg b "$BUCKET" --arg e "$S3_ENDPOINT" --arg k "$AWS_ACCESS_KEY_ID" --arg s "$T/secret" --arg ca "${S3_CA_FILE:-}" \
				'{type: "s3", bucket: $b, endpoint: $e, region: "us-east-1", path_style: true, access_key_id: $k, secret_access_key_file: $s}
				+ if $ca == "" then {} else {ca_file: $ca} end'
		)
	elif [[ -n ${GCS_BUCKET:-} ]]; then
		store=$(
			. "$SUITE/gcs/env"
			jq -cn --arg b "$GCS_BUCKET" --arg e "$GCS_ENDPOINT" '{type: "gcs", bucket: $b, endpoint: $e}'
		)
	else
		store=$(jq -cn --arg p "$T/store" '{type: "filesystem", path: $p}')
		mkdir -p "$T/store"
	fi
	jq -n --argjson store "$store" --arg t "$T" --arg n "$1" '{
		stores: {main: $store}, default_store: "main", node_name: "node-\($n)",
		cache: {path: "\($t)/cache-\($n)"}, run_dir: "\($t)/run-\($n)",
		lease: {prepare_timeout: "1s"}}' | jq "${2:-.}" >"$T/$1.json"
}

# on NODE COMMAND...: the command with that node's configuration and state.
# shellcheck disable=SC2034 # ROOT is for volrun()
on() {
	local VOLRUN_CONFIG=$T/$1.json ROOT=$T/state-$1
	export VOLRUN_CONFIG
	shift
	"$@"
}

# vbundle NAME ANNOTATION SCRIPT [JQ-FILTER]: a bundle with one volume.
vbundle() {
	bundle "$1" "$3"
	config "$1" --arg v "$2" '.annotations = {"dev.volrun.volume": $v}'
	[[ -z ${4:-} ]] || config "$1" "$4"
}

# vrun NODE NAME ANNOTATION SCRIPT [JQ-FILTER]: the same, run on the node to its end.
vrun() {
	local node=$1
	shift
	vbundle "$@"
	try on "$node" volrun run --bundle "$T/$1" "$1"
	# `run` may return while the keeper still commits (it waits for at most delete_wait).
	until_true "${KEEPER_PATIENCE:-30}" eval '[[ -z $(keepers) ]]'
}

# vstart NODE NAME ANNOTATION SCRIPT [JQ-FILTER]: started, and left running.
vstart() {
	local node=$1
	shift
	vbundle "$@"
	on "$node" volrun run --detach --bundle "$T/$1" "$1" </dev/null >"$T/$1.log" 2>&1 || fail "$1: $(cat "$T/$1.log")"
}

keepers() { find /proc -maxdepth 2 -path '/proc/[0-9]*/exe' -lname "$BIN/volrun-keeper" 2>/dev/null | cut -d / -f 3; }

# pids_of PROGRAM...: of the programs under test that run now.
pids_of() {
	local name
	for name; do find /proc -maxdepth 2 -path '/proc/[0-9]*/exe' -lname "$BIN/$name" 2>/dev/null; done | cut -d / -f 3
}

# A tree, as the container sees it; the directory is $D.
# shellcheck disable=SC2016,SC2034 # for the container's shell; used by the tests
FINGERPRINT='cd "$D"; find . | sort | while IFS= read -r f; do
	if [ -L "$f" ]; then echo "$f -> $(readlink "$f")"
	elif [ -f "$f" ]; then stat -c "%n %F %a %u:%g %s %Y" "$f"; sha256sum <"$f"
	else stat -c "%n %F %a %u:%g" "$f"; fi; done'

# A tree with something of everything; in $D.
# shellcheck disable=SC2016,SC2034
MAKE_TREE='cd "$D"; echo hello >notes.txt; : >empty; mkdir -p deep/er/est none private; echo x >deep/er/est/x
	head -c 300000 /dev/urandom >random; printf "a\0b\377" >binary; echo "#!/bin/sh" >run.sh; chmod 755 run.sh; chmod 400 empty
	chmod 700 private; chmod 1777 none; ln -s notes.txt link; ln -s ../../../etc/passwd deep/out; ln -s /absolute/path abs; ln -s deep dirlink
	echo "blank" >"a b  c"; echo "quote" >"q\"u'"'"'o%20te+&=?#"; echo utf >"ünïcödé-☃"; echo dot >.hidden; mkdir .dir; chown 1000:1000 run.sh deep
	touch -d "2001-02-03 04:05:06" notes.txt'

left_leases() {
	local key
	if [[ -n ${BUCKET:-} ]]; then
		s3 ls "$BUCKET" volumes/ | cut -d ' ' -f 2- | jq -r 'select(test("/\\.volrun/.*/head$"))' | while read -r key; do
			s3 get "$BUCKET" "$key" | jq -r --arg k "$key" 'select(.state == "held") | $k' 2>/dev/null
		done
	elif [[ -n ${GCS_BUCKET:-} ]]; then
		gcs ls "$GCS_BUCKET" volumes/ | cut -d ' ' -f 2- | jq -r 'select(test("/\\.volrun/.*/head$"))' | while read -r key; do
			gcs get "$GCS_BUCKET" "$key" | jq -r --arg k "$key" 'select(.state == "held") | $k' 2>/dev/null
		done
	elif [[ -d $T/store/volumes ]]; then
		find "$T/store/volumes" -path '*/.volrun/*/head' -exec grep -lE '"state": ?"held"' {} +
	fi
}

# --- S3 -----------------------------------------------------------------------

s3() { "$HERE/s3/s3tool" --env "$SUITE/rgw/env" "$@"; }

# The real S3 server, one for the whole suite; it takes some 15 s to start.
s3_start() {
	[[ -d $SUITE/rgw ]] || "$HERE/s3/rgw" start "$SUITE/rgw" --life 5400 >"$SUITE/rgw.log" 2>&1 </dev/null 3>&- 4>&- || {
		cat "$SUITE/rgw.log" >&2
		return 1
	}
}

# s3_contents: every object and what is in it, but for the registers.
s3_contents() {
	local key
	s3 ls "$BUCKET" | cut -d ' ' -f 2- | jq -r . | sort | while IFS= read -r key; do
		[[ $key == */head || $key == .volrun-probe/* ]] || printf '%s %s\n' "$(s3 get "$BUCKET" "$key" | sha256sum | cut -c 1-64)" "$key"
	done
}

# --- GCS ----------------------------------------------------------------------

gcs() { "$HERE/gcs/gcstool" --env "$SUITE/gcs/env" "$@"; }

# The server of its API, one for the whole suite. It is built at its first use, which takes minutes.
gcs_start() {
	[[ -d $SUITE/gcs ]] || "$HERE/gcs/server" start "$SUITE/gcs" --life 5400 >"$SUITE/gcs.log" 2>&1 </dev/null 3>&- 4>&- || {
		cat "$SUITE/gcs.log" >&2
		return 1
	}
}

# gcs_contents: every object and what is in it, but for the registers.
gcs_contents() {
	local key
	gcs ls "$GCS_BUCKET" | cut -d ' ' -f 2- | jq -r . | sort | while IFS= read -r key; do
		[[ $key == */head || $key == .volrun-probe/* ]] || printf '%s %s\n' "$(gcs get "$GCS_BUCKET" "$key" | sha256sum | cut -c 1-64)" "$key"
	done
}
