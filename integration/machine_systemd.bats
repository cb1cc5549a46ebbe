#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# In the virtual machine: containers in systemd's scopes, with every controller of cgroup v2.
load lib/common

setup() { common_setup; UNIT=volrun$BATS_TEST_NUMBER-$$; }
teardown() {
	local rc=0
	nothing_left || rc=1
	volrun delete --force c >/dev/null 2>&1 || :
	systemctl --quiet is-active "$UNIT.scope" && { echo "the scope is left"; systemctl stop "$UNIT.scope"; rc=1; }
	return $rc
}

# scoped [JQ-FILTER]: a running container in system.slice:PREFIX:NAME.
scoped() {
	bundle c 'exec sleep 1000' '.linux.cgroupsPath = "system.slice:'"${UNIT%-*}:${UNIT#*-}"'"'
	[[ -z ${1:-} ]] || config c "$1"
	volrun --systemd-cgroup run --detach --bundle "$T/c" c </dev/null >/dev/null 2>"$T/stderr" || { cat "$T/stderr"; return 1; }
}

property() { systemctl show --property "$1" --value "$UNIT.scope"; }
inactive() { [[ $(property ActiveState) == inactive ]]; }
cgroup_file() { cat "/sys/fs/cgroup/system.slice/$UNIT.scope/$1"; }

@test "a container is in a delegated scope of the slice that cgroupsPath names" {
	scoped
	is "$(property ActiveState)" active
	is "$(property Slice)" system.slice
	is "$(property Delegate)" yes
	is "$(property Description)" "volrun container c"
	is "$(cut -d : -f 3 "/proc/$(pid_of c)/cgroup")" "/system.slice/$UNIT.scope"
	is "$(volrun state c | jq -r '."systemd-scope"')" "$UNIT.scope"
	try volrun exec c cat /proc/self/cgroup
	is "$output" "0::/system.slice/$UNIT.scope"
	volrun delete --force c
	is "$(property ActiveState)" inactive
}

@test "limits are the scope's properties and the cgroup's files, and update changes both" {
	scoped '.linux.resources = {memory: {limit: 67108864}, pids: {limit: 50}, cpu: {shares: 512, quota: 50000, period: 100000, cpus: "0"},
		unified: {"memory.high": "29360128"}}'
	is "$(property MemoryMax)" 67108864
	is "$(property TasksMax)" 50
	is "$(property CPUQuotaPerSecUSec)" 500ms
	is "$(property AllowedCPUs)" 0
	is "$(cgroup_file memory.max)" 67108864
	is "$(cgroup_file cpu.max)" "50000 100000"
	is "$(cgroup_file cpuset.cpus)" 0
	volrun update --memory 33554432 --pids-limit 20 c
	is "$(property MemoryMax)" 33554432
	is "$(cgroup_file memory.max)" 33554432
	is "$(cgroup_file pids.max)" 20
	# Without a period: with the one that there is.
	volrun update --cpu-period 50000 --cpu-quota 25000 c
	volrun update --cpu-quota 10000 c
	is "$(property CPUQuotaPerSecUSec)" 200ms
	is "$(cgroup_file cpu.max)" "10000 50000"
	volrun update --cpu-period 100000 c
	is "$(cgroup_file cpu.max)" "10000 100000"
	volrun update --cpu-period 50000 c
	# What systemd does when it reads its units anew must not take the limits back.
	systemctl daemon-reload
	is "$(cgroup_file memory.max)" 33554432
	is "$(cgroup_file pids.max)" 20
	is "$(cgroup_file cpu.max)" "10000 50000"
	is "$(cgroup_file memory.high)" 29360128
	volrun delete --force c
}

@test "device rules hold on in a scope, also after a reload" {
	scoped '.linux.resources.devices = [{allow: false, access: "rwm"}] | .process.capabilities |= map_values(. + ["CAP_MKNOD"])'
	systemctl daemon-reload
	try volrun exec c sh -c 'mknod /dev/sda b 8 0; cat /dev/sda'
	like "$stderr" 'Operation not permitted'
	try volrun exec c sh -c 'echo x >/dev/null && head -c 1 /dev/zero | wc -c'
	is "$output" 1
	volrun delete --force c
}

@test "annotations set properties of the unit; one that makes no sense is refused with one line" {
	scoped '.annotations = {"org.systemd.property.TimeoutStopSec": "7", "org.systemd.property.CollectMode": "'"'inactive-or-failed'"'"}'
	is "$(property TimeoutStopUSec)" 7s
	is "$(property CollectMode)" inactive-or-failed
	volrun delete --force c
	try scoped '.annotations = {"org.systemd.property.TimeoutStopSec": "soon"}'
	like "$output$stderr" 'org.systemd.property.TimeoutStopSec.*GVariant'
	try scoped '.annotations = {"org.systemd.property.NoSuchThing": "uint64 1"}'
	like "$output$stderr" 'systemd: .*NoSuchThing'
}

