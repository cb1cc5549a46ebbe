#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# AppArmor by $ENGINE (docker or podman): its own profile, one of ours, none; for the process and for exec.

load common
setup_file() {
	cat >"$BATS_FILE_TMPDIR/profile" <<-'E'
		#include <tunables/global>
		profile volrun-test flags=(attach_disconnected,mediate_deleted) {
		  network,
		  capability,
		  file,
		  umount,
		  signal,
		  ptrace,
		  deny /secret w,
		}
	E
	apparmor_parser -r "$BATS_FILE_TMPDIR/profile"
}
teardown_file() { apparmor_parser -R "$BATS_FILE_TMPDIR/profile"; }
setup() { : "${ENGINE:?docker or podman}"; }
teardown() { common_teardown; }

CURRENT=(cat /proc/self/attr/current)

@test "the engine's own profile confines a container and its exec" {
	local own='^docker-default \(enforce\)$'
	[[ $ENGINE == docker ]] || own='^containers-default-.* \(enforce\)$'
	engine run "${RT[@]}" --network none --stop-timeout 1 -d --name c1 $IMAGE sleep 1000
	like "$(engine exec c1 cat /proc/1/attr/current)" "$own"
	like "$(engine exec c1 "${CURRENT[@]}")" "$own"
	like "$(engine exec --user 5 c1 "${CURRENT[@]}")" "$own"
	# What that profile denies, whatever the capabilities are.
	erun --rm --cap-add SYS_ADMIN --security-opt seccomp=unconfined $IMAGE sh -c 'mount -t tmpfs t /tmp 2>/dev/null || echo denied'
	shows 0 denied
}

@test "a profile of one's own is in force at the start, after exec, and with no-new-privileges" {
	erun --rm --security-opt apparmor=volrun-test $IMAGE sh -c 'cat /proc/self/attr/current; touch /other; touch /secret 2>/dev/null || echo denied'
	shows 0 $'volrun-test (enforce)\ndenied'
	erun --rm --security-opt apparmor=volrun-test --security-opt no-new-privileges --user 5 $IMAGE "${CURRENT[@]}"
	shows 0 'volrun-test (enforce)'
	engine run "${RT[@]}" --network none --stop-timeout 1 -d --name c1 --security-opt apparmor=volrun-test $IMAGE sleep 1000
	try exec c1 sh -c 'cat /proc/self/attr/current; touch /secret 2>/dev/null || echo denied'
	shows 0 $'volrun-test (enforce)\ndenied'
	try exec --privileged c1 "${CURRENT[@]}"
	is "$status" 0
}

@test "none on demand, and one that isn't loaded is an error" {
	erun --rm --security-opt apparmor=unconfined $IMAGE "${CURRENT[@]}"
	shows 0 unconfined
	erun --rm --privileged $IMAGE "${CURRENT[@]}"
	shows 0 unconfined
	erun --rm --security-opt apparmor=nosuchprofile $IMAGE true
	((status != 0)) || fail "it ran"
	like "$stderr" nosuchprofile
}
