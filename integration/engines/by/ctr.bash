# SPDX-License-Identifier: Apache-2.0
# ctr.bash - containers by containerd's own client; see nodes.bash.

ctr_ready() { ctr image ls -q | grep -q busybox || ctr image import /opt/vm/busybox.tar >/dev/null; }
ctr_c() { timeout 120 ctr "$@" 3>&- 4>&-; }
# By a log: ctr's own way to a container's output loses it now and then, with any runtime.
ctr_run() {
	local log rc=0
	log=$(mktemp)
	ctr_c run --rm --log-uri "file://$log" --runtime io.containerd.runc.v2 --runc-binary "/usr/local/bin/$1" --annotation "dev.volrun.volume=$3" \
		docker.io/library/busybox:latest "$2" sh -c "$4" || rc=$?
	cat "$log"
	rm "$log"
	return $rc
}
ctr_start() {
	ctr_c run -d --runtime io.containerd.runc.v2 --runc-binary "/usr/local/bin/$1" --annotation "dev.volrun.volume=$3" \
		docker.io/library/busybox:latest "$2" sh -c "$4"
}
ctr_stopped() { ctr_c task ls | grep -qE "^$1 .*STOPPED"; }
ctr_end() { # SIGNAL ID
	ctr_c task kill -s "$1" "$2" && until_true 30 ctr_stopped "$2" && ctr_c task rm "$2" && ctr_c container rm "$2"
}
ctr_stop() { ctr_end TERM "$1" >/dev/null; }
ctr_kill() { ctr_end KILL "$1" >/dev/null; }