@test "a failed create leaves no scope" {
	try scoped '.process.args = ["/no/such/program"]'
	like "$output$stderr" 'no such file'
	is "$(property ActiveState)" inactive
	is "$(volrun list -q)" ""
}

@test "memory beyond the limit: the process is killed, events tells of it" {
	scoped '.linux.resources = {memory: {limit: 33554432, swap: 33554432}}'
	"$BIN/volrun" --root "$ROOT" events --interval 1h c >"$T/events" 3>&- 4>&- &
	local pid=$!
	try volrun exec c sh -c 'head -c 100m /dev/zero | tail >/dev/null'
	until_true 10 grep -q '"type":"oom"' "$T/events"
	volrun kill c KILL
	ended $pid
	volrun delete --force c
}

@test "pause freezes the scope's cgroup, resume thaws it" {
	scoped
	volrun pause c
	is "$(status_of c)" paused
	is "$(cgroup_file cgroup.freeze)" 1
	volrun resume c
	is "$(status_of c)" running
	volrun delete --force c
}

@test "killed in the middle of create, delete --force takes the scope away" {
	bundle c 'exec sleep 1000' '.linux.cgroupsPath = "system.slice:'"${UNIT%-*}:${UNIT#*-}"'"
		| .hooks.createRuntime = [{path: "/bin/sleep", args: ["sleep", "30"]}]'
	volrun_bg --systemd-cgroup create --bundle "$T/c" c
	local pid=$!
	until_true 10 systemctl --quiet is-active "$UNIT.scope"
	kill -9 $pid
	ended $pid
	volrun delete --force c
	until_true 10 inactive
}

@test "cpu.idle is the scope's weight, so that systemd leaves it" {
	scoped '.linux.resources = {cpu: {idle: 1}}'
	is "$(cgroup_file cpu.idle)" 1
	systemctl daemon-reload
	is "$(cgroup_file cpu.idle)" 1
	volrun update --cpu-idle 0 c
	is "$(cgroup_file cpu.idle)" 0
	volrun update --cpu-idle 1 --cpu-share 2048 c
	is "$(cgroup_file cpu.idle)" 1
	volrun update --cpu-idle 0 c
	systemctl daemon-reload
	is "$(cgroup_file cpu.idle)" 0
	volrun delete --force c
}

@test "a limit of huge pages, whose controller systemd leaves to others" {
	local size
	size=$(basename "$(find /sys/kernel/mm/hugepages -name 'hugepages-*kB' | sort | head -n 1)" | tr -dc 0-9)
	((size >= 1048576)) && size=$((size / 1048576))GB || size=$((size / 1024))MB
	scoped '.linux.resources = {hugepageLimits: [{pageSize: "'"$size"'", limit: 0}]}'
	is "$(cgroup_file "hugetlb.$size.max")" 0
	volrun delete --force c
}

@test "run.oci.systemd.subgroup: the container is in a cgroup within the scope, with its limits" {
	scoped '.annotations["run.oci.systemd.subgroup"] = "payload" | .linux.resources = {pids: {limit: 40}}'
	is "$(cut -d : -f 3 "/proc/$(pid_of c)/cgroup")" "/system.slice/$UNIT.scope/payload"
	is "$(cgroup_file payload/pids.max)" 40
	is "$(property TasksMax)" 40
	try volrun exec c cat /proc/self/cgroup
	is "$output" "0::/system.slice/$UNIT.scope/payload"
	volrun update --pids-limit 20 c
	is "$(cgroup_file payload/pids.max)" 20
	volrun pause c
	is "$(status_of c)" paused
	volrun resume c
	volrun delete --force c
	is "$(property ActiveState)" inactive
}

@test "run.oci.delegate-cgroup: the container's root owns a cgroup within that has its init" {
	scoped '.annotations["run.oci.systemd.subgroup"] = "payload" | .annotations["run.oci.delegate-cgroup"] = "own/part"
		| .linux.namespaces += [{type: "cgroup"}] | .linux.resources = {pids: {limit: 40}}'
	is "$(cut -d : -f 3 "/proc/$(pid_of c)/cgroup")" "/system.slice/$UNIT.scope/payload/own/part"
	[[ $(cgroup_file payload/own/part/cgroup.controllers) == *pids* ]]
	try volrun exec c cat /proc/self/cgroup
	is "$output" "0::/own/part"
	volrun delete --force c
	config c '.annotations["run.oci.delegate-cgroup"] = "../part"'
	try volrun --systemd-cgroup run --bundle "$T/c" c
	not_ok 'delegate-cgroup.*no relative path'
}
