# SPDX-License-Identifier: Apache-2.0
# docker.bash - containers by Docker; see nodes.bash.

docker_ready() {
	[[ $(docker info -f '{{json .Runtimes}}') != *volrun-b* ]] || return 0
	jq '.runtimes["volrun-b"] = {path: "/usr/local/bin/volrun-b"}' /etc/docker/daemon.json >/etc/docker/daemon.new
	mv /etc/docker/daemon.new /etc/docker/daemon.json
	systemctl reload docker
	until_true 30 eval '[[ $(docker info -f "{{json .Runtimes}}") == *volrun-b* ]]'
}
docker_c() { timeout 120 docker "$@" 3>&- 4>&-; }
docker_run() { docker_c run --rm --runtime "$1" --network none --name "$2" --annotation "dev.volrun.volume=$3" busybox sh -c "$4"; }
docker_start() { docker_c run -d --runtime "$1" --network none --name "$2" --annotation "dev.volrun.volume=$3" busybox sh -c "$4" >/dev/null; }
docker_stop() { docker_c stop -t 30 "$1" >/dev/null && docker_c rm "$1" >/dev/null; }
docker_kill() { docker_c kill -s KILL "$1" >/dev/null && docker_c wait "$1" >/dev/null && docker_c rm "$1" >/dev/null; }
