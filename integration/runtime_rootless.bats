#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Containers of an ordinary user: id maps by newuidmap or of one's own id
# alone, with and without a cgroup; within a user namespace; within a container.

load lib/common

# A user of this file's own: uid and name are taken from the process id, the ranges from far above.
setup_file() {
	export U_NAME=vrl$$ U_ID=$((200000 + $$ % 100000)) U_SUB=$((700000000 + $$ % 10000 * 65536))
	useradd --no-create-home --no-user-group --gid nogroup --uid "$U_ID" --shell /bin/sh "$U_NAME"
	# Debian's useradd may have given ranges of its own choice.
	sed -i "/^$U_NAME:/d" /etc/subuid /etc/subgid
	echo "$U_NAME:$U_SUB:65536" >>/etc/subuid
	echo "$U_NAME:$U_SUB:65536" >>/etc/subgid
}

teardown_file() {
	userdel "$U_NAME" 2>/dev/null
	sed -i "/^$U_NAME:/d" /etc/subuid /etc/subgid
}

setup() {
	common_setup
	local dir
	for dir in "$T" "$(dirname "$T")" "$SUITE" "$(dirname "$SUITE")"; do chmod a+rx "$dir"; done
	U_GID=$(id -g "$U_NAME")
	chown "$U_ID:$U_GID" "$ROOT"
	mkdir "$T/run"
	chown "$U_ID:$U_GID" "$T/run"
}
teardown() { common_teardown; }

# as_user COMMAND...: without root's groups, environment and descriptors.
as_user() {
	setpriv --reuid "$U_ID" --regid "$U_GID" --clear-groups env -i PATH="$PATH" XDG_RUNTIME_DIR="$T/run" "$@" 3>&- 4>&-
}
user_volrun() { as_user timeout -k 5 60 "$BIN/volrun" --root "$ROOT" "$@"; }

ONE="[{containerID: 0, hostID: \$uid, size: 1}]"
MANY="[{containerID: 0, hostID: \$uid, size: 1}, {containerID: 1, hostID: \$sub, size: 65536}]"
HOST_NET='del(.linux.namespaces[] | select(.type == "network"))'

# user_bundle NAME SCRIPT [JQ-FILTER]: with a user namespace, own id alone; the user's.
user_bundle() {
	bundle "$1" "$2"
	config "$1" --argjson uid "$U_ID" --argjson gid "$U_GID" --argjson sub "$U_SUB" "
		.linux.namespaces += [{type: \"user\"}] | .linux.uidMappings = $ONE
		| .linux.gidMappings = [{containerID: 0, hostID: \$gid, size: 1}] | ${3:-.}"
	chown -hR "$U_ID:$U_GID" "$T/$1"
}
user_container() {
	user_bundle "$@"
	try user_volrun run --bundle "$T/$1" "$1"
}
MAPPED=".linux.uidMappings = $MANY | .linux.gidMappings = ($MANY | .[0].hostID = \$gid)"

# --- id maps ---------------------------------------------------------------------

@test "an ordinary user is root in a container of his own id alone" {
	user_container c1 'id -u; id -g; cat /proc/self/uid_map /proc/self/gid_map /proc/self/setgroups; echo x >/data/new'
	ok
	is "${lines[0]}" 0
	is "${lines[1]}" 0
	like "${lines[2]}" "^ +0 +$U_ID +1\$"
	like "${lines[3]}" "^ +0 +$U_GID +1\$"
	is "${lines[4]}" deny
	is "$(stat -c '%u %g' "$T/c1/rootfs/data/new")" "$U_ID $U_GID"
}

@test "newuidmap and newgidmap map the user's ranges" {
	user_container c1 'cat /proc/self/uid_map /proc/self/gid_map /proc/self/setgroups; id -u; id -g; grep Groups: /proc/self/status; echo x >/tmp/new' "
		$MAPPED | .process.user = {uid: 1000, gid: 1001, additionalGids: [5, 6]}"
	ok
	like "${lines[0]}" "^ +0 +$U_ID +1\$"
	like "${lines[1]}" "^ +1 +$U_SUB +65536\$"
	like "${lines[3]}" "^ +1 +$U_SUB +65536\$"
	is "${lines[4]}" allow
	is "${lines[5]}" 1000
	is "${lines[6]}" 1001
	like "${lines[7]}" '^Groups:[[:space:]]+5 6'
	is "$(stat -c '%u %g' "$T/c1/rootfs/tmp/new")" "$((U_SUB + 999)) $((U_SUB + 1000))"
}

@test "a range that is not the user's is refused in one line that names the file" {
	user_bundle c1 true "$MAPPED | .linux.uidMappings[1].hostID = 100"
	try user_volrun run --bundle "$T/c1" c1
	not_ok 'uid_map.*/etc/subuid'
	user_bundle c1 true "$MAPPED | .linux.gidMappings[1] += {hostID: 100, size: 10}"
	try user_volrun run --bundle "$T/c1" c1
	not_ok 'gid_map.*/etc/subgid'
}

@test "the whole life of a container: create, start, state, exec, kill, delete" {
	user_bundle c1 'trap "exit 3" TERM; while :; do sleep 0.1; done' "$MAPPED"
	try user_volrun create --bundle "$T/c1" c1
	ok
	is "$(user_volrun state c1 | jq -r '.status + " " + .owner')" "created $U_ID"
	user_volrun start c1
	is "$(user_volrun state c1 | jq -r .status)" running
	is "$(user_volrun list -q)" c1
	try user_volrun exec c1 sh -c 'id -u; cat /proc/1/comm'
	ok
	is "${lines[0]}" 0
	is "${lines[1]}" sh
	try user_volrun exec --user 7:8 c1 sh -c 'id -u; id -g'
	ok
	is "${lines[*]}" "7 8"
	user_volrun kill c1 KILL
	until_true 5 eval '[[ $(user_volrun state c1 | jq -r .status) == stopped ]]'
	user_volrun delete c1
}
