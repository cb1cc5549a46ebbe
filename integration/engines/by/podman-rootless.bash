# SPDX-License-Identifier: Apache-2.0
# podman-rootless.bash - containers by Podman of the user u; see nodes.bash.

podman_rootless_user() { echo u; }
podman_rootless_ready() {
	local dir=/home/u/.config/containers/containers.conf.d
	mkdir -p "$dir"
	printf '[engine.runtimes]\nvolrun-b = ["%s"]\n' "$(wrapper_of u)" >"$dir/volrun-b.conf"
	chown -R u: /home/u/.config
}
podman_rootless_c() { as u timeout 120 podman "$@"; }
podman_rootless_run() {
	podman_rootless_c run --rm --runtime "$1" --network none --name "$2" --annotation "dev.volrun.volume=$3" busybox sh -c "$4"
}
podman_rootless_start() {
	podman_rootless_c run -d --runtime "$1" --network none --name "$2" --annotation "dev.volrun.volume=$3" busybox sh -c "$4" >/dev/null
}
podman_rootless_stop() { podman_rootless_c stop -t 30 "$1" >/dev/null && podman_rootless_c rm "$1" >/dev/null; }
podman_rootless_kill() {
	podman_rootless_c kill -s KILL "$1" >/dev/null && podman_rootless_c wait "$1" >/dev/null && podman_rootless_c rm "$1" >/dev/null
}
