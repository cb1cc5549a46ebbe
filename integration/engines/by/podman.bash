# SPDX-License-Identifier: Apache-2.0
# podman.bash - containers by Podman; see nodes.bash.

podman_ready() {
	printf '[engine.runtimes]\nvolrun-b = ["%s"]\n' "$(wrapper_of root)" >/etc/containers/containers.conf.d/volrun-b.conf
}
podman_c() { timeout 120 podman "$@" 3>&- 4>&-; }
podman_run() { podman_c run --rm --runtime "$1" --network none --name "$2" --annotation "dev.volrun.volume=$3" busybox sh -c "$4"; }
podman_start() { podman_c run -d --runtime "$1" --network none --name "$2" --annotation "dev.volrun.volume=$3" busybox sh -c "$4" >/dev/null; }
podman_stop() { podman_c stop -t 30 "$1" >/dev/null && podman_c rm "$1" >/dev/null; }
podman_kill() { podman_c kill -s KILL "$1" >/dev/null && podman_c wait "$1" >/dev/null && podman_c rm "$1" >/dev/null; }
